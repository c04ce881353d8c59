"""Refreshing: a fresh model keeps, moves and replaces what nobody took, in one transaction and without churn."""

from __future__ import annotations

from typing import Any

import pytest
from flow_lab import PERSON, Lab, point
from learning_lab import modelled, relearn, run_all, staged

from labqueue.states import State
from models.domain import records as r
from services.flow import dispatch, review, snapshots


def line(lab: Lab) -> list[int]:
    """Ids of the suggester's staged candidates in the order in which they would be claimed."""
    found = [each for each in staged(lab) if each.origin == "suggester"]
    return [each.id for each in sorted(found, key=lambda each: (-each.priority, each.tag, each.id))]


def published(lab: Lab) -> list[r.Published]:
    """What subscribers were told since the last look."""
    return dispatch.relay(lab.store, lab.publisher)


def told(entries: list[r.Published], kind: str) -> list[list[Any]]:
    listed = [one.body["experiments"] for one in entries if one.kind == kind]
    return [[each["id"] for each in found] if kind == "batch" else found for found in listed]


def refreshed(lab: Lab, campaign: r.Campaign, order: list[int | None]) -> list[r.Experiment]:
    """What is new after a newer model gave the staged candidates this order."""
    assert relearn(lab, campaign)
    published(lab)
    lab.learner.order = order
    return lab.suggest(campaign)


def test_the_model_hands_in_an_order_and_the_queue_takes_it(lab: Lab) -> None:
    campaign, (first, second, third) = modelled(lab)
    (new,) = refreshed(lab, campaign, [2, None, 0])
    snapshot = lab.learner.snapshots[-1]
    assert list(snapshot.staged) == [first.planned, second.planned, third.planned]
    assert snapshot.count == 0 and not any(each in snapshot.pending for each in snapshot.staged)
    assert line(lab) == [third.id, new.id, first.id]
    assert lab.state(second.id) is State.SUPERSEDED
    claimed = [each.experiment.id for each in lab.claim(max=3).assignments]
    assert claimed == [third.id, new.id, first.id]


def test_a_short_queue_is_filled_before_it_is_put_in_order(lab: Lab) -> None:
    campaign, (_, _, left) = modelled(lab)
    lab.claim(max=2)
    relearn(lab, campaign)
    new = lab.suggest(campaign)
    snapshot = lab.learner.snapshots[-1]
    assert len(new) == snapshot.count == 2 and snapshot.staged == () and left.planned in snapshot.pending
    lab.suggest(campaign)
    snapshot = lab.learner.snapshots[-1]
    assert snapshot.count == 0 and left.planned in snapshot.staged


def test_the_campaign_permutes_its_own_places_and_nobody_elses(lab: Lab) -> None:
    campaign, old = modelled(lab)
    other = lab.campaign("other", owner="bert")
    strangers = lab.stage(3, campaign="other")
    before = sorted(each.tag for each in old)
    new = refreshed(lab, campaign, [2, None, 0])
    assert sorted(lab.experiment(each.id).tag for each in (*new, old[0], old[2])) == before
    assert [lab.experiment(each.id).tag for each in strangers] == [each.tag for each in strangers]
    after = lab.stage_one(campaign="other").tag
    assert lab.known().finish_tag == lab.known().finish_tag and after > strangers[-1].tag
    assert lab.known("other").id == other.id


def test_a_replacement_costs_no_second_turn(lab: Lab) -> None:
    """A campaign whose model is refreshed often must not fall behind the others for it."""
    campaign, _ = modelled(lab)
    assert relearn(lab, campaign)
    finish = lab.known().finish_tag
    assert len(lab.suggest(campaign)) == 3, "all three are replaced"
    assert lab.known().finish_tag == finish


