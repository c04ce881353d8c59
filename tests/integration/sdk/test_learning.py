"""Learners of a user's own: what they may return, what a check of them finds, and what the command says."""

from __future__ import annotations

import json
import math
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from labqueue.cli import main
from labqueue.errors import InvalidError
from labqueue.learning.check import CASES, check_learner
from labqueue.learning.pupil import LearnerError, Pupil, Row, candidate, plain, read_state, write_state
from labqueue.learning.samples import PROBLEMS, rows, sample
from labqueue.problem import Problem

LINE = {
    "parameters": [{"name": "x", "kind": "continuous", "low": 0, "high": 1}],
    "outputs": [{"name": "y"}],
    "objectives": [{"output": "y"}],
}


class Spread:
    """Random points that are new. Its state is what it saw."""

    def train(self, problem: Any, rows: Any, state: Any) -> Any:
        return {"seen": len(rows)}, {"rows": len(rows)}

    def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
        return sample(problem, count, seed, but=[*pending, *(row.parameters for row in rows)])


class Numeric:
    """As numpy's scalars are."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def item(self) -> Any:
        return self.value


class Vector(Numeric):
    def tolist(self) -> Any:
        return list(self.value)


# What they return


def test_points_are_made_plain() -> None:
    assert candidate({"x": Numeric(0.5), "n": Numeric(3)}) == {"parameters": {"x": 0.5, "n": 3}}
    given = {"parameters": {"x": 1}, "expected": {"y": (Numeric(1.0), 0.1)}, "reason": "why"}
    assert candidate(given) == {
        "parameters": {"x": 1},
        "expected": {"y": {"mean": 1.0, "sd": 0.1}},
        "reason": "why",
    }
    assert candidate({"parameters": {"x": 1}, "expected": {"y": {"mean": 1, "sd": 2}}})["expected"] == {
        "y": {"mean": 1, "sd": 2}
    }
    assert candidate({"parameters": 3.0}) == {"parameters": {"parameters": 3.0}}, (
        "a parameter may be called so"
    )


def test_what_is_no_finite_number_is_for_the_server_to_refuse() -> None:
    made = plain({"x": float("nan"), "y": [float("inf"), Numeric(float("-inf"))]})
    assert made == {"x": "nan", "y": ["inf", "-inf"]}
    json.dumps(made, allow_nan=False)


@pytest.mark.parametrize("given", [[1, 2], "x", None, {"parameters": {"x": 1}, "wihy": 1}])
def test_what_is_no_point_is_told(given: Any) -> None:
    with pytest.raises(LearnerError):
        candidate(given)


@pytest.mark.parametrize("state", [b"", b"\x00\xff", {"a": [1, 2.5, None]}, [], "text", 7, None])
def test_a_state_comes_back_as_it_was(state: Any) -> None:
    assert read_state(write_state(state)) == state


def test_a_state_of_arrays_comes_back_as_lists() -> None:
    assert read_state(write_state({"w": Vector([1.0, 2.0])})) == {"w": [1.0, 2.0]}


def test_a_state_that_cannot_be_kept_says_what_can() -> None:
    with pytest.raises(LearnerError, match="anything else as bytes"):
        write_state({"model": object()})
    with pytest.raises(LearnerError, match="not written"):
        read_state(b"something else")


def test_a_learner_that_gives_one_at_a_time_is_asked_for_the_rest() -> None:
    asked = []

    class Single:
        def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
            asked.append((len(pending), count, seed))
            return [{"x": len(pending) / 10}]

    found, gain = Pupil(Single()).suggest(Problem.from_json(LINE), [], [{"x": 0.0}], 3, None, 7)
    assert gain is None and [each["parameters"]["x"] for each in found] == [0.1, 0.2, 0.3]
    assert asked == [(1, 3, 7), (2, 2, 8), (3, 1, 9)]


@pytest.mark.parametrize(
    ("gain", "read"), [(0.25, 0.25), (0, 0), (None, None), (Numeric(0.5), 0.5), (math.nan, "nan")]
)
def test_a_gain_is_that_of_the_very_first_candidate(gain: Any, read: Any) -> None:
    class Single:
        def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
            return {"candidates": [{"x": len(pending) / 10}], "gain": -1 if pending else gain}

    found = Pupil(Single()).suggest(Problem.from_json(LINE), [], [], 2, None, 7)
    assert found == ([{"parameters": {"x": 0.0}}, {"parameters": {"x": 0.1}}], read)


def test_a_suggestion_without_a_gain_and_one_with_a_word_too_many() -> None:
    class Wordy:
        def __init__(self, **more: Any) -> None:
            self.more = more

        def suggest(self, *_: Any) -> Any:
            return {"candidates": [{"x": 0.5}], **self.more}

    assert Pupil(Wordy()).suggest(Problem.from_json(LINE), [], [], 1, None, 7)[1] is None
    with pytest.raises(LearnerError, match="no 'gian'"):
        Pupil(Wordy(gian=0.1)).suggest(Problem.from_json(LINE), [], [], 1, None, 7)


@pytest.mark.parametrize("answer", [[], None, "x", {"x": 0.5}, {"candidates": []}, {"candidates": None}])
def test_a_learner_that_gives_nothing_is_told(answer: Any) -> None:
    class Nothing:
        def suggest(self, *_: Any) -> Any:
            return answer

    with pytest.raises(LearnerError, match="at least one"):
        Pupil(Nothing()).suggest(Problem.from_json(LINE), [], [], 1, None, 7)


def test_what_is_no_learner_is_told() -> None:
    with pytest.raises(InvalidError, match="suggest"):
        Pupil(object())


def test_a_row_ignores_what_it_does_not_know() -> None:
    row = Row.from_json({"experiment": 3, "parameters": {"x": 1}, "outputs": {"y": 2.0}, "later": 1})
    assert (row.experiment, row.parameters, row.outputs, row.outcome) == (3, {"x": 1}, {"y": 2.0}, "measured")


def test_a_row_says_what_was_asked_for() -> None:
    row = Row.from_json({"experiment": 3, "planned": {"x": 1}, "parameters": {"x": 1.01}})
    assert (row.planned, row.parameters) == ({"x": 1}, {"x": 1.01})
    assert Row(3, {"x": 1.01}).planned == {"x": 1.01}


def test_a_row_shares_nothing_with_what_came() -> None:
    body = {"experiment": 3, "parameters": {"x": 1}, "outputs": {"y": 2.0}, "replicates": {"y": [1.0]}}
    row = Row.from_json(body)
    row.parameters.clear()  # type: ignore[attr-defined]
    row.outputs.clear()  # type: ignore[attr-defined]
    row.replicates["y"].clear()  # type: ignore[attr-defined]
    assert Row.from_json(body).replicates == {"y": [1.0]} and body["parameters"] == {"x": 1}


# Samples


@pytest.mark.parametrize("name", PROBLEMS)
def test_samples_are_allowed_points_and_the_same_each_time(name: str) -> None:
    problem = Problem.from_json(PROBLEMS[name])
    points = sample(problem, 20, 1)
    assert [problem.check_point(each) for each in points] == [[]] * 20
    assert sample(problem, 20, 1) == points and sample(problem, 20, 2) != points
    made = rows(problem, 4, 1, infeasible=1)
    assert [each.outcome for each in made] == ["measured"] * 3 + ["infeasible"]
    assert all(problem.check_outputs(each.outputs) == [] for each in made[:3]) and made[3].outputs == {}


# The check


def test_a_good_learner_passes_on_every_problem() -> None:
    findings = check_learner(Spread)
    assert [str(each) for each in findings if not each.passed] == []
    assert len(findings) == len(PROBLEMS) * len(CASES)


class Chancy(Spread):
    def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
        return super().suggest(problem, rows, pending, count, state, random.SystemRandom().randrange(2**31))


class ChancyTraining(Spread):
    def train(self, problem: Any, rows: Any, state: Any) -> Any:
        return random.SystemRandom().random()

    def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
        return super().suggest(problem, rows, pending, count, None, int(1e9 * (state or 0.5)))


class Forgetful(Spread):
    def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
        return super().suggest(problem, rows, [], count, state, 1)


class Hidden(Spread):
    """Keeps in the object what belongs into the state."""

    best = None

    def train(self, problem: Any, rows: Any, state: Any) -> Any:
        self.best = rows[0]
        return {}

    def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
        if state is not None and self.best is None:
            raise RuntimeError("train me first")
        return super().suggest(problem, rows, pending, count, state, seed)


class Outside(Spread):
    def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
        return [
            {**each, "temperature": 1e6}
            for each in super().suggest(problem, rows, pending, count, state, seed)
        ]


class Meddling(Spread):
    def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
        points = super().suggest(problem, rows, pending, count, state, seed)
        for row in rows:
            row.parameters.clear()
        return points


class Shrinking(Spread):
    def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
        return {"candidates": super().suggest(problem, rows, pending, count, state, seed), "gain": -0.1}


class Saying(Spread):
    """Says something of each point."""

    told: ClassVar[dict[str, Any]] = {}

    def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
        points = super().suggest(problem, rows, pending, count, state, seed)
        return [{"parameters": each, **self.told} for each in points]


class NoMean(Saying):
    told: ClassVar[dict[str, Any]] = {"expected": {"yield": (float("nan"), 1.0)}}


class NegativeSpread(Saying):
    told: ClassVar[dict[str, Any]] = {"expected": {"yield": (1.0, -0.5)}}


class Misnamed(Saying):
    told: ClassVar[dict[str, Any]] = {"expected": {"yeild": (1.0, 0.5)}}


class Verbose(Saying):
    told: ClassVar[dict[str, Any]] = {"reason": "x" * 2001}


class Slow(Spread):
    def suggest(self, *_: Any) -> Any:
        threading.Event().wait()


class Strict(Spread):
    def train(self, problem: Any, rows: Any, state: Any) -> Any:
        return sum(row.outputs["yield"] for row in rows)


@pytest.mark.parametrize(
    ("make", "case", "why"),
    [
        (Chancy, "asked twice", "Draw all chance from `seed`"),
        (ChancyTraining, "asked twice", "Trained twice on the same rows"),
        (Forgetful, "four in flight", "in flight, measured or suggested"),
        (Hidden, "one row", "RuntimeError: train me first"),
        (Outside, "nothing known", "is outside 20 to 120"),
        (Meddling, "one row", "changed the rows"),
        (Strict, "infeasible rows", "KeyError: 'yield'"),
        (Shrinking, "nothing known", "finite number, 0 or more, or None; it is -0.1"),
        (NoMean, "nothing known", "expected.yield: must be {mean, sd}: finite numbers"),
        (NegativeSpread, "nothing known", "sd not negative"),
        (Misnamed, "nothing known", "expected.yeild: is no output"),
        (Verbose, "nothing known", "text of at most 2000 letters"),
        (Slow, "nothing known", "0.2 are allowed"),
    ],
)
def test_each_fault_is_found(make: Callable[[], Any], case: str, why: str) -> None:
    # Four points that Forgetful cannot know: those of the case are drawn with the seed 1.
    found = check_learner(make, only=["numbers"], seconds=0.2 if make is Slow else 30.0)
    failed = {each.scenario: each.text for each in found if not each.passed}
    assert why in failed[f"numbers, {case}"], failed


def test_a_learner_that_hangs_ends_the_check() -> None:
    assert len(check_learner(Slow, only=["numbers", "labels"], seconds=0.1)) == 1


def test_an_unknown_problem_is_told() -> None:
    with pytest.raises(InvalidError) as caught:
        check_learner(Spread, only=["nubmers"])
    assert "Did you mean numbers?" in str(caught.value)


# The command

OWN = """
from labqueue.learning.samples import sample


