"""stop: a campaign ends when its rules say so, once, with the figures, and never for a model's sake too early."""

from __future__ import annotations

from typing import Any

import pytest
from flow_lab import PERSON, PROBLEM, Lab, point
from learning_lab import modelled, relearn, run_all

from labqueue.states import State
from models.domain import records as r
from services.flow import define, edit, steer, stop

FRONT = {
    "parameters": [{"name": "x", "kind": "continuous", "low": 0, "high": 10}],
    "outputs": [{"name": "y"}, {"name": "cost"}],
    "objectives": [{"output": "y"}, {"output": "cost", "goal": "minimize"}],
}


def check(lab: Lab, campaign: r.Campaign) -> str | None:
    lab.number()
    return stop.check(lab.store, campaign.id)


def measure(lab: Lab, *outputs: dict[str, float], **more: Any) -> None:
    for each in outputs:
        lab.report(lab.stage_one().id, each, **more)


def test_a_budget_ends_it_and_what_is_staged_is_cancelled(lab: Lab) -> None:
    campaign = lab.campaign(stop={"budget": 2})
    lab.stage(3)
    lab.report(1)
    assert check(lab, campaign) is None
    lab.report(2)
    assert check(lab, campaign) == "budget of 2 experiments spent"
    assert (lab.known().state, lab.known().reason) == ("finished", "budget of 2 experiments spent")
    assert lab.state(3) is State.CANCELLED
    assert check(lab, campaign) is None, "once"
    assert len(lab.events("campaign.finished")) == 1


def test_a_held_one_counts_for_nothing(lab: Lab) -> None:
    campaign = lab.campaign(stop={"budget": 1})
    lab.stage_one()
    lab.lose(lab.take())
    assert check(lab, campaign) is None


def test_one_experiment_reaches_the_target_of_a_front(lab: Lab) -> None:
    campaign = lab.campaign(problem=FRONT, stop={"target": {"y": 0.9, "cost": 5}})
    lab.stage([{"x": 1.0}, {"x": 2.0}, {"x": 3.0}])
    lab.report(1, {"y": 0.95, "cost": 6.0})
    lab.report(2, {"y": 0.5, "cost": 4.0})
    assert check(lab, campaign) is None
    lab.report(3, {"y": 0.9, "cost": 5.0})
    why = check(lab, campaign)
    assert why == "target y 0.9, cost 5 reached: one experiment has y 0.9, cost 5"


def test_no_improvement_counts_results_in_the_order_in_which_they_came(lab: Lab) -> None:
    campaign = lab.campaign(stop={"no_improvement": 2})
    lab.stage(4)
    lab.report(4, {"yield": 0.9, "purity": 1.0})
    lab.report(3, {"yield": 0.5, "purity": 1.0})
    assert check(lab, campaign) is None
    lab.report(1, {}, outcome="infeasible")
    assert check(lab, campaign) == "no improvement in the last 2 experiments"


def run(lab: Lab, score: float) -> r.Experiment:
    """The next experiment is measured."""
    taken = lab.take("reader")
    lab.complete(taken, {"yield": score, "purity": 1.0})
    return taken.experiment


def test_what_the_initial_design_does_not_improve_ends_nothing(lab: Lab) -> None:
    campaign = lab.campaign(method="bayesian", initial=6, depth=3, stop={"no_improvement": 2})
    lab.suggest(campaign)
    lab.report(lab.stage([point(9)])[0].id, {"yield": 0.9, "purity": 1.0})
    for _ in range(3):
        assert run(lab, 0.1).origin == "design"
        assert check(lab, campaign) is None
    assert {each.origin for each in lab.suggest(campaign)} == {"design"}
    for number in (7, 8):  # others' results while it runs
        lab.report(lab.stage([point(number)])[0].id, {"yield": 0.2, "purity": 1.0})
        assert check(lab, campaign) is None
    for _ in range(3):
        run(lab, 0.1)
    assert check(lab, campaign) is None, "the design is complete: the best of it is the base"
    lab.train(campaign)
    assert {each.origin for each in lab.suggest(campaign)} == {"suggester"}
    run(lab, 0.8)
    assert check(lab, campaign) is None
    run(lab, 0.9)
    assert check(lab, campaign) == "no improvement in the last 2 experiments"


def test_what_improves_on_the_initial_design_gives_more_time(lab: Lab) -> None:
    campaign, _ = modelled(lab, stop={"no_improvement": 2})
    for score in (0.1, 5.0, 0.1):
        run(lab, score)
        assert check(lab, campaign) is None
    lab.report(lab.stage([point(9)])[0].id, {"yield": 0.2, "purity": 1.0})
    assert check(lab, campaign) == "no improvement in the last 2 experiments"


