"""Who holds an experiment, what the fence guards, and what becomes of a lease that fell silent.

A lease travels as one opaque string (attempt and fence). The fence guards control, not data: start, heartbeat,
release and fail of a stale one are refused; a result is judged on its own.
"""

from __future__ import annotations

from uuid import UUID

from labqueue.errors import LeaseLostError
from labqueue.states import LostLease, State

from .lifecycle import move
from .records import Attempt, Experiment, Queue
from .replacing import replace

GIVEN_UP = "given up after {counted} attempts: {reason}"


def lease_text(attempt: Attempt) -> str:
    return f"{attempt.id.hex}.{attempt.fence}"


def read_lease(text: str) -> tuple[UUID, int]:
    """Attempt and fence; raises LeaseLostError for what is no lease at all."""
    head, _, tail = text.partition(".")
    try:
        return UUID(hex=head), int(tail)
    except ValueError:
        raise LeaseLostError(f"{text[:80]!r} is no lease of ours.") from None


def lease_to(
    experiment: Experiment, attempt: UUID, instrument: str, adapter: str, lease_seconds: float
) -> tuple[Experiment, Attempt]:
    """A claim: the next attempt, under the next fence."""
    fence = experiment.fence + 1
    number = experiment.attempts + 1
    leased = replace(
        experiment, state=move(experiment.state, State.LEASED), attempt=attempt, attempts=number, fence=fence
    )
    return leased, Attempt(
        attempt, experiment.id, number, experiment.queue, instrument, adapter, fence, lease_seconds
    )


def holds(experiment: Experiment, attempt: Attempt, fence: int) -> bool:
    """Does this attempt, under this fence, control the experiment now?"""
    return attempt.live and experiment.attempt == attempt.id and attempt.fence == fence


def check_holds(experiment: Experiment, attempt: Attempt, fence: int) -> None:
    if holds(experiment, attempt, fence):
        return
    why = f" It ended: {attempt.end}." if attempt.end else ""
    raise LeaseLostError(f"{LeaseLostError.__doc__}{why}")


def end(attempt: Attempt, how: str, reason: str = "", *, counts: bool = False) -> Attempt:
    return replace(attempt, state="ended", end=how, reason=reason, counts=counts, probing=False, silent=False)


def back(experiment: Experiment) -> Experiment:
    """Back to its old place: the tag stays."""
    return replace(
        experiment,
        state=move(experiment.state, State.STAGED),
        attempt=None,
        held_reason="",
        finished_at=None,
        dismissed_at=None,
    )


def fail(
    experiment: Experiment, attempt: Attempt, queue: Queue, reason: str, how: str = "failed"
) -> tuple[Experiment, Attempt]:
    """A run that failed or was lost after it had started: it counts, and what was tried too often is given up."""
    counted = experiment.counted + 1
    experiment = replace(experiment, counted=counted)
    ended = end(attempt, how, reason, counts=True)
    if experiment.cancel_wished:
        return cancel(experiment), ended
    if counted < queue.max_attempts:
        return back(experiment), ended
    why = GIVEN_UP.format(counted=counted, reason=reason)
    return replace(
        experiment, state=move(experiment.state, State.FAILED), attempt=None, held_reason=why
    ), ended


def release(experiment: Experiment, attempt: Attempt, reason: str) -> tuple[Experiment, Attempt]:
    """A run that never started: back to its place, nothing counted, whatever the policy."""
    ended = end(attempt, "released", reason)
    return (cancel(experiment) if experiment.cancel_wished else back(experiment)), ended


def cancel(experiment: Experiment) -> Experiment:
    return replace(
        experiment, state=move(experiment.state, State.CANCELLED), attempt=None, cancel_wished=True
    )


def lose(experiment: Experiment, attempt: Attempt, queue: Queue) -> tuple[Experiment, Attempt]:
    """What becomes of a live attempt whose deadline passed. Only the holder's own silence brings it here.

    Never started: back, uncounted. Started: the queue's policy. Under `hold` and `probe` the attempt stays
    open, so that a holder that returns before anyone decided goes on with it.
    """
    if attempt.state == "claimed":
        return release(experiment, attempt, "silent before it started")
    if queue.on_lost is LostLease.REQUEUE:
        return fail(experiment, attempt, queue, f"{attempt.instrument} fell silent", how="lost")
    probing = queue.on_lost is LostLease.PROBE
    reason = f"{attempt.instrument} fell silent" + (" and is asked what became of it" if probing else "")
    held = replace(experiment, state=move(experiment.state, State.HELD), held_reason=reason)
    return held, replace(attempt, silent=True, probing=probing)


def resume(experiment: Experiment, attempt: Attempt) -> tuple[Experiment, Attempt]:
    """A silent holder is back before anyone decided: it goes on with its attempt."""
    leased = replace(experiment, state=move(experiment.state, State.LEASED), held_reason="")
    return leased, replace(attempt, silent=False, probing=False)
