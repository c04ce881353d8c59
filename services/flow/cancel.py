"""cancel: somebody wishes that an experiment does not run, or ends. It is no safety function."""

from __future__ import annotations

from dataclasses import replace

from labqueue.states import State
from models.domain import leasing
from models.domain import records as r
from services.ports import Store

from .instruments import unblock
from .placing import withdraw
from .shared import changed, experiment_of


def cancel(store: Store, experiment_id: int, reason: str, actor: str) -> r.Experiment:
    """What waits is cancelled at once. What runs hears the wish within a second and its holder confirms; until
    then, and if a result comes instead, it stays what it is. Twice is once."""
    with store.begin() as tx:
        experiment = experiment_of(tx, experiment_id)
        if experiment.state is State.CANCELLED:
            return experiment
        if experiment.state is State.LEASED:
            if not experiment.cancel_wished:
                experiment = replace(experiment, cancel_wished=True, held_reason=reason)
                tx.experiments.save([experiment])
                tx.events.add([changed("cancel_wished", experiment, actor, reason=reason)])
            return experiment
        was_staged = experiment.state is State.STAGED
        silent = tx.attempts.lock([experiment.attempt]) if experiment.attempt else []
        experiment = replace(leasing.cancel(experiment), held_reason="", finished_at=tx.now())
        tx.experiments.save([experiment])
        tx.attempts.save([leasing.end(each, "cancelled", reason) for each in silent if each.live])
        tx.events.add([changed("cancelled", experiment, actor, reason=reason)])
        if was_staged:
            withdraw(tx, [experiment])
        for each in silent:
            unblock(each.instrument, experiment.id)(tx)
    return experiment