def test_a_held_one_of_the_initial_design_is_not_waited_for(lab: Lab) -> None:
    campaign = lab.campaign(method="bayesian", initial=3, depth=3, stop={"no_improvement": 2})
    lab.suggest(campaign)
    lab.lose(lab.take())
    run(lab, 0.9)
    for number in (7, 8):
        lab.report(lab.stage([point(number)])[0].id, {"yield": 0.2, "purity": 1.0})
    assert check(lab, campaign) is None, "one is still to come"
    run(lab, 0.1)
    for number in (5, 6):
        assert check(lab, campaign) is None
        lab.report(lab.stage([point(number)])[0].id, {"yield": 0.2, "purity": 1.0})
    assert check(lab, campaign) == "no improvement in the last 2 experiments"


def test_a_design_alone_may_improve_nothing(lab: Lab) -> None:
    campaign = lab.campaign(method="design", initial=5, depth=5, stop={"no_improvement": 2})
    lab.suggest(campaign)
    for score in (0.9, 0.1):
        run(lab, score)
        assert check(lab, campaign) is None
    run(lab, 0.1)
    assert check(lab, campaign) == "no improvement in the last 2 experiments"


def test_what_an_edit_put_out_of_reach_is_no_longer_to_be_improved_on(lab: Lab) -> None:
    campaign = lab.campaign(stop={"no_improvement": 2})
    first, _, last = lab.stage([{**point(1), "temperature": each} for each in (110.0, 30.0, 20.0)])
    lab.report(first.id, {"yield": 0.9, "purity": 1.0})
    lab.report(lab.stage([point(5)])[0].id, {"yield": 0.1, "purity": 1.0})
    assert check(lab, campaign) is None
    cold = {**PROBLEM["parameters"][0], "high": 100}
    edit.change_problem(
        lab.store, "snar", {**PROBLEM, "parameters": [cold, *PROBLEM["parameters"][1:]]}, "the seal", PERSON
    )
    for number, score in ((11, 0.2), (12, 0.3), (13, 0.1)):
        lab.report(lab.stage([point(number)])[0].id, {"yield": score, "purity": 1.0})
        assert check(lab, campaign) is None, "0.3 is the best that may still be run"
    lab.report(last.id, {"yield": 0.05, "purity": 1.0})
    assert check(lab, campaign) is None, "it was staged before"
    for number in (14, 15):
        assert check(lab, campaign) is None
        lab.report(lab.stage([point(number)])[0].id, {"yield": 0.1, "purity": 1.0})
    assert check(lab, campaign) == "no improvement in the last 2 experiments"


def test_a_target_that_was_reached_out_of_reach_is_none(lab: Lab) -> None:
    campaign = lab.campaign(stop={"target": 0.8, "budget": 9, "when": "all"})
    lab.report(lab.stage([{**point(1), "temperature": 110.0}])[0].id, {"yield": 0.9, "purity": 1.0})
    cold = {**PROBLEM["parameters"][0], "high": 100}
    narrow = {**PROBLEM, "parameters": [cold, *PROBLEM["parameters"][1:]]}
    edit.change_problem(lab.store, "snar", narrow, "the seal", PERSON)
    define.change_strategy(lab.store, "snar", {"method": "caller", "stop": {"target": 0.8}}, "", PERSON)
    assert check(lab, campaign) is None
    lab.report(lab.stage([point(2)])[0].id, {"yield": 0.85, "purity": 1.0})
    assert check(lab, campaign) == "target 0.8 reached: best score 0.85"


def test_hours_end_it_though_nothing_happens(lab: Lab) -> None:
    campaign = lab.campaign(stop={"hours": 2})
    other = lab.campaign("other", stop={"budget": 9})
    lab.elapse(7190)
    assert stop.overtime(lab.store) == [] and check(lab, campaign) is None
    lab.elapse(20)
    assert stop.overtime(lab.store) == [campaign.id]
    why = check(lab, campaign)
    assert why is not None and why.startswith("2.0") and why.endswith("of 2 hours are over")
    assert stop.overtime(lab.store) == [] and lab.known(other.name).state == "active"


def test_costs_are_summed_over_what_was_completed(lab: Lab) -> None:
    campaign = lab.campaign(method="design", cost="minutes * 2 + 1", stop={"cost": 10})
    lab.stage([{**point(1), "minutes": 1}, {**point(2), "minutes": 3}, {**point(3), "minutes": 60}])
    lab.report(1)
    assert check(lab, campaign) is None
    lab.report(2, {}, outcome="suspect")
    assert check(lab, campaign) == "cost of 10 reached, and 10 may be spent", (
        "a suspect one was paid for, too"
    )


