"""recover: what time alone brings: lost leases, use-by dates, our own downtime made good."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from labqueue.states import State
from models.domain import leasing
from models.domain import records as r
from models.domain.lifecycle import move
from services.ports import Store

from .instruments import block
from .placing import come_back, withdraw
from .shared import changed

#: No API process said that it lives for this long (each does every second): holders could not be heard, so nobody
#: loses a lease.
OUTAGE = 2.5
LIMIT = 500


def stamp_alive(store: Store) -> float:
    """Called about each second by every API process. After an outage of ours every live deadline moves on by the
    gap plus one lease. Seconds made good; 0 where there was no outage."""
    with store.begin() as tx:
        gap = tx.liveness.stamp()
        if gap <= OUTAGE:
            return 0.0
        moved = tx.attempts.extend_live(gap)
        data = {"seconds": round(gap, 1), "leases": moved}
        tx.events.add([r.Event("server.outage", "labqueue", data=data)])
    return gap


def reap(store: Store) -> list[r.Experiment]:
    """Ends the leases of holders that fell silent, as their queues' policies say. What changed."""
    with store.begin() as tx:
        age = tx.liveness.age()
        if age is None or age > OUTAGE:
            return []
        overdue = tx.attempts.overdue(LIMIT)
        if not overdue:
            return []
        queues = {queue.name: queue for queue in tx.queues.all()}
        ids = [each.id for each in overdue]
        experiments = {each.id: each for each in tx.experiments.lock_of_attempts(ids)}
        now = tx.now()
        changes: list[r.Experiment] = []
        for attempt in tx.attempts.lock(ids):
            experiment = experiments[attempt.experiment_id]
            # Renewed, decided or ended while we waited for the locks: nothing is lost.
            renewed = attempt.deadline is None or attempt.deadline + _spare(attempt) > now
            if renewed or attempt.silent or not leasing.holds(experiment, attempt, attempt.fence):
                continue
            after, ended = leasing.lose(experiment, attempt, queues[attempt.queue])
            if after.state in (State.CANCELLED, State.FAILED):
                after = replace(after, finished_at=now)
            tx.experiments.save([after])
            tx.attempts.save([ended])
            reason = ended.reason or after.held_reason
            event = changed("lost", after, "janitor", reason=reason, attempt_state=attempt.state)
            tx.events.add([replace(event, attempt=attempt.id, instrument=attempt.instrument)])
            if after.state is State.HELD and not ended.probing:
                block(attempt.instrument, after.id)(tx)
            experiments[after.id] = after
            changes.append(after)
        come_back(tx, [each for each in changes if each.state is State.STAGED])
    return changes


def _spare(attempt: r.Attempt) -> timedelta:
    """Beyond its deadline, for an outage too short to be noticed: holders renew each third of their lease, so that
    only short leases need it."""
    return timedelta(seconds=max(0.0, OUTAGE - attempt.lease_seconds / 3))


def expire(store: Store) -> list[r.Experiment]:
    """Unclaimed experiments past their use-by date."""
    with store.begin() as tx:
        late = tx.experiments.lock_expired(LIMIT)
        now = tx.now()
        ended = [replace(each, state=move(each.state, State.EXPIRED), finished_at=now) for each in late]
        tx.experiments.save(ended)
        tx.events.add([changed("expired", each, "janitor") for each in ended])
        if ended:
            withdraw(tx, ended)
    return ended
