"""How good a campaign's models are: the newest one in figures, all of them as learning curves.

A learner of the user's own says what it likes: what is no number of an output is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from models.domain import records as r
from services.web.pictures import Series, picture

#: What is shown of each output, where any has it: titles of columns.
_TITLES = {
    "rmse": "error (RMSE)",
    "r2": "R²",
    "coverage95": "within the 95 % interval",
    "rank": "rank correlation",
    "accuracy": "accuracy",
    "nll": "negative log likelihood",
}
#: What a learning curve is drawn of, the first that there is: its series and its axis. Labels have no error.
_CURVES = {
    "rmse": ("root mean square error", "error on rows left out"),
    "accuracy": ("accuracy", "share right of rows left out"),
}


def quality(model: r.Model) -> dict[str, Mapping[str, Any]]:
    """Figures by output."""
    outputs = (model.metrics or {}).get("outputs")
    if not isinstance(outputs, Mapping):
        return {}
    return {name: each for name, each in outputs.items() if isinstance(each, Mapping)}


def titles(found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The columns that are not empty, by metric."""
    return {
        metric: title
        for metric, title in _TITLES.items()
        if any(each.get(metric) is not None for each in found.values())
    }


def curves(models: Sequence[r.Model]) -> list[Markup]:
    """How well each model version foretells what it has not seen, by output."""
    found = [(float(each.version), quality(each)) for each in models]
    names = sorted({name for _, outputs in found for name in outputs})
    return [_curve(name, found) for name in names]


def _curve(name: str, found: Sequence[tuple[float, Mapping[str, Mapping[str, Any]]]]) -> Markup:
    for metric, (series, up) in _CURVES.items():
        points = [
            (version, float(value))
            for version, outputs in found
            for value in [outputs.get(name, {}).get(metric)]
            if isinstance(value, (int, float))
        ]
        if points:
            return picture(f"Learning {name}", [Series(series, points, "line", "two")], "model version", up)
    return Markup("")
