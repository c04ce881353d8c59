"""Experiments, attempts, instruments and claims, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from fake_rows import Port, plain, stored

from labqueue.problem import Value
from labqueue.states import State
from models.domain import records as r
from models.domain.lifecycle import WAITING

_JSON = ("planned", "payload", "expected")
#: What `save` leaves as it was staged.
FIXED = (
    "campaign_id",
    "campaign",
    "queue",
    "number",
    "code",
    "origin",
    "problem_version",
    "planned",
    "payload",
    "row",
    "batch",
    "suggestion_id",
    "created_at",
)
IN_FLIGHT = (State.PROPOSED, State.STAGED, State.LEASED, State.HELD, State.PARTIAL)


class FakeExperiments(Port):
    def get(self, ids: Sequence[int]) -> list[r.Experiment]:
        return [self.rows.experiments[id] for id in sorted(set(ids)) if id in self.rows.experiments]

    def by_code(self, codes: Sequence[str]) -> list[r.Experiment]:
        return [each for each in self._all() if each.code in set(codes)]

    def lock(self, ids: Sequence[int]) -> list[r.Experiment]:
        return self.get(ids)

    def lock_of_attempts(self, attempts: Sequence[UUID]) -> list[r.Experiment]:
        known = [self.rows.attempts[id] for id in attempts if id in self.rows.attempts]
        return self.get([each.experiment_id for each in known])

    def pick(self, queue: str, limit: int) -> list[r.Experiment]:
        return self._claimable(queue)[:limit]

    def pick_these(self, queue: str, ids: Sequence[int]) -> list[r.Experiment]:
        return [each for each in self._claimable(queue) if each.id in set(ids)]

    def claimable(self, queue: str, limit: int) -> tuple[int, float]:
        found = self._claimable(queue)[:limit]
        waits = [(self.clock.now() - each.staged_at).total_seconds() for each in found if each.staged_at]
        return len(found), max([0.0, *waits])

    def head_tag(self, queue: str) -> float | None:
        found = self._claimable(queue)
        return found[0].tag if found else None

    def add(self, experiments: Sequence[r.Experiment]) -> list[r.Experiment]:
        added = []
        for each in experiments:
            same = [
                old
                for old in self._all()
                if old.code == each.code or (old.campaign_id, old.number) == (each.campaign_id, each.number)
            ]
            if same:
                raise self.rows.conflict(f"The experiment {each.code} exists already.")
            id = self.rows.next("experiments")
            at = each.created_at or self.clock.now()
            self.rows.experiments[id] = stored(each, *_JSON, id=id, created_at=at)
            added.append(self.rows.experiments[id])
        return added

    def save(self, experiments: Sequence[r.Experiment]) -> None:
        for each in experiments:
            old = self.rows.experiments[each.id]
            kept = {name: getattr(old, name) for name in FIXED}
            self.rows.experiments[each.id] = replace(each, **{**kept, "expected": plain(each.expected)})

    def of_campaign(
        self, campaign_id: int, states: Iterable[State], limit: int = 100_000
    ) -> list[r.Experiment]:
        wanted = set(states)
        found = [each for each in self._all() if each.campaign_id == campaign_id and each.state in wanted]
        return found[:limit]

    def lock_of_campaign(self, campaign_id: int, states: Iterable[State]) -> list[r.Experiment]:
        return self.of_campaign(campaign_id, states)

    def lock_replaceable(self, campaign_id: int) -> list[r.Experiment]:
        return [
            each
            for each in self.of_campaign(campaign_id, WAITING)
            if each.origin == "suggester" and each.approved_by is None and not each.pinned
        ]

    def counts(self, campaign_id: int) -> dict[State, int]:
        return dict(Counter(each.state for each in self._all() if each.campaign_id == campaign_id))

    def ran(self, campaign_id: int) -> int:
        return len(self.of_campaign(campaign_id, (State.COMPLETED, State.PARTIAL)))

    def at_least(self, campaign_id: int, states: Iterable[State], limit: int) -> int:
        counts, wanted = self.counts(campaign_id), set(states)
        return min(limit, sum(count for state, count in counts.items() if state in wanted))

    def given_up(self, campaign_id: int) -> int:
        return sum(each.dismissed_at is None for each in self.of_campaign(campaign_id, [State.FAILED]))

    def drawn(self, campaign_id: int) -> int:
        return sum(each.campaign_id == campaign_id and each.origin == "design" for each in self._all())

    def set_ready(self, campaign_id: int, ready: bool) -> None:
        for each in self.of_campaign(campaign_id, IN_FLIGHT):
            self.rows.experiments[each.id] = replace(each, ready=ready)

    def introduce(self, campaign_id: int, parameter: str, value: Value) -> None:
        for each in self._all():
            if each.campaign_id == campaign_id and each.planned is not None and parameter not in each.planned:
                planned = {**each.planned, parameter: value}
                self.rows.experiments[each.id] = replace(each, planned=planned)

    def lock_expired(self, limit: int) -> list[r.Experiment]:
        now = self.clock.now()
        found = [
            each
            for each in self._all()
            if each.state in WAITING and each.expires_at is not None and each.expires_at < now
        ]
        return found[:limit]

    def unfinished(self, campaign_id: int) -> list[r.Experiment]:
        return self.of_campaign(campaign_id, IN_FLIGHT)

    def _all(self) -> list[r.Experiment]:
        return [self.rows.experiments[id] for id in sorted(self.rows.experiments)]

    def _claimable(self, queue: str) -> list[r.Experiment]:
        found = [e for e in self._all() if e.queue == queue and e.state is State.STAGED and e.ready]
        return sorted(found, key=lambda each: (-each.priority, each.tag, each.id))


class FakeAttempts(Port):
    def get(self, ids: Sequence[UUID]) -> list[r.Attempt]:
        return [self.rows.attempts[id] for id in sorted(set(ids)) if id in self.rows.attempts]

    def lock(self, ids: Sequence[UUID]) -> list[r.Attempt]:
        return self.get(ids)

    def add(self, attempts: Sequence[r.Attempt]) -> list[r.Attempt]:
        now = self.clock.now()
        added = []
        for each in attempts:
            taken = (each.experiment_id, each.number) in {
                (old.experiment_id, old.number) for old in self.rows.attempts.values()
            }
            if taken or each.id in self.rows.attempts:
                raise self.rows.conflict(f"The attempt {each.id} exists already.")
            deadline = now + timedelta(seconds=each.lease_seconds)
            self.rows.attempts[each.id] = replace(each, deadline=deadline, claimed_at=now)
            added.append(self.rows.attempts[each.id])
        return added

    def save(self, attempts: Sequence[r.Attempt]) -> None:
        now = self.clock.now()
        for each in attempts:
            old = self.rows.attempts[each.id]
            self.rows.attempts[each.id] = replace(
                each,
                experiment_id=old.experiment_id,
                number=old.number,
                queue=old.queue,
                instrument=old.instrument,
                fence=old.fence,
                lease_seconds=old.lease_seconds,
                deadline=old.deadline,
                claimed_at=old.claimed_at,
                started_at=old.started_at or (now if each.state == "started" else None),
                ended_at=old.ended_at or (now if each.state == "ended" else None),
            )

    def renew(
        self, leases: Sequence[tuple[UUID, int]], instrument: str, adapter: str = ""
    ) -> list[r.Renewal]:
        now = self.clock.now()
        known = self.rows.instruments.get(instrument)
        if known is not None:
            self.rows.instruments[instrument] = replace(known, last_seen=now)
        answers = []
        for id, fence in leases:
            attempt = self.rows.attempts.get(id)
            if attempt is None:
                answers.append(r.Renewal(id, found=False))
                continue
            live = attempt.live and attempt.fence == fence and attempt.instrument == instrument
            if live:
                deadline = now + timedelta(seconds=attempt.lease_seconds)
                holder = adapter or attempt.adapter
                self.rows.attempts[id] = replace(attempt, deadline=deadline, adapter=holder)
            answers.append(
                r.Renewal(
                    id,
                    found=True,
                    live=live,
                    end=attempt.end,
                    cancel_wished=self.rows.experiments[attempt.experiment_id].cancel_wished,
                    silent=attempt.silent,
                    deadline=self.rows.attempts[id].deadline,
                )
            )
        return answers

    def overdue(self, limit: int) -> list[r.Attempt]:
        now = self.clock.now()
        found = [each for each in self._live() if not each.silent and each.deadline and each.deadline < now]
        return sorted(found, key=lambda each: (each.deadline, each.id))[:limit]

    def live_of(self, instrument: str) -> list[r.Attempt]:
        found = [each for each in self._live() if each.instrument == instrument]
        return sorted(found, key=lambda each: (each.claimed_at, each.id))

    def of_experiment(self, experiment_id: int) -> list[r.Attempt]:
        found = [each for each in self.rows.attempts.values() if each.experiment_id == experiment_id]
        return sorted(found, key=lambda each: each.number)

    def newest(self, experiments: Sequence[int]) -> list[r.Attempt]:
        found = [self.of_experiment(each) for each in sorted(set(experiments))]
        return [attempts[-1] for attempts in found if attempts]

    def durations(self, campaign_id: int, limit: int) -> list[float]:
        ends = ("completed", "partial")
        found = [
            (experiment.id, each.number, (each.ended_at - each.claimed_at).total_seconds())
            for each in self.rows.attempts.values()
            for experiment in [self.rows.experiments[each.experiment_id]]
            if experiment.campaign_id == campaign_id
            and experiment.state is State.COMPLETED
            and each.end in ends
            and each.ended_at
            and each.claimed_at
        ]
        return [seconds for _, _, seconds in sorted(found, reverse=True)[:limit]]

    def extend_live(self, seconds: float) -> int:
        live = self._live()
        for each in live:
            assert each.deadline is not None
            deadline = each.deadline + timedelta(seconds=seconds + each.lease_seconds)
            self.rows.attempts[each.id] = replace(each, deadline=deadline)
        return len(live)

    def _live(self) -> list[r.Attempt]:
        return [each for each in self.rows.attempts.values() if each.live]


class FakeInstruments(Port):
    def get(self, name: str) -> r.Instrument | None:
        return self.rows.instruments.get(name)

    def lock(self, name: str) -> r.Instrument:
        self.rows.met.setdefault(name, self.clock.now())
        return self.rows.instruments.setdefault(name, r.Instrument(name))

    def save(self, instrument: r.Instrument, *, seen: bool = False) -> None:
        last = self.clock.now() if seen else instrument.last_seen
        self.rows.instruments[instrument.name] = replace(instrument, last_seen=last)

    def all(self) -> list[r.Instrument]:
        return [self.rows.instruments[name] for name in sorted(self.rows.instruments)]

    def serving(self, queue: str, within: float) -> list[r.Serving]:
        since = self.clock.now() - timedelta(seconds=within)
        live = [each.instrument for each in self.rows.attempts.values() if each.live]
        return [
            r.Serving(each.name, live.count(each.name), each.asks)
            for each in self.all()
            if each.queue == queue and each.state == "active" and each.blocked_by is None
            if each.last_seen is not None and each.last_seen > since
        ]

    def forget(self, before: datetime, limit: int) -> int:
        busy = {each.instrument for each in self.rows.attempts.values() if each.live}
        gone = [
            each.name
            for each in self.all()
            if (each.last_seen or self.rows.met[each.name]) < before
            and (each.state, each.blocked_by, each.failure_limit) == ("active", None, 3)
            and each.name not in busy
        ][:limit]
        for name in gone:
            del self.rows.instruments[name], self.rows.met[name]
        return len(gone)


class FakeClaims(Port):
    def get(self, key: str) -> r.Claim | None:
        return self.rows.claims.get(key)

    def add(self, claim: r.Claim) -> None:
        if claim.key in self.rows.claims:
            raise self.rows.conflict(f"The claim key {claim.key} was used before.")
        self.rows.claims[claim.key] = claim
        self.rows.claimed[claim.key] = self.clock.now()

    def forget(self, before: datetime, limit: int) -> int:
        gone = [
            key
            for key, claim in self.rows.claims.items()
            if self.rows.claimed[key] < before
            and not any(self.rows.attempts[id].live for id in claim.attempts if id in self.rows.attempts)
        ][:limit]
        for key in gone:
            del self.rows.claims[key], self.rows.claimed[key]
        return len(gone)
