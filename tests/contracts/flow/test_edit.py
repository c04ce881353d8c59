"""edit: a running campaign gets another problem, and what was measured stays what it was."""

from __future__ import annotations

import io
from copy import deepcopy
from typing import Any

import pytest
from fake_blobs import FakeBlobs
from flow_lab import OUTPUTS, PERSON, PROBLEM, Lab

from labqueue.errors import ConflictError, InvalidError
from labqueue.states import State
from models.domain import records as r
from models.domain.csv_rows import csv_rows
from models.domain.pool_table import Table
from services.flow import define, edit, pools, review, snapshots, steer
from services.flow.edit import Edited


def changed(**changes: Any) -> dict[str, Any]:
    """The lab's problem with other values: `temperature={"high": 80}`, `outputs=[...]`."""
    body = deepcopy(PROBLEM)
    for name, value in changes.items():
        parameter = next((each for each in body["parameters"] if each["name"] == name), None)
        if parameter is not None:
            parameter.update(value)
        else:
            body[name] = value
    return body


def change(lab: Lab, problem: dict[str, Any], reason: str = "the pump is worn out", **more: Any) -> Edited:
    return edit.change_problem(lab.store, "snar", problem, reason, PERSON, **more)


def refused(lab: Lab, problem: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidError) as caught:
        change(lab, problem)
    assert lab.known().problem_version == 1
    return [each.field for each in caught.value.errors]


def versions(lab: Lab) -> list[r.Version]:
    campaign = lab.known()
    with lab.store.begin() as tx:
        return tx.campaigns.versions(campaign.id)


def more_outputs(*names: str) -> dict[str, Any]:
    return changed(outputs=[*PROBLEM["outputs"], *({"name": each} for each in names)])


WARM = {"temperature": 100.0, "minutes": 5, "solvent": "water"}
COOL = {"temperature": 30.0, "minutes": 5, "solvent": "water"}


def test_a_new_version_with_who_and_why(lab: Lab) -> None:
    lab.campaign()
    found = change(lab, changed(temperature={"high": 80}))
    assert (found.campaign.problem_version, found.campaign.problem["parameters"][0]["high"]) == (2, 80)
    assert lab.known().problem_version == 2
    kept = versions(lab)
    assert [(each.kind, each.number) for each in kept] == [("problem", 1), ("strategy", 1), ("problem", 2)]
    assert (kept[-1].actor, kept[-1].reason) == (PERSON, "the pump is worn out")
    assert [each.body["parameters"][0]["high"] for each in kept if each.kind == "problem"] == [120, 80]
    event = lab.events("campaign.problem_changed")[0]
    assert (event.actor, event.data["version"], event.data["reason"]) == (PERSON, 2, "the pump is worn out")


def test_the_same_edit_again_is_one_effect(lab: Lab) -> None:
    lab.campaign()
    new = changed(temperature={"high": 80})
    first = change(lab, new, version=1)
    assert change(lab, new, version=1).campaign.problem_version == first.campaign.problem_version == 2
    assert len(lab.events("campaign.problem_changed")) == 1


def test_an_edit_of_an_older_version_is_refused(lab: Lab) -> None:
    lab.campaign()
    change(lab, changed(temperature={"high": 80}), version=1)
    with pytest.raises(ConflictError, match="at version 2 by now, not 1"):
        change(lab, changed(temperature={"high": 70}), version=1)


def test_a_finished_campaign_is_resumed_first(lab: Lab) -> None:
    lab.campaign()
    steer.finish_campaign(lab.store, "snar", "done", PERSON)
    with pytest.raises(ConflictError, match=r"finished: done\. Resume it first"):
        change(lab, changed(temperature={"high": 80}))


def test_suggestions_that_are_now_outside_give_way_and_say_why(lab: Lab) -> None:
    campaign = lab.campaign(method="design", initial=8, depth=8)
    staged = lab.suggest(campaign)
    found = change(lab, changed(temperature={"high": 70}))
    hot = {each.id for each in staged if each.planned["temperature"] > 70}
    assert 0 < len(hot) < len(staged)
    assert {each.id for each in found.superseded} == hot and found.outside == ()
    for each in staged:
        assert lab.state(each.id) is (State.SUPERSEDED if each.id in hot else State.STAGED)
    told = lab.events("experiment.superseded")
    assert {each.experiment_id for each in told} == hot
    assert all("version 2: the pump is worn out" in each.data["reason"] for each in told)
    with lab.store.begin() as tx:
        withdrawn = [each.body for each in tx.outbox.take(1000) if each.kind == "withdrawn"]
    assert {id for body in withdrawn for id in body["experiments"]} == hot


