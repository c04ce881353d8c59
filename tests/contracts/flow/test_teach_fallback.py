"""teach: a learner that is silent, late or failing is stood in for, and asked again."""

from __future__ import annotations

import pytest
from flow_lab import Lab
from teaching_lab import Pupil, campaign, commands, measure, seat, staged

from labqueue.errors import LeaseLostError
from labqueue.states import State
from services.flow import teach
from services.flow.asking import FAILURES, REST, SILENT


def test_a_learner_that_never_came_is_stood_in_for_after_a_while(lab: Lab) -> None:
    mine = campaign(lab)
    assert lab.suggest(mine) == [] and commands(lab) == set(), "it may be on its way"
    lab.elapse(SILENT + 1)
    assert commands(lab) == {"suggest"}
    first, _ = lab.suggest(mine)
    assert first.reason.startswith("in place of the learner mine, which has not reported yet: number 1 of")


def test_silence_brings_the_fallback_and_the_learner_takes_over_again(lab: Lab) -> None:
    mine = campaign(lab, fallback="bayesian", depth=3, initial=1)
    pupil = Pupil(lab)
    lab.suggest(mine)
    pupil.suggest()
    measure(lab, 3)
    lab.elapse(SILENT + 1)
    assert commands(lab) == {"train", "suggest"}
    assert lab.train(mine) == 1
    own = lab.suggest(mine)
    assert len(own) == 3 and {each.model_version for each in own} == {1}
    assert all(each.reason.startswith("in place of the learner mine, silent for 21 s: ") for each in own)
    assert own[0].reason.endswith("the model expects the most of it")
    back = Pupil(lab, "p2")
    lesson = back.work("train")
    assert lesson.model is None, "a model of ours says nothing to it"
    assert back.learn(lesson) == 2
    new = back.give(back.work("suggest"))
    assert len(new) == 3 and {lab.state(each.id) for each in own} == {State.SUPERSEDED}
    assert commands(lab) == set()


def test_what_the_fallback_keeps_says_so_too(lab: Lab) -> None:
    mine = campaign(lab, fallback="bayesian", depth=3)
    Pupil(lab).suggest()
    measure(lab, 3)
    lab.elapse(SILENT + 1)
    lab.train(mine)
    first = lab.suggest(mine)
    measure(lab)
    lab.train(mine)
    lab.learner.order = [1, 0, None]
    lab.suggest(mine)
    now = staged(lab)
    assert {each.id for each in now} > {each.id for each in first[1:]}, "two of them are kept"
    assert {each.model_version for each in now} == {2}
    assert all(each.reason.startswith("in place of the learner mine, silent for 21 s: ") for each in now)


def test_what_the_fallback_expects_ends_nothing(lab: Lab) -> None:
    mine = campaign(lab, fallback="bayesian", depth=3, stop={"gain": 0.1})
    pupil = Pupil(lab)
    pupil.give(pupil.work("suggest"), gain=0.5)
    measure(lab, 3)
    lab.elapse(SILENT + 1)
    assert lab.train(mine) == 1
    lab.learner.gain = 0.001
    assert len(lab.suggest(mine)) == 3 and lab.known().state == "active"
    measure(lab, 3)
    back = Pupil(lab, "p2")
    assert len(back.give(back.work("suggest"), gain=0.5)) == 3
    back.learn(back.work("train"))
    measure(lab, 3)
    assert back.give(back.work("suggest"), gain=0.01) == []
    assert lab.known().reason.startswith("the best candidate is expected to improve the score by 0.01")


def test_a_design_that_was_run_is_not_the_fallback(lab: Lab) -> None:
    mine = campaign(lab, fallback="design", design="full_factorial", depth=12)
    Pupil(lab)
    assert len(lab.suggest(mine)) == 12, "two temperatures, two times, three solvents"
    assert lab.learner.snapshots[-1].strategy.design.kind == "full_factorial"
    measure(lab, 12)
    lab.elapse(SILENT + 1)
    assert len(lab.suggest(mine)) == 12
    assert lab.learner.snapshots[-1].strategy.design.kind == "auto", "which has no end"


def test_a_deadline_that_passes_brings_the_fallback_at_once(lab: Lab) -> None:
    mine = campaign(lab, deadline=5.0)
    pupil = Pupil(lab)
    work = pupil.work("suggest")
    lab.elapse(2)
    teach.renew(lab.store, "snar", work.lease)
    lab.elapse(2)
    assert commands(lab) == set() and lab.suggest(mine) == []
    lab.elapse(1.5)
    assert commands(lab) == {"suggest"}
    told = seat(lab)
    assert (told.failures, told.error) == (1, "did not answer within its deadline of 5 s")
    first, _ = lab.suggest(mine)
    words = "in place of the learner mine, which did not answer within its deadline of 5 s: "
    assert first.reason.startswith(words)
    lab.take()
    [next_one] = lab.suggest(mine)
    assert next_one.reason.startswith(words), "nothing was heard of it since"
    with pytest.raises(LeaseLostError):
        teach.renew(lab.store, "snar", work.lease)
    with pytest.raises(LeaseLostError):
        pupil.give(work)
    assert seat(lab).failures == 1 and len(lab.events("suggestion.failed")) == 1
    lab.take()
    assert lab.suggest(mine) == [], "it is there again, and asked"
    assert len(pupil.suggest()) == 1
    assert (seat(lab).failures, seat(lab).error) == (0, "")


