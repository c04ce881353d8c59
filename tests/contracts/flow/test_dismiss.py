"""dismiss: what a person has seen leaves the lists, until something new happens to it."""

from __future__ import annotations

from uuid import UUID

import pytest
from flow_lab import PERSON, Lab
from store_world import PostgresWorld

from labqueue.errors import ConflictError, InvalidError, NotFoundError
from labqueue.states import State, Verdict
from models.domain import records as r
from services.flow import amend, review
from services.flow.dismiss import dismiss, dismiss_result
from services.flow.report import report_elsewhere

OTHER = "person:ben"


def given_up(lab: Lab) -> int:
    campaign = lab.known()
    with lab.store.begin() as tx:
        return tx.experiments.given_up(campaign.id)


def unusable(lab: Lab) -> int:
    """Refused results that wait for somebody; the listing is the real store's alone."""
    if isinstance(lab.world, PostgresWorld):
        return len(lab.world.store.views.unusable())
    rows = lab.world.store._rows  # type: ignore[attr-defined]
    refused = [each for each in rows.results.values() if each.verdict is Verdict.REFUSED]
    return sum(each.seq not in rows.dismissed for each in refused)


def waiting(lab: Lab) -> list[UUID]:
    """Held results that wait on their own account."""
    lab.number()
    campaign = lab.known()
    with lab.store.begin() as tx:
        return [each.id for each in tx.results.waiting([campaign.id], 10)]


def failed(lab: Lab) -> r.Experiment:
    experiment = lab.stage_one()
    while lab.state(experiment.id) is not State.FAILED:
        lab.fail(lab.take(f"hplc-{experiment.id}-{len(lab.attempts(experiment.id))}").lease)
    return experiment


def test_what_was_given_up_is_seen_with_a_reason_and_a_name(lab: Lab) -> None:
    lab.campaign()
    one, two = failed(lab), failed(lab)
    assert given_up(lab) == 2
    seen = dismiss(lab.store, one.id, "the vial was cracked", OTHER)
    assert seen.state is State.FAILED and seen.dismissed_at is not None
    assert given_up(lab) == 1 and lab.experiment(two.id).dismissed_at is None
    assert dismiss(lab.store, one.id, "again", OTHER) == seen, "twice is once"
    [event] = lab.events("experiment.dismissed")
    assert (event.actor, event.experiment_id) == (OTHER, one.id)
    assert event.data["reason"] == "the vial was cracked"


def test_a_replay_undoes_it(lab: Lab) -> None:
    lab.campaign()
    one = failed(lab)
    dismiss(lab.store, one.id, "seen", PERSON)
    review.replay(lab.store, one.id, "a new vial", PERSON)
    while lab.state(one.id) is not State.FAILED:
        lab.fail(lab.take(f"other-{len(lab.attempts(one.id))}").lease)
    assert given_up(lab) == 1, "it failed once more"
    dismiss(lab.store, one.id, "seen, too", PERSON)
    assert given_up(lab) == 0
    assert [each.data["reason"] for each in lab.events("experiment.dismissed")] == ["seen", "seen, too"]


def test_a_result_that_cannot_be_used_undoes_it(lab: Lab) -> None:
    lab.campaign()
    one = failed(lab)
    dismiss(lab.store, one.id, "seen", PERSON)
    lab.report(one.id, {"yeild": 1.0})
    assert lab.state(one.id) is State.FAILED
    assert given_up(lab) == 1, "somebody has measured it after all"


def test_a_result_that_can_be_used_ends_the_matter(lab: Lab) -> None:
    lab.campaign()
    one = failed(lab)
    dismiss(lab.store, one.id, "seen", PERSON)
    assert lab.report(one.id).verdict is Verdict.ACCEPTED
    assert lab.experiment(one.id).dismissed_at is None and given_up(lab) == 0


