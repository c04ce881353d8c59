"""What a learner of the user's own suggests, read from JSON: its form here, its content where all suggestions are judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labqueue.errors import FieldError
from labqueue.problem import ROW, Problem
from labqueue.problem.numbers import number, shown
from labqueue.problem.remarks import read_expected, read_reason


@dataclass(frozen=True)
class Candidate:
    """A point as it came, with what its learner said about it: {output: (mean, sd)}."""

    parameters: Mapping[str, Any]
    reason: str
    expected: Mapping[str, tuple[float, float]]


def read(problem: Problem, answer: Any, count: int) -> tuple[list[Candidate], list[FieldError]]:
    """The candidates, or everything that is wrong with their form: exactly `count` objects are wanted."""
    if not isinstance(answer, Sequence) or isinstance(answer, (str, bytes)):
        return [], [FieldError("candidates", "must be a list.", shown(answer), f"{count} candidates")]
    if len(answer) != count:
        text = f"are {len(answer)}, and {count} were asked for."
        return [], [FieldError("candidates", text, len(answer), str(count))]
    found, errors = [], []
    for place, each in enumerate(answer):
        candidate, wrong = _read_one(problem, each)
        found.append(candidate)
        errors += [replace(error, field=f"candidates[{place}].{error.field}") for error in wrong]
    return found, errors


def read_gain(given: Any) -> tuple[float | None, list[FieldError]]:
    """What the first candidate is expected to improve the score by; None: the learner does not say."""
    gain = number(given)
    if given is None or (gain is not None and gain >= 0):
        return gain, []
    rule = "a finite number, 0 or more, or nothing"
    return None, [FieldError("gain", f"must be {rule}.", shown(given), rule)]


def repeats(
    problem: Problem, points: Sequence[Mapping[str, Any]], taken: Iterable[Mapping[str, Any]]
) -> list[FieldError]:
    """Those of `points` (normal ones) that repeat one of `taken`, or each other."""
    seen = {key(problem, point): "one that is in flight or was measured" for point in taken}
    errors = []
    for place, point in enumerate(points):
        mine = key(problem, point)
        if mine in seen:
            text, hint = f"repeats {seen[mine]}.", "The strategy's `replicates` would allow it."
            errors.append(FieldError(f"candidates[{place}].parameters", text, shown(dict(point)), "", hint))
        seen.setdefault(mine, f"candidates[{place}]")
    return errors


def key(problem: Problem, point: Mapping[str, Any]) -> tuple[Any, ...]:
    """Equal for points that plan the same experiment; what was measured beside them does not count."""
    if problem.pool is not None:
        return (point.get(ROW),)
    return tuple(point.get(each.name) for each in problem.planned)


def _read_one(problem: Problem, each: Any) -> tuple[Candidate, list[FieldError]]:
    given = each if isinstance(each, Mapping) else {}
    point = given.get("parameters")
    expected, wrong = read_expected(problem, given.get("expected"))
    reason, bad = read_reason(given.get("reason"))
    if not isinstance(point, Mapping):
        wrong.append(FieldError("parameters", "must be an object of name: value.", shown(point)))
        point = {}
    return Candidate(point, reason, expected), [*wrong, *bad]
