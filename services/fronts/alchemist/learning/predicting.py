"""What the model expects at points that a program names, and where it expects the most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.fronts.alchemist.experiments import rows
from services.fronts.alchemist.refusals import VALUE, Refusal
from services.fronts.alchemist.sessions.problem import objectives
from services.fronts.alchemist.sessions.session import OBSERVED, Session
from services.fronts.alchemist.visit import Visit
from services.ports import Store

from . import strategies
from .asking import answer, model, session_of

Json = dict[str, Any]
#: Mean and standard deviation by target.
Expected = Mapping[str, Mapping[str, float]]


async def predictions(visit: Visit, session_id: str, points: Sequence[Json]) -> Json:
    """Raises Refusal (404; 400 without a model, or for points that name too much or too little)."""
    await model(visit, session_id)
    session = await visit.run(session_of, visit.store, session_id)
    if not points:
        raise Refusal("inputs must hold at least one point.", VALUE)
    for point in points:
        wrong = rows.check_inputs(session, point, observed=False)
        if wrong:
            raise Refusal(wrong, VALUE)
    found = await expected(visit, session_id, points)
    shown = [
        {
            "inputs": point,
            "prediction": each[session.targets[0]]["mean"],
            "uncertainty": each[session.targets[0]]["sd"],
            "outputs": {
                target: {"prediction": each[target]["mean"], "uncertainty": each[target]["sd"]}
                for target in session.targets
            },
        }
        for point, each in zip(points, found, strict=True)
    ]
    return {"predictions": shown, "n_predictions": len(shown)}


async def expected(visit: Visit, session_id: str, points: Sequence[Json]) -> list[Expected]:
    """At points that need not be within bounds, observed values among them. The session must have a model."""
    found = await answer(visit, session_id, "predict", {"points": list(points), "actual": True})
    answers: list[Expected] = found["predictions"]
    return answers


async def optimum(visit: Visit, session_id: str, goal: str, observed: Json | None) -> Json:
    """Where the model's mean is best, within the constraints, for the observed values that were given or seen last.
    Raises Refusal (404, 400)."""
    await model(visit, session_id)
    session = await visit.run(session_of, visit.store, session_id)
    if len(session.targets) > 1:
        names = list(session.targets)
        raise Refusal(
            f"find-optimum is not available on a multi-objective session; this one has {len(names)} objectives {names}."
        )
    here = await visit.run(conditions, visit.store, session, observed)
    target = session.targets[0]
    found = await answer(
        visit,
        session_id,
        "suggest",
        {
            "count": 1,
            # No optimism, and what is in flight changes nothing: the best mean. It may have been measured.
            "strategy": {
                **strategies.strategy("UCB", 0.0, False),
                "replicates": True,
                "pending": "posterior",
            },
            "problem": {"objectives": objectives(session, {target: goal})},
            "context": here or None,
        },
    )
    best = found["candidates"][0]
    point = {**best["parameters"], **here}
    told = best["expected"].get(target) or (await expected(visit, session_id, [point]))[0][target]
    return {
        "optimum": {each.name: point[each.name] for each in session.variables if each.name in point},
        "predicted_value": told["mean"],
        "predicted_std": told["sd"],
        "goal": goal,
    }


def conditions(store: Store, session: Session, observed: Json | None) -> Json:
    """The observed variables as they are said to be, else as they were last. Raises Refusal (400)."""
    names = [each.name for each in session.variables if each.role == OBSERVED]
    given = dict(observed or {})
    chosen = sorted(name for name in given if name not in names and session.variable(name) is not None)
    if chosen:
        raise Refusal(
            f"{chosen} are controllable variables; to fix them for this call pass them in hold=, not observed=.",
            VALUE,
        )
    if not names:
        return {}
    with store.begin() as tx:
        measured = rows.of(tx, session)
    last = {name: row.inputs[name] for row in measured for name in names if name in row.inputs}
    return {name: given.get(name, last.get(name)) for name in names if name in given or name in last}