def test_proposed_suggestions_give_way_too(lab: Lab) -> None:
    campaign = lab.campaign(method="design", initial=8, depth=8, approve=True)
    proposed = lab.suggest(campaign)
    found = change(lab, changed(temperature={"high": 70}))
    assert found.superseded
    assert {lab.state(each.id) for each in proposed} == {State.PROPOSED, State.SUPERSEDED}


def test_what_people_chose_stays_and_is_listed(lab: Lab) -> None:
    campaign = lab.campaign(method="design", initial=4, depth=4)
    pinned = lab.suggest(campaign)[0]
    review.adjust(lab.store, pinned.id, None, True, PERSON)
    mine = lab.stage([WARM])[0]
    fine = lab.stage([COOL])[0]
    found = change(lab, changed(temperature={"low": 21, "high": 22}))
    assert {each.experiment.id for each in found.outside} == {pinned.id, mine.id, fine.id}
    assert [each.field for each in found.outside[-1].errors] == ["temperature"]
    assert {lab.state(each.id) for each in (pinned, mine, fine)} == {State.STAGED}
    held = lab.take(experiments=(mine.id,))
    assert lab.complete(held).verdict == "accepted"


def test_what_is_running_goes_on_and_its_result_counts(lab: Lab) -> None:
    lab.campaign()
    lab.stage([WARM])
    lease = lab.take()
    found = change(lab, changed(temperature={"high": 80}))
    assert (found.superseded, found.outside) == ((), ())
    assert lab.complete(lease).verdict == "accepted"
    assert [row.parameters["temperature"] for row in lab.training()] == [100.0]


def test_an_older_experiment_needs_no_output_that_came_later(lab: Lab) -> None:
    lab.campaign()
    lab.stage([WARM])
    lab.stage([COOL])
    before = lab.take()
    change(lab, more_outputs("smell"))
    assert lab.complete(before).state is State.COMPLETED
    older = lab.take(instrument="other")
    assert [each.name for each in older.outputs] == ["yield", "purity"], "it was staged before"
    lab.stage([WARM])
    newer = lab.take(instrument="third")
    assert [each.name for each in newer.outputs] == ["yield", "purity", "smell"]
    assert lab.complete(newer).verdict == "held"


def test_a_late_result_of_an_older_experiment_may_bring_the_new_output(lab: Lab) -> None:
    lab.campaign()
    lab.stage([WARM])
    done = lab.take()
    lab.complete(done)
    change(lab, more_outputs("smell"))
    late = lab.report(done.experiment.id, {"smell": 3.0})
    assert (late.verdict, late.state) == ("accepted", State.COMPLETED)
    assert lab.values(done.experiment.id) == {**OUTPUTS, "smell": 3.0}
    assert lab.training()[0].outputs["smell"] == 3.0


def test_an_output_that_is_measured_no_longer_is_kept_beside(lab: Lab) -> None:
    lab.campaign()
    lab.stage([WARM])
    lease = lab.take()
    change(lab, changed(outputs=[{"name": "yield"}]))
    done = lab.complete(lease)
    assert (done.verdict, done.state) == ("accepted", State.COMPLETED)
    assert "purity" in done.message
    assert lab.values(lease.experiment.id) == {"yield": 0.5}


def test_an_output_that_went_and_came_back_is_a_new_one(lab: Lab) -> None:
    lab.campaign()
    lab.stage([WARM])
    change(lab, changed(outputs=[{"name": "yield"}]))
    lease = lab.take()
    assert [each.name for each in lease.outputs] == ["yield"]
    change(lab, changed())
    assert lab.report(lease.experiment.id, {"yield": 0.5}, lease=lease.lease).state is State.COMPLETED


