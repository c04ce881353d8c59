"""suggest: the queue is kept filled; fresher candidates replace what nobody took, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fake_faults import Killed, killed
from flow_lab import PERSON, PROBLEM, Lab, point
from learning_lab import modelled, relearn, run_all, staged
from store_world import PostgresWorld

from labqueue.errors import LabqueueError
from labqueue.problem import Problem
from labqueue.states import State
from models.domain.nearness import distance
from services.flow import amend, define, recover, review, snapshots, steer, suggest
from services.flow.planning import DEATHS

# Filling


def test_the_queue_is_filled_to_its_depth_and_not_beyond(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=4)
    assert len(lab.suggest(campaign)) == 4
    assert lab.suggest(campaign) == []
    lab.take()
    assert len(lab.suggest(campaign)) == 1


def test_what_a_person_staged_fills_the_queue_too(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=4)
    lab.stage(2)
    lab.stage_one(propose=True)
    assert len(lab.suggest(campaign)) == 1


def test_a_candidate_says_where_it_comes_from_and_what_is_expected(lab: Lab) -> None:
    _, candidates = modelled(lab)
    assert {(each.origin, each.model_version) for each in candidates} == {("suggester", 1)}
    for each in candidates:
        assert each.known == 3 and each.suggestion_id is not None
        assert each.reason == "the model expects the most of it"
        assert set(each.expected) == {"yield", "purity"} and set(each.expected["yield"]) == {"mean", "sd"}
    first = lab.experiment(1)
    assert (first.origin, first.model_version, first.reason) == (
        "design",
        0,
        "number 1 of the initial design",
    )


def test_held_ones_do_not_fill_the_queue_but_are_pending(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=2)
    lab.suggest(campaign)
    held = lab.take()
    lab.lose(held)
    assert len(lab.suggest(campaign)) == 1
    assert held.experiment.planned in list(lab.learner.snapshots[-1].pending)


def test_everything_in_flight_is_pending(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=2, initial=1)
    points = [point(number) for number in range(5)]
    lab.stage(points[:4])
    lab.stage(points[4:], propose=True)
    leased, partial, held = lab.take(), lab.take(), lab.take("nmr")
    lab.report(partial.experiment.id, {"yield": 0.1}, outstanding=("purity",), lease=partial.lease)
    lab.elapse(50)
    lab.beat(leased.lease)
    lab.elapse(11)
    recover.reap(lab.store)
    assert lab.state(held.experiment.id) is State.HELD
    lab.cancel(lab.stage_one().id)
    lab.claim("other", experiments=(4,))
    lab.number()
    lab.suggest(campaign)
    assert sorted(each["temperature"] for each in lab.learner.snapshots[-1].pending) == [
        each["temperature"] for each in points
    ]


def test_between_a_result_and_its_number_a_point_is_still_pending(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=2)
    lab.suggest(campaign)
    done = lab.take()
    lab.complete(done)
    lab.suggest(campaign)
    snapshot = lab.learner.snapshots[-1]
    assert snapshot.rows == () and done.experiment.planned in list(snapshot.pending)
    lab.number()
    lab.take()
    lab.suggest(campaign)
    snapshot = lab.learner.snapshots[-1]
    assert len(snapshot.rows) == 1 and done.experiment.planned not in list(snapshot.pending)


@pytest.mark.parametrize("obstacle", ["paused", "finished", "draining", "caller", "budget"])
def test_nothing_is_suggested_where_nothing_is_wanted(lab: Lab, obstacle: str) -> None:
    rules = {"budget": 1} if obstacle == "budget" else {}
    campaign = lab.campaign(method="caller" if obstacle == "caller" else "design", stop=rules)
    if obstacle == "paused":
        steer.pause_campaign(lab.store, "snar", "", PERSON)
    elif obstacle == "finished":
        steer.finish_campaign(lab.store, "snar", "", PERSON)
    elif obstacle == "draining":
        steer.drain_queue(lab.store, "bench", "", PERSON)
    elif obstacle == "budget":
        lab.stage_one()
    assert lab.suggest(campaign) == [] and lab.learner.snapshots == []


def test_a_budget_is_not_exceeded(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=4, stop={"budget": 6})
    for _ in range(5):
        lab.suggest(campaign)
        run_all(lab)
    assert lab.states() == {State.COMPLETED: 6}


def test_approval_is_asked_for_where_the_strategy_says_so(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=2, approve=True)
    proposed = lab.suggest(campaign)
    assert {each.state for each in proposed} == {State.PROPOSED}
    assert lab.claim().assignments == () and lab.suggest(campaign) == []
    review.approve(lab.store, proposed[0].id, PERSON)
    assert lab.hold().experiment.id == proposed[0].id


def test_a_point_that_the_problem_forbids_is_never_staged(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=2)
    lab.learner.repeats = [{**point(1), "temperature": 120.5}]
    assert lab.suggest(campaign) == []
    assert lab.states() == {}
    assert "outside 20 to 120 degC" in lab.job(campaign, "suggest").error
    assert "outside 20 to 120 degC" in lab.events("suggestion.failed")[0].data["reason"]


def test_a_failure_is_kept_with_its_reason_and_tried_again(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=2)

    def fails() -> None:
        raise RuntimeError("no descent")

    lab.learner.meanwhile = fails
    assert lab.suggest(campaign) == []
    assert lab.job(campaign, "suggest").error == "RuntimeError: no descent"
    assert len(lab.suggest(campaign)) == 2
    assert lab.job(campaign, "suggest").error == ""


def test_the_same_failure_again_and_again_stands_in_the_history_once(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=2)

    def failed(error: str) -> list[str]:
        def fails() -> None:
            raise RuntimeError(error)

        lab.learner.meanwhile = fails
        assert lab.suggest(campaign) == []
        return [
            each.data["reason"].removeprefix("RuntimeError: ") for each in lab.events("suggestion.failed")
        ]

    for _ in range(5):
        assert failed("no descent") == ["no descent"], "however often it is tried"
    assert failed("no memory") == ["no descent", "no memory"]
    lab.report(lab.stage_one().id)
    lab.number()
    assert failed("no memory") == ["no descent", "no memory", "no memory"], "the data are new"
    assert len(lab.suggest(campaign)) == 2
    lab.claim(max=2)
    assert len(failed("no memory")) == 4, "it had worked meanwhile"


# Single flight


def test_two_suggesters_at_once_stage_once(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=3)
    second: list[Any] = []
    lab.learner.meanwhile = lambda: second.append(lab.suggest(campaign, "suggester-2"))
    assert len(lab.suggest(campaign)) == 3
    assert second == [[]] and lab.states() == {State.STAGED: 3}


def test_what_a_stale_suggester_brings_is_refused(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=3)

    def overtaken() -> None:
        lab.elapse(suggest.LEASE + 1)
        assert len(lab.suggest(campaign, "suggester-2")) == 3

    lab.learner.meanwhile = overtaken
    assert lab.suggest(campaign, "suggester-1") == []
    assert lab.states() == {State.STAGED: 3}
    assert lab.known().next_suggestion == 2


def test_three_deaths_end_it_until_something_new_is_known(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=3)
    for _ in range(DEATHS):
        lab.learner.meanwhile = killed
        with pytest.raises(Killed):
            lab.suggest(campaign)
        lab.elapse(suggest.LEASE + 1)
    seen = len(lab.learner.snapshots)
    assert lab.suggest(campaign) == [] and len(lab.learner.snapshots) == seen
    assert lab.suggest(campaign) == [] and len(lab.events("suggestion.failed")) == 1
    lab.report(lab.stage_one().id)
    lab.number()
    assert len(lab.suggest(campaign)) == 3


def test_a_campaign_that_was_paused_meanwhile_gets_nothing(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=3)
    lab.learner.meanwhile = lambda: steer.pause_campaign(lab.store, "snar", "", PERSON)
    assert lab.suggest(campaign) == [] and lab.states() == {}
    steer.resume_campaign(lab.store, "snar", "", PERSON)
    assert len(lab.suggest(campaign)) == 3


# Giving way


def test_unclaimed_candidates_give_way_to_those_of_a_newer_model(lab: Lab) -> None:
    campaign, old = modelled(lab)
    assert relearn(lab, campaign) == 2
    new = lab.suggest(campaign)
    assert {lab.state(each.id) for each in old} == {State.SUPERSEDED}
    assert len(new) == 3 and {each.model_version for each in new} == {2}
    assert [each.id for each in staged(lab)] == [each.id for each in new]
    snapshot = lab.learner.snapshots[-1]
    assert not any(each.planned in list(snapshot.pending) for each in old), "they give way: not pending"
    assert lab.suggest(campaign) == [], "once per model"


def test_what_people_wanted_keeps_its_place(lab: Lab) -> None:
    campaign, (loose, pinned, claimed) = modelled(lab)
    person = lab.stage([point(77)])[0]
    review.adjust(lab.store, pinned.id, None, True, PERSON)
    lab.claim(experiments=(claimed.id,))
    relearn(lab, campaign)
    lab.suggest(campaign)
    assert lab.state(loose.id) is State.SUPERSEDED
    assert lab.state(pinned.id) is State.STAGED
    assert lab.state(claimed.id) is State.LEASED
    assert lab.state(person.id) is State.STAGED
    pending = list(lab.learner.snapshots[-1].pending)
    assert all(each.planned in pending for each in (pinned, claimed, person))


def test_the_initial_design_keeps_its_place(lab: Lab) -> None:
    campaign = lab.campaign(method="bayesian", initial=5, depth=5)
    design = lab.suggest(campaign)
    for _ in range(3):
        lab.complete(lab.take())
    lab.number()
    lab.train(campaign)
    lab.suggest(campaign)
    assert [lab.state(each.id) for each in design[3:]] == [State.STAGED, State.STAGED]


def test_an_approved_candidate_keeps_its_place(lab: Lab) -> None:
    campaign, candidates = modelled(lab, depth=2, approve=True)
    review.approve(lab.store, candidates[0].id, PERSON)
    relearn(lab, campaign)
    lab.suggest(campaign)
    assert lab.state(candidates[0].id) is State.STAGED


def test_a_candidate_that_is_claimed_meanwhile_stays_and_costs_its_nearest_replacement(lab: Lab) -> None:
    campaign, old = modelled(lab)
    relearn(lab, campaign)
    taken = old[0]
    lab.learner.repeats = [dict(taken.planned)]
    lab.learner.meanwhile = lambda: lab.claim("nmr", experiments=(taken.id,))
    new = lab.suggest(campaign)
    assert lab.state(taken.id) is State.LEASED
    assert [lab.state(each.id) for each in old[1:]] == [State.SUPERSEDED, State.SUPERSEDED]
    assert len(new) == 2
    assert all(distance(Problem.from_json(PROBLEM), each.planned, taken.planned) > 0 for each in new)
    assert lab.beat(lab.lease_of(taken.id), "nmr").state == "live"


@pytest.mark.parametrize("meanwhile", ["pinned", "cancelled"])
def test_what_changed_meanwhile_is_left_alone(lab: Lab, meanwhile: str) -> None:
    campaign, old = modelled(lab)
    relearn(lab, campaign)

    def change() -> None:
        if meanwhile == "pinned":
            review.adjust(lab.store, old[0].id, None, True, PERSON)
        else:
            lab.cancel(old[0].id)

    lab.learner.meanwhile = change
    assert len(lab.suggest(campaign)) == 2
    assert lab.state(old[0].id) is (State.STAGED if meanwhile == "pinned" else State.CANCELLED)


def test_a_failure_leaves_the_old_candidates_where_they_are(lab: Lab) -> None:
    campaign, old = modelled(lab)
    relearn(lab, campaign)

    def fails() -> None:
        raise ValueError("singular")

    lab.learner.meanwhile = fails
    assert lab.suggest(campaign) == []
    assert [lab.state(each.id) for each in old] == [State.STAGED] * 3


def test_claims_go_on_while_a_suggestion_is_computed(lab: Lab) -> None:
    campaign, _ = modelled(lab)
    done: list[Any] = []

    def a_whole_life() -> None:
        lab.stage_one(priority=9)
        done.append(lab.complete(lab.take()))

    lab.take()
    lab.learner.meanwhile = a_whole_life
    lab.suggest(campaign)
    assert [each.verdict for each in done] == ["accepted"]


# Computed again


def test_every_suggestion_can_be_computed_again_whatever_came_later(lab: Lab) -> None:
    campaign, _ = modelled(lab)
    relearn(lab, campaign)
    lab.suggest(campaign)
    run_all(lab)
    amend.amend(
        lab.store, amend.Correction(lab.results(1)[0].id, lab.ids.uuid(), {"yield": 0.01}, "typo"), PERSON
    )
    amend.withdraw(lab.store, lab.results(2)[0].id, lab.ids.uuid(), "wrong vial", PERSON)
    lab.number()
    lab.train(campaign)
    define.change_strategy(lab.store, "snar", {"method": "design", "depth": 2}, "faster", PERSON)
    lab.suggest(campaign)
    for number, snapshot in enumerate(list(lab.learner.snapshots), start=1):
        stored, again = snapshots.replay(lab.store, lab.learner, number)
        assert stored == again
        assert len(stored) == len(snapshot.staged) + snapshot.count
        whole = replace(snapshot, deadline_seconds=None)
        assert lab.learner.snapshots[-1] == whole, "the very same snapshot, without its deadline"


def test_replaying_is_no_formality(lab: Lab) -> None:
    """The fake learner's answer depends on all that a snapshot holds, so the test above can fail."""
    campaign, _ = modelled(lab)
    relearn(lab, campaign)
    lab.suggest(campaign)
    last = lab.learner.snapshots[-1]
    usual = lab.learner.suggest(last).candidates
    for other in (
        replace(last, seed=last.seed + 1),
        replace(last, number=last.number + 1),
        replace(last, rows=last.rows[1:]),
        replace(last, pending=(point(1),)),
        replace(last, staged=(point(1),), count=2),
        replace(last, drawn=last.drawn + 1),
        replace(last, model=b"another"),
    ):
        assert lab.learner.suggest(other).candidates != usual


