"""release: a holder gives its experiment back: unstarted, failed, or cancelled as it was wished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labqueue.errors import ConflictError
from labqueue.states import State
from models.domain import leasing
from models.domain import records as r
from services.ports import Store

from .instruments import count_failure, unblock
from .renew import Answer, Changes, Judge, each_held, lease_event

REASON_LIMIT = 2000


@dataclass(frozen=True)
class EndItem:
    lease: str
    reason: str = ""


def release(store: Store, items: Sequence[EndItem]) -> list[Answer]:
    """Back to its old place, uncounted. Only before the start; a run that started ends by its result or fails."""

    def judge(item: EndItem) -> Judge:
        def give_back(changes: Changes, experiment: r.Experiment, attempt: r.Attempt) -> None:
            if attempt.state == "started":
                raise ConflictError("The run has started: post its result, or fail it with a reason.")
            experiment, attempt = leasing.release(experiment, attempt, item.reason[:REASON_LIMIT])
            _put(changes, experiment, attempt, "released", item.reason)

        return give_back

    return each_held(store, [item.lease for item in items], [judge(item) for item in items])


def fail(store: Store, items: Sequence[EndItem]) -> list[Answer]:
    """The run failed. It counts against the queue's attempts and the instrument's circuit breaker."""
    queues: dict[str, r.Queue] = {}
    with store.begin() as tx:
        for queue in tx.queues.all():
            queues[queue.name] = queue

    def judge(item: EndItem) -> Judge:
        def fail_one(changes: Changes, experiment: r.Experiment, attempt: r.Attempt) -> None:
            reason = item.reason[:REASON_LIMIT] or "no reason given"
            if experiment.state is State.HELD:
                # It fell silent and is back only to say that it failed.
                experiment, attempt = leasing.resume(experiment, attempt)
                changes.instruments.append(unblock(attempt.instrument, experiment.id))
            experiment, attempt = leasing.fail(experiment, attempt, queues[attempt.queue], reason)
            _put(
                changes,
                experiment,
                attempt,
                "failed" if experiment.state is State.FAILED else "attempt_failed",
                reason,
            )
            changes.instruments.append(count_failure(attempt.instrument, reason))

        return fail_one

    return each_held(store, [item.lease for item in items], [judge(item) for item in items])


def confirm_cancelled(store: Store, items: Sequence[EndItem]) -> list[Answer]:
    """The holder stopped the run, as somebody had wished."""

    def judge(item: EndItem) -> Judge:
        def confirm(changes: Changes, experiment: r.Experiment, attempt: r.Attempt) -> None:
            if not experiment.cancel_wished:
                raise ConflictError("Nobody cancelled this experiment: fail it with a reason instead.")
            ended = leasing.end(attempt, "cancelled", item.reason[:REASON_LIMIT])
            _put(changes, leasing.cancel(experiment), ended, "cancelled", item.reason)
            changes.instruments.append(unblock(attempt.instrument, experiment.id))

        return confirm

    return each_held(store, [item.lease for item in items], [judge(item) for item in items])


def _put(changes: Changes, experiment: r.Experiment, attempt: r.Attempt, kind: str, reason: str) -> None:
    changes.set(experiment, attempt)
    changes.events.append(lease_event(kind, experiment, attempt, reason=reason[:REASON_LIMIT]))
    if experiment.state is State.STAGED:
        changes.back.append(experiment.id)
