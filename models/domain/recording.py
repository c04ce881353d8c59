"""What a result does: the first value of each output is accepted, the rest is kept beside it.

Judged by what came and what is there already; who sent it, and whether its lease still lives, does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labqueue.errors import FieldError
from labqueue.problem import Categorical, Problem, did_you_mean
from labqueue.states import Outcome, State, Verdict


@dataclass(frozen=True)
class Judgement:
    """`current`: outputs whose value this result sets. `beside`: the others that it measured."""

    verdict: Verdict
    outcome: Outcome
    current: tuple[str, ...]
    beside: tuple[str, ...]
    outstanding: tuple[str, ...]
    extra: tuple[str, ...]
    state: State
    message: str = ""
    errors: tuple[FieldError, ...] = ()


def judge(
    problem: Problem,
    state: State,
    known: Collection[str],
    outcome: Outcome,
    outputs: Mapping[str, Any],
    outstanding: Collection[str],
    noise: Mapping[str, Any],
    actual: Mapping[str, Any],
    faults: Sequence[FieldError] = (),
) -> Judgement:
    """`known`: outputs that have a current value already. `faults`: what its reader found wrong with it."""
    extra = tuple(name for name in outputs if name not in problem.output_names)
    mine = tuple(name for name in outputs if name in problem.output_names)
    errors = [*faults, *_check(problem, known, outcome, outputs, outstanding, noise, actual)]
    if errors:
        # A finished experiment stays finished: the odd result waits beside it.
        held = state in (State.PROPOSED, State.STAGED, State.LEASED, State.PARTIAL, State.HELD)
        text = "Kept as it came, but it cannot be used as it stands: " + " ".join(
            str(each) for each in errors
        )
        return Judgement(
            Verdict.HELD, outcome, (), (), (), extra, State.HELD if held else state, text, tuple(errors)
        )
    message = f"Kept beside the result, not outputs of this campaign: {', '.join(extra)}." if extra else ""
    if outcome is not Outcome.MEASURED:
        first = state is not State.COMPLETED and not known
        verdict = Verdict.ACCEPTED if first else Verdict.REPLICATE
        return Judgement(verdict, outcome, (), mine, (), extra, State.COMPLETED if first else state, message)
    current = tuple(name for name in mine if name not in known)
    beside = tuple(name for name in mine if name in known)
    missing = tuple(name for name in problem.output_names if name not in known and name not in current)
    if not mine and not known and state is not State.COMPLETED:
        # It ran, and every value follows.
        return Judgement(Verdict.ACCEPTED, outcome, (), (), missing, extra, State.PARTIAL, message)
    if not current:
        return Judgement(Verdict.REPLICATE, outcome, (), beside, missing, extra, state, message)
    to = State.PARTIAL if missing and state is not State.COMPLETED else State.COMPLETED
    return Judgement(Verdict.ACCEPTED, outcome, current, beside, missing, extra, to, message)


def _check(
    problem: Problem,
    known: Collection[str],
    outcome: Outcome,
    outputs: Mapping[str, Any],
    outstanding: Collection[str],
    noise: Mapping[str, Any],
    actual: Mapping[str, Any],
) -> list[FieldError]:
    excused = {*outstanding, *known} if outcome is Outcome.MEASURED else set(problem.output_names)
    wrong_names = [name for name in outstanding if name not in problem.output_names]
    errors = problem.check_outputs(outputs, (excused & set(problem.output_names)) | set(wrong_names))
    errors += [
        FieldError(f"noise.{name}", "is not a standard deviation of an output that came.", repr(value))
        for name, value in noise.items()
        if name not in outputs or not finite(value) or value < 0
    ]
    if not problem.opaque:
        errors += [
            wrong for name in actual for wrong in [_check_actual(problem, name, actual[name])] if wrong
        ]
    return errors


def _check_actual(problem: Problem, name: str, value: Any) -> FieldError | None:
    """What a parameter really was may be out of its bounds, but not of another kind."""
    if name not in problem.names:
        hint = did_you_mean(name, problem.names)
        known = ", ".join(problem.names)
        return FieldError(f"actual.{name}", "is no parameter.", repr(value), known, hint)
    parameter = problem.parameter(name)
    if isinstance(parameter, Categorical):
        wrong = parameter.check(value)
        return replace(wrong, field=f"actual.{name}") if wrong else None
    if finite(value):
        return None
    return FieldError(f"actual.{name}", "is not a finite number.", repr(value))


def finite(value: Any) -> bool:
    """Is this a number that can be reckoned with?"""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False
