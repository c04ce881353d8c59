"""A model that fails, or answers with what cannot be run, stops no instrument: a design stands in, and says so."""

from __future__ import annotations

from typing import Any

import pytest
from fake_learner import nothing
from flow_lab import Lab, point
from learning_lab import modelled, relearn, staged

from labqueue.states import State
from services.flow import snapshots
from services.flow.due import Command, due


def failing(lab: Lab, fault: Exception) -> None:
    def fails() -> None:
        raise fault

    lab.learner.meanwhile = fails


def test_a_design_fills_the_queue_where_the_model_fails(lab: Lab) -> None:
    campaign, _ = modelled(lab)
    lab.claim(max=2)
    failing(lab, RuntimeError("no descent"))
    new = lab.suggest(campaign)
    assert len(new) == 2
    for each in new:
        assert each.reason.startswith(
            "in place of the model, which failed (RuntimeError: no descent): number "
        )
        assert each.origin == "suggester", "it is no part of the initial design"
    assert lab.job(campaign, "suggest").error == "RuntimeError: no descent"
    assert lab.events("suggestion.failed")[0].data["reason"] == "RuntimeError: no descent"
    lab.claim()
    assert len(lab.suggest(campaign)) == 1
    assert lab.job(campaign, "suggest").error == "", "the next one was the model's own"


def test_what_stood_in_gives_way_to_the_next_model(lab: Lab) -> None:
    campaign, old = modelled(lab)
    lab.claim(max=2)
    failing(lab, RuntimeError("no descent"))
    new = lab.suggest(campaign)
    assert lab.suggest(campaign) == [] and len(lab.learner.snapshots) == 4, "not before"
    assert relearn(lab, campaign)
    lab.suggest(campaign)
    assert {lab.state(each.id) for each in new} == {State.SUPERSEDED}
    assert {lab.state(each.id) for each in old} == {State.SUPERSEDED, State.LEASED}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"temperature": float("nan")}, "candidates[0].temperature: is not a finite number."),
        ({"temperature": 120.5}, "candidates[0].temperature: is outside 20 to 120 degC."),
        ({"solvent": "acid"}, "candidates[0].solvent"),
        ({"pressure": 1.0}, "candidates[0].pressure: is no parameter of this problem."),
    ],
)
def test_a_point_that_cannot_be_run_is_never_staged(lab: Lab, answer: dict[str, Any], why: str) -> None:
    campaign, _ = modelled(lab)
    lab.claim()
    lab.learner.repeats = [{**point(1), **answer}]
    (new,) = lab.suggest(campaign)
    assert new.reason.startswith("in place of the model, which failed (")
    assert why in lab.job(campaign, "suggest").error
    assert all(20 <= each.planned["temperature"] <= 120 for each in staged(lab))


def test_what_is_staged_stays_while_the_model_fails(lab: Lab) -> None:
    campaign, old = modelled(lab)
    assert relearn(lab, campaign)
    failing(lab, RuntimeError("no descent"))
    assert lab.suggest(campaign) == [], "the queue is full: nothing has to stand in"
    assert [each.id for each in staged(lab)] == [each.id for each in old]
    assert lab.job(campaign, "suggest").error == "RuntimeError: no descent"


def test_a_refreshment_that_fails_is_not_tried_all_the_time(lab: Lab) -> None:
    campaign, _ = modelled(lab)
    assert relearn(lab, campaign)
    lab.number()
    failing(lab, RuntimeError("no descent"))
    lab.suggest(campaign)
    lab.elapse(6)
    assert due(lab.store) == [], "nothing is new, and no instrument waits"
    lab.elapse(60)
    assert due(lab.store) == [Command("suggest", campaign.id)]


def test_where_the_design_fails_as_well_it_is_tried_again_after_a_while(lab: Lab) -> None:
    campaign, _ = modelled(lab)
    lab.claim()

    def fails() -> None:
        lab.learner.meanwhile = fails
        raise RuntimeError("no point keeps the constraints")

    lab.learner.meanwhile = fails
    assert lab.suggest(campaign) == []
    assert lab.job(campaign, "suggest").error == "RuntimeError: no point keeps the constraints"
    lab.learner.meanwhile = nothing
    lab.elapse(6)
    assert due(lab.store) == [Command("suggest", campaign.id)]
    assert len(lab.suggest(campaign)) == 1


def test_one_at_a_time_a_passing_failure_changes_no_point(lab: Lab) -> None:
    points = []
    for name, passing in (("calm", False), ("rough", True)):
        campaign = lab.campaign(name, queue=name, method="bayesian", mode="sequential", initial=1)
        for number in range(3):
            lab.report(lab.stage([point(number)], campaign=name)[0].id, {"yield": 0.1, "purity": 1.0})
        lab.number()
        assert lab.train(campaign) == 1
        if passing:
            failing(lab, MemoryError())
            assert lab.suggest(campaign) == [], "another try comes first"
        (new,) = lab.suggest(campaign)
        points.append(new.planned)
    assert points[0] == points[1]


def test_one_at_a_time_a_lasting_failure_is_stood_in_for(lab: Lab) -> None:
    campaign = lab.campaign(method="bayesian", mode="sequential", initial=1)
    for _ in range(2):
        failing(lab, RuntimeError("no descent"))
        new = lab.suggest(campaign)
    assert len(new) == 1 and new[0].reason.startswith("in place of the model")


def test_what_stood_in_can_be_computed_again(lab: Lab) -> None:
    campaign, _ = modelled(lab)
    lab.claim(max=2)
    failing(lab, RuntimeError("no descent"))
    lab.suggest(campaign)
    stored, again = snapshots.replay(lab.store, lab.learner, 3)
    assert stored == again and len(stored) == 2
    with lab.store.begin() as tx:
        found = tx.suggestions.get(3)
    assert found is not None and found.instead.startswith("in place of the model")


def test_a_model_of_odd_metrics_is_kept(lab: Lab) -> None:
    campaign, _ = modelled(lab)
    lab.learner.metrics = {"outputs": {"yield": {"rmse": float("inf")}}}
    assert relearn(lab, campaign) == 2
    with lab.store.begin() as tx:
        assert tx.models.recent(campaign.id, 1)[0].metrics["outputs"] == {"yield": {"rmse": "inf"}}
