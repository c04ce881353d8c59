"""report: whatever was measured is kept, once, whoever sends it and however late."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from flow_lab import OUTPUTS, PERSON, Lab

from labqueue.errors import InvalidError
from labqueue.states import State, Verdict
from services.flow import report, review, steer


def test_a_result_completes_its_experiment_and_ends_its_attempt(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    recorded = lab.complete(held)
    assert (recorded.verdict, recorded.state) == ("accepted", State.COMPLETED)
    experiment = lab.experiment(held.experiment.id)
    assert (experiment.outcome, experiment.attempt, experiment.outstanding) == ("measured", None, ())
    assert experiment.finished_at is not None
    assert lab.attempt(held).end == "completed"
    assert lab.values(experiment.id) == OUTPUTS
    stored = lab.results(experiment.id)[0]
    assert (stored.attempt, stored.instrument, stored.actor) == (held.attempt.id, "hplc", "adapter:hplc")
    assert lab.beat(held.lease).state == "lost"


def test_everything_that_came_is_kept(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    lab.report(
        held.experiment.code,
        lease=held.lease,
        noise={"yield": 0.01},
        actual={"temperature": 21.5},
        artifacts=({"name": "trace", "sha256": "0" * 64},),
        comment="a bit cloudy",
        measured_at="2026-11-01T08:00:00+01:00",
    )
    stored = lab.results(held.experiment.id)[0]
    assert stored.noise == {"yield": 0.01} and stored.actual == {"temperature": 21.5}
    assert stored.artifacts == [{"name": "trace", "sha256": "0" * 64}]
    assert (stored.comment, stored.measured_at) == ("a bit cloudy", "2026-11-01T08:00:00+01:00")
    assert stored.body["outputs"] == OUTPUTS
    row = lab.training()[0]
    assert row.parameters == {**held.experiment.planned, "temperature": 21.5}
    assert row.noise == {"yield": 0.01}


def test_the_same_result_ten_times_is_one(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    given = lab.result(held.experiment.id, lease=held.lease)
    verdicts = [report.report(lab.store, lab.ids, [given], "adapter:hplc")[0].verdict for _ in range(10)]
    assert verdicts == ["accepted", *["duplicate"] * 9]
    assert len(lab.results(held.experiment.id)) == 1
    assert sum(each.accepts for each in lab.events()) == 1


def test_the_lease_is_lineage_and_no_part_of_a_result(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    given = lab.result(held.experiment.id, lease=held.lease)
    lab.report(given.experiment, id=given.id, lease=held.lease)
    assert lab.report(given.experiment, id=given.id).verdict == "duplicate"


def test_a_used_id_with_another_body_is_refused_and_kept(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    first = lab.report(1)
    other = lab.report(1, {"yield": 0.9, "purity": 1.0}, id=first.id)
    assert (other.verdict, other.code, other.experiment) == ("refused", "key_reused", 1)
    assert [each.verdict for each in lab.results(1)] == ["accepted", "refused"]
    assert lab.results(1)[1].body["outputs"] == {"yield": 0.9, "purity": 1.0}
    assert lab.values(1) == OUTPUTS
    assert lab.report(1, id=first.id).verdict == "duplicate", "the first is still known"


def test_a_used_id_for_another_experiment_names_the_one_that_it_belongs_to(lab: Lab) -> None:
    lab.campaign()
    one, two = lab.stage(2)
    first = lab.report(one.id)
    other = lab.report(two.id, id=first.id)
    assert (other.verdict, other.experiment, other.state) == ("refused", one.id, State.COMPLETED)
    assert lab.state(two.id) is State.STAGED


def test_a_second_result_is_a_replicate_and_kept_beside_it(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    lab.report(1)
    second = lab.report(1, {"yield": 0.7, "purity": 90.0})
    assert (second.verdict, second.state) == ("replicate", State.COMPLETED)
    assert lab.values(1) == OUTPUTS
    assert lab.results(1)[1].outputs == {"yield": 0.7, "purity": 90.0}
    assert [row.outputs for row in lab.training()] == [OUTPUTS]


def test_results_come_in_any_order(lab: Lab) -> None:
    lab.campaign()
    lab.stage(6)
    leases = [lab.take() for _ in range(6)]
    for held in random.Random(3).sample(leases, 6):
        assert lab.complete(held).verdict == "accepted"
    assert lab.states() == {State.COMPLETED: 6}


def test_yield_today_purity_tomorrow(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    today = lab.report(1, {"yield": 0.5}, outstanding=("purity",), lease=held.lease)
    assert (today.verdict, today.state) == ("accepted", State.PARTIAL)
    assert lab.experiment(1).outstanding == ("purity",)
    assert lab.attempt(held).end == "partial"
    assert lab.claim().assignments == (), "it is not run again"
    tomorrow = lab.report(1, {"purity": 98.0})
    assert (tomorrow.verdict, tomorrow.state) == ("accepted", State.COMPLETED)
    assert lab.experiment(1).outstanding == ()
    assert lab.values(1) == OUTPUTS


def test_everything_may_be_outstanding(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    ran = lab.report(1, {}, outstanding=("yield", "purity"), lease=held.lease)
    assert (ran.verdict, ran.state) == ("accepted", State.PARTIAL)
    assert lab.attempt(held).end == "partial"
    assert lab.training() == []
    assert lab.report(1).state is State.COMPLETED
    assert sum(each.accepts for each in lab.events()) == 1


def test_a_partial_value_from_elsewhere_lets_the_holder_go_on(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    other = lab.report(1, {"yield": 0.4}, outstanding=("purity",), actor=PERSON)
    assert (other.verdict, other.state) == ("accepted", State.LEASED)
    assert lab.beat(held.lease).state == "live"
    own = lab.complete(held)
    assert (own.verdict, own.state) == ("accepted", State.COMPLETED)
    assert lab.values(1) == {"yield": 0.4, "purity": 98.0}, "the first value of each output"


@pytest.mark.parametrize(
    "own",
    [
        {"outputs": {"yield": 0.5}, "outstanding": ("purity",)},
        {"outputs": {}, "outcome": "infeasible"},
        {"outputs": {}, "outcome": "suspect"},
        {"outputs": {}, "outstanding": ("purity",)},
    ],
)
def test_a_holder_that_brings_nothing_new_has_still_ended(lab: Lab, own: dict[str, Any]) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    lab.report(1, {"yield": 0.4}, outstanding=("purity",), actor=PERSON)
    recorded = lab.report(1, lease=held.lease, **own)
    assert (recorded.verdict, recorded.state) == ("replicate", State.PARTIAL)
    assert lab.experiment(1).attempt is None
    assert lab.attempt(held).end == "partial"
    assert lab.report(1, {"purity": 9.0}).state is State.COMPLETED


@pytest.mark.parametrize("outcome", ["infeasible", "suspect"])
def test_infeasible_teaches_and_suspect_does_not(lab: Lab, outcome: str) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    recorded = lab.report(1, {}, outcome=outcome, lease=held.lease, comment="it boiled over")
    assert (recorded.verdict, recorded.state) == ("accepted", State.COMPLETED)
    assert lab.experiment(1).outcome == outcome
    assert lab.attempt(held).end == "completed"
    rows = lab.training()
    assert [row.outcome for row in rows] == (["infeasible"] if outcome == "infeasible" else [])
    assert lab.known().accepted == (1 if outcome == "infeasible" else 0)


def test_a_suspect_value_is_kept_and_gives_way_to_a_measured_one(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    lab.report(1, {"yield": 9.0}, outcome="suspect")
    assert lab.values(1) == {}
    assert lab.results(1)[0].outputs == {"yield": 9.0}
    assert lab.report(1).verdict == "accepted"
    assert lab.experiment(1).outcome == "measured"
    assert [row.outputs for row in lab.training()] == [OUTPUTS]


def test_extra_outputs_are_kept_beside_and_reported(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    recorded = lab.report(1, {**OUTPUTS, "colour": 3.0, "remark": "blue", "trace": [1, 2]})
    assert (recorded.verdict, recorded.state) == ("accepted", State.COMPLETED)
    assert "colour, remark, trace" in recorded.message
    stored = lab.results(1)[0]
    assert stored.extra == {"colour": 3.0, "remark": "blue", "trace": [1, 2]}
    assert stored.outputs == OUTPUTS and lab.values(1) == OUTPUTS


def test_letters_that_no_database_keeps_lose_nothing(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    recorded = lab.report(1, {**OUTPUTS, "a\0b": 1.0}, comment="half \ud800 of a letter \0")
    assert recorded.verdict == "accepted"
    assert lab.results(1)[0].comment == "half ? of a letter \ufffd"


LATE = {
    "staged": lambda lab: None,
    "proposed": lambda lab: None,
    "leased": lambda lab: lab.take("nmr"),
    "cancelled": lambda lab: lab.cancel(1),
    "failed": lambda lab: lab.fail(lab.take("nmr").lease),
    "held": lambda lab: lab.lose(lab.take("nmr")),
    "expired": None,
    "superseded": None,
}


@pytest.mark.parametrize("state", [State(name) for name in LATE])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "partial"])
def test_a_late_result_is_accepted_in_every_state(lab: Lab, state: State, whole: bool) -> None:
    lab.queue(max_attempts=1)
    lab.campaign()
    lab.stage_one(propose=state is State.PROPOSED)
    act = LATE[state.value]
    if act is not None:
        act(lab)
    else:  # these come by the clock and by a suggester: see their own tests
        with lab.store.begin() as tx:
            tx.experiments.save([replace(tx.experiments.get([1])[0], state=state)])
    assert lab.state(1) is state
    given = OUTPUTS if whole else {"yield": 0.5}
    recorded = lab.report(1, given, outstanding=() if whole else ("purity",))
    assert recorded.verdict == "accepted"
    partial = State.LEASED if state is State.LEASED else State.PARTIAL
    assert lab.state(1) is (State.COMPLETED if whole else partial)
    assert lab.values(1) == given
    assert lab.claim("other").assignments == (), "it is not run again"


def test_a_result_is_taken_whatever_became_of_the_campaign(lab: Lab) -> None:
    lab.campaign()
    lab.stage(2)
    one, two = lab.take(), lab.take()
    steer.pause_campaign(lab.store, "snar", "", PERSON)
    assert lab.complete(one).verdict == "accepted"
    steer.finish_campaign(lab.store, "snar", "", PERSON)
    assert lab.complete(two).verdict == "accepted"


def test_a_late_result_keeps_its_instrument(lab: Lab) -> None:
    lab.queue(on_lost="requeue")
    lab.campaign()
    lab.stage_one()
    held = lab.take("nmr")
    lab.lose(held)
    lab.report(1, lease=held.lease, actor="adapter:gateway")
    stored = lab.results(1)[0]
    assert (stored.instrument, stored.attempt, stored.actor) == ("nmr", held.attempt.id, "adapter:nmr")


def test_the_lease_alone_names_the_experiment(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    recorded = lab.report(None, lease=held.lease)
    assert (recorded.verdict, recorded.experiment) == ("accepted", 1)


@pytest.mark.parametrize("unknown", [99, "snar-99", 10**30, -1, None, "a\0b"])
def test_a_result_of_an_unknown_experiment_is_kept_and_answered(lab: Lab, unknown: Any) -> None:
    lab.campaign()
    recorded = lab.report(unknown)
    assert (recorded.verdict, recorded.code, recorded.experiment) == ("refused", "not_found", None)
    assert "is kept without one" in recorded.message


def test_95_good_wells_are_recorded_whatever_the_96th_is(lab: Lab) -> None:
    lab.campaign()
    staged = lab.stage(96)
    leases = lab.claim(max=96).assignments
    given = [lab.result(each.experiment.id, lease=each.lease) for each in leases]
    given[40] = replace(given[40], outputs={"yield": float("nan"), "purity": "?"})
    recorded = report.report(lab.store, lab.ids, given, "adapter:hplc")
    assert [each.id for each in recorded] == [each.id for each in given]
    assert [each.verdict for each in recorded].count(Verdict.ACCEPTED) == 95
    assert (recorded[40].verdict, recorded[40].state) == ("held", State.HELD)
    assert lab.states() == {State.COMPLETED: 95, State.HELD: 1}
    assert len(lab.training()) == 95
    assert lab.known().accepted == 95
    again = report.report(lab.store, lab.ids, given, "adapter:hplc")
    assert {each.verdict for each in again} == {Verdict.DUPLICATE, Verdict.HELD}
    assert staged[40].id == recorded[40].experiment


def test_one_batch_may_hold_several_results_of_one_experiment(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    first = lab.result(1, {"yield": 0.5}, outstanding=("purity",))
    given = [first, lab.result(1, {"purity": 98.0}), lab.result(1), first]
    recorded = report.report(lab.store, lab.ids, given, PERSON)
    assert [each.verdict for each in recorded] == ["accepted", "accepted", "replicate", "duplicate"]
    assert recorded[-1].state is State.COMPLETED
    assert lab.values(1) == OUTPUTS


@pytest.mark.parametrize("count", [0, 501])
def test_a_batch_of_results_has_limits(lab: Lab, count: int) -> None:
    with pytest.raises(InvalidError, match="must be 1 to 500 results"):
        report.report(lab.store, lab.ids, [lab.result(1)] * count, PERSON)


def test_a_result_for_a_held_one_that_ran_again_elsewhere(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    first = lab.take()
    lab.lose(first)
    review.run_again(lab.store, 1, "", PERSON)
    second = lab.take("nmr")
    assert lab.complete(second).verdict == "accepted"
    assert lab.complete(first).verdict == "replicate"
    assert [each.end for each in lab.attempts(1)] == ["decided", "completed"]