class Mine:
    def suggest(self, problem, rows, pending, count, state, seed):
        return [each for each in sample(problem, count + 50, seed) if each not in pending][:count]


class Broken:
    pass


class Wrong(Mine):
    def suggest(self, *_):
        raise ValueError("singular")
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    name = f"own_{tmp_path.name}.py".replace("-", "_")
    Path(name).write_text(OWN)
    return name


def test_the_check_as_a_command(own: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-learner", f"{own}:Mine", "--only", "labels"]) == 0
    assert f"{len(CASES)} of {len(CASES)} cases passed." in capsys.readouterr().out
    assert main(["check-learner", f"{own}:Wrong", "--only", "labels"]) == 1
    assert "FAILED  labels, nothing known: suggest raised ValueError: singular" in capsys.readouterr().out
    Path("campaign.json").write_text(json.dumps({"name": "x", "problem": LINE}))
    assert main(["check-learner", f"{own}:Mine", "--problem", "campaign.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["scenario"] == "your problem, nothing known"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("own:Mien", "Did you mean Mine?"),
        ("own:Broken", "it needs a method `suggest`"),
        ("nowhere:Mine", "neither installed nor in"),
        ("nocolon", "must be module:name"),
    ],
)
@pytest.mark.parametrize("command", ["check-learner", "serve-learner"])
def test_a_target_that_is_none_is_told_in_a_sentence(
    own: str, capsys: pytest.CaptureFixture[str], command: str, target: str, said: str
) -> None:
    more = ["--campaign", "c"] if command == "serve-learner" else []
    assert main([command, target.replace("own:", f"{own}:"), *more]) == 1
    said_all = capsys.readouterr().err
    assert said in said_all and "Traceback" not in said_all
