"""A lab on a store, with short verbs: what flow tests say is what people and adapters do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any
from uuid import UUID

from fake_broker import FakePublisher
from fake_learner import FakeLearner
from fake_store import FakeIds
from store_world import FakeWorld, PostgresWorld, World

from labqueue.states import State
from models.domain import records as r
from models.domain.leasing import lease_text
from services.flow import cancel, define, filing, recover, release, renew, stage, suggest, train
from services.flow import report as reporting
from services.flow.claim import Assignment, Claimed, ClaimRequest, claim
from services.flow.number import number
from services.ports import Ids, Transaction

PROBLEM: dict[str, Any] = {
    "parameters": [
        {"name": "temperature", "kind": "continuous", "low": 20, "high": 120, "unit": "degC"},
        {"name": "minutes", "kind": "integer", "low": 1, "high": 60, "unit": "min"},
        {"name": "solvent", "kind": "categorical", "categories": ["water", "ethanol", "toluene"]},
    ],
    "outputs": [{"name": "yield"}, {"name": "purity", "unit": "%"}],
    "objectives": [{"output": "yield", "goal": "maximize"}],
}
OUTPUTS = {"yield": 0.5, "purity": 98.0}
PERSON = "person:anna"


def point(number: int = 0) -> dict[str, Any]:
    """A different one for each number from 0 to 5,999."""
    solvent = ("water", "ethanol", "toluene")[number % 3]
    return {"temperature": 20.0 + number % 100, "minutes": 1 + number // 100 % 60, "solvent": solvent}


class Lab:
    """One queue `bench`, one campaign `snar` on it unless told otherwise, any number of instruments."""

    def __init__(self, world: World, *, alive: bool = True) -> None:
        self.world = world
        self.store = world.store
        self.ids: Ids = FakeIds(1)
        self.learner = FakeLearner()
        self.publisher = FakePublisher()
        self._numbers = count(1)
        if alive:
            recover.stamp_alive(self.store)

    # What people define and stage

    def queue(self, name: str = "bench", **policy: Any) -> r.Queue:
        return define.put_queue(self.store, name, define.QueuePolicy(**policy), PERSON)

    def campaign(
        self,
        name: str = "snar",
        *,
        queue: str = "bench",
        owner: str = "anna",
        problem: Any = PROBLEM,
        weight: float = 1.0,
        seed: int | None = 7,
        method: str = "caller",
        **strategy: Any,
    ) -> r.Campaign:
        """A campaign; its queue, too, where there is none of that name."""
        with self.store.begin() as tx:
            known = tx.queues.get(queue)
        if known is None:
            self.queue(queue)
        wish = {"method": method, **strategy}
        new = define.NewCampaign(name, queue, owner, problem, wish, weight, seed)
        return define.create_campaign(self.store, self.ids, new, PERSON)[0]

    def stage(
        self,
        points: int | Sequence[Any] = 1,
        *,
        campaign: str = "snar",
        key: str | None = None,
        propose: bool = False,
        **item: Any,
    ) -> tuple[r.Experiment, ...]:
        """So many points, or these."""
        if isinstance(points, int):
            points = [point(next(self._numbers)) for _ in range(points)]
        items = tuple(stage.StageItem(parameters=each, **item) for each in points)
        request = stage.StageRequest(campaign, key or f"batch-{next(self._numbers)}", items, propose)
        return stage.stage(self.store, self.ids, request, PERSON).experiments

    def stage_one(self, **more: Any) -> r.Experiment:
        return self.stage(1, **more)[0]

    # What adapters do

    def claim(
        self,
        instrument: str = "hplc",
        *,
        queue: str = "bench",
        adapter: str | None = None,
        key: str | None = None,
        **more: Any,
    ) -> Claimed:
        adapter = adapter or f"{instrument}-home.1"
        key = key or f"{adapter}-{next(self._numbers)}"
        return claim(self.store, self.ids, ClaimRequest(queue, instrument, adapter, key, **more))

    def take(self, instrument: str = "hplc", **more: Any) -> Assignment:
        """The next one, started."""
        lease = self.hold(instrument, **more)
        assert self.start(lease.lease).ok
        return lease

    def hold(self, instrument: str = "hplc", **more: Any) -> Assignment:
        """The next one, claimed and not started."""
        claimed = self.claim(instrument, **more)
        assert len(claimed.assignments) == 1, claimed.reason
        return claimed.assignments[0]

    def start(self, lease: str, run_ref: str | None = None) -> renew.Answer:
        return renew.start(self.store, [renew.StartItem(lease, run_ref)])[0]

    def beat(self, lease: str, instrument: str = "hplc") -> renew.Beat:
        return renew.heartbeat(self.store, instrument, [lease])[0]

    def note(self, lease: str, text: str = "injecting", run_ref: str | None = None) -> renew.Answer:
        return renew.note(self.store, [renew.NoteItem(lease, text, run_ref)])[0]

    def answer(self, lease: str, word: str) -> renew.Answer:
        return renew.answer_probe(self.store, [renew.ProbeItem(lease, word)])[0]

    def fail(self, lease: str, reason: str = "the pump leaks") -> renew.Answer:
        return release.fail(self.store, [release.EndItem(lease, reason)])[0]

    def release(self, lease: str, reason: str = "") -> renew.Answer:
        return release.release(self.store, [release.EndItem(lease, reason)])[0]

    def confirm(self, lease: str) -> renew.Answer:
        return release.confirm_cancelled(self.store, [release.EndItem(lease)])[0]

    def result(
        self,
        experiment: int | str | None,
        outputs: Mapping[str, Any] | None = None,
        *,
        lease: str | None = None,
        id: UUID | None = None,
        **more: Any,
    ) -> filing.Report:
        values = OUTPUTS if outputs is None else outputs
        return filing.Report(id or self.ids.uuid(), experiment, lease, outputs=values, **more)

    def report(
        self,
        experiment: int | str | None,
        outputs: Mapping[str, Any] | None = None,
        *,
        actor: str = "adapter:hplc",
        **more: Any,
    ) -> filing.Recorded:
        given = self.result(experiment, outputs, **more)
        return reporting.report(self.store, self.ids, [given], actor)[0]

    def complete(self, lease: Assignment, outputs: Mapping[str, Any] | None = None) -> filing.Recorded:
        """The holder's own result."""
        return self.report(lease.experiment.id, outputs, lease=lease.lease)

    def cancel(self, experiment: int, reason: str = "not needed") -> r.Experiment:
        return cancel.cancel(self.store, experiment, reason, PERSON)

    # What time, the janitor and the workers do

    def elapse(self, seconds: float) -> None:
        """Time passes while the API lives, which stamps each second that it does."""
        self.world.advance(seconds)
        if isinstance(self.world, PostgresWorld):
            with self.world.store.session() as session:
                session.run("UPDATE liveness SET stamped_at = clock_timestamp()")
        elif isinstance(self.world, FakeWorld):
            rows = self.world.store._rows
            rows.stamps.update(dict.fromkeys(rows.stamps, self.world.clock.now()))

    def outage(self, seconds: float) -> None:
        """Time passes while nothing of ours lives."""
        recover.stamp_alive(self.store)
        self.world.advance(seconds)

    def lose(self, lease: Assignment) -> r.Experiment:
        """Its holder falls silent and the janitor comes by."""
        self.elapse(lease.attempt.lease_seconds + 1)
        recover.reap(self.store)
        return self.experiment(lease.experiment.id)

    def number(self) -> list[r.Event]:
        return number(self.store)

    def train(self, campaign: r.Campaign, holder: str = "trainer-1") -> int | None:
        return train.train(self.store, self.learner, campaign.id, holder)

    def suggest(self, campaign: r.Campaign, holder: str = "suggester-1") -> list[r.Experiment]:
        staged = suggest.suggest(self.store, self.ids, self.learner, campaign.id, holder)
        return [self.experiment(id) for id in staged]

    # What is stored

    def experiment(self, id: int) -> r.Experiment:
        with self.store.begin() as tx:
            return tx.experiments.get([id])[0]

    def state(self, id: int) -> State:
        return self.experiment(id).state

    def states(self, campaign: str = "snar") -> dict[State, int]:
        with self.store.begin() as tx:
            return tx.experiments.counts(_id(tx, campaign))

    def attempt(self, lease: Assignment) -> r.Attempt:
        with self.store.begin() as tx:
            return tx.attempts.get([lease.attempt.id])[0]

    def attempts(self, experiment: int) -> list[r.Attempt]:
        with self.store.begin() as tx:
            return tx.attempts.of_experiment(experiment)

    def running(self, instrument: str = "hplc") -> list[r.Attempt]:
        """Its attempts that live."""
        with self.store.begin() as tx:
            return tx.attempts.live_of(instrument)

    def lease_of(self, experiment: int) -> str:
        return lease_text(next(each for each in self.attempts(experiment) if each.live))

    def instrument(self, name: str = "hplc") -> r.Instrument:
        with self.store.begin() as tx:
            found = tx.instruments.get(name)
        assert found is not None
        return found

    def known(self, name: str = "snar") -> r.Campaign:
        with self.store.begin() as tx:
            found = tx.campaigns.get(name)
        assert found is not None
        return found

    def values(self, experiment: int) -> dict[str, float]:
        """Its current value of each output."""
        with self.store.begin() as tx:
            return {each.output: each.value for each in tx.results.readings([experiment])}

    def results(self, experiment: int) -> list[r.Result]:
        with self.store.begin() as tx:
            return tx.results.of_experiment(experiment)

    def training(self, campaign: str = "snar") -> list[r.TrainingRow]:
        """What training may use now that everything is numbered."""
        number(self.store)
        with self.store.begin() as tx:
            found = _id(tx, campaign)
            return tx.results.training(found, tx.events.last())

    def events(self, kind: str = "", experiment: int | None = None) -> list[r.Event]:
        """Every event so far, in order; of that type, of that experiment."""
        number(self.store)
        with self.store.begin() as tx:
            found = tx.events.after(0, 100_000, experiment_id=experiment)
        return [each for each in found if kind in ("", each.type)]

    def job(self, campaign: r.Campaign, kind: str) -> r.Job:
        with self.store.begin() as tx:
            return tx.jobs.get(campaign.id, kind)


def _id(tx: Transaction, campaign: str) -> int:
    found = tx.campaigns.get(campaign)
    assert found is not None
    return found.id