def test_refused_results_of_an_experiment_are_seen_with_it(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    lease = lab.take()
    id = lab.ids.uuid()
    lab.report(lease.experiment.id, lease=lease.lease, id=id)
    for value in (0.6, 0.7):
        assert lab.report(lease.experiment.id, {"yield": value}, id=id).code == "key_reused"
    assert unusable(lab) == 2
    dismiss(lab.store, lease.experiment.id, "a test of the robot", PERSON)
    assert unusable(lab) == 0
    assert lab.events("experiment.dismissed")[0].data["refused"] == 2
    assert dismiss(lab.store, lease.experiment.id, "again", PERSON).dismissed_at is None
    assert len(lab.events("experiment.dismissed")) == 1, "twice is once"
    lab.report(lease.experiment.id, {"yield": 0.8}, id=id)
    assert unusable(lab) == 1, "a new one"
    assert len(lab.results(lease.experiment.id)) == 4, "nothing of them is gone"


def test_a_refused_result_without_an_experiment_is_seen_by_its_id(lab: Lab) -> None:
    lab.campaign()
    id, other = lab.ids.uuid(), lab.ids.uuid()
    for each in (id, other):
        assert lab.report(999_999, id=each).verdict is Verdict.REFUSED
    [seen] = dismiss_result(lab.store, id, "sent by a test", OTHER)
    assert seen.id == id and unusable(lab) == 1
    assert dismiss_result(lab.store, id, "again", OTHER) == [seen]
    [event] = lab.events("result.dismissed")
    assert (event.actor, event.experiment_id) == (OTHER, None)
    assert event.data == {"result": str(id), "reason": "sent by a test"}
    lab.report(999_999, {"yield": 0.1}, id=id)
    assert unusable(lab) == 2, "another body came under its id"


def odd(lab: Lab) -> UUID:
    """A result that cannot be used, of an experiment that is complete."""
    lab.campaign()
    one = lab.stage_one()
    assert lab.report(one.id).verdict is Verdict.ACCEPTED
    late = lab.report(one.id, {"yield": "high"})
    assert (late.verdict, late.state) == (Verdict.HELD, State.COMPLETED)
    return late.id


def test_a_result_held_though_its_experiment_was_complete_waits_until_it_is_seen(lab: Lab) -> None:
    id = odd(lab)
    assert waiting(lab) == [id]
    [seen] = dismiss_result(lab.store, id, "a typing error", OTHER)
    assert seen.id == id and waiting(lab) == []
    assert dismiss_result(lab.store, id, "again", OTHER) == [seen]
    [event] = lab.events("result.dismissed")
    assert (event.actor, event.experiment_id) == (OTHER, seen.experiment_id)


def test_it_is_seen_with_its_experiment(lab: Lab) -> None:
    id = odd(lab)
    experiment = lab.results(1)[-1].experiment_id
    assert experiment == 1 and waiting(lab) == [id]
    assert dismiss(lab.store, 1, "a typing error", OTHER).state is State.COMPLETED
    assert waiting(lab) == [] and len(lab.events("experiment.dismissed")) == 1
    dismiss(lab.store, 1, "again", OTHER)
    assert len(lab.events("experiment.dismissed")) == 1, "twice is once"


@pytest.mark.parametrize("how", ["amended", "withdrawn"])
def test_it_is_settled_by_a_correction(lab: Lab, how: str) -> None:
    id = odd(lab)
    if how == "amended":
        new = amend.Correction(id, lab.ids.uuid(), {"yield": 0.6}, "it meant yield")
        amend.amend(lab.store, new, PERSON)
    else:
        amend.withdraw(lab.store, id, lab.ids.uuid(), "wrong vial", PERSON)
    assert waiting(lab) == []
    with pytest.raises(ConflictError, match="nothing to dismiss"):
        dismiss(lab.store, 1, "seen", PERSON)


def test_what_somebody_else_sent_while_it_runs_waits_too(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    lease = lab.take()
    stray = lab.report(lease.experiment.id, {"yeild": 0.6}, actor="adapter:other")
    assert (stray.verdict, stray.state) == (Verdict.HELD, State.LEASED)
    lab.complete(lease)
    assert waiting(lab) == [stray.id]


def test_a_result_for_which_its_experiment_is_held_waits_for_the_decision_alone(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    lease = lab.take()
    bad = lab.complete(lease, {"yeild": 0.6})
    assert bad.state is State.HELD and waiting(lab) == []
    with pytest.raises(ConflictError, match="decide about it"):
        dismiss_result(lab.store, bad.id, "seen", PERSON)
    with pytest.raises(ConflictError, match="nothing to dismiss"):
        dismiss(lab.store, lease.experiment.id, "seen", PERSON)
    lab.report(lease.experiment.id)
    assert lab.state(lease.experiment.id) is State.COMPLETED and waiting(lab) == []


def test_a_run_elsewhere_that_cannot_be_an_experiment_waits_until_it_is_seen(lab: Lab) -> None:
    lab.campaign()
    given = lab.result(None, parameters={"temperature": "hot"})
    [found] = report_elsewhere(lab.store, lab.ids, "snar", [given], PERSON)
    assert found.verdict is Verdict.HELD and waiting(lab) == [found.id]
    dismiss_result(lab.store, found.id, "a slip of the pen", OTHER)
    assert waiting(lab) == []


def test_what_cannot_be_dismissed(lab: Lab) -> None:
    lab.campaign()
    waiting = lab.stage_one()
    with pytest.raises(ConflictError, match="nothing to dismiss"):
        dismiss(lab.store, waiting.id, "seen", PERSON)
    with pytest.raises(NotFoundError):
        dismiss(lab.store, 999_999, "seen", PERSON)
    good = lab.ids.uuid()
    lab.report(waiting.id, id=good)
    with pytest.raises(NotFoundError, match="nothing to dismiss"):
        dismiss_result(lab.store, good, "seen", PERSON)
    one = failed(lab)
    for reason in ("", "  "):
        with pytest.raises(InvalidError, match="reason"):
            dismiss(lab.store, one.id, reason, PERSON)
    assert given_up(lab) == 1 and lab.events("experiment.dismissed") == []
