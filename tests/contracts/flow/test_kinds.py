"""Every kind of parameter and output goes the whole way: staged, handed out, reported, learnt from."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from flow_lab import PERSON, Lab

from labqueue.errors import InvalidError
from labqueue.states import Outcome, State
from services.flow import amend

KINDS: dict[str, Any] = {
    "parameters": [
        {"name": "temperature", "kind": "continuous", "low": 20, "high": 120, "step": 5, "unit": "degC"},
        {"name": "additive", "kind": "categorical", "categories": ["none", "salt"]},
        {
            "name": "amount",
            "kind": "continuous",
            "low": 0.1,
            "high": 2,
            "unit": "g",
            "when": {"parameter": "additive", "is": ["salt"]},
        },
        {"name": "stirrer", "kind": "fixed", "value": 300, "unit": "rpm"},
        {"name": "humidity", "kind": "context", "low": 0, "high": 100, "unit": "%"},
    ],
    "outputs": [{"name": "yield"}, {"name": "look", "classes": ["clear", "hazy", "solid"]}],
    "objectives": [{"output": "yield"}],
}
PLAIN = {"temperature": 50, "additive": "none"}
GOOD = {"yield": 0.5, "look": "hazy"}


@pytest.fixture
def kinds(lab: Lab) -> Lab:
    lab.campaign(problem=KINDS)
    return lab


def run(lab: Lab, outputs: dict[str, Any] = GOOD, **more: Any) -> int:
    """An experiment with this result; its id."""
    staged = lab.stage([PLAIN])[0]
    lease = lab.take(experiments=(staged.id,))
    lab.report(staged.id, outputs, lease=lease.lease, **more)
    return staged.id


def test_what_is_handed_out_is_what_exists_with_fixed_ones_filled_in(kinds: Lab) -> None:
    bare, salted = kinds.stage([PLAIN, {**PLAIN, "additive": "salt", "amount": 1, "stirrer": 300}])
    assert bare.planned == {"temperature": 50.0, "additive": "none", "stirrer": 300}
    assert salted.planned == {"temperature": 50.0, "additive": "salt", "amount": 1.0, "stirrer": 300}
    lease = kinds.take()
    assert lease.experiment.planned == bare.planned
    assert [(each.name, each.classes) for each in lease.outputs] == [
        ("yield", ()),
        ("look", ("clear", "hazy", "solid")),
    ]


@pytest.mark.parametrize(
    ("point", "field"),
    [
        ({**PLAIN, "humidity": 40}, "humidity"),
        ({**PLAIN, "amount": 1}, "amount"),
        ({**PLAIN, "additive": "salt"}, "amount"),
        ({**PLAIN, "stirrer": 400}, "stirrer"),
        ({**PLAIN, "temperature": 51}, "temperature"),
        ({"additive": "none"}, "temperature"),
    ],
)
def test_what_cannot_be_planned_is_named(kinds: Lab, point: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        kinds.stage([PLAIN, point])
    assert [each.field for each in caught.value.errors] == [f"items[1].{field}"]
    assert kinds.states() == {}


def test_a_label_is_kept_as_it_came_and_learnt_from_as_its_place(kinds: Lab) -> None:
    done = run(kinds)
    assert kinds.state(done) is State.COMPLETED
    assert kinds.results(done)[0].outputs == GOOD
    assert kinds.values(done) == {"yield": 0.5, "look": 1.0}
    assert kinds.training()[0].outputs == {"yield": 0.5, "look": 1.0}


@pytest.mark.parametrize(
    "outputs",
    [{**GOOD, "look": "milky"}, {**GOOD, "look": 1}, {**GOOD, "look": None}, {**GOOD, "yield": "hazy"}],
)
def test_what_is_no_label_waits_for_a_person(kinds: Lab, outputs: dict[str, Any]) -> None:
    done = run(kinds, outputs)
    assert kinds.state(done) is State.HELD
    assert kinds.training() == []
    assert kinds.report(done, GOOD).verdict == "accepted"


def test_a_label_has_no_standard_deviation(kinds: Lab) -> None:
    done = run(kinds, noise={"look": 0.1})
    assert kinds.state(done) is State.HELD
    assert "told apart by labels" in kinds.experiment(done).held_reason


def test_noise_of_a_value_is_learnt_from(kinds: Lab) -> None:
    run(kinds, noise={"yield": 0.05})
    assert kinds.training()[0].noise == {"yield": 0.05}


def test_context_is_reported_with_the_result(kinds: Lab) -> None:
    run(kinds, actual={"humidity": 40.5, "temperature": 131.0})
    assert kinds.training()[0].parameters == {
        "temperature": 131.0,
        "additive": "none",
        "stirrer": 300,
        "humidity": 40.5,
    }
    odd = run(kinds, actual={"humidity": "wet"})
    assert kinds.state(odd) is State.HELD


def test_further_values_are_replicates(kinds: Lab) -> None:
    done = run(kinds)
    before = kinds.training()[0]
    assert before.replicates == {}
    revision = kinds.known().data_revision
    again = kinds.report(done, {"yield": 0.7, "look": "hazy"})
    kinds.report(done, {"yield": 0.6}, outstanding=("look",))
    assert again.verdict == "replicate"
    row = kinds.training()[0]
    assert row.outputs == before.outputs
    assert row.replicates == {"yield": (0.7, 0.6), "look": (1.0,)}
    after = kinds.known()
    assert after.data_revision > revision and after.accepted == 1, "they teach, and are no further result"
    with kinds.store.begin() as tx:
        assert tx.results.training(after.id, revision) == [before]


def test_a_withdrawn_replicate_is_none(kinds: Lab) -> None:
    done = run(kinds)
    id = uuid4()
    kinds.report(done, {**GOOD, "yield": 9.0}, id=id)
    assert kinds.training()[0].replicates == {"yield": (9.0,), "look": (1.0,)}
    amend.withdraw(kinds.store, id, uuid4(), "another vial", PERSON)
    assert kinds.training()[0].replicates == {}


def test_an_amended_replicate_replaces_the_value(kinds: Lab) -> None:
    done = run(kinds)
    id = uuid4()
    kinds.report(done, {"yield": 9.0, "look": "clear"}, id=id)
    amend.amend(
        kinds.store,
        amend.Correction(id, uuid4(), {"yield": 0.9, "look": "solid"}, "integrated again"),
        PERSON,
    )
    row = kinds.training()[0]
    assert (row.outputs, row.replicates) == ({"yield": 0.9, "look": 2.0}, {})


def test_a_suspect_repetition_is_no_replicate(kinds: Lab) -> None:
    done = run(kinds)
    kinds.report(done, {**GOOD, "yield": 9.0}, outcome=str(Outcome.SUSPECT))
    assert kinds.training()[0].replicates == {}


def test_nothing_is_a_replicate_of_what_was_withdrawn(kinds: Lab) -> None:
    id = uuid4()
    done = run(kinds, id=id)
    kinds.report(done, {**GOOD, "yield": 0.7})
    amend.withdraw(kinds.store, id, uuid4(), "wrong vial", PERSON)
    assert kinds.training() == []
    kinds.report(done, {**GOOD, "yield": 0.8})
    row = kinds.training()[0]
    assert (row.outputs["yield"], row.replicates["yield"]) == (0.8, (0.7,))


@pytest.mark.parametrize(
    ("outputs", "field"),
    [
        ({"look": "milky"}, "outputs.look"),
        ({"look": 1}, "outputs.look"),
        ({"yield": "hazy"}, "outputs.yield"),
        ({"smell": 1}, "outputs.smell"),
    ],
)
def test_an_amendment_is_held_to_the_same_labels(kinds: Lab, outputs: dict[str, Any], field: str) -> None:
    id = uuid4()
    done = run(kinds, id=id)
    with pytest.raises(InvalidError) as caught:
        amend.amend(kinds.store, amend.Correction(id, uuid4(), outputs, "looked again"), PERSON)
    assert [each.field for each in caught.value.errors] == [field]
    amend.amend(kinds.store, amend.Correction(id, uuid4(), {"look": "solid"}, "looked again"), PERSON)
    assert kinds.values(done) == {"yield": 0.5, "look": 2.0}


def test_a_run_elsewhere_brings_its_context_as_actual(kinds: Lab) -> None:
    from services.flow import report

    given = kinds.result(None, GOOD, parameters=PLAIN, actual={"humidity": 12})
    [found] = report.report_elsewhere(kinds.store, kinds.ids, "snar", [given], PERSON)
    assert found.verdict == "accepted"
    row = kinds.training()[0]
    assert (row.parameters["humidity"], row.parameters["stirrer"]) == (12, 300)
