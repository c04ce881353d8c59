"""train: one at a time, fenced, and never in the way."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from fake_faults import Killed, killed
from flow_lab import PERSON, Lab, point

from labqueue.errors import LabqueueError
from models.domain import records as r
from services.flow import amend, steer, train
from services.flow.due import Command, due
from services.flow.planning import DEATHS


def with_results(lab: Lab, count: int = 3) -> r.Campaign:
    """A campaign whose queue is kept by nobody, with so many results, numbered."""
    campaign = lab.campaign(method="bayesian", depth=1, initial=1)
    for number in range(count):
        lab.report(lab.stage([point(number)])[0].id, {"yield": number / 10, "purity": 1.0})
    lab.number()
    return campaign


def test_a_model_says_what_it_saw(lab: Lab) -> None:
    campaign = with_results(lab)
    assert lab.train(campaign) == 1
    known = lab.known()
    assert (known.model_version, known.model_revision, known.model_accepted) == (1, known.data_revision, 3)
    with lab.store.begin() as tx:
        model = tx.models.latest(campaign.id)
    assert model is not None
    assert (model.rows, model.accepted, model.device, model.versions) == (3, 3, "cpu", {"fake": "1"})
    trained = lab.events("model.trained")[0]
    assert trained.data["version"] == 1 and trained.actor == "trainer"


def test_nothing_new_is_nothing_to_do(lab: Lab) -> None:
    campaign = with_results(lab)
    lab.train(campaign)
    assert lab.train(campaign) is None
    assert lab.learner.fits == 1


def test_a_few_results_are_no_reason_yet(lab: Lab) -> None:
    campaign = with_results(lab, 2)
    assert lab.train(campaign) is None and lab.learner.fits == 0
    lab.report(lab.stage_one().id, {}, outcome="suspect")
    lab.number()
    assert lab.train(campaign) is None, "a suspect one teaches nothing"


@pytest.mark.parametrize("method", ["design", "caller"])
def test_other_methods_need_no_model(lab: Lab, method: str) -> None:
    campaign = lab.campaign(method=method)
    for _ in range(4):
        lab.report(lab.stage_one().id)
    lab.number()
    assert lab.train(campaign) is None


def test_one_training_at_a_time(lab: Lab) -> None:
    campaign = with_results(lab)
    second: list[int | None] = []
    lab.learner.meanwhile = lambda: second.append(lab.train(campaign, "trainer-2"))
    assert lab.train(campaign) == 1
    assert second == [None] and lab.learner.fits == 1


def test_what_arrives_meanwhile_is_one_more_run(lab: Lab) -> None:
    campaign = with_results(lab)

    def three_more() -> None:
        for _ in range(3):
            lab.report(lab.stage_one().id)
        lab.number()

    lab.learner.meanwhile = three_more
    assert lab.train(campaign) == 1
    assert lab.train(campaign) == 2
    assert lab.train(campaign) is None
    with lab.store.begin() as tx:
        assert [each.rows for each in tx.models.all(campaign.id)] == [3, 6]


def test_the_lease_goes_on_while_the_training_does(lab: Lab) -> None:
    campaign = with_results(lab)
    renewed: list[bool] = []

    @contextmanager
    def keeping(renew):
        lab.elapse(train.LEASE - 1)
        renewed.append(renew())
        lab.elapse(train.LEASE - 1)
        assert train.train(lab.store, lab.learner, campaign.id, "trainer-2") is None
        yield

    assert train.train(lab.store, lab.learner, campaign.id, "trainer-1", keeping) == 1
    assert renewed == [True]


def test_what_a_stale_holder_brings_is_refused(lab: Lab) -> None:
    campaign = with_results(lab)

    def overtaken() -> None:
        lab.elapse(train.LEASE + 1)
        assert lab.train(campaign, "trainer-2") == 1

    lab.learner.meanwhile = overtaken
    assert lab.train(campaign, "trainer-1") is None
    with lab.store.begin() as tx:
        assert [each.version for each in tx.models.all(campaign.id)] == [1]
    assert lab.job(campaign, "train").holder == ""


@pytest.mark.parametrize("fault", [ValueError("singular"), LabqueueError("odd"), MemoryError()])
def test_a_failed_training_keeps_the_last_good_model_and_says_why(lab: Lab, fault: Exception) -> None:
    campaign = with_results(lab)
    lab.train(campaign)
    lab.report(lab.stage_one().id)
    lab.number()

    def fails() -> None:
        raise fault

    lab.learner.meanwhile = fails
    assert lab.train(campaign) is None
    assert lab.known().model_version == 1
    assert str(fault) in lab.job(campaign, "train").error
    assert str(fault) in lab.events("model.failed")[0].data["reason"]
    assert lab.train(campaign) is None, "the same data would fail again"
    with lab.store.begin() as tx:
        model = tx.models.get(campaign.id, 1)
    assert model is not None
    lab.suggest(campaign)
    assert lab.learner.snapshots[-1].model == model.state, "suggestions go on from the last good one"
    lab.report(lab.stage_one().id)
    lab.number()
    assert lab.train(campaign) == 2, "new data is a new try"
    assert lab.job(campaign, "train").error == ""


def test_a_worker_that_dies_is_followed_and_three_deaths_are_enough(lab: Lab) -> None:
    campaign = with_results(lab)
    for death in range(DEATHS):
        lab.learner.meanwhile = killed
        with pytest.raises(Killed):
            lab.train(campaign, f"trainer-{death}")
        assert lab.train(campaign, "impatient") is None, "its lease lives on for a while"
        lab.elapse(train.LEASE + 1)
    fits = lab.learner.fits
    assert lab.train(campaign) is None and lab.learner.fits == fits
    assert "ended its worker 3 times" in lab.events("model.failed")[0].data["reason"]
    assert Command("train", campaign.id) not in due(lab.store)
    lab.report(lab.stage_one().id)
    lab.number()
    assert lab.train(campaign) == 1, "new data is a new try"


def test_two_deaths_and_a_success_are_forgotten(lab: Lab) -> None:
    campaign = with_results(lab)
    for _ in range(2):
        lab.learner.meanwhile = killed
        with pytest.raises(Killed):
            lab.train(campaign)
        lab.elapse(train.LEASE + 1)
    assert lab.train(campaign) == 1
    assert lab.job(campaign, "train").deaths == 0


def test_a_model_that_is_too_large_is_refused(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = with_results(lab)
    monkeypatch.setattr(train, "STATE_LIMIT", 8)
    assert lab.train(campaign) is None
    assert "larger than 8 bytes" in lab.job(campaign, "train").error


def test_a_withdrawn_result_is_unlearnt(lab: Lab) -> None:
    campaign = with_results(lab, 4)
    lab.train(campaign)
    amend.withdraw(lab.store, lab.results(1)[0].id, lab.ids.uuid(), "wrong vial", PERSON)
    lab.number()
    assert lab.train(campaign) == 2
    with lab.store.begin() as tx:
        assert [each.rows for each in tx.models.all(campaign.id)] == [4, 3]


def test_a_finished_campaign_is_not_trained(lab: Lab) -> None:
    campaign = with_results(lab)
    steer.finish_campaign(lab.store, "snar", "", PERSON)
    assert lab.train(campaign) is None
