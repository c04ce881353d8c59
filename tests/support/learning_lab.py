"""Campaigns that learn, on a lab's store: a first model, one more result, what is staged."""

from __future__ import annotations

from typing import Any

from flow_lab import Lab, point

from labqueue.states import State
from models.domain import records as r


def value(planned: Any) -> dict[str, float]:
    """What the fake laboratory measures at a point."""
    return {"yield": planned["temperature"] / 120 - planned["minutes"] / 600, "purity": 99.0}


def run_all(lab: Lab) -> None:
    """Everything that is staged is run."""
    for each in lab.claim(max=100).assignments:
        lab.complete(each, value(each.experiment.planned))
    lab.number()


def modelled(lab: Lab, depth: int | None = 3, **strategy: Any) -> tuple[r.Campaign, list[r.Experiment]]:
    """A campaign with a first model and its candidates staged."""
    campaign = lab.campaign(method="bayesian", initial=3, depth=depth, **strategy)
    if depth is not None and depth < 3:
        for number in range(3):
            lab.report(lab.stage([point(number)])[0].id, {"yield": 0.1, "purity": 1.0})
        lab.number()
    else:
        lab.suggest(campaign)
        run_all(lab)
    assert lab.train(campaign) == 1
    return campaign, lab.suggest(campaign)


def relearn(lab: Lab, campaign: r.Campaign) -> int | None:
    """One more result, from elsewhere, and a newer model."""
    lab.report(lab.stage([point(4000)])[0].id, {"yield": 0.2, "purity": 1.0})
    lab.number()
    return lab.train(campaign)


def staged(lab: Lab) -> list[r.Experiment]:
    with lab.store.begin() as tx:
        found = tx.campaigns.get("snar")
        assert found is not None
        return tx.experiments.of_campaign(found.id, (State.STAGED,))
