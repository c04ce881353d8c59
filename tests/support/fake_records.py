"""Queues, campaigns, staged batches, results, events and the outbox, in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from fake_rows import Port, plain, stored

from labqueue.problem import Value
from labqueue.states import Outcome, State, Verdict
from models.domain import records as r
from models.domain.ordering import Flow, rate

_RESULT_JSON = ("outputs", "extra", "noise", "actual", "artifacts", "body")


class FakeQueues(Port):
    def get(self, name: str) -> r.Queue | None:
        return self.rows.queues.get(name)

    def lock(self, name: str) -> r.Queue | None:
        return self.get(name)

    def put(self, queue: r.Queue) -> None:
        self.rows.queues[queue.name] = queue

    def all(self) -> list[r.Queue]:
        return [self.rows.queues[name] for name in sorted(self.rows.queues)]


class FakeCampaigns(Port):
    def get(self, name: str) -> r.Campaign | None:
        return next((each for each in self.rows.campaigns.values() if each.name == name), None)

    def by_id(self, id: int) -> r.Campaign | None:
        return self.rows.campaigns.get(id)

    def lock(self, name: str) -> r.Campaign | None:
        return self.get(name)

    def add(self, campaign: r.Campaign) -> r.Campaign:
        if self.get(campaign.name):
            raise self.rows.conflict(f"The campaign {campaign.name} exists already.")
        new = stored(
            campaign,
            "problem",
            "strategy",
            id=self.rows.next("campaigns"),
            created_at=campaign.created_at or self.clock.now(),
        )
        self.rows.campaigns[new.id] = new
        return new

    def save(self, campaign: r.Campaign) -> None:
        old = self.rows.campaigns[campaign.id]
        self.rows.campaigns[campaign.id] = stored(
            campaign,
            "problem",
            "strategy",
            name=old.name,
            queue=old.queue,
            seed=old.seed,
            request_hash=old.request_hash,
            created_at=old.created_at,
            data_revision=old.data_revision,
            accepted=old.accepted,
            model_version=old.model_version,
            model_revision=old.model_revision,
            model_accepted=old.model_accepted,
        )

    def add_version(
        self, campaign_id: int, kind: str, number: int, body: r.Json, actor: str, reason: str
    ) -> None:
        key = (campaign_id, kind, number)
        if key in self.rows.versions:
            raise self.rows.conflict(f"Version {number} of this {kind} exists already.")
        self.rows.versions[key] = (plain(body), actor, reason, self.clock.now())

    def version(self, campaign_id: int, kind: str, number: int) -> r.Json:
        found = self.rows.versions.get((campaign_id, kind, number))
        return found[0] if found else None

    def versions(self, campaign_id: int) -> list[r.Version]:
        return [
            r.Version(kind, number, body, actor, reason, at)
            for (owner, kind, number), (body, actor, reason, at) in self.rows.versions.items()
            if owner == campaign_id
        ]

    def all(self, *, state: str | None = None) -> list[r.Campaign]:
        rows = self.rows.campaigns
        return [rows[id] for id in sorted(rows) if state is None or rows[id].state == state]

    def flows(self, queue: str, owner: str, rest: float) -> list[tuple[r.Campaign, float, bool]]:
        since = self.clock.now() - timedelta(seconds=rest)

        def wants(campaign: r.Campaign) -> bool:
            mine = [each for each in self.rows.experiments.values() if each.campaign_id == campaign.id]
            busy = any(each.state in (State.STAGED, State.LEASED) for each in mine)
            newest = mine[-1].created_at if mine else campaign.created_at
            lately = newest is not None and newest > since
            return campaign.owner == owner and campaign.state == "active" and (busy or lately)

        return [
            (each, self.rows.owners.get(each.owner, 1.0), wants(each))
            for each in self.all()
            if each.queue == queue and each.state != "finished"
        ]

    def share(self, campaign_id: int) -> float:
        mine = self.rows.campaigns[campaign_id]
        flows = [
            Flow(each.id, each.owner, weight, each.weight, each.finish_tag)
            for each, weight, _ in self.flows(mine.queue, mine.owner, 0.0)
            if each.id == campaign_id or (each.state == "active" and each.strategy["method"] != "caller")
        ]
        return rate(flows, campaign_id) / sum(rate(flows, each.campaign_id) for each in flows)

    def owner(self, name: str) -> float:
        return self.rows.owners.setdefault(name, 1.0)


class FakeBatches(Port):
    def get(self, campaign_id: int, key: str) -> r.StagedBatch | None:
        return self.rows.batches.get((campaign_id, key))

    def add(self, batch: r.StagedBatch) -> None:
        key = (batch.campaign_id, batch.key)
        if key in self.rows.batches:
            raise self.rows.conflict(f"The batch key {batch.key} was used before.")
        self.rows.batches[key] = batch


class FakeResults(Port):
    def get(self, ids: Sequence[UUID]) -> list[r.Result]:
        wanted = set(ids)
        rows = self.rows.results.values()
        return [each for each in rows if each.id in wanted and each.verdict is not Verdict.REFUSED]

    def add(self, results: Sequence[r.Result]) -> list[r.Result]:
        added = []
        for result in results:
            if result.verdict is not Verdict.REFUSED and self.get([result.id]):
                raise self.rows.conflict(f"The result {result.id} exists already.")
            seq = self.rows.next("results")
            at = result.received_at or self.clock.now()
            self.rows.results[seq] = stored(result, *_RESULT_JSON, seq=seq, received_at=at)
            added.append(self.rows.results[seq])
        return added

    def of_experiment(self, experiment_id: int) -> list[r.Result]:
        return [each for each in self.rows.results.values() if each.experiment_id == experiment_id]

    def later(self, experiments: Sequence[int]) -> list[r.Result]:
        rows = self.rows.results.values()
        return [each for each in rows if each.experiment_id in set(experiments) and each.kind != "report"]

    def retire(self, id: UUID, by_seq: int) -> None:
        for result in self.get([id]):
            self.rows.retired.setdefault(result.seq, by_seq)

    def readings(self, experiments: Sequence[int]) -> list[r.Reading]:
        wanted = set(experiments)
        found = [each for each in self.rows.readings.values() if each.current]
        return sorted(
            (each for each in found if each.experiment_id in wanted),
            key=lambda each: (each.experiment_id, each.output),
        )

    def retired(self, results: Sequence[int]) -> list[r.Reading]:
        rows = self.rows.readings.values()
        return [each for each in rows if each.result_seq in set(results) and each.retired_seq is not None]

    def add_readings(self, readings: Sequence[r.Reading]) -> None:
        for reading in readings:
            same = [each for each in self.readings([reading.experiment_id]) if each.output == reading.output]
            if reading.current and same:
                raise self.rows.conflict(f"{reading.output} has a current value already.")
            self.rows.readings[self.rows.next("readings")] = reading

    def retire_readings(self, experiment_id: int, outputs: Sequence[str], by_seq: int) -> None:
        for id, each in self.rows.readings.items():
            if each.current and each.experiment_id == experiment_id and each.output in outputs:
                self.rows.readings[id] = replace(each, current=False, retired_seq=by_seq)

    def training(self, campaign_id: int, revision: int) -> list[r.TrainingRow]:
        experiments = [e for e in self.rows.experiments.values() if e.campaign_id == campaign_id]
        rows = [self._training_row(each, revision) for each in sorted(experiments, key=lambda e: e.id)]
        return [row for row in rows if row is not None]

    def changed(self, campaign_id: int, since: int, revision: int) -> tuple[list[r.TrainingRow], list[int]]:
        news = {
            self.rows.results[each.result_seq].experiment_id
            for each in self.rows.events.values()
            if each.campaign_id == campaign_id
            and each.result_seq is not None
            and each.number is not None
            and since < each.number <= revision
        }
        rows = [row for row in self.training(campaign_id, revision) if row.experiment_id in news]
        known = {row.experiment_id for row in rows}
        return rows, sorted(id for id in news if id is not None and id not in known)

    def _training_row(self, experiment: r.Experiment, revision: int) -> r.TrainingRow | None:
        said: list[r.Result] = []
        infeasible, newest = False, 0
        for result in self.of_experiment(experiment.id):
            if (
                result.verdict is Verdict.ACCEPTED
                and result.outcome is not Outcome.SUSPECT
                and result.kind != "withdraw"
                and self._known(result.seq, revision)
                and not self._known(self.rows.retired.get(result.seq), revision)
            ):
                said.append(result)
                infeasible = infeasible or result.outcome is Outcome.INFEASIBLE
                newest = max(newest, self.rows.revisions[result.seq])
        outputs: dict[str, float] = {}
        noise: dict[str, float] = {}
        for each in self.rows.readings.values():
            if (
                each.experiment_id == experiment.id
                and (each.current or each.retired_seq is not None)
                and self.rows.results[each.result_seq].outcome is Outcome.MEASURED
                and self._known(each.result_seq, revision)
                and not self._known(each.retired_seq, revision)
                and each.output not in outputs
            ):
                outputs[each.output] = each.value
                newest = max(newest, self.rows.revisions[each.result_seq])
                if each.noise is not None:
                    noise[each.output] = each.noise
        if not outputs and not infeasible:
            return None
        outcome = Outcome.MEASURED if outputs else Outcome.INFEASIBLE
        further = self._replicates(experiment.id, outputs, revision)
        planned = dict(experiment.planned or {})
        stands = [each for each in said if not outputs or each.outcome is Outcome.MEASURED]
        parameters = planned | {name: value for each in stands for name, value in each.actual.items()}
        return r.TrainingRow(experiment.id, planned, parameters, outputs, noise, outcome, newest, further)

    def _replicates(
        self, experiment_id: int, outputs: Collection[str], revision: int
    ) -> dict[str, tuple[float, ...]]:
        found: dict[str, tuple[float, ...]] = {}
        for each in self.rows.readings.values():
            if (
                each.experiment_id == experiment_id
                and each.output in outputs
                and not each.current
                and each.retired_seq is None
                and self.rows.results[each.result_seq].outcome is Outcome.MEASURED
                and self._known(each.result_seq, revision)
                and not self._known(self.rows.retired.get(each.result_seq), revision)
            ):
                found[each.output] = (*found.get(each.output, ()), each.value)
        return found

    def _known(self, seq: int | None, revision: int) -> bool:
        return seq is not None and self.rows.revisions.get(seq, revision + 1) <= revision

    def reported(self, campaign_id: int) -> list[r.Json]:
        return [
            each.actual
            for each in self.rows.results.values()
            if each.campaign_id == campaign_id and each.actual
        ]

    def actual(self, experiments: Sequence[int]) -> dict[int, dict[str, Value]]:
        found: dict[int, dict[str, Value]] = {}
        for id in experiments:
            said = [
                each
                for each in self.of_experiment(id)
                if each.verdict is Verdict.ACCEPTED and each.kind != "withdraw"
            ]
            found[id] = _actual([each for each in said if each.seq not in self.rows.retired])
        return {id: each for id, each in found.items() if each}

    def findings(self, campaign_id: int, experiments: Sequence[int] | None = None) -> list[r.Finding]:
        ran = (State.COMPLETED, State.PARTIAL)
        found = [
            self._finding(each)
            for each in self.rows.experiments.values()
            if each.campaign_id == campaign_id
            and each.state in ran
            and (experiments is None or each.id in experiments)
        ]
        return sorted((each for each in found if each is not None), key=lambda each: each.seq)

    def _finding(self, experiment: r.Experiment) -> r.Finding | None:
        said = [
            each
            for each in self.of_experiment(experiment.id)
            if each.verdict is Verdict.ACCEPTED and each.kind != "withdraw"
        ]
        if not said:
            return None
        stand = [each for each in said if each.seq not in self.rows.retired]
        readings = self.readings([experiment.id])
        at = said[0].received_at
        assert at is not None, "a result that was added has a time"
        return r.Finding(
            experiment.id,
            said[0].seq,
            at,
            experiment.planned,
            experiment.reason,
            experiment.staged_at is not None,
            {each.output: each.value for each in readings},
            {each.output: each.noise for each in readings if each.noise is not None},
            _actual(stand),
            {name: value for each in stand for name, value in each.extra.items()},
            next((each.comment for each in said if each.comment), ""),
        )

    def measured(self, campaign_id: int) -> list[str]:
        mine = {e.id for e in self.rows.experiments.values() if e.campaign_id == campaign_id}
        return sorted({each.output for each in self.rows.readings.values() if each.experiment_id in mine})

    def unusable(self, id: UUID) -> list[r.Result]:
        kept = (Verdict.REFUSED, Verdict.HELD)
        return [each for each in self.rows.results.values() if each.id == id and each.verdict in kept]

    def waiting(self, campaigns: Sequence[int], limit: int) -> list[r.Result]:
        found = [
            each
            for each in self.rows.results.values()
            if each.campaign_id in set(campaigns)
            and each.seq not in self.rows.dismissed
            and self._alone(each)
        ]
        return found[::-1][:limit]

    def _alone(self, result: r.Result) -> bool:
        """Was it held, put no experiment on hold, and has nobody corrected it?"""
        if result.verdict is not Verdict.HELD or result.experiment_id is None:
            return result.verdict is Verdict.HELD
        said = [each for each in self.rows.events.values() if each.result_seq == result.seq and each.number]
        put_on_hold = not any(each.data.get("state", "held") != "held" for each in said)
        corrected = any(each.amends == result.id for each in self.later([result.experiment_id]))
        return not put_on_hold and not corrected

    def dismiss(self, *, id: UUID | None = None, experiment_id: int | None = None) -> int:
        seen = [
            each.seq
            for each in self.rows.results.values()
            if (each.verdict is Verdict.REFUSED or self._alone(each))
            and (each.id == id if id is not None else each.experiment_id == experiment_id)
            and each.seq not in self.rows.dismissed
        ]
        self.rows.dismissed.update(dict.fromkeys(seen, self.clock.now()))
        return len(seen)

    def dismissed(self, experiment_id: int) -> bool:
        return any(each.seq in self.rows.dismissed for each in self.of_experiment(experiment_id))


def _actual(stand: Sequence[r.Result]) -> dict[str, Value]:
    """What those report that measured something; where none did, what the others report."""
    measuring = [each for each in stand if each.outcome is Outcome.MEASURED]
    return {name: value for each in measuring or stand for name, value in each.actual.items()}


class FakeEvents(Port):
    def add(self, events: Sequence[r.Event]) -> None:
        for event in events:
            id = self.rows.next("events")
            at = event.at or self.clock.now()
            self.rows.events[id] = stored(event, "data", number=None, at=at)

    def number(self, limit: int = 1000, *, wait: bool = False) -> list[r.Event]:
        numbered = []
        for id in [id for id, each in self.rows.events.items() if each.number is None][:limit]:
            event = replace(self.rows.events[id], number=self.rows.next("event numbers"))
            self.rows.events[id] = event
            numbered.append(event)
            assert event.number is not None
            if event.result_seq is not None:
                self.rows.revisions[event.result_seq] = event.number
            campaign = self.rows.campaigns.get(event.campaign_id or 0)
            if campaign is not None:
                revision = event.number if event.teaches else campaign.data_revision
                accepted = campaign.accepted + event.accepts
                self.rows.campaigns[campaign.id] = replace(
                    campaign, data_revision=revision, accepted=accepted
                )
        return numbered

    def after(
        self, number: int, limit: int, *, campaign_id: int | None = None, experiment_id: int | None = None
    ) -> list[r.Event]:
        found = [
            each
            for each in self.rows.events.values()
            if each.number is not None
            and each.number > number
            and campaign_id in (None, each.campaign_id)
            and experiment_id in (None, each.experiment_id)
        ]
        return sorted(found, key=lambda each: each.number or 0)[:limit]

    def last(self) -> int:
        return self.rows.serials.get("event numbers", 0)

    def forget_inquiries(self, before: datetime, limit: int) -> int:
        heard = min([self.last() - 1, *(each.cursor for each in self.rows.webhooks.values())])
        gone = [
            id
            for id, each in self.rows.events.items()
            if each.type.startswith("inquiry.")
            and each.at is not None
            and each.at < before
            and each.number is not None
            and each.number <= heard
        ][:limit]
        for id in gone:
            del self.rows.events[id]
        return len(gone)


class FakeOutbox(Port):
    def add(self, entries: Sequence[r.Published]) -> None:
        for entry in entries:
            id = self.rows.next("outbox")
            self.rows.outbox[id] = stored(entry, "body", id=id)

    def take(self, limit: int) -> list[r.Published]:
        return [self.rows.outbox[id] for id in sorted(self.rows.outbox)][:limit]

    def done(self, ids: Sequence[int]) -> None:
        for id in ids:
            self.rows.outbox.pop(id, None)

    def restage(self, queue: str) -> int:
        found = [
            each
            for each in self.rows.experiments.values()
            if each.queue == queue and each.state is State.STAGED and each.ready
        ]
        found.sort(key=lambda each: (-each.priority, each.tag, each.id))
        for start in range(0, len(found), 500):
            listed = [
                {
                    "id": each.id,
                    "code": each.code,
                    "campaign": each.campaign,
                    "priority": each.priority,
                    "parameters": each.planned,
                }
                for each in found[start : start + 500]
            ]
            body = {"batch": None, "campaign": None, "model_version": 0, "data_revision": 0}
            self.add([r.Published(queue, "batch", {**body, "experiments": listed})])
        return len(found)

    def epochs(self) -> dict[str, str]:
        return dict(self.rows.epochs)

    def set_epoch(self, queue: str, epoch: str) -> None:
        self.rows.epochs[queue] = epoch
