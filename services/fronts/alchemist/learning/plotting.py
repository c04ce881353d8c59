"""Numbers that plots of a model are drawn from: its mean over two variables, and how well it foretells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, fmean, pstdev
from typing import Any

from services.flow.questions import POINT_LIMIT
from services.fronts.alchemist.experiments import rows
from services.fronts.alchemist.refusals import VALUE, Refusal
from services.fronts.alchemist.sessions.keeping import find
from services.fronts.alchemist.sessions.session import (
    CATEGORICAL,
    DISCRETE,
    INTEGER,
    OBSERVED,
    REAL,
    Session,
    Variable,
)
from services.fronts.alchemist.visit import Visit
from services.ports import Store

from . import modelling
from .asking import model, session_of
from .heldout import HeldOut, held_out
from .predicting import expected

UNTRAINED = "Model must be trained before generating visualizations"
#: A learning curve begins with so many rows, has at most so many points, and ends where a fit takes its time.
FIRST, POINTS, LAST = 5, 10, 200
_NORMAL = NormalDist()
_LEVELS = [0.10 + 0.05 * place for place in range(18)]

Json = dict[str, Any]
Grid = list[list[float]]


@dataclass(frozen=True)
class Slice:
    """Over `x` and `y`; the others stand at `fixed`, or in the middle."""

    x: str
    y: str
    fixed: Json = field(default_factory=dict)
    resolution: int = 50
    experiments: bool = True
    suggestions: bool = False


async def surface(visit: Visit, session_id: str, wish: Slice) -> Json:
    """Mean and standard deviation of the first target on a grid, row by row of y. Raises Refusal (404, 400)."""
    await model(visit, session_id, Refusal(UNTRAINED))
    session, measured = await visit.run(_read, visit.store, session_id)
    across, up = _axes(session, wish)
    base = {each.name: _middle(each) for each in session.variables if each.role != OBSERVED}
    base |= {name: wish.fixed[name] for name in wish.fixed if session.variable(name) is not None}
    points = [{**base, wish.x: x, wish.y: y} for y in up for x in across]
    wrong = rows.check_inputs(session, points[0], observed=False)
    if wrong:
        raise Refusal(wrong, VALUE)
    target = session.targets[0]
    means: list[float] = []
    spreads: list[float] = []
    for low in range(0, len(points), POINT_LIMIT):
        told = await expected(visit, session_id, points[low : low + POINT_LIMIT])
        means += [each[target]["mean"] for each in told]
        spreads += [each[target]["sd"] for each in told]
    wide = wish.resolution
    return {
        "x_var": wish.x,
        "y_var": wish.y,
        "x_grid": [list(across) for _ in up],
        "y_grid": [[y] * wide for y in up],
        "predictions": _rows(means, wide),
        "uncertainties": _rows(spreads, wide),
        "experiments": _experiments(session, measured, wish) if wish.experiments else None,
        "suggestions": _suggestions(session, wish) if wish.suggestions else None,
        "x_bounds": [across[0], across[-1]],
        "y_bounds": [up[0], up[-1]],
        "colorbar_bounds": [min(means), max(means)],
        "output_range": _range(session, measured),
    }


async def parity(visit: Visit, session_id: str, target: str | None, calibrated: bool) -> Json:
    """What was measured against what was foretold of it without it. Raises Refusal (404, 400)."""
    found = await _tested(visit, session_id, target, calibrated)
    both = [*found.true, *found.predicted]
    return {
        "y_true": list(found.true),
        "y_pred": list(found.predicted),
        "y_std": list(found.sd),
        "metrics": found.metrics(),
        "bounds": [min(both), max(both)],
        "calibrated": calibrated,
    }


async def quantiles(visit: Visit, session_id: str, target: str | None, calibrated: bool) -> Json:
    """Residuals in standard deviations, beside what they would be if all were as the model says."""
    found = await _tested(visit, session_id, target, calibrated)
    sample, count = sorted(found.scores), len(found.true)
    theory = [_NORMAL.inv_cdf(0.01 + 0.98 * place / max(count - 1, 1)) for place in range(count)]
    both = [*sample, *theory]
    return {
        "theoretical_quantiles": theory,
        "sample_quantiles": sample,
        "z_mean": fmean(sample),
        "z_std": pstdev(sample),
        "n_samples": count,
        "bounds": [min(both), max(both)],
        "calibrated": calibrated,
    }


async def calibration(visit: Visit, session_id: str, target: str | None, calibrated: bool) -> Json:
    """Which share of the values lies within the central intervals that should hold a nominal share."""
    found = await _tested(visit, session_id, target, calibrated)
    widths = [_NORMAL.inv_cdf((1 + level) / 2) for level in _LEVELS]
    sizes = [abs(each) for each in found.scores]
    shares = [fmean(each <= width for each in sizes) for width in widths]
    words = [
        f"\u00b1{width:.2f}\u03c3 ({100 * level:.0f}%)" for width, level in zip(widths, _LEVELS, strict=True)
    ]
    return {
        "nominal_coverage": _LEVELS,
        "empirical_coverage": shares,
        "confidence_levels": words,
        "nominal_probabilities": _LEVELS,
        "empirical_probabilities": shares,
        "n_samples": len(sizes),
        "calibrated": calibrated,
        "results_type": "calibrated" if calibrated else "uncalibrated",
    }


async def learning(visit: Visit, session_id: str) -> Json:
    """How well models of ever more rows foretell each of these rows without it. Raises Refusal (404, 400)."""
    await model(visit, session_id, Refusal(UNTRAINED))
    session, measured = await visit.run(_read, visit.store, session_id)
    sizes = _sizes(min(len(measured), LAST))
    found: Sequence[HeldOut] = ()
    if sizes:
        found = (await held_out(visit, session_id, sizes)).get(session.targets[0], [])[1:]
    metrics = [each.metrics() for each in found]
    curves = {name: [each.get(name) for each in metrics] for name in ("rmse", "mae", "r2", "mape")}
    counts = [len(each.true) for each in found]
    return {"training_sizes": counts, **curves, "cv_splits": counts}


async def settings(visit: Visit, session_id: str) -> Json:
    """What the fit found, and how sure the model should be. Raises Refusal (404, 400)."""
    await model(visit, session_id, Refusal("Model must be trained before accessing hyperparameters"))
    known = await visit.run(modelling.information, visit.store, session_id)
    asked = known["training_config"] or {}
    found = await _tested(visit, session_id, None, False)
    return {
        "hyperparameters": known["hyperparameters"],
        "backend": known["backend"],
        "kernel": known["hyperparameters"].get("kernel_type") or "unknown",
        "input_transform": asked.get("input_transform") or "normalize",
        "output_transform": asked.get("output_transform") or "standardize",
        "calibration_enabled": bool(asked.get("calibration_enabled")),
        "calibration_factor": found.spread,
    }


async def _tested(visit: Visit, session_id: str, target: str | None, calibrated: bool) -> HeldOut:
    await model(visit, session_id, Refusal(UNTRAINED))
    session = await visit.run(session_of, visit.store, session_id)
    name = session.targets[0] if target is None else target
    if name not in session.targets:
        raise Refusal(f"Unknown objective '{name[:100]}'. This session's objectives: {list(session.targets)}")
    found = (await held_out(visit, session_id, []))[name][0]
    return found.calibrated() if calibrated else found


def _read(store: Store, session_id: str) -> tuple[Session, list[rows.Row]]:
    with store.begin() as tx:
        session = find(tx, session_id)
        return session, rows.of(tx, session)


def _axes(session: Session, wish: Slice) -> tuple[list[float], list[float]]:
    for name in (wish.x, wish.y):
        if session.variable(name) is None:
            raise Refusal(f"Variable '{name[:100]}' not found in search space")
    if wish.x == wish.y:
        raise Refusal("X and Y variables must be different")
    found = []
    for name in (wish.x, wish.y):
        each = session.variable(name)
        assert each is not None, "it was looked up"
        if each.type not in (REAL, INTEGER) or each.min is None or each.max is None:
            raise Refusal(
                f"Contour plots only support continuous (real/integer) variables on axes. '{name}' is type '{each.type}'."
            )
        step = (each.max - each.min) / (wish.resolution - 1)
        found.append([*(each.min + step * place for place in range(wish.resolution - 1)), float(each.max)])
    return found[0], found[1]


def _middle(variable: Variable) -> Any:
    if variable.type == CATEGORICAL:
        return variable.categories[0]
    if variable.type == DISCRETE:
        return variable.allowed_values[len(variable.allowed_values) // 2]
    assert variable.min is not None and variable.max is not None, "a number that is chosen has bounds"
    return (variable.min + variable.max) / 2


def _rows(values: Sequence[float], wide: int) -> Grid:
    return [list(values[low : low + wide]) for low in range(0, len(values), wide)]


def _experiments(session: Session, measured: Sequence[rows.Row], wish: Slice) -> Json | None:
    target = session.targets[0]
    known = [
        (each.inputs[wish.x], each.inputs[wish.y], each.outputs[target])
        for each in measured
        if wish.x in each.inputs and wish.y in each.inputs and target in each.outputs
    ]
    if not known:
        return None
    return {word: [each[place] for each in known] for place, word in enumerate(("x", "y", "output"))}


def _suggestions(session: Session, wish: Slice) -> Json | None:
    known = [each for each in session.last.get("suggestions") or [] if wish.x in each and wish.y in each]
    return {"x": [each[wish.x] for each in known], "y": [each[wish.y] for each in known]} if known else None


def _range(session: Session, measured: Sequence[rows.Row]) -> list[float] | None:
    """The same from slice to slice."""
    target = session.targets[0]
    values = [each.outputs[target] for each in measured if target in each.outputs]
    finite = [each for each in values if math.isfinite(each)]
    return [min(finite), max(finite)] if len(set(finite)) > 1 else None


def _sizes(count: int) -> list[int]:
    """Evenly from the first to all rows."""
    if count < FIRST:
        return []
    steps = min(POINTS, count - FIRST + 1) - 1
    if steps == 0:
        return [FIRST]
    return [FIRST + round((count - FIRST) * place / steps) for place in range(steps + 1)]
