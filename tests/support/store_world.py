"""A store under test together with a way to let time pass, and records to fill it with."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any, Protocol
from uuid import UUID

from fake_store import FakeClock, FakeIds, FakeStore
from sqlalchemy import TIMESTAMP

from labqueue.states import Outcome, State, Verdict
from models.domain import records as r
from models.tables import METADATA
from services.ports import Store, Transaction
from services.store.postgres import PostgresStore


class World(Protocol):
    @property
    def store(self) -> Store: ...
    def advance(self, seconds: float) -> None:
        """Lets so much time pass."""


class FakeWorld:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = FakeStore(self.clock)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)


class PostgresWorld:
    """Time passes by moving every time in the database back."""

    def __init__(self, url: str, *, prepared: bool = True) -> None:
        self.url = url
        self.store = PostgresStore(url, 4, prepared)

    def advance(self, seconds: float) -> None:
        with self.store.session() as session:
            for table in METADATA.sorted_tables:
                times = [column.name for column in table.c if isinstance(column.type, TIMESTAMP)]
                sets = ", ".join(f'"{name}" = "{name}" - make_interval(secs => %s)' for name in times)
                if sets:
                    session.run(f"UPDATE {table.name} SET {sets}", [float(seconds)] * len(times))


class Filler:
    """Makes rows that fit together. The same calls make the same rows."""

    def __init__(self) -> None:
        self._ids = FakeIds(7)
        self._numbers = count(1)

    def uuid(self) -> UUID:
        return self._ids.uuid()

    def campaign(self, tx: Transaction, name: str = "snar", **changes: Any) -> r.Campaign:
        campaign = r.Campaign(
            id=0,
            name=name,
            queue="flow",
            owner="anna",
            state="active",
            reason="",
            problem={"outputs": ["yield"]},
            problem_version=1,
            strategy={"method": "design"},
            strategy_version=1,
            weight=1.0,
            seed=42,
            request_hash="hash",
        )
        campaign = replace(campaign, **changes)
        if tx.queues.get(campaign.queue) is None:
            tx.queues.put(r.Queue(campaign.queue))
        tx.campaigns.owner(campaign.owner)
        return tx.campaigns.add(campaign)

    def experiment(self, campaign: r.Campaign, **changes: Any) -> r.Experiment:
        number = next(self._numbers)
        experiment = r.Experiment(
            id=0,
            campaign_id=campaign.id,
            campaign=campaign.name,
            queue=campaign.queue,
            number=number,
            code=f"{campaign.name}-{number}",
            state=State.STAGED,
            priority=0,
            tag=float(number),
            origin="person",
            reason="",
            problem_version=1,
            planned={"tau": 0.5},
        )
        return replace(experiment, **changes)

    def staged(
        self, tx: Transaction, campaign: r.Campaign, many: int = 1, **changes: Any
    ) -> list[r.Experiment]:
        rows = [self.experiment(campaign, staged_at=tx.now(), **changes) for _ in range(many)]
        return tx.experiments.add(rows)

    def attempt(self, experiment: r.Experiment, **changes: Any) -> r.Attempt:
        attempt = r.Attempt(
            id=self.uuid(),
            experiment_id=experiment.id,
            number=1,
            queue=experiment.queue,
            instrument="hplc-2",
            adapter="home.1",
            fence=1,
            lease_seconds=60.0,
        )
        return replace(attempt, **changes)

    def result(self, experiment: r.Experiment, **changes: Any) -> r.Result:
        result = r.Result(
            seq=0,
            id=self.uuid(),
            experiment_id=experiment.id,
            campaign_id=experiment.campaign_id,
            attempt=None,
            kind="report",
            verdict=Verdict.ACCEPTED,
            outcome=Outcome.MEASURED,
            outputs={"yield": 0.5},
            extra={},
            noise={},
            actual={},
            outstanding=(),
            artifacts=[],
            comment="",
            reason="",
            body={"outputs": {"yield": 0.5}},
            body_hash="hash",
            instrument="hplc-2",
            actor="anna",
        )
        return replace(result, **changes)

    def accept(
        self, tx: Transaction, experiment: r.Experiment, outputs: dict[str, float], **changes: Any
    ) -> r.Result:
        """A result with its current readings and the event that announces it."""
        result = tx.results.add([self.result(experiment, outputs=outputs, **changes)])[0]
        tx.results.add_readings(
            [r.Reading(experiment.id, name, value, None, result.seq, True) for name, value in outputs.items()]
        )
        tx.events.add([self.taught(experiment, result.seq, accepts=1)])
        return result

    def taught(self, experiment: r.Experiment, seq: int, *, accepts: int) -> r.Event:
        return r.Event(
            "result.accepted",
            "anna",
            campaign_id=experiment.campaign_id,
            experiment_id=experiment.id,
            data={"seq": seq},
            teaches=True,
            accepts=accepts,
            result_seq=seq,
        )
