"""What a result does, judged by what came and what is there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labqueue.errors import FieldError
from labqueue.problem import Categorical, Continuous, Output, Problem
from labqueue.states import Outcome, State, Verdict
from models.domain.lifecycle import MOVES
from models.domain.recording import Judgement, finite, judge

NAMES = ("yield", "purity", "colour")
PROBLEM = Problem(
    (Continuous("temperature", 20, 120), Categorical("solvent", ("water", "ethanol"))),
    tuple(Output(name) for name in NAMES),
)


def judged(
    outputs: dict[str, Any],
    known: tuple[str, ...] = (),
    state: State = State.LEASED,
    outcome: Outcome = Outcome.MEASURED,
    outstanding: tuple[str, ...] = (),
    **more: Any,
) -> Judgement:
    return judge(
        PROBLEM,
        state,
        known,
        outcome,
        outputs,
        outstanding,
        more.get("noise", {}),
        more.get("actual", {}),
        more.get("faults", ()),
    )


WHOLE = {"yield": 1.0, "purity": 2.0, "colour": 3.0}


def test_the_first_value_of_each_output_counts_and_the_rest_is_kept_beside() -> None:
    found = judged(WHOLE, known=("purity",))
    assert (found.verdict, found.current, found.beside) == ("accepted", ("yield", "colour"), ("purity",))
    assert found.state is State.COMPLETED


def test_what_is_outstanding_makes_it_partial() -> None:
    found = judged({"yield": 1.0}, outstanding=("purity", "colour"))
    assert (found.verdict, found.state, found.outstanding) == (
        "accepted",
        State.PARTIAL,
        ("purity", "colour"),
    )


def test_what_is_there_already_need_not_come_again() -> None:
    found = judged({"colour": 3.0}, known=("yield", "purity"), state=State.PARTIAL)
    assert (found.verdict, found.state) == ("accepted", State.COMPLETED)


def test_nothing_new_is_a_replicate_and_moves_nothing() -> None:
    found = judged(WHOLE, known=NAMES, state=State.COMPLETED)
    assert (found.verdict, found.state, found.beside) == ("replicate", State.COMPLETED, NAMES)


@pytest.mark.parametrize("outcome", [Outcome.INFEASIBLE, Outcome.SUSPECT])
def test_no_measurement_completes_only_where_nothing_was_measured(outcome: Outcome) -> None:
    assert judged({}, outcome=outcome).state is State.COMPLETED
    late = judged({}, known=("yield",), state=State.PARTIAL, outcome=outcome)
    assert (late.verdict, late.state) == ("replicate", State.PARTIAL)
    second = judged({}, state=State.COMPLETED, outcome=outcome)
    assert second.verdict == "replicate"


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"outputs": {"yield": 1.0}}, "purity"),
        ({"outputs": {**WHOLE, "yield": None}}, "yield"),
        ({"outputs": {**WHOLE, "yield": "1.0"}}, "yield"),
        ({"outputs": {**WHOLE, "yield": -1e300}}, "yield"),
        ({"outputs": WHOLE, "noise": {"yield": 1e300}}, "noise.yield"),
        ({"outputs": WHOLE, "actual": {"temperature": 1e300}}, "actual.temperature"),
        ({"outputs": WHOLE, "noise": {"yield": float("inf")}}, "noise.yield"),
        ({"outputs": WHOLE, "actual": {"temprature": 21}}, "actual.temprature"),
        ({"outputs": WHOLE, "actual": {"temperature": "hot"}}, "actual.temperature"),
        ({"outputs": WHOLE, "actual": {"solvent": "wine"}}, "actual.solvent"),
        ({"outputs": WHOLE, "actual": {"solvent": 3}}, "actual.solvent"),
        ({"outputs": WHOLE, "outstanding": ("taste",)}, "outstanding"),
        ({"outputs": WHOLE, "faults": [FieldError("outcome", "is odd.")]}, "outcome"),
    ],
)
def test_what_cannot_be_used_is_held_and_says_why(bad: dict[str, Any], field: str) -> None:
    found = judged(**bad)
    assert (found.verdict, found.state, found.current) == (Verdict.HELD, State.HELD, ())
    assert field in [each.field for each in found.errors]
    assert found.message.startswith("Kept as it came, but it cannot be used as it stands")
    assert judged(**bad, state=State.COMPLETED).state is State.COMPLETED


def test_what_was_really_set_may_be_out_of_bounds() -> None:
    assert judged(WHOLE, actual={"temperature": 121.7, "solvent": "water"}).verdict == "accepted"


def test_the_missing_ones_hint_names_what_came_instead() -> None:
    found = judged({"yield": 1.0, "purity": 2.0, "color": 3.0})
    assert "What came instead: color." in found.message


def test_outputs_beyond_the_problems_are_named_and_harmless() -> None:
    found = judged({**WHOLE, "smell": "sweet"})
    assert (found.verdict, found.extra) == ("accepted", ("smell",))
    assert "smell" in found.message


def test_names_that_are_too_long_to_read_are_cut() -> None:
    long = "n" * 50_000
    found = judged({**WHOLE, long: 1.0})
    assert found.verdict == "accepted" and len(found.message) < 300
    bad: list[dict[str, Any]] = [
        {"outputs": {long: 1.0}},
        {"outputs": WHOLE, "outstanding": (long,)},
        {"outputs": WHOLE, "noise": {long: long}},
        {"outputs": WHOLE, "actual": {long: long}},
    ]
    for each in bad:
        found = judged(**each)
        assert found.verdict == "held" and "n" * 90 in found.message and len(found.message) < 600
        assert all(len(str(error.value)) <= 100 for error in found.errors)


@given(
    st.sampled_from(list(State)),
    st.sets(st.sampled_from(NAMES)),
    st.sampled_from(list(Outcome)),
    st.dictionaries(
        st.sampled_from([*NAMES, "smell"]),
        st.one_of(st.floats(), st.text(), st.none(), st.booleans(), st.integers()),
    ),
    st.sets(st.sampled_from(NAMES)),
)
def test_every_judgement_makes_sense(
    state: State, known: set[str], outcome: Outcome, outputs: dict[str, Any], outstanding: set[str]
) -> None:
    found = judged(outputs, tuple(known), state, outcome, tuple(outstanding))
    assert found.state is state or found.state in MOVES[state]
    assert known.isdisjoint(found.current) and set(found.beside) <= known | set(outputs)
    assert all(finite(outputs[name]) for name in (*found.current, *found.beside))
    if found.errors:
        assert found.verdict is Verdict.HELD and not found.current
    if found.state is State.COMPLETED and state is not State.COMPLETED and outcome is Outcome.MEASURED:
        assert known | set(found.current) == set(NAMES)
    if found.verdict is Verdict.REPLICATE:
        assert not found.current and found.state is state


@pytest.mark.parametrize(
    ("value", "right"),
    [
        (1, True),
        (0.5, True),
        (True, False),
        ("1", False),
        (None, False),
        (float("nan"), False),
        (10**400, False),
    ],
)
def test_a_number_is_what_can_be_reckoned_with(value: Any, right: bool) -> None:
    assert finite(value) is right