def test_a_damaged_model_is_found_out(lab: Lab) -> None:
    modelled(lab)
    if isinstance(lab.world, PostgresWorld):
        with lab.world.store.session() as session:
            session.run("UPDATE models SET state = 'damaged'::bytea")
    else:
        models = lab.world.store._rows.models
        models.update({key: replace(each, state=b"damaged") for key, each in models.items()})
    with pytest.raises(LabqueueError, match="does not match its SHA-256"):
        snapshots.replay(lab.store, lab.learner, 2)


def test_a_point_that_failed_for_good_is_known_as_one_that_cannot_be_run(lab: Lab) -> None:
    campaign = lab.campaign(method="design", initial=9, depth=2)
    first, second = lab.suggest(campaign)
    lab.report(first.id, {"yield": 0.5, "purity": 1.0})
    while lab.state(second.id) is State.STAGED:
        lab.fail(lab.take().lease)
        steer.clear_instrument(lab.store, "hplc", "mended", PERSON)
    assert lab.state(second.id) is State.FAILED
    assert len(lab.suggest(campaign)) == 2
    assert lab.learner.snapshots[-1].failed == (second.planned,)
    with lab.store.begin() as tx:
        stored = tx.suggestions.get(tx.suggestions.recent(campaign.id, 1)[0].id)
        assert stored is not None
        assert snapshots.snapshot_of(tx, stored).failed == (second.planned,), "and when it is computed again"
    review.replay(lab.store, second.id, "the pump was mended", PERSON)
    lab.claim(max=3)
    lab.suggest(campaign)
    snapshot = lab.learner.snapshots[-1]
    assert snapshot.failed == () and second.planned in snapshot.pending
