"""questions: what may be asked of a model, read and judged before it is kept, and the snapshot that it is asked of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from labqueue.errors import FieldError, InvalidError
from labqueue.problem import Context, Problem
from labqueue.states import Outcome
from labqueue.strategy import CALLER, DESIGN, Strategy
from services.ports import Snapshot, Transaction

from .define import SEED_LIMIT, check_together
from .pools import Points, texts

COUNT_LIMIT = 100
#: Points of a design alone: they cost next to nothing.
DESIGN_LIMIT = 10_000
POINT_LIMIT = 10_000
#: Of a learning curve: each is a model of its own.
SIZE_LIMIT = 50


def suggestion(
    tx: Transaction, problem: Problem, strategy: Strategy, request: Mapping[str, Any]
) -> dict[str, Any]:
    """What is kept of the question; what it changes is whole and was judged."""
    changes: dict[str, Any] = {
        name: request.get(name)
        for name in ("strategy", "problem", "context")
        if request.get(name) is not None
    }
    for name, given in changes.items():
        if not isinstance(given, Mapping):
            raise InvalidError(
                errors=[FieldError(name, "must be an object with the fields to change.", None)]
            )
    body: dict[str, Any] = {}
    if "strategy" in changes:
        strategy = Strategy.from_json({**strategy.to_json(), **changes["strategy"]})
        body["strategy"] = strategy.to_json()
    if "problem" in changes:
        problem = Problem.from_json({**problem.to_json(), **changes["problem"]})
        body["problem"] = problem.to_json()
    if body:
        check_together(problem, strategy, texts(tx, problem))
    limit = DESIGN_LIMIT if strategy.method == DESIGN else COUNT_LIMIT
    wrong, body["count"] = _whole("count", request.get("count", 1), 1, limit)
    if request.get("seed") is not None:
        faults, body["seed"] = _whole("seed", request["seed"], 0, SEED_LIMIT - 1)
        wrong += faults
    if "context" in changes:
        body["context"] = dict(changes["context"])
        wrong += _context(problem, body["context"])
    if wrong:
        raise InvalidError(errors=wrong)
    return body


def prediction(tx: Transaction, problem: Problem, request: Mapping[str, Any]) -> dict[str, Any]:
    """`actual`: the points are as they were or might be, context included, and not as they could be planned."""
    points = request.get("points")
    if not isinstance(points, (list, tuple)):
        raise InvalidError(errors=[FieldError("points", "must be a list of points.", None)])
    known = _Actual(problem) if request.get("actual") else Points(tx, problem, points)
    wrong = [
        replace(each, field=f"points[{row}].{each.field}")
        for row, point in enumerate(points)
        for each in known.check(point)
    ]
    if not 1 <= len(points) <= POINT_LIMIT:
        rule = f"1 to {POINT_LIMIT} points"
        wrong.append(FieldError("points", f"must be {rule}.", len(points), rule))
    if wrong:
        raise InvalidError("These points cannot be predicted as they stand.", errors=wrong)
    return {"points": [known.normal(point) for point in points]}


def validation(request: Mapping[str, Any]) -> dict[str, Any]:
    sizes = request.get("sizes") or []
    if not isinstance(sizes, (list, tuple)) or len(sizes) > SIZE_LIMIT:
        rule = f"a list of at most {SIZE_LIMIT} numbers of rows"
        raise InvalidError(errors=[FieldError("sizes", f"must be {rule}.", None, rule)])
    wrong = [
        fault
        for place, each in enumerate(sizes)
        for fault in _whole(f"sizes[{place}]", each, 2, DESIGN_LIMIT)[0]
    ]
    if wrong:
        raise InvalidError(errors=wrong)
    return {"sizes": list(sizes)}


def as_asked(snapshot: Snapshot, request: Mapping[str, Any]) -> Snapshot:
    if "strategy" in request:
        asked = Strategy.from_json(request["strategy"])
        if snapshot.strategy.method == CALLER and asked.method != DESIGN:
            # What a caller chose so far stands for the initial design.
            snapshot = replace(snapshot, drawn=len(snapshot.rows) + len(snapshot.pending))
        snapshot = replace(snapshot, strategy=asked)
    if "problem" in request:
        snapshot = replace(snapshot, problem=Problem.from_json(request["problem"]))
    if "seed" in request:
        snapshot = replace(
            snapshot, seed=request["seed"], number=1, rows=(), pending=(), staged=(), drawn=0, model=None
        )
    if "context" in request and snapshot.rows:
        # Suggestions are made for the context that was reported last: here by a row that teaches nothing else.
        last = snapshot.rows[-1]
        here = {**last.parameters, **request["context"]}
        said = replace(last, parameters=here, outputs={}, noise={}, outcome=Outcome.SUSPECT, replicates={})
        snapshot = replace(snapshot, rows=(*snapshot.rows, said))
    return snapshot


class _Actual:
    """Points that need not be within bounds or constraints, but are whole and of the right kinds."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    def check(self, point: Any) -> list[FieldError]:
        if not isinstance(point, Mapping) or self._problem.pool is not None:
            return self._problem.check_point(point)
        missing = [
            FieldError(each.name, "is missing.", None, each.allowed)
            for each in self._problem.active(point)
            if each.name not in point and each.kind != "fixed"
        ]
        given = (self._problem.check_actual(str(name), value) for name, value in point.items())
        return [*missing, *(each for each in given if each)]

    def normal(self, point: Mapping[str, Any]) -> dict[str, Any]:
        return self._problem.ordered(point)


def _context(problem: Problem, given: Mapping[str, Any]) -> list[FieldError]:
    known = {each.name: each for each in problem.context}
    allowed: Sequence[str] = tuple(known)
    wrong = [
        FieldError(f"context.{name}", "is no context of this problem.", None, ", ".join(allowed) or "none")
        for name in given
        if name not in known
    ]
    judged = (Context.check(known[name], value) for name, value in given.items() if name in known)
    return [*wrong, *(replace(each, field=f"context.{each.field}") for each in judged if each)]


def _whole(name: str, given: Any, low: int, high: int) -> tuple[list[FieldError], Any]:
    if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
        rule = f"{low} to {high:,}"
        return [FieldError(name, f"must be {rule}.", given, rule)], given
    return [], given