def test_all_rules_together(lab: Lab) -> None:
    campaign = lab.campaign(stop={"budget": 1, "target": 0.4, "when": "all"})
    lab.stage(2)
    lab.report(1, {"yield": 0.3, "purity": 1.0})
    assert check(lab, campaign) is None
    lab.report(2, {"yield": 0.4, "purity": 1.0})
    assert check(lab, campaign) == "target 0.4 reached: best score 0.4; budget of 1 experiments spent"


# What a model says


def test_a_small_gain_ends_it_before_anything_is_staged(lab: Lab) -> None:
    campaign, old = modelled(lab, stop={"gain": 0.01})
    lab.learner.gain = 0.01
    relearn(lab, campaign)
    assert len(lab.suggest(campaign)) == 3, "it is worth just enough"
    lab.learner.gain = 0.0099
    relearn(lab, campaign)
    assert lab.suggest(campaign) == []
    assert (
        lab.known().reason == "the best candidate is expected to improve the score by 0.0099, less than 0.01"
    )
    assert State.STAGED not in lab.states() and lab.known().next_suggestion == 5
    assert {lab.state(each.id) for each in old} == {State.SUPERSEDED}


def test_a_gain_is_not_believed_while_the_initial_design_runs(lab: Lab) -> None:
    campaign = lab.campaign(method="bayesian", initial=4, depth=4, stop={"gain": 0.5})
    lab.learner.gain = 0.0
    lab.suggest(campaign)
    for _ in range(3):
        lab.complete(lab.take())
    lab.number()
    lab.train(campaign)
    assert len(lab.suggest(campaign)) == 3 and lab.known().state == "active"
    lab.complete(lab.take())
    lab.number()
    lab.train(campaign)
    assert lab.suggest(campaign) == [] and lab.known().state == "finished"


def test_filling_up_after_a_good_candidate_ends_nothing(lab: Lab) -> None:
    """What comes after the staged ones is worth less than they are, and says nothing about them."""
    campaign, _ = modelled(lab, stop={"gain": 0.1})
    lab.learner.gain = 0.5
    relearn(lab, campaign)
    lab.suggest(campaign)
    lab.claim()
    lab.learner.gain = 0.05
    assert len(lab.suggest(campaign)) == 1 and lab.known().state == "active"


@pytest.mark.parametrize("cost", ["exp(x * 1000)", "1 / (x - x)", "sqrt(-x)", "log(x - x)"])
def test_a_cost_that_is_no_real_number_is_none(cost: str) -> None:
    assert stop.price(cost, {"x": 2.0}) == 0.0
    assert stop.price("2 + 1 / exp(x * 1000)", {"x": 2.0}) == 2.0
    assert stop.price("1 - x", {"x": 2.0}) == 0.0, "nothing is earned by an experiment"


def test_a_gain_is_weighed_against_the_cost_of_its_candidate(lab: Lab) -> None:
    campaign, _ = modelled(lab, cost="2", stop={"gain": 0.1})
    lab.learner.gain = 0.2
    relearn(lab, campaign)
    assert lab.suggest(campaign)
    lab.learner.gain = 0.19
    relearn(lab, campaign)
    assert lab.suggest(campaign) == []
    assert "less than the 0.2 that its cost of 2 asks for" in lab.known().reason


def test_a_model_that_gets_no_better_ends_it(lab: Lab) -> None:
    plateau = {"metric": "rmse", "versions": 2, "tolerance": 0.1}
    campaign, _ = modelled(lab, stop={"plateau": plateau})
    for error in (1.0, 0.95, 0.91):
        assert check(lab, campaign) is None
        lab.learner.metrics = {"outputs": {"yield": {"rmse": error}, "purity": {"rmse": 0.0}}}
        relearn(lab, campaign)
    assert check(lab, campaign) == (
        "the model got no better: rmse 1 became 0.91 at best in the last 2 versions"
    )


def test_a_plateau_of_models_that_saw_half_a_design_is_none(lab: Lab) -> None:
    plateau = {"metric": "rmse", "versions": 1, "tolerance": 0.1}
    campaign = lab.campaign(method="bayesian", initial=5, depth=5, stop={"plateau": plateau})
    lab.learner.metrics = {"outputs": {"yield": {"rmse": 1.0}}}
    lab.suggest(campaign)
    for _ in range(2):
        lab.complete(lab.take())
    for _ in range(3):
        lab.complete(lab.take())
        lab.number()
        lab.train(campaign)
        assert check(lab, campaign) is None
    relearn(lab, campaign)
    assert check(lab, campaign) is not None


