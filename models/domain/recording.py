"""What a result does: the first value of each output is accepted, the rest is kept beside it.

Judged by what came and what is there already; who sent it, and whether its lease still lives, does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labqueue.errors import FieldError
from labqueue.parse import SIZE_LIMIT
from labqueue.problem import Problem, listed
from labqueue.problem.numbers import shown
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
    needed: Collection[str] | None = None,
) -> Judgement:
    """`known`: outputs that have a current value already. `faults`: what its reader found wrong with it. `needed`:
    outputs that the experiment was to have; None: all of the problem's."""
    needed = problem.output_names if needed is None else needed
    extra = tuple(name for name in outputs if name not in problem.output_names)
    mine = tuple(name for name in outputs if name in problem.output_names)
    later = set(needed) - set(known) if outcome is Outcome.MEASURED else set()
    excused = {*outstanding, *(name for name in problem.output_names if name not in later)}
    errors = [*faults, *_check(problem, excused, outputs, noise, actual)]
    if errors:
        # A finished experiment stays finished: the odd result waits beside it.
        held = state in (State.PROPOSED, State.STAGED, State.LEASED, State.PARTIAL, State.HELD)
        text = "Kept as it came, but it cannot be used as it stands: " + " ".join(
            str(each) for each in errors
        )
        return Judgement(
            Verdict.HELD, outcome, (), (), (), extra, State.HELD if held else state, text, tuple(errors)
        )
    message = f"Kept beside the result, not outputs of this campaign: {listed(extra)}." if extra else ""
    if outcome is not Outcome.MEASURED:
        first = state is not State.COMPLETED and not known
        verdict = Verdict.ACCEPTED if first else Verdict.REPLICATE
        return Judgement(verdict, outcome, (), mine, (), extra, State.COMPLETED if first else state, message)
    current = tuple(name for name in mine if name not in known)
    beside = tuple(name for name in mine if name in known)
    missing = tuple(name for name in needed if name not in known and name not in current)
    if not mine and not known and state is not State.COMPLETED:
        # It ran, and every value follows.
        return Judgement(Verdict.ACCEPTED, outcome, (), (), missing, extra, State.PARTIAL, message)
    if not current:
        return Judgement(Verdict.REPLICATE, outcome, (), beside, missing, extra, state, message)
    to = State.PARTIAL if missing and state is not State.COMPLETED else State.COMPLETED
    return Judgement(Verdict.ACCEPTED, outcome, current, beside, missing, extra, to, message)


def _check(
    problem: Problem,
    excused: Collection[str],
    outputs: Mapping[str, Any],
    noise: Mapping[str, Any],
    actual: Mapping[str, Any],
) -> list[FieldError]:
    errors = problem.check_outputs(outputs, excused)
    labelled = {each.name for each in problem.outputs if each.classes}
    for name, value in noise.items():
        if name in labelled:
            text = "is of an output that is told apart by labels: there is no standard deviation."
            errors.append(FieldError(f"noise.{name}", text, str(shown(value))))
        elif name not in outputs or not finite(value) or not 0 <= value <= SIZE_LIMIT:
            text = "is not a standard deviation of an output that came."
            errors.append(FieldError(f"noise.{listed([name])}", text, str(shown(value))))
    if not problem.opaque:
        wrong = [problem.check_actual(name, value) for name, value in actual.items()]
        errors += [replace(each, field=f"actual.{listed([each.field])}") for each in wrong if each]
    return errors


def finite(value: Any) -> bool:
    """Is this a number that can be reckoned with?"""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False
