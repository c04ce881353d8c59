"""Programs that import `physicsnemo.active_learning`, where PhysicsNeMo is not installed.

Opt-in, and never in the place of an installed one: `labqueue_physicsnemo.stand_in()` before the program's imports.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

ROOT = "physicsnemo"


def stand_in() -> bool:
    """Makes the names of `physicsnemo.active_learning` importable; returns whether that was needed."""
    if ROOT in sys.modules or importlib.util.find_spec(ROOT) is not None:
        return False
    from . import config, driver, loop, protocols
    from .registry import registry

    root, package = ModuleType(ROOT), ModuleType(f"{ROOT}.active_learning")
    root.__doc__ = package.__doc__ = (
        "Stands in for PhysicsNeMo; the classes are those of labqueue_physicsnemo."
    )
    names = {"protocols": protocols, "driver": driver, "config": config, "loop": loop}
    for name, module in names.items():
        setattr(package, name, module)
        sys.modules[f"{package.__name__}.{name}"] = module
    for name in ("DriverConfig", "OptimizerConfig", "StrategiesConfig", "TrainingConfig"):
        setattr(package, name, getattr(config, name))
    for value in (driver.Driver, loop.DefaultTrainingLoop):
        setattr(package, value.__name__, value)
    package.registry = registry  # type: ignore[attr-defined]
    root.active_learning = package  # type: ignore[attr-defined]
    # As packages, so that nothing else of PhysicsNeMo is looked for elsewhere.
    root.__path__, package.__path__ = [], []
    sys.modules[ROOT], sys.modules[package.__name__] = root, package
    return True