def test_a_metric_that_is_no_number_is_no_plateau(lab: Lab) -> None:
    campaign, _ = modelled(lab, stop={"plateau": {"metric": "r2", "versions": 1}})
    lab.learner.metrics = {"outputs": {"yield": {"r2": float("nan")}}}
    relearn(lab, campaign)
    relearn(lab, campaign)
    assert check(lab, campaign) is None


# What is used up


def test_a_design_with_points_of_its_own_ends_it(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=2, design="full_factorial")
    lab.learner.most = 1
    lab.suggest(campaign)
    lab.learner.most = 0
    assert lab.suggest(campaign) == [], "nothing has changed since"
    run_all(lab)
    assert lab.known().state == "active"
    assert lab.suggest(campaign) == []
    assert lab.known().reason == "the design is complete: all of its points were run"


def test_a_used_up_space_ends_it_when_nothing_is_in_flight(lab: Lab) -> None:
    campaign, _ = modelled(lab)
    lab.learner.most = 0
    first, *others = lab.claim(max=3).assignments
    for each in others:
        lab.complete(each)
    lab.number()
    lab.train(campaign)
    assert lab.suggest(campaign) == [] and lab.known().state == "active", "one is still running"
    asked = len(lab.learner.snapshots)
    assert lab.suggest(campaign) == [] and len(lab.learner.snapshots) == asked, "and nothing is new"
    lab.complete(first)
    lab.number()
    lab.train(campaign)
    assert lab.suggest(campaign) == []
    nothing = "no further point was found: the constraints leave next to nothing that was not run"
    assert lab.known().reason == nothing, "a temperature may be any number"


def test_a_space_that_is_used_up_ends_it(lab: Lab) -> None:
    steps = {"name": "x", "kind": "integer", "low": 1, "high": 3}
    problem = {"parameters": [steps], "outputs": [{"name": "y"}], "objectives": [{"output": "y"}]}
    campaign = lab.campaign(problem=problem, method="bayesian", depth=2)
    lab.learner.most = 0
    assert lab.suggest(campaign) == []
    assert lab.known().reason == "the space is used up: no point is left that was not run"


def test_what_fails_is_offered_again_before_the_space_counts_as_used_up(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=2)
    lab.learner.most = 1
    lab.suggest(campaign)
    lab.learner.most = 0
    lab.cancel(lab.hold().experiment.id)
    lab.confirm(lab.lease_of(1))
    lab.learner.most = 1
    assert len(lab.suggest(campaign)) == 1 and lab.known().state == "active"


def test_an_answer_that_its_deadline_cut_is_not_the_end(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=2)
    lab.learner.most, lab.learner.effort = 0, {"cut": True}
    assert lab.suggest(campaign) == [] and lab.known().state == "active"
    lab.learner.most = None
    assert len(lab.suggest(campaign)) == 2


def test_a_used_up_campaign_that_is_resumed_waits_for_people(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=2)
    lab.learner.most = 0
    lab.suggest(campaign)
    assert lab.known().state == "finished"
    steer.resume_campaign(lab.store, "snar", "", PERSON)
    assert check(lab, campaign) is None and lab.suggest(campaign) == []
    lab.learner.most = None
    define.change_strategy(lab.store, "snar", {"method": "design", "depth": 3}, "more", PERSON)
    assert len(lab.suggest(campaign)) == 3


def test_what_ended_a_campaign_that_is_resumed_waits_for_a_further_result(lab: Lab) -> None:
    campaign = lab.campaign(stop={"budget": 1})
    for number in (1, 2):
        lab.stage_one()
        lab.report(number)
        lab.number()
        assert check(lab, campaign) == "budget of 1 experiments spent"
        steer.resume_campaign(lab.store, "snar", "", PERSON)
        lab.train(campaign)
        assert check(lab, campaign) is None and lab.known().state == "active"
    problem = lab.known().problem
    first, *others = problem["parameters"]
    wider = {**problem, "parameters": [{**first, "high": 2 * first["high"]}, *others]}
    edit.change_problem(lab.store, "snar", wider, "further", PERSON)
    lab.number()
    assert check(lab, campaign) is None, "an edit is no result"
    define.change_strategy(lab.store, "snar", {"stop": {"hours": 1e-9}}, "later", PERSON)
    assert check(lab, campaign) is None, "people have time for more than one edit"


@pytest.mark.parametrize("obstacle", ["paused", "finished"])
def test_only_active_campaigns_are_stopped(lab: Lab, obstacle: str) -> None:
    campaign = lab.campaign(stop={"budget": 1})
    lab.stage_one()
    lab.report(1)
    turn = steer.pause_campaign if obstacle == "paused" else steer.finish_campaign
    turn(lab.store, "snar", "by hand", PERSON)
    assert check(lab, campaign) is None and lab.known().reason == "by hand"
