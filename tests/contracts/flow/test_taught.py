"""taught: what a learner answers is judged as ours is, and kept; what cannot be used is its failure."""

from __future__ import annotations

from typing import Any

import pytest
from flow_lab import PERSON, Lab, point
from teaching_lab import NAME, Pupil, campaign, measure, seat

from labqueue.errors import ConflictError, InvalidError, TooLargeError
from services.flow import define, suggest
from services.flow.asking import REST
from services.flow.snapshots import replay
from services.flow.train import STATE_LIMIT

BAD: list[tuple[str, Any, str]] = [
    (
        "outside",
        [{"parameters": {**point(1), "temperature": 120.5}}],
        "temperature: is outside 20 to 120 degC",
    ),
    ("not a number", [{"parameters": {**point(1), "temperature": "NaN"}}], "is not a finite number"),
    ("truth value", [{"parameters": {**point(1), "minutes": True}}], "is not a whole number"),
    ("fraction", [{"parameters": {**point(1), "minutes": 1.5}}], "is not a whole number"),
    ("category", [{"parameters": {**point(1), "solvent": "watr"}}], "Did you mean water?"),
    ("missing", [{"parameters": {"temperature": 30.0}}], "minutes: is missing"),
    ("unknown", [{"parameters": {**point(1), "pressure": 1}}], "is no parameter of this problem"),
    ("no object", [7], "must be an object"),
    ("list point", [{"parameters": [1, 2]}], "must be an object"),
    ("no list", {"parameters": point(1)}, "must be a list"),
    ("nothing", None, "must be a list"),
    ("too few", [], "are 0, and 1 were asked for"),
    ("too many", [{"parameters": point(1)}, {"parameters": point(2)}], "are 2, and 1 were asked for"),
    ("sd", [{"parameters": point(1), "expected": {"yield": {"mean": 1, "sd": -1}}}], "sd not negative"),
    ("mean", [{"parameters": point(1), "expected": {"yield": [1, 2]}}], "sd not negative"),
    ("output", [{"parameters": point(1), "expected": {"yeild": {"mean": 1, "sd": 1}}}], "is no output"),
    ("reason", [{"parameters": point(1), "reason": "x" * 3000}], "text of at most 2000"),
]


@pytest.mark.parametrize(("answer", "why"), [each[1:] for each in BAD], ids=[each[0] for each in BAD])
def test_an_answer_that_cannot_be_used_is_refused_and_the_reason_kept(
    lab: Lab, answer: Any, why: str
) -> None:
    mine = campaign(lab, depth=1)
    pupil = Pupil(lab)
    work = pupil.work("suggest")
    with pytest.raises(InvalidError, match="cannot be run") as caught:
        pupil.give(work, answer)
    assert why in str(caught.value)
    assert lab.states() == {} and why in lab.job(mine, "suggest").error
    [event] = lab.events("suggestion.failed")
    assert event.actor == "learner:mine" and why in event.data["reason"]
    assert seat(lab).failures == 1 and why in seat(lab).error
    with pytest.raises(InvalidError, match="cannot be run"):
        pupil.give(pupil.work("suggest"), answer)
    assert seat(lab).failures == 2 and len(lab.events("suggestion.failed")) == 1, "the same is not said again"
    assert len(pupil.suggest()) == 1, "it is asked again"
    assert seat(lab).failures == 0 and lab.job(mine, "suggest").error == ""


def test_points_in_flight_or_measured_are_not_chosen_again_unless_allowed(lab: Lab) -> None:
    campaign(lab)
    pupil = Pupil(lab)
    pupil.suggest()
    run = lab.take()
    assert run.experiment.planned is not None
    really = {"temperature": float(run.experiment.planned["temperature"]) + 0.25}
    lab.report(run.experiment.id, lease=run.lease, actual=really)
    lab.number()
    flying = lab.take().experiment.planned
    [row] = lab.training()
    assert row.parameters == {**row.planned, **really} != row.planned == run.experiment.planned
    for chosen, why in (
        ([flying, point(1)], "in flight"),
        ([point(1), row.planned], "measured"),
        ([point(1), point(1)], "repeats candidates[0]"),
    ):
        with pytest.raises(InvalidError) as caught:
            pupil.give(pupil.work("suggest"), [{"parameters": each} for each in chosen])
        assert why in str(caught.value) and "replicates" in str(caught.value)
    lab.elapse(REST + 1)
    strategy = {**lab.known().strategy, "replicates": True}
    define.change_strategy(lab.store, "snar", strategy, "", PERSON)
    work = pupil.work("suggest")
    assert len(pupil.give(work, [{"parameters": each} for each in (flying, flying)])) == 2


def test_candidates_are_written_in_the_problems_own_types(lab: Lab) -> None:
    campaign(lab, depth=1)
    pupil = Pupil(lab)
    given = {"solvent": "water", "minutes": 3.0, "temperature": 40}
    [one] = pupil.give(pupil.work("suggest"), [{"parameters": given}])
    assert one.planned == {"temperature": 40.0, "minutes": 3, "solvent": "water"}
    assert isinstance(one.planned["minutes"], int)