def test_a_late_result_may_still_call_it_outstanding(lab: Lab) -> None:
    lab.campaign()
    lab.stage([WARM])
    lease = lab.take()
    change(lab, changed(outputs=[{"name": "yield"}]))
    done = lab.report(lease.experiment.id, {"yield": 0.5}, lease=lease.lease, outstanding=("purity",))
    assert (done.verdict, done.state) == ("accepted", State.COMPLETED)


def test_nobody_waits_for_an_output_that_is_measured_no_longer(lab: Lab) -> None:
    lab.campaign()
    lab.stage([WARM])
    lease = lab.take()
    lab.report(lease.experiment.id, {"yield": 0.5}, lease=lease.lease, outstanding=("purity",))
    assert lab.state(lease.experiment.id) is State.PARTIAL
    change(lab, changed(outputs=[{"name": "yield"}]))
    after = lab.experiment(lease.experiment.id)
    assert (after.state, after.outstanding) == (State.COMPLETED, ())
    assert after.finished_at is not None


def test_what_results_hold_cannot_be_taken_away(lab: Lab) -> None:
    lab.campaign()
    lab.stage([WARM])
    lease = lab.take()
    lab.report(lease.experiment.id, lease=lease.lease, actual={"solvent": "ethanol"})
    assert refused(lab, changed(outputs=[{"name": "yield"}])) == ["outputs"]
    assert refused(lab, changed(solvent={"categories": ["ethanol", "toluene"]})) == [
        "parameters[2].categories"
    ]
    assert refused(lab, changed(solvent={"categories": ["water", "toluene"]})) == ["parameters[2].categories"]
    assert refused(lab, changed(temperature={"unit": "K"})) == ["parameters[0].unit"]
    change(lab, changed(solvent={"categories": ["water", "ethanol"]}))


def test_a_category_can_be_made_unavailable(lab: Lab) -> None:
    campaign = lab.campaign(method="design", initial=9, depth=9)
    staged = lab.suggest(campaign)
    found = change(lab, changed(solvent={"unavailable": ["water"]}))
    wet = {each.id for each in staged if each.planned["solvent"] == "water"}
    assert wet and {each.id for each in found.superseded} == wet
    with pytest.raises(InvalidError, match="Nothing was staged"):
        lab.stage([WARM])


def test_a_new_parameter_comes_in_as_what_it_was_all_along_and_is_opened_later(lab: Lab) -> None:
    lab.campaign()
    lab.stage([WARM])
    lab.complete(lab.take())
    waiting = lab.stage([COOL])[0]
    ph = {"name": "ph", "kind": "continuous", "low": 1, "high": 14}
    with pytest.raises(InvalidError) as caught:
        change(lab, changed(parameters=[*PROBLEM["parameters"], ph]))
    assert "2 experiments so far have no value" in str(caught.value.errors[0])
    was = {"name": "ph", "kind": "fixed", "value": 7}
    assert change(lab, changed(parameters=[*PROBLEM["parameters"], was])).outside == ()
    assert lab.training()[0].parameters["ph"] == 7
    assert lab.experiment(waiting.id).planned == {**COOL, "ph": 7}
    lab.stage([{**WARM, "minutes": 6}])
    opened = change(lab, changed(parameters=[*PROBLEM["parameters"], ph]))
    assert (opened.campaign.problem_version, opened.outside) == (3, ())
    assert lab.stage([{**WARM, "ph": 3}])[0].planned["ph"] == 3


def test_a_problem_that_the_strategy_does_not_fit_takes_another_strategy_with_it(lab: Lab) -> None:
    lab.campaign(method="bayesian", stop={"target": 0.9})
    front = changed(objectives=[{"output": "yield"}, {"output": "purity"}])
    assert refused(lab, front) == ["strategy.stop.target"]
    wish = {"method": "bayesian", "stop": {"target": {"yield": 0.9, "purity": 99}}}
    found = change(lab, front, strategy=wish)
    assert (found.campaign.problem_version, found.campaign.strategy_version) == (2, 2)
    assert [each.number for each in versions(lab) if each.kind == "strategy"] == [1, 2]
    again = change(lab, front, strategy=wish)
    assert (again.campaign.problem_version, again.campaign.strategy_version) == (2, 2)


