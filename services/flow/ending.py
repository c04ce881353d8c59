"""ending: somebody who is not its holder ends what waits or runs: taken back unclaimed, or given up as failed.

Both work on experiments that the caller's transaction has locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from labqueue.errors import ConflictError
from labqueue.states import State
from models.domain import leasing
from models.domain import records as r
from models.domain.lifecycle import WAITING
from services.ports import Ids, Transaction

from .instruments import unblock
from .placing import withdraw
from .shared import changed, queue_of


def take_back_in(
    tx: Transaction, waiting: Sequence[r.Experiment], reason: str, actor: str
) -> list[r.Experiment]:
    """Cancels what nobody has claimed (staged or proposed). Raises ConflictError for anything else."""
    for each in waiting:
        if each.state not in WAITING:
            raise ConflictError(f"Experiment {each.code} is {each.state}: only what waits can be taken back.")
    ended = [replace(leasing.cancel(each), finished_at=tx.now()) for each in waiting]
    tx.experiments.save(ended)
    tx.events.add([changed("cancelled", each, actor, reason=reason) for each in ended])
    if ended:
        withdraw(tx, ended)
    return ended


def give_up_in(
    tx: Transaction, ids: Ids, experiment: r.Experiment, instrument: str, reason: str, actor: str
) -> r.Experiment:
    """It failed, whatever attempts are left: staged, leased or held. What was staged had an attempt of `instrument`.

    No instrument is paused for it: its holder did not say this. Raises ConflictError for anything else.
    """
    queue, was_staged = queue_of(tx, experiment.queue), experiment.state is State.STAGED
    if experiment.attempt is None:
        if experiment.state is State.HELD:
            experiment = leasing.back(experiment)
        experiment, attempt = leasing.lease_to(experiment, ids.uuid(), instrument, actor, queue.lease_seconds)
        attempt = tx.attempts.add([attempt])[0]
    else:
        attempt = tx.attempts.lock([experiment.attempt])[0]
        if experiment.state is State.HELD:
            experiment, attempt = leasing.resume(experiment, attempt)
            unblock(attempt.instrument, experiment.id)(tx)
    last = replace(queue, max_attempts=1)
    experiment, attempt = leasing.fail(replace(experiment, cancel_wished=False), attempt, last, reason)
    experiment = replace(experiment, held_reason=reason, finished_at=tx.now())
    tx.experiments.save([experiment])
    tx.attempts.save([attempt])
    tx.events.add(
        [
            replace(
                changed("failed", experiment, actor, reason=reason),
                attempt=attempt.id,
                instrument=attempt.instrument,
            )
        ]
    )
    if was_staged:
        withdraw(tx, [experiment])
    return experiment
