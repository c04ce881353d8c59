"""dismiss: a person has seen what failed or could not be used, and nothing is to be done about it.

It leaves the lists of what needs a person, and nothing else: its state stays. Something new (a replay, a result) puts
an experiment back on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from labqueue.errors import ConflictError, FieldError, InvalidError, NotFoundError
from labqueue.states import State, Verdict
from models.domain import records as r
from services.ports import Store, Transaction

from .shared import changed, experiment_of


def dismiss(store: Store, experiment_id: int, reason: str, actor: str) -> r.Experiment:
    """The experiment that was given up, and results of it that were refused, or held though it was not. Twice is once.

    Raises NotFoundError, InvalidError (no reason), ConflictError where it is not on any list.
    """
    _check(reason)
    with store.begin() as tx:
        experiment = experiment_of(tx, experiment_id)
        unusable = tx.results.dismiss(experiment_id=experiment.id)
        failed = experiment.state is State.FAILED
        if not failed and not unusable:
            if tx.results.dismissed(experiment.id):
                return experiment
            raise ConflictError(
                f"Experiment {experiment.code} is {experiment.state}, and no result of it waits to be seen: there is "
                "nothing to dismiss."
            )
        if failed and experiment.dismissed_at is None:
            experiment = replace(experiment, dismissed_at=tx.now())
            tx.experiments.save([experiment])
        elif not unusable:
            return experiment
        tx.events.add([changed("dismissed", experiment, actor, reason=reason, refused=unusable)])
    return experiment


def dismiss_result(store: Store, id: UUID, reason: str, actor: str) -> list[r.Result]:
    """What was kept under this id and could not be used, which need not belong to any experiment. Twice is once.

    Raises NotFoundError, InvalidError (no reason), ConflictError where its experiment waits for a decision.
    """
    _check(reason)
    with store.begin() as tx:
        found = tx.results.unusable(id)
        if not found:
            raise NotFoundError(
                f"No result {id} was refused or could not be used: there is nothing to dismiss."
            )
        if tx.results.dismiss(id=id):
            known = {(each.campaign_id, each.experiment_id) for each in found}
            campaign_id, experiment_id = known.pop() if len(known) == 1 else (None, None)
            data = {"result": str(id), "reason": reason}
            tx.events.add(
                [
                    r.Event(
                        "result.dismissed",
                        actor,
                        campaign_id=campaign_id,
                        experiment_id=experiment_id,
                        data=data,
                    )
                ]
            )
        elif all(each.verdict is Verdict.HELD for each in found):
            _check_decided(tx, found)
    return found


def _check_decided(tx: Transaction, results: Sequence[r.Result]) -> None:
    for each in tx.experiments.get([one.experiment_id for one in results if one.experiment_id is not None]):
        if each.state is State.HELD:
            raise ConflictError(
                f"Experiment {each.code} is held: decide about it (run it again, complete it or give it up), and this "
                "result needs nobody any more."
            )


def _check(reason: str) -> None:
    if not reason.strip():
        hint = "Who looks later sees why nothing was done."
        raise InvalidError(errors=[FieldError("reason", "is missing.", hint=hint)])
