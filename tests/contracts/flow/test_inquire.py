"""inquire: a question that needs a model is answered once, or expires and says so."""

from __future__ import annotations

from typing import Any

import pytest
from fake_faults import Killed, killed
from flow_lab import PERSON, Lab, point

from labqueue.errors import ConflictError, InvalidError, NotFoundError
from models.domain import records as r
from services.flow import inquire
from services.flow.due import Command, due


def ask(lab: Lab, kind: str = "suggest", **request: Any) -> r.Inquiry:
    return inquire.ask(lab.store, lab.ids, "snar", kind, request, PERSON)


def modelled(lab: Lab) -> r.Campaign:
    campaign = lab.campaign(method="bayesian", initial=3, depth=1)
    for number in range(3):
        lab.report(lab.stage([point(number)])[0].id)
    lab.number()
    lab.train(campaign)
    return campaign


def test_what_would_be_suggested_now_is_staged_by_nobody(lab: Lab) -> None:
    modelled(lab)
    before = lab.states()
    asked = ask(lab, count=2)
    done = inquire.answer(lab.store, lab.learner, asked.id)
    assert done.state == "answered" and len(done.answer["candidates"]) == 2
    assert done.answer["model_version"] == 1
    assert lab.states() == before and lab.known().next_suggestion == 1


def test_another_goal_and_another_strategy_may_be_asked_for(lab: Lab) -> None:
    campaign = modelled(lab)
    objectives = [{"output": "yield", "goal": "minimize"}]
    ask_ = ask(lab, strategy={"acquisition": "ucb", "beta": 9.0}, problem={"objectives": objectives})
    inquire.answer(lab.store, lab.learner, ask_.id)
    seen = lab.learner.snapshots[-1]
    assert [each.acquisition for each in seen.strategy.acquisition] == ["ucb"] and seen.strategy.beta == 9.0
    assert [(each.output, each.goal) for each in seen.problem.objectives] == [("yield", "minimize")]
    assert seen.model is not None and len(seen.rows) == 3
    assert lab.known().problem == campaign.problem and lab.known().strategy == campaign.strategy


def test_with_a_seed_nothing_is_known_and_nothing_in_flight(lab: Lab) -> None:
    modelled(lab)
    lab.stage([point(7)])
    inquire.answer(lab.store, lab.learner, ask(lab, strategy={"method": "design"}, seed=5, count=300).id)
    seen = lab.learner.snapshots[-1]
    assert (seen.seed, seen.rows, seen.pending, seen.drawn, seen.model) == (5, (), (), 0, None)
    assert (seen.strategy.method, seen.count) == ("design", 300)


def test_a_prediction_has_a_mean_and_a_spread_for_each_output(lab: Lab) -> None:
    modelled(lab)
    asked = ask(lab, "predict", points=[point(1), point(2)])
    done = inquire.answer(lab.store, lab.learner, asked.id)
    assert [set(each) for each in done.answer["predictions"]] == [{"yield", "purity"}] * 2
    assert set(done.answer["predictions"][0]["yield"]) == {"mean", "sd"}


def test_without_a_model_it_says_what_is_missing(lab: Lab) -> None:
    lab.campaign(method="bayesian")
    done = inquire.answer(lab.store, lab.learner, ask(lab, "predict", points=[point(1)]).id)
    assert done.state == "failed" and "needs a few results first" in done.message


def test_a_doubled_command_answers_once(lab: Lab) -> None:
    modelled(lab)
    asked = ask(lab)
    seen = len(lab.learner.snapshots)
    second: list[r.Inquiry] = []
    lab.learner.meanwhile = lambda: second.append(inquire.answer(lab.store, lab.learner, asked.id))
    first = inquire.answer(lab.store, lab.learner, asked.id)
    assert second[0].state == "running"
    assert inquire.answer(lab.store, lab.learner, asked.id).answer == first.answer
    assert len(lab.learner.snapshots) == seen + 1


def test_a_learner_that_fails_is_an_answer(lab: Lab) -> None:
    modelled(lab)

    def fails() -> None:
        raise ValueError("singular")

    lab.learner.meanwhile = fails
    assert inquire.answer(lab.store, lab.learner, ask(lab).id).message == "ValueError: singular"


def test_a_question_that_nobody_answers_expires(lab: Lab) -> None:
    modelled(lab)
    forgotten, dropped = ask(lab), ask(lab)
    lab.learner.meanwhile = killed
    with pytest.raises(Killed):
        inquire.answer(lab.store, lab.learner, dropped.id)
    assert inquire.expire_inquiries(lab.store) == []
    lab.elapse(inquire.SECONDS + 1)
    expired = inquire.expire_inquiries(lab.store)
    assert {each.id for each in expired} == {forgotten.id, dropped.id}
    assert {each.state for each in expired} == {"expired"}
    assert "Is a suggester running?" in expired[0].message
    assert inquire.expire_inquiries(lab.store) == []


def test_an_answer_that_comes_after_the_deadline_is_not_kept(lab: Lab) -> None:
    modelled(lab)
    asked = ask(lab)

    def too_long() -> None:
        lab.elapse(inquire.SECONDS + 1)
        inquire.expire_inquiries(lab.store)

    lab.learner.meanwhile = too_long
    assert inquire.answer(lab.store, lab.learner, asked.id).state == "expired"


def test_a_question_is_due_until_a_worker_takes_it(lab: Lab) -> None:
    modelled(lab)
    asked = ask(lab)
    command = Command("inquire", str(asked.id))
    assert command in due(lab.store)
    assert command not in due(lab.store), "just issued"
    lab.elapse(6)
    assert command in due(lab.store), "lost on the way: issued again"
    inquire.answer(lab.store, lab.learner, asked.id)
    lab.elapse(6)
    assert command not in due(lab.store)


@pytest.mark.parametrize(
    ("kind", "request_", "field"),
    [
        ("suggest", {"count": 0}, "count"),
        ("suggest", {"count": 101}, "count"),
        ("suggest", {"seed": -1}, "seed"),
        ("suggest", {"strategy": "ucb"}, "strategy"),
        ("suggest", {"strategy": {"acquisition": "guess"}}, "strategy.acquisition"),
        ("suggest", {"problem": {"objectives": [{"output": "colour"}]}}, "objectives[0].output"),
        ("suggest", {"count": True}, "count"),
        ("predict", {"points": []}, "points"),
        ("predict", {}, "points"),
        ("predict", {"points": 5}, "points"),
        ("predict", {"points": [{**point(1), "temperature": 500}]}, "points[0].temperature"),
        ("prophesy", {}, "kind"),
    ],
)
def test_a_question_that_makes_no_sense(lab: Lab, kind: str, request_: dict[str, Any], field: str) -> None:
    modelled(lab)
    with pytest.raises(InvalidError) as caught:
        ask(lab, kind, **request_)
    assert [each.field for each in caught.value.errors] == [field]


def test_nobody_knows_about_opaque_items_and_unknown_questions(lab: Lab) -> None:
    lab.campaign(problem={"opaque": True, "outputs": [{"name": "y"}]})
    with pytest.raises(ConflictError, match="opaque"):
        ask(lab)
    with pytest.raises(NotFoundError):
        inquire.answer(lab.store, lab.learner, lab.ids.uuid())