def test_what_stays_is_judged_by_the_fresh_model(lab: Lab) -> None:
    campaign, old = modelled(lab)
    refreshed(lab, campaign, [0, 2, 1])
    for each in old:
        now = lab.experiment(each.id)
        assert now.model_version == 2 and each.model_version == 1
        assert now.known == each.known + 1
        assert now.expected != each.expected and set(now.expected) == set(each.expected)
        assert now.reason == "it is still the best that is known"
        assert (now.planned, now.suggestion_id, now.code) == (each.planned, each.suggestion_id, each.code)


def test_an_unchanged_queue_announces_nothing(lab: Lab) -> None:
    campaign, old = modelled(lab)
    assert relearn(lab, campaign)
    published(lab)
    events = len(lab.events())
    lab.learner.order = [0, 1, 2]
    assert lab.suggest(campaign) == []
    assert published(lab) == [] and len(lab.events()) == events
    assert [lab.experiment(each.id).tag for each in old] == [each.tag for each in old]
    assert {lab.experiment(each.id).model_version for each in old} == {2}
    assert lab.suggest(campaign) == [] and len(lab.learner.snapshots) == 3, "it was judged once"


def test_subscribers_see_the_new_order(lab: Lab) -> None:
    campaign, (first, second, third) = modelled(lab)
    (new,) = refreshed(lab, campaign, [2, None, 0])
    entries = published(lab)
    assert told(entries, "withdrawn") == [[second.id]]
    assert told(entries, "batch") == [[third.id, new.id, first.id]]
    (event,) = lab.events("campaign.reordered")
    assert event.data["order"] == [third.code, new.code, first.code]


def test_where_only_the_last_gives_way_the_others_are_not_announced_again(lab: Lab) -> None:
    campaign, (_, _, third) = modelled(lab)
    (new,) = refreshed(lab, campaign, [0, 1, None])
    entries = published(lab)
    assert told(entries, "withdrawn") == [[third.id]]
    assert told(entries, "batch") == [[new.id]]
    assert lab.events("campaign.reordered") == []


def test_what_waits_for_approval_is_judged_anew_and_what_was_approved_stays(lab: Lab) -> None:
    campaign = lab.campaign(method="bayesian", initial=3, depth=3, approve=True)
    for each in lab.suggest(campaign):
        review.approve(lab.store, each.id, PERSON)
    run_all(lab)
    assert lab.train(campaign) == 1
    first, second, approved = lab.suggest(campaign)
    review.approve(lab.store, approved.id, PERSON)
    (new,) = refreshed(lab, campaign, [None, 0])
    assert list(lab.learner.snapshots[-1].staged) == [first.planned, second.planned]
    assert [lab.state(each.id) for each in (first, second, approved, new)] == [
        State.PROPOSED,
        State.SUPERSEDED,
        State.STAGED,
        State.PROPOSED,
    ]
    assert lab.experiment(first.id).model_version == 2 and lab.experiment(first.id).staged_at is None
    assert told(published(lab), "batch") == [], "nothing that can be claimed has changed"


def test_what_gives_way_says_why_with_the_figures(lab: Lab) -> None:
    campaign, (_, _, third) = modelled(lab)
    (new,) = refreshed(lab, campaign, [0, 1, None])
    (event,) = lab.events("experiment.superseded")
    assert event.experiment_id == third.id and event.data["model_version"] == 2
    mean, was = new.expected["yield"]["mean"], third.expected["yield"]["mean"]
    assert event.data["reason"] == (
        "model 2 knows 1 more result and prefers others: of the first of them it expects "
        f"yield {mean:.4g} ± 0.1; of this one {was:.4g} ± 0.1 was expected"
    )


def test_a_kept_one_that_is_claimed_meanwhile_is_left_alone(lab: Lab) -> None:
    campaign, (first, second, third) = modelled(lab)
    assert relearn(lab, campaign)
    lab.learner.meanwhile = lambda: lab.claim("nmr", experiments=(first.id,))
    lab.learner.order = [2, 0, 1]
    assert lab.suggest(campaign) == []
    leased = lab.experiment(first.id)
    assert leased.state is State.LEASED and leased.model_version == 1
    assert line(lab) == [third.id, second.id]