def test_a_worker_ends_what_is_late_without_the_janitor(lab: Lab) -> None:
    mine = campaign(lab, deadline=5.0)
    pupil = Pupil(lab)
    work = pupil.work("suggest")
    lab.elapse(5.5)
    assert len(lab.suggest(mine)) == 2 and seat(lab).failures == 1
    with pytest.raises(LeaseLostError):
        pupil.give(work)


def test_a_process_that_asks_again_after_its_deadline_is_given_new_work(lab: Lab) -> None:
    campaign(lab, deadline=5.0)
    pupil = Pupil(lab)
    work = pupil.work("suggest")
    lab.elapse(5.5)
    again = pupil.work("suggest")
    assert again.lease != work.lease and seat(lab).failures == 1
    assert len(pupil.give(again)) == 2


def test_three_failures_bring_the_fallback_for_a_while(lab: Lab) -> None:
    mine = campaign(lab)
    pupil = Pupil(lab)
    for _ in range(FAILURES):
        assert lab.suggest(mine) == []
        pupil.fail(pupil.work("suggest"))
    why = "failed 3 times in a row (the last: ValueError: singular)"
    assert why in pupil.nothing()
    assert commands(lab) == {"suggest"}
    first, _ = lab.suggest(mine)
    assert why in first.reason
    lab.take()
    lab.elapse(REST + 1)
    assert len(pupil.suggest()) == 1, "it is asked again"
    assert seat(lab).failures == 0


def test_a_new_process_is_asked_at_once(lab: Lab) -> None:
    campaign(lab)
    pupil = Pupil(lab)
    for _ in range(FAILURES):
        pupil.fail(pupil.work("suggest"))
    teach.leave(lab.store, "snar", "p1")
    assert len(Pupil(lab, "p2").suggest()) == 2


def test_processes_that_die_of_the_question_one_after_the_other_are_failures_too(lab: Lab) -> None:
    mine = campaign(lab)
    for number in range(FAILURES + 1):
        pupil = Pupil(lab, f"p{number}")
        if number == FAILURES:
            assert "failed 3 times" in pupil.nothing()
        else:
            pupil.work("suggest")
            lab.elapse(SILENT + 1)
    assert len(lab.suggest(mine)) == 2


def test_so_are_those_that_miss_the_deadline_and_die(lab: Lab) -> None:
    campaign(lab, deadline=5.0)
    for number in range(FAILURES):
        Pupil(lab, f"p{number}").work("suggest")
        lab.elapse(5.5)
        commands(lab)
        lab.elapse(SILENT)
    assert "failed 3 times" in Pupil(lab, "last").nothing()


def test_what_suggesting_failed_with_is_told_until_a_suggestion_succeeds(lab: Lab) -> None:
    campaign(lab)
    first = Pupil(lab)
    first.fail(first.work("suggest"))
    teach.leave(lab.store, "snar", "p1")
    second = Pupil(lab, "p2")
    work = second.work("suggest")
    assert (seat(lab).failures, seat(lab).error) == (0, "ValueError: singular")
    second.give(work)
    assert seat(lab).error == ""


def test_a_training_that_takes_long_leaves_no_instrument_without_work(lab: Lab) -> None:
    mine = campaign(lab, deadline=30.0)
    pupil = Pupil(lab)
    pupil.suggest()
    measure(lab)
    work = pupil.work("train")
    for _ in range(4):
        lab.elapse(10)
        teach.renew(lab.store, "snar", work.lease)
    assert lab.suggest(mine) == [], "one is staged"
    lab.take()
    first, *_ = lab.suggest(mine)
    assert "still training after 4" in first.reason
    assert pupil.learn(work) == 1


def test_models_of_both_kinds_stand_side_by_side(lab: Lab) -> None:
    """Ours trains when it stands in, whatever the learner has seen, and the other way round."""
    mine = campaign(lab, fallback="bayesian", depth=3)
    pupil = Pupil(lab)
    pupil.suggest()
    measure(lab, 3)
    pupil.suggest()
    assert pupil.learn(pupil.work("train")) == 1
    lab.elapse(SILENT + 1)
    assert lab.train(mine) == 2, "the learner's state is of no use to us"
    assert lab.train(mine) is None
    back = Pupil(lab, "p2")
    assert [each.model_version for each in back.suggest()] == [] or back.nothing()
