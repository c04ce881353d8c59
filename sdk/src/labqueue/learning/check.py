"""`check_learner`: tries a learner on every kind of problem before a campaign depends on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Callable

from labqueue.conformance.check import Finding
from labqueue.errors import FieldError, InvalidError
from labqueue.problem import Problem, did_you_mean
from labqueue.problem.numbers import number, shown
from labqueue.problem.remarks import read_expected, read_reason

from . import samples
from .pools import features, key_of
from .pupil import LearnerError, Pupil, Row, State, read_state, write_state

SEED = 20
#: Rows that a case takes at most: twelve measured, two in flight, three suggested.
POOL_ROWS = 17


class Unmet(Exception):
    """What the learner did is not what it should have done."""


def check_learner(
    make: Callable[[], Any], *, problem: Mapping[str, Any] | None = None, only: Iterable[str] | None = None,
    seconds: float = 30.0, report: Callable[[Finding], None] | None = None,
) -> list[Finding]:  # fmt: skip
    """Calls a learner as `serve_learner` does, and says how it bore each case.

    make     returns a new learner at each call: a class does. A learner must not depend on what it was asked before,
             but on its state alone, for its process may end at any time
    problem  a problem's definition; default: one for each kind of parameter, constraint and output. The file of a
             pool that it names is fetched as `features` does
    only     of the built-in problems these
    seconds  that one call may take; the usual deadline of a strategy is 30
    report   called with each finding as it comes

    In a test: `assert [each for each in check_learner(Mine) if not each.passed] == []`
    """
    findings = []
    for name, body in _chosen(problem, only).items():
        trial = Trial(make, _large_enough(Problem.from_json(body)), seconds)
        for case, run in CASES.items():
            found = _try(trial, f"{name}, {case}", run)
            findings.append(found)
            if report is not None:
                report(found)
            if trial.hung:
                return findings
    return findings


def _chosen(problem: Mapping[str, Any] | None, only: Iterable[str] | None) -> Mapping[str, Mapping[str, Any]]:
    if problem is not None:
        return {"your problem": problem}
    names = list(samples.PROBLEMS if only is None else only)
    wrong = [
        FieldError(
            "only", f"has no {each!r}.", each, list(samples.PROBLEMS), did_you_mean(each, samples.PROBLEMS)
        )
        for each in names
        if each not in samples.PROBLEMS
    ]
    if wrong:
        raise InvalidError("There are no such problems.", errors=wrong)
    return {name: samples.PROBLEMS[name] for name in names}


def _large_enough(problem: Problem) -> Problem:
    if problem.pool is not None and len(features(problem)) < POOL_ROWS:
        raise InvalidError(f"The check needs a pool of at least {POOL_ROWS} rows, and this one has fewer.")
    return problem


class Trial:
    """A learner on one problem. Each call is that of a new process: a fresh learner, a state read from bytes."""

    def __init__(self, make: Callable[[], Any], problem: Problem, seconds: float) -> None:
        self._make, self.problem, self._seconds = make, problem, seconds
        self.hung = False

    def pupil(self) -> Pupil:
        return Pupil(self._make())

    def train(self, rows: Sequence[Row], state: State = None, pupil: Pupil | None = None) -> bytes:
        one = pupil or self.pupil()
        if not one.trains:
            return b""
        return write_state(self._in_time("train", lambda: one.train(self.problem, rows, state)[0]))

    def suggest(
        self,
        rows: Sequence[Row],
        pending: Sequence[Mapping[str, Any]],
        count: int,
        state: bytes,
        seed: int = SEED,
    ) -> list[dict[str, Any]]:
        """Judged as the server judges."""
        one, known = self.pupil(), deepcopy((list(rows), list(pending)))
        given = read_state(state)
        found: list[dict[str, Any]]
        found, gain = self._in_time(
            "suggest", lambda: one.suggest(self.problem, rows, pending, count, given, seed)
        )
        if gain is not None and (number(gain) is None or gain < 0):
            raise Unmet(f"Its gain must be a finite number, 0 or more, or None; it is {shown(gain)}.")
        if (list(rows), list(pending)) != known:
            raise Unmet("It changed the rows or the pending points that it was given.")
        self._judge(found, count, [*pending, *(row.planned for row in rows)])
        return found

    def _judge(
        self, found: Sequence[Mapping[str, Any]], count: int, taken: Sequence[Mapping[str, Any]]
    ) -> None:
        if len(found) != count:
            raise Unmet(f"It suggested {len(found)} points where {count} were asked for.")
        seen = [key_of(self.problem, each) for each in taken]
        for place, each in enumerate(found, start=1):
            point = each["parameters"]
            wrong = self.problem.check_point(point)
            if wrong:
                raise Unmet(f"Point {place} is not allowed: {'; '.join(map(str, wrong))} It is {point}.")
            told = read_expected(self.problem, each.get("expected"))[1] + read_reason(each.get("reason"))[1]
            if told:
                raise Unmet(f"What it says of point {place} is not allowed: {'; '.join(map(str, told))}")
            key = key_of(self.problem, self.problem.normal(point))
            if key in seen:
                raise Unmet(f"Point {place} is in flight, measured or suggested already: {point}.")
            seen.append(key)

    def _in_time(self, what: str, call: Callable[[], Any]) -> Any:
        found: list[Any] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                found.append(call())
            except BaseException as error:  # noqa: BLE001 told below, whatever it is
                failed.append(error)

        began = time.monotonic()
        thread = threading.Thread(target=run, name="labqueue-check", daemon=True)
        thread.start()
        thread.join(self._seconds * 2)
        self.hung = thread.is_alive()
        took = time.monotonic() - began
        if took > self._seconds:
            raise Unmet(
                f"{what} took {'more than ' if self.hung else ''}{took:.1f} s; {self._seconds:g} are allowed."
            )
        if failed:
            if isinstance(failed[0], (LearnerError, Unmet)):
                raise Unmet(str(failed[0]))
            raise Unmet(f"{what} raised {type(failed[0]).__name__}: {failed[0]}")
        return found[0]


def _try(trial: Trial, name: str, run: Callable[[Trial], str]) -> Finding:
    try:
        return Finding(name, True, run(trial))
    except (Unmet, LearnerError) as unmet:
        return Finding(name, False, str(unmet))


def _nothing_known(trial: Trial) -> str:
    trial.suggest([], [], 3, b"")
    return "It suggested three allowed points."


def _only_pending(trial: Trial) -> str:
    trial.suggest([], samples.sample(trial.problem, 4, 1), 1, b"")
    return "It suggested another one than the four in flight."


def _one_row(trial: Trial) -> str:
    rows = samples.rows(trial.problem, 1, 2)
    trial.suggest(rows, [], 2, trial.train(rows))
    return "It learnt one row, and suggested two others."


def _twelve_rows(trial: Trial) -> str:
    rows = samples.rows(trial.problem, 12, 3)
    trial.suggest(rows, samples.sample(trial.problem, 2, 4), 3, trial.train(rows))
    return "It learnt twelve rows, and suggested three others."


def _infeasible(trial: Trial) -> str:
    rows = samples.rows(trial.problem, 8, 5, infeasible=3)
    trial.suggest(rows, [], 1, trial.train(rows))
    nothing = samples.rows(trial.problem, 2, 6, infeasible=2)
    trial.suggest(nothing, [], 1, trial.train(nothing))
    return "It bore conditions that cannot be run."


def _outstanding(trial: Trial) -> str:
    rows = samples.rows(trial.problem, 6, 7)
    last = Row(rows[-1].experiment, rows[-1].parameters)
    rows = [*rows[:-1], last]
    trial.suggest(rows, [], 1, trial.train(rows))
    return "It bore a row whose outputs are still outstanding."


def _twice(trial: Trial) -> str:
    rows, flying = samples.rows(trial.problem, 7, 8), samples.sample(trial.problem, 1, 9)
    first, second = trial.train(rows), trial.train(rows)
    if trial.suggest(rows, flying, 2, first) != trial.suggest(rows, flying, 2, first):
        raise Unmet("The same question with the same seed got another answer. Draw all chance from `seed`.")
    if trial.suggest(rows, flying, 2, first) != trial.suggest(rows, flying, 2, second):
        raise Unmet(
            "Trained twice on the same rows, it suggests other points: train must not depend on chance."
        )
    return "The same question with the same seed got the same answer, from new processes."


def _warm(trial: Trial) -> str:
    rows = samples.rows(trial.problem, 9, 10)
    state = trial.train(rows[:5])
    trial.suggest(rows, [], 1, trial.train(rows, read_state(state)))
    return "It went on from an earlier state."


CASES: Mapping[str, Callable[[Trial], str]] = {
    "nothing known": _nothing_known,
    "four in flight": _only_pending,
    "one row": _one_row,
    "twelve rows": _twelve_rows,
    "infeasible rows": _infeasible,
    "an outstanding output": _outstanding,
    "asked twice": _twice,
    "an earlier state": _warm,
}
