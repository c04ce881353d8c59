"""One adapter, one experiment at a time: a campaign repeats point for point, whatever faults happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fake_faults import Killed, killed
from flow_lab import PERSON, Lab, point

from labqueue.states import State
from models.domain import records as r
from services.flow import report, review, stop, suggest, train
from services.flow.claim import Assignment

STEPS = 9


def measured(planned: Any) -> dict[str, float]:
    return {"yield": planned["temperature"] / 120 - planned["minutes"] / 600, "purity": 99.0}


class Campaign:
    """A sequential campaign with its own queue and instrument, and what goes wrong in which step."""

    def __init__(self, lab: Lab, name: str, faults: dict[int, Callable[[Campaign], None]]) -> None:
        self.lab, self.name, self.faults = lab, name, faults
        self.instrument = f"robot-{name}"
        lab.queue(name, on_lost="requeue", max_attempts=5)
        self.row: r.Campaign = lab.campaign(
            name, queue=name, method="bayesian", mode="sequential", initial=3, stop={"budget": STEPS}
        )

    def take(self) -> Assignment:
        return self.lab.take(self.instrument, queue=self.name)

    def learn(self) -> None:
        self.lab.number()
        self.lab.train(self.row)
        self.lab.suggest(self.row)

    def run(self) -> list[tuple[Any, Any]]:
        for step in range(STEPS):
            if step in self.faults:
                self.faults[step](self)
            self.learn()
            held = self.take()
            self.lab.complete(held, measured(held.experiment.planned))
        self.lab.number()
        assert stop.check(self.lab.store, self.row.id) == f"budget of {STEPS} experiments spent"
        return [(each.parameters, each.outputs) for each in self.lab.training(self.name)]


# What can go wrong before a step. Each leaves the campaign as it found it, or one experiment further.


def lost_lease(campaign: Campaign) -> None:
    campaign.learn()
    campaign.lab.lose(campaign.take())


def failed_run(campaign: Campaign) -> None:
    campaign.learn()
    campaign.lab.fail(campaign.take().lease)


def late_and_doubled(campaign: Campaign) -> None:
    """The first holder is thought lost, a second one takes over, both bring the result, the first one twice."""
    campaign.learn()
    lab, first = campaign.lab, campaign.take()
    lab.lose(first)
    second = campaign.take()
    given = lab.result(first.experiment.id, measured(first.experiment.planned), lease=first.lease)
    for _ in range(2):
        report.report(lab.store, lab.ids, [given], "adapter:robot")
    lab.complete(second, measured(first.experiment.planned))


def killed_trainer(campaign: Campaign) -> None:
    campaign.lab.number()
    campaign.lab.learner.meanwhile = killed
    with pytest.raises(Killed):
        campaign.lab.train(campaign.row)
    assert campaign.lab.suggest(campaign.row) == [], "what was measured is to be learnt first"
    campaign.lab.elapse(train.LEASE + 1)


def killed_suggester(campaign: Campaign) -> None:
    campaign.lab.number()
    campaign.lab.train(campaign.row)
    campaign.lab.learner.meanwhile = killed
    with pytest.raises(Killed):
        campaign.lab.suggest(campaign.row)
    campaign.lab.elapse(suggest.LEASE + 1)


def impatient(campaign: Campaign) -> None:
    """Commands come too early, doubled and out of order."""
    lab = campaign.lab
    assert lab.suggest(campaign.row) == [], "the last result has no number yet"
    lab.train(campaign.row)
    lab.number()
    for _ in range(3):
        lab.suggest(campaign.row)
        lab.train(campaign.row)
        lab.suggest(campaign.row, "suggester-2")


def outage(campaign: Campaign) -> None:
    campaign.learn()
    held = campaign.take()
    campaign.lab.outage(600)
    campaign.lab.elapse(0)
    assert campaign.lab.beat(held.lease, campaign.instrument).state == "live"
    campaign.lab.fail(held.lease)


FAULTS: dict[int, Callable[[Campaign], None]] = {
    1: lost_lease,
    2: failed_run,
    4: killed_trainer,
    5: killed_suggester,
    6: impatient,
    7: outage,
}


def test_a_campaign_repeats_point_for_point_under_faults(lab: Lab) -> None:
    calm = Campaign(lab, "calm", {}).run()
    rough = Campaign(lab, "rough", FAULTS).run()
    assert len(calm) == STEPS
    assert rough == calm
    assert len(lab.events("experiment.lost")) == 1
    assert len(lab.events("experiment.attempt_failed")) == 2


def test_doubled_and_late_results_change_no_point(lab: Lab) -> None:
    calm, rough = Campaign(lab, "calm", {}), Campaign(lab, "rough", {})
    for _ in range(4):
        calm.learn()
        held = calm.take()
        lab.complete(held, measured(held.experiment.planned))
        late_and_doubled(rough)
    calm.learn()
    rough.learn()
    assert calm.take().experiment.planned == rough.take().experiment.planned
    verdicts = [each.data["verdict"] for each in lab.events("experiment.result")]
    assert verdicts.count("accepted") == 8 and verdicts.count("replicate") == 4


def test_the_next_one_waits_for_a_held_one(lab: Lab) -> None:
    campaign = lab.campaign(method="design", mode="sequential")
    lab.suggest(campaign)
    held = lab.take()
    lab.lose(held)
    assert lab.suggest(campaign) == [], "a person decides first: the result may change what comes next"
    review.run_again(lab.store, held.experiment.id, "", PERSON)
    assert lab.suggest(campaign) == []
    lab.complete(lab.take("nmr"))
    lab.number()
    assert len(lab.suggest(campaign)) == 1


def test_what_teaches_nothing_holds_nothing_up(lab: Lab) -> None:
    campaign = lab.campaign(method="design", mode="sequential")
    lab.suggest(campaign)
    held = lab.take()
    lab.report(held.experiment.id, {}, outcome="suspect", lease=held.lease)
    lab.number()
    assert len(lab.suggest(campaign)) == 1


def test_one_at_a_time_whatever_the_depth(lab: Lab) -> None:
    campaign = lab.campaign(method="design", mode="sequential", depth=9)
    assert len(lab.suggest(campaign)) == 1
    assert lab.suggest(campaign) == []
    lab.stage([point(1)])
    assert lab.states() == {State.STAGED: 2}
