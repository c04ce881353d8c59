"""Programs written for AMLRO run on Labqueue unchanged.

    labqueue-amlro script.py            runs a script; LABQUEUE_URL and LABQUEUE_TOKEN say where the server is
    import labqueue_amlro; labqueue_amlro.install()     does it in a notebook, before its own imports

Nothing is called amlro before one of these is done, and where AMLRO itself is installed both refuse unless told to
stand in for it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys

__all__ = ["install"]

#: The modules that programs import, under amlro.
MODULES = ("const", "generate_reaction_conditions", "generate_training_data", "ml_models", "optimizer")
NAME, OURS = "amlro", "labqueue_amlro.compat"


def install(replace: bool = False) -> None:
    """From now on `import amlro.optimizer` and its like mean Labqueue in this process.

    replace: also where AMLRO itself is installed; else that raises ImportError. Twice is once.
    """
    ours = importlib.import_module(OURS)
    present = sys.modules.get(NAME)
    if present is ours:
        return
    if not replace and (present is not None or importlib.util.find_spec(NAME) is not None):
        raise ImportError(
            "AMLRO itself is installed here, and is not replaced silently. To run on Labqueue: labqueue-amlro "
            "--replace SCRIPT, or labqueue_amlro.install(replace=True); or use an environment without it."
        )
    for name in [each for each in sys.modules if each == NAME or each.startswith(f"{NAME}.")]:
        del sys.modules[name]
    sys.modules[NAME] = ours
    for name in MODULES:
        sys.modules[f"{NAME}.{name}"] = importlib.import_module(f"{OURS}.{name}")