def test_a_state_that_is_too_large_is_refused(lab: Lab) -> None:
    mine = campaign(lab)
    pupil = Pupil(lab)
    pupil.suggest()
    measure(lab)
    with pytest.raises(TooLargeError, match="are allowed"):
        pupil.learn(pupil.work("train"), b"x" * (STATE_LIMIT + 1))
    assert "are allowed" in lab.job(mine, "train").error
    assert lab.known().model_version == 0


def test_a_failed_training_is_kept_and_suggesting_goes_on(lab: Lab) -> None:
    mine = campaign(lab)
    pupil = Pupil(lab)
    pupil.suggest()
    measure(lab)
    pupil.fail(pupil.work("train"), "RuntimeError: no descent")
    assert lab.job(mine, "train").error == "RuntimeError: no descent"
    assert seat(lab).failures == 0
    assert len(pupil.suggest()) == 1, "the same data would fail again, so it is not asked to train"
    measure(lab)
    pupil.learn(pupil.work("train"))
    assert lab.job(mine, "train").error == ""


def test_versions_are_those_of_the_learner_and_count_on(lab: Lab) -> None:
    mine = campaign(lab)
    pupil = Pupil(lab)
    pupil.suggest()
    for version in (1, 2):
        measure(lab)
        assert pupil.learn(pupil.work("train"), f"state {version}".encode()) == version
        pupil.suggest()
    with lab.store.begin() as tx:
        first, second = tx.models.all(mine.id)
        newest = tx.models.latest(mine.id, NAME)
        assert tx.models.latest(mine.id) is None, "none is ours"
    assert (first.rows, second.rows) == (1, 2)
    assert newest is not None and newest.state == b"state 2"
    assert second.versions == {"own": "1.0", "learner": NAME} and second.metrics == {"rmse": {"yield": 0.1}}


def test_another_definition_of_the_problem_is_learnt_anew(lab: Lab) -> None:
    campaign(lab)
    pupil = Pupil(lab)
    pupil.suggest()
    measure(lab)
    pupil.learn(pupil.work("train"))
    pupil.suggest()
    with lab.store.begin() as tx:
        found = tx.campaigns.lock("snar")
        assert found is not None
        tx.campaigns.add_version(found.id, "problem", 2, found.problem, PERSON, "")
        tx.campaigns.save(suggest.replace(found, problem_version=2))
    work = pupil.work("train")
    assert work.job.work["problem_version"] == 2 and work.model is not None, "the old state is a start"
    assert pupil.learn(work) == 2
    assert pupil.work("suggest").model is not None


def test_a_learners_choice_is_not_computed_again_by_us(lab: Lab) -> None:
    campaign(lab)
    Pupil(lab).suggest()
    with pytest.raises(ConflictError, match="learner mine"):
        replay(lab.store, lab.learner, 1)


# Gain


def test_what_the_first_candidate_is_expected_to_bring_is_kept_with_the_suggestion(lab: Lab) -> None:
    mine = campaign(lab, depth=1)
    pupil = Pupil(lab)
    for gain in (None, 0, 0.25):
        pupil.give(pupil.work("suggest"), gain=gain)
        lab.take()
    with lab.store.begin() as tx:
        kept = [each.gain for each in tx.suggestions.recent(mine.id, 3)]
    assert kept == [0.25, 0.0, None]


@pytest.mark.parametrize("gain", [-0.001, float("nan"), float("inf"), 10**400, "0.5", True, [1.0], {}])
def test_a_gain_that_is_none_is_refused_beside_every_other_fault(lab: Lab, gain: Any) -> None:
    campaign(lab, depth=1)
    pupil = Pupil(lab)
    with pytest.raises(InvalidError) as caught:
        pupil.give(pupil.work("suggest"), [7], gain=gain)
    assert "gain: must be a finite number, 0 or more" in str(caught.value)
    assert [each.field for each in caught.value.errors] == ["gain", "candidates[0].parameters"]
    assert "gain" in seat(lab).error and lab.states() == {}


@pytest.mark.parametrize("trains", [True, False])
@pytest.mark.parametrize("fallback", ["design", "bayesian"])
def test_a_small_gain_of_the_learners_ends_its_campaign(lab: Lab, trains: bool, fallback: str) -> None:
    campaign(lab, mode="sequential", stop={"gain": 0.1}, fallback=fallback)
    pupil = Pupil(lab, trains=trains)
    for gain in (None, 0.5, 0.1):
        pupil.give(pupil.work("suggest"), gain=gain)
        measure(lab)
        if trains:
            pupil.learn(pupil.work("train"))
        assert lab.known().state == "active"
    assert pupil.give(pupil.work("suggest"), gain=0.09) == []
    known = lab.known()
    assert known.state == "finished"
    assert known.reason == "the best candidate is expected to improve the score by 0.09, less than 0.1"


def test_a_learner_that_says_no_gain_goes_on(lab: Lab) -> None:
    campaign(lab, mode="sequential", stop={"gain": 0.1})
    pupil = Pupil(lab)
    for _ in range(3):
        pupil.suggest()
        measure(lab)
        pupil.learn(pupil.work("train"))
    assert lab.known().state == "active"