def test_the_queue_is_filled_and_refreshed_at_once(lab: Lab) -> None:
    campaign, (first, second, third) = modelled(lab)
    lab.claim(experiments=(first.id,))
    assert relearn(lab, campaign)
    lab.learner.order = [None, 1, 0]
    (new,) = lab.suggest(campaign)
    assert lab.learner.snapshots[-1].count == 1
    assert line(lab) == [new.id, third.id, second.id]


def test_priorities_of_people_come_before_the_models_order(lab: Lab) -> None:
    campaign, (first, second, third) = modelled(lab)
    review.adjust(lab.store, third.id, 5, None, PERSON)
    refreshed(lab, campaign, [0, 1, 2])
    assert list(lab.learner.snapshots[-1].staged) == [third.planned, first.planned, second.planned]
    assert line(lab) == [third.id, first.id, second.id]


def test_staleness_counts_from_the_last_judgement(lab: Lab) -> None:
    campaign, (first, *_) = modelled(lab)
    lab.report(lab.stage([point(50)])[0].id, {"yield": 0.2, "purity": 1.0})
    refreshed(lab, campaign, [0, 1, 2])
    lab.report(lab.stage([point(51)])[0].id, {"yield": 0.2, "purity": 1.0})
    lab.number()
    taken = lab.hold(experiments=(first.id,))
    assert taken.experiment.staleness == 1
    assert lab.events("experiment.claimed", first.id)[0].data["staleness"] == 1


def test_an_answer_that_names_a_place_twice_changes_nothing(lab: Lab) -> None:
    campaign, old = modelled(lab)
    refreshed(lab, campaign, [0, 0, 1])
    assert line(lab) == [each.id for each in old]
    why = lab.events("suggestion.failed")[0].data["reason"]
    assert "candidates[1].staged: is not the place of a staged candidate" in why


def test_a_refreshment_can_be_computed_again(lab: Lab) -> None:
    campaign, _ = modelled(lab)
    refreshed(lab, campaign, [2, None, 0])
    stored, again = snapshots.replay(lab.store, lab.learner, 3)
    assert stored == again and [each.get("staged") for each in stored] == [2, None, 0]


def test_the_queue_never_runs_dry_while_it_is_refreshed(lab: Lab) -> None:
    """Whatever order the models give, as many are staged after as before."""
    campaign, _ = modelled(lab, depth=4)
    orders: list[list[int | None]] = [[3, 2, 1, 0], [None, None, 0, 3], [1, 0, None, None], [None] * 4]
    for order in orders:
        refreshed(lab, campaign, order)
        assert len(line(lab)) == 4
    lab.learner.order = None
    run_all(lab)
    assert lab.states()[State.SUPERSEDED] == 2 + 2 + 4


@pytest.mark.parametrize("method", ["design", "caller"])
def test_without_a_model_nothing_gives_way(lab: Lab, method: str) -> None:
    campaign = lab.campaign(method=method, depth=2)
    lab.suggest(campaign)
    before = line(lab)
    lab.report(lab.stage([point(9)])[0].id)
    lab.number()
    lab.suggest(campaign)
    assert line(lab) == before


@pytest.mark.parametrize("again", ["restaged", "run again"])
def test_what_a_person_wants_run_again_keeps_its_place(lab: Lab, again: str) -> None:
    campaign, _ = modelled(lab)
    lab.queue(on_lost="hold")
    held = lab.take()
    mine = held.experiment.id
    assert lab.lose(held).state is State.HELD
    if again == "restaged":
        review.give_up(lab.store, mine, "", PERSON)
        review.replay(lab.store, mine, "exactly this one", PERSON)
    else:
        review.run_again(lab.store, mine, "it never moved", PERSON)
    assert lab.state(mine) is State.STAGED
    refreshed(lab, campaign, [None, None])
    assert lab.experiment(mine).planned not in lab.learner.snapshots[-1].staged
    assert lab.state(mine) is State.STAGED
