"""Kernels by ALchemist's names and parameters, in Labqueue's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labqueue.strategy import AUTO
from services.fronts.alchemist.refusals import VALUE, Refusal

MATERN, RBF = "Matern", "RBF"
NAMES: Mapping[str, tuple[str, ...]] = {
    "sklearn": (RBF, MATERN, "RationalQuadratic"),
    "botorch": (RBF, MATERN, "IBNN"),
}
#: By their smoothness; where none is said it is the backend's.
_MATERN = {0.5: "matern12", 1.5: "matern32", 2.5: "matern52"}
_USUAL = {"sklearn": 1.5, "botorch": 2.5}
_SHOWN: Mapping[str, dict[str, Any]] = {
    "rbf": {"kernel_type": RBF},
    **{name: {"kernel_type": MATERN, "matern_nu": nu} for nu, name in _MATERN.items()},
}


def checked(model: Mapping[str, Any]) -> dict[str, Any]:
    """How a model is asked for, its kernel spelled as ALchemist spells it. Raises Refusal (400)."""
    known = NAMES.get(model["backend"])
    if known is None:
        raise Refusal(
            f"Unknown backend: {model['backend'][:100]!r}. Valid options are: {', '.join(NAMES)}", VALUE
        )
    if model.get("kernel") is None:
        return dict(model)
    wanted = model["kernel"].lower().replace("_", "")
    name = next((each for each in known if each.lower() == wanted), None)
    if name is None:
        raise Refusal(
            f"Unknown kernel type: {model['kernel'][:100]!r}. Valid options for {model['backend']} are: "
            f"{', '.join(known)}",
            VALUE,
        )
    if name == MATERN and _smoothness(model) not in _MATERN:
        raise Refusal(
            f"nu of a Matern kernel is one of {', '.join(map(str, _MATERN))}, not {str(_smoothness(model))[:100]}",
            VALUE,
        )
    return {**model, "kernel": name}


def kernel_of(model: Mapping[str, Any]) -> str:
    """In Labqueue's words, of whatever a session file says; `auto` where none is named, or one that Labqueue has not."""
    name = str(model.get("kernel")).lower()
    if name == MATERN.lower():
        return _MATERN.get(_smoothness(model), AUTO)
    return "rbf" if name == RBF.lower() else AUTO


def shown(kernel: str) -> dict[str, Any]:
    """What a fit used, among a model's hyperparameters."""
    return dict(_SHOWN.get(kernel, {"kernel_type": kernel}))


def _smoothness(model: Mapping[str, Any]) -> Any:
    given = model.get("kernel_params")
    usual = _USUAL.get(str(model.get("backend")))
    found = given.get("nu", given.get("matern_nu", usual)) if isinstance(given, Mapping) else usual
    return str(found) if isinstance(found, (list, dict)) else found
