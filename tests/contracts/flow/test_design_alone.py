"""A design that is all there is and fills a space: it has as many points as it says, all are run, and that is the end."""

from __future__ import annotations

from typing import Any

from flow_lab import PERSON, PROBLEM, Lab
from learning_lab import run_all

from labqueue.states import State
from models.domain import records as r
from services.flow import define, due, edit, steer, stop

COMPLETE = "the design is complete: its 3 points were run"


def alone(lab: Lab, **strategy: Any) -> r.Campaign:
    return lab.campaign(method="design", initial=3, **strategy)


def check(lab: Lab, campaign: r.Campaign) -> str | None:
    lab.number()
    return stop.check(lab.store, campaign.id)


def asked_for(lab: Lab) -> bool:
    """Would a worker be told to suggest?"""
    return any(each.name == "suggest" for each in due.due(lab.store))


def test_it_ends_with_its_last_point(lab: Lab) -> None:
    campaign = alone(lab, depth=2)
    assert len(lab.suggest(campaign)) == 2
    first, second = lab.claim(max=2).assignments
    assert len(lab.suggest(campaign)) == 1
    lab.elapse(10)
    assert lab.suggest(campaign) == [] and not asked_for(lab), "it has no fourth point"
    lab.complete(first)
    run_all(lab)
    assert check(lab, campaign) is None, "one is still running"
    lab.complete(second)
    assert check(lab, campaign) == COMPLETE
    assert lab.known().state == "finished" and lab.states() == {State.COMPLETED: 3}


def test_one_at_a_time_it_ends_too(lab: Lab) -> None:
    campaign = alone(lab, mode="sequential")
    for _ in range(3):
        assert len(lab.suggest(campaign)) == 1
        run_all(lab)
    assert lab.suggest(campaign) == []
    assert check(lab, campaign) == COMPLETE


def test_a_budget_says_how_many_points_it_has(lab: Lab) -> None:
    campaign = alone(lab, depth=2, stop={"budget": 5})
    for expected in (2, 2, 1):
        assert len(lab.suggest(campaign)) == expected
        run_all(lab)
    assert check(lab, campaign) == "budget of 5 experiments spent"


def test_another_rule_may_end_it_before(lab: Lab) -> None:
    campaign = alone(lab, depth=2, stop={"target": 0.4})
    lab.suggest(campaign)
    lab.complete(lab.take())
    assert check(lab, campaign) == "target 0.4 reached: best score 0.5"


def test_a_held_point_is_waited_for_and_a_cancelled_one_is_not(lab: Lab) -> None:
    campaign = alone(lab, depth=3)
    lab.suggest(campaign)
    lost = lab.take()
    lab.lose(lost)
    lab.learner.most = 0
    for each in lab.claim("reader", max=2).assignments:
        lab.complete(each)
    assert check(lab, campaign) is None
    lab.cancel(lost.experiment.id)
    assert check(lab, campaign) == COMPLETE


def test_what_an_edit_threw_out_is_made_up_for(lab: Lab) -> None:
    campaign = alone(lab, depth=3)
    lab.suggest(campaign)
    dry = {**PROBLEM["parameters"][2], "unavailable": ["ethanol", "toluene"]}
    problem = {**PROBLEM, "parameters": [*PROBLEM["parameters"][:2], dry]}
    edit.change_problem(lab.store, "snar", problem, "out of stock", PERSON)
    out = lab.states().get(State.SUPERSEDED, 0)
    assert out, "some were to be run in another solvent"
    assert len(lab.suggest(campaign)) == out
    run_all(lab)
    assert check(lab, campaign) == COMPLETE and lab.states()[State.COMPLETED] == 3


def test_it_goes_on_with_more_points(lab: Lab) -> None:
    campaign = alone(lab, depth=3)
    lab.suggest(campaign)
    run_all(lab)
    assert check(lab, campaign) == COMPLETE
    steer.resume_campaign(lab.store, "snar", "", PERSON)
    assert check(lab, campaign) is None, "people have time to change what ended it"
    define.change_strategy(
        lab.store, "snar", {"method": "design", "initial": 5, "depth": 3}, "two more", PERSON
    )
    assert len(lab.suggest(campaign)) == 2
    run_all(lab)
    assert check(lab, campaign) == "the design is complete: its 5 points were run"


def test_a_design_that_a_campaign_turns_to_too_late_is_over(lab: Lab) -> None:
    campaign = lab.campaign(method="bayesian", initial=3, depth=3)
    lab.suggest(campaign)
    run_all(lab)
    define.change_strategy(lab.store, "snar", {"method": "design", "initial": 3}, "no model", PERSON)
    assert lab.suggest(campaign) == []
    assert check(lab, campaign) == COMPLETE