def test_a_refused_edit_changes_nothing_at_all(lab: Lab) -> None:
    campaign = lab.campaign(method="design", initial=4, depth=4)
    staged = lab.suggest(campaign)
    lab.stage([WARM])
    bad = changed(temperature={"high": 30, "unit": "K"})
    assert refused(lab, bad) == ["parameters[0].unit"]
    assert {lab.state(each.id) for each in staged} == {State.STAGED}
    # The next one gets the number, and its own content.
    assert change(lab, changed(temperature={"high": 90})).campaign.problem_version == 2
    with pytest.raises(InvalidError, match="Nothing was staged"):
        lab.stage([WARM])


def test_no_point_left_is_no_edit(lab: Lab) -> None:
    lab.campaign()
    rules = [{"coefficients": {"temperature": 1.0}, "operator": ">=", "bound": 500}]
    assert refused(lab, changed(constraints=rules)) == ["problem.constraints"]


def test_a_training_is_due_for_the_new_problem(lab: Lab) -> None:
    campaign = lab.campaign(method="bayesian", initial=3, depth=3)
    for _ in range(3):
        lab.suggest(lab.known())
        lab.complete(lab.take())
    lab.number()
    assert lab.train(campaign) == 1
    assert lab.train(campaign) is None, "nothing new"
    change(lab, changed(objectives=[{"output": "yield", "goal": "minimize"}]))
    lab.number()
    lab.take()
    lab.learner.snapshots.clear()
    lab.suggest(lab.known())
    [snapshot] = lab.learner.snapshots
    assert snapshot.model is None, "that model knows another problem"
    assert lab.train(campaign) == 2
    with lab.store.begin() as tx:
        model = tx.models.latest(campaign.id)
    assert model is not None and model.problem_version == 2


def test_another_kind_of_model_is_trained_too(lab: Lab) -> None:
    campaign = lab.campaign(method="bayesian", initial=3, depth=3)
    for _ in range(3):
        lab.suggest(lab.known())
        lab.complete(lab.take())
    lab.number()
    assert lab.train(campaign) == 1
    wish = {**lab.known().strategy, "surrogate": "ensemble"}
    define.change_strategy(lab.store, "snar", wish, "", PERSON)
    lab.number()
    assert lab.train(campaign) == 2


def test_a_campaign_on_a_pool_keeps_its_pool_and_changes_its_goals(lab: Lab) -> None:
    table = Table(lambda: csv_rows(io.BytesIO(b"id,mass\na,1\nb,2\nc,3")))
    pools.upload(lab.store, FakeBlobs(), "library", table, PERSON)
    old = {"pool": "library", "outputs": [{"name": "yield"}], "objectives": [{"output": "yield"}]}
    before = lab.campaign(problem=old)
    staged = lab.stage([{"row": "a"}, {"row": "b"}])
    new = {**old, "objectives": [{"output": "yield", "goal": "minimize"}]}
    found = change(lab, new)
    assert (found.campaign.problem_version, found.superseded, found.outside) == (2, (), ())
    assert found.campaign.problem["pool"] == before.problem["pool"]
    assert [lab.state(each.id) for each in staged] == [State.STAGED] * 2
    with pytest.raises(InvalidError) as caught:
        change(lab, {**old, "pool": "another"})
    assert [each.field for each in caught.value.errors] == ["pool"]


def test_every_suggestion_can_be_computed_again_across_edits(lab: Lab) -> None:
    campaign = lab.campaign(method="bayesian", initial=2, depth=3)
    was = {"name": "ph", "kind": "fixed", "value": 7}
    ph = {"name": "ph", "kind": "continuous", "low": 1, "high": 14}
    made: list[int] = []
    for extra in ([], [was], [ph]):
        if extra:
            change(lab, changed(parameters=[*PROBLEM["parameters"], *extra]))
            lab.number()
        for _ in range(4):
            made += [each.suggestion_id or 0 for each in lab.suggest(lab.known())]
            done = lab.take()
            lab.complete(done)
            lab.report(done.experiment.id, {"yield": 0.75, "purity": 97.0})
            lab.number()
            lab.train(campaign)
    assert len(set(made)) > 6
    for suggestion in sorted(set(made)):
        stored, again = snapshots.replay(lab.store, lab.learner, suggestion)
        assert stored == again
