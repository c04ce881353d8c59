"""What would be run next: suggestions know what was measured and what is in flight, and are staged by nobody."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import pstdev
from typing import Any

from labqueue.strategy import SOBOL
from services.fronts.alchemist.experiments import rows
from services.fronts.alchemist.refusals import VALUE, Refusal
from services.fronts.alchemist.sessions import audit, campaign, locking
from services.fronts.alchemist.sessions.keeping import find, hold, save
from services.fronts.alchemist.sessions.problem import objectives
from services.fronts.alchemist.sessions.session import OBSERVED, Session
from services.fronts.alchemist.visit import Visit, Visitor
from services.ports import Store

from . import fixing, strategies
from .asking import answer, model
from .modelling import changed
from .predicting import conditions, expected
from .training import FEWEST, train

Json = dict[str, Any]

#: Seconds that a model is waited for where a design would do as well.
_PATIENCE = 30.0


@dataclass(frozen=True)
class Wish:
    """goal      of every target, or of each in their order
    kappa     standard deviations of optimism, for UCB
    hold      values that variables keep; observed: values of those that are measured
    """

    strategy: str
    goal: str | Sequence[str]
    count: int
    xi: float | None = None
    kappa: float | None = None
    hold: Mapping[str, Any] | None = None
    observed: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class _Asked:
    session: Session
    held: Json
    here: Json
    goals: Mapping[str, str]
    spread: float
    iteration: int | None
    rows: int


async def suggestions(visit: Visit, session_id: str, wish: Wish, *, anyway: bool = False) -> Json:
    """`anyway`: without a model too, then points of a design; one is trained where there are rows enough. Raises
    Refusal (404, 409; 400 without a model or for a wish that cannot be had)."""
    token = locking.token_of(visit)
    await visit.act(campaign.ensure, visit.store, visit.context.ids, session_id, visit.actor)
    asked = await visit.run(_read, visit.store, session_id, wish, visit.visitor, token)
    strategy = strategies.strategy(wish.strategy, wish.kappa, len(asked.session.targets) > 1)
    try:
        await model(visit, session_id)
    except Refusal:
        trained = anyway and asked.rows >= FEWEST and (await train(visit, session_id, _PATIENCE)).trained
        if not anyway:
            raise
        if not trained:
            strategy = {"method": "design", "design": {"kind": SOBOL}}
    found = await _candidates(visit, asked, wish, strategy)
    names = [each.name for each in asked.session.variables]
    chosen = ({**each["parameters"], **asked.held} for each in found)
    points = [{name: each[name] for name in names if name in each} for each in chosen]
    target = asked.session.targets[0]
    told = [each["expected"].get(target) for each in found]
    answered = {
        "suggestions": points,
        "n_suggestions": len(points),
        "iteration": asked.iteration,
        "diagnostics": [
            _diagnostics(asked, each, strategies.warnings(wish.strategy, wish.xi)) for each in told
        ],
    }
    await visit.act(_keep, visit.store, asked, wish, points, visit.actor)
    return answered


async def _candidates(visit: Visit, asked: _Asked, wish: Wish, strategy: Json) -> list[Json]:
    """As an inquiry answers them. Where a finite space has too few points left, measured ones are taken again."""
    session = asked.session
    free = [each.name for each in session.variables if each.role != OBSERVED and each.name not in asked.held]
    modelled = strategy["method"] != "design"
    if not free:
        point = dict(asked.held)
        told = (await expected(visit, session.id, [{**point, **asked.here}]))[0] if modelled else {}
        return [{"parameters": point, "expected": told}]
    problem: Json = {"objectives": objectives(session, dict(asked.goals))}
    if asked.held:
        problem["constraints"] = await visit.run(fixing.constraints, session, asked.held)
    question: Json = {
        "count": wish.count,
        "strategy": strategy,
        "problem": problem,
        "context": asked.here or None,
    }
    found: list[Json] = (await answer(visit, session.id, "suggest", question))["candidates"]
    if len(found) < wish.count and modelled:
        again = {**question, "strategy": {**strategy, "replicates": True}}
        found = (await answer(visit, session.id, "suggest", again))["candidates"]
    return found


def _read(store: Store, session_id: str, wish: Wish, visitor: Visitor, token: str | None) -> _Asked:
    with store.begin() as tx:
        session = find(tx, session_id)
        locking.require(tx, session_id, visitor, token)
        measured = rows.of(tx, session)
    target = session.targets[0]
    values = [each.outputs[target] for each in measured if target in each.outputs]
    return _Asked(
        session,
        fixing.checked(session, wish.hold),
        conditions(store, session, None if wish.observed is None else dict(wish.observed)),
        _goals(session, wish.goal),
        pstdev(values) if len(values) > 1 else 0.0,
        max(each.iteration for each in measured) + 1 if measured else None,
        len(measured),
    )


def _goals(session: Session, goal: str | Sequence[str]) -> dict[str, str]:
    if isinstance(goal, str):
        return dict.fromkeys(session.targets, goal)
    if len(goal) != len(session.targets):
        raise Refusal(
            f"goal names {len(goal)} directions, and this session has the objectives {list(session.targets)}.",
            VALUE,
        )
    return dict(zip(session.targets, goal, strict=True))


def _diagnostics(asked: _Asked, told: Mapping[str, float] | None, warnings: list[str]) -> Json:
    """The ratio: how much of what is unknown without data is unknown at the point, 0 where data pin it."""
    ratio = None
    if told is not None and asked.spread > 0 and math.isfinite(told["sd"]):
        ratio = min(1.0, told["sd"] / asked.spread)
    if ratio is not None and ratio >= 0.95:
        explores = "The model knows next to nothing of this point: it is chosen to explore."
        warnings = [*warnings, explores]
    return {"held": sorted(asked.held), "knowledge_ratio": ratio, "warnings": warnings}


def _keep(store: Store, asked: _Asked, wish: Wish, points: list[Json], actor: str) -> None:
    """For plots, for those who look at the session, and for its audit log."""
    if not points:
        return
    goal = wish.goal if isinstance(wish.goal, str) else list(wish.goal)
    said: Json = {"goal": goal, "n_suggestions": wish.count}
    said |= {name: value for name, value in (("xi", wish.xi), ("kappa", wish.kappa)) if value is not None}
    if wish.hold is not None:
        said["hold"] = asked.held
    if wish.observed is not None:
        said["observed"] = asked.here
    with store.begin() as tx:
        session = hold(tx, asked.session.id)
        last = {"suggestion": points[0], "suggestions": points, "value": None, "goal": goal}
        save(tx, replace(session, last=last))
        locked = {
            "strategy": wish.strategy,
            "parameters": said,
            "suggestions": points,
            "iteration": asked.iteration,
        }
        notes = f"Suggested {len(points)} point(s) using {wish.strategy}"
        audit.record(tx, session.id, "acquisition_locked", locked, notes, actor)
        new = {"strategy": wish.strategy, "goal": goal, "xi": wish.xi, "kappa": wish.kappa}
        changed(tx, session.id, "acquisition", new, actor)
