"""Campaigns for which a learner of the user's own chooses, and that learner's process, as its program would be."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from flow_lab import Lab, point

from labqueue.states import State
from models.domain import records as r
from services.flow import due, taught, teach

NAME = "mine"


def campaign(lab: Lab, **more: Any) -> r.Campaign:
    """One whose learner begins from nothing."""
    strategy = {"initial": 0, "depth": 2, "fallback": "design", **more}
    return lab.campaign(method="learner", learner=NAME, **strategy)


class Pupil:
    def __init__(self, lab: Lab, holder: str = "p1", *, trains: bool = True, name: str = "") -> None:
        self.lab, self.luck = lab, random.Random(holder)
        self.visit = teach.Visit("snar", holder, name, trains, {"own": "1.0"})

    def ask(self, *, sat: bool = False) -> teach.Work | str:
        """Work, or why there is none."""
        found = teach.ask(self.lab.store, replace(self.visit, sat=sat))
        return found.why if isinstance(found, teach.Idle) else found

    def work(self, kind: str) -> teach.Work:
        work = self.ask()
        assert isinstance(work, teach.Work), work
        assert work.job.kind == kind
        return work

    def nothing(self) -> str:
        why = self.ask()
        assert isinstance(why, str), why
        return why

    def answer(self, work: teach.Work) -> taught.Answer:
        return taught.Answer("snar", work.lease, self.visit.holder, self.visit.versions)

    def learn(self, work: teach.Work, state: bytes = b"state", metrics: Any = None) -> int:
        return taught.keep_state(
            self.lab.store, self.answer(work), state, metrics or {"rmse": {"yield": 0.1}}
        )

    def give(self, work: teach.Work, candidates: Any = ..., gain: Any = None) -> list[r.Experiment]:
        if candidates is ...:
            candidates = [self.candidate() for _ in range(work.job.work["count"])]
        staged = taught.keep_candidates(self.lab.store, self.lab.ids, self.answer(work), candidates, gain)
        return [self.lab.experiment(each) for each in staged]

    def candidate(self, **more: Any) -> dict[str, Any]:
        return {"parameters": point(self.luck.randrange(5000)), **more}

    def fail(self, work: teach.Work, reason: str = "ValueError: singular") -> None:
        teach.fail(self.lab.store, "snar", work.lease, reason)

    def suggest(self) -> list[r.Experiment]:
        return self.give(self.work("suggest"))


def seat(lab: Lab) -> r.Seat:
    known = lab.known()
    with lab.store.begin() as tx:
        found = tx.seats.get(known.id)
    assert found is not None
    return found


def commands(lab: Lab) -> set[str]:
    return {each.name for each in due.due(lab.store)}


def measure(lab: Lab, count: int = 1) -> None:
    for _ in range(count):
        lab.complete(lab.take())
    lab.number()


def staged(lab: Lab) -> list[r.Experiment]:
    known = lab.known()
    with lab.store.begin() as tx:
        return tx.experiments.of_campaign(known.id, (State.STAGED,))
