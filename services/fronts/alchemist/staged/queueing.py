"""The work queue: items one by one, each claimed, completed, failed or deleted by its id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labqueue.errors import LabqueueError
from labqueue.states import State
from models.domain import records as r
from services.flow import renew
from services.flow.claim import ClaimRequest, claim
from services.flow.ending import give_up_in, take_back_in
from services.fronts.alchemist.experiments import items, rows
from services.fronts.alchemist.experiments.results import INSTRUMENT, Measured, id_of, record_in
from services.fronts.alchemist.experiments.rows import noise_of, outputs_of
from services.fronts.alchemist.refusals import Refusal
from services.fronts.alchemist.sessions import brought
from services.fronts.alchemist.sessions.keeping import find, hold, note, text_of
from services.fronts.alchemist.sessions.locking import require
from services.fronts.alchemist.sessions.opening import Act, reading
from services.fronts.alchemist.sessions.session import Session
from services.fronts.alchemist.visit import Visitor
from services.ports import Store, Transaction

from . import beliefs, unpaired

Json = dict[str, Any]

_PURGED = "alchemist.purged"
#: The event that items which had ended were hidden; its queue is the session's.
PURGED = "session.items_purged"
_ADAPTER = "alchemist"
_ENDED = (items.DONE, items.FAILED)


@dataclass(frozen=True)
class Result:
    """As a program sends it. `outputs`: one number, or an object for several targets; or one number for each target.
    `noise`: a variance. `labels`: what it believes its objectives to be called."""

    outputs: Sequence[Any]
    noise: Sequence[Any] | None = None
    iteration: int | None = None
    actual: Mapping[str, Any] | None = None
    labels: Mapping[str, Any] | None = None
    force: bool = False


def listed(store: Store, session_id: str, visitor: Visitor, status: str | None = None) -> Json:
    """Every item with counts of all, or those in one status; who is shown the pending ones knows them from now on.

    Raises Refusal (404)."""
    with store.begin() as tx:
        session, campaign = reading(tx, session_id)
        found = _visible(tx, session_id, campaign)
        if status in (None, "", items.PENDING):
            waiting = [each.id for each in found if items.status(each) == items.PENDING]
            beliefs.has_read(tx, session_id, visitor, waiting)
        return _list(tx, session, campaign, found, status)


def after_change(store: Store, session_id: str) -> Json:
    """The same for an answer to a change: it is no reading of the list."""
    with store.begin() as tx:
        session, campaign = reading(tx, session_id)
        return _list(tx, session, campaign, _visible(tx, session_id, campaign), None)


def one(store: Store, session_id: str, item: str) -> Json:
    """Raises Refusal (404)."""
    with store.begin() as tx:
        session, campaign = reading(tx, session_id)
        number = items.experiment_id(session_id, item)
        found = tx.experiments.get([number]) if number is not None else []
        mine = [
            each
            for each in found
            if each.campaign == session_id and _is_visible(each, _purged(tx, session_id))
        ]
        if not mine or campaign is None:
            raise items.unknown(item)
        return items.shown(tx, session, campaign, mine)[0]


def start(act: Act, item: str) -> Json:
    """A claim of this very item. Raises Refusal (404; 409 where it is not pending, or cannot be claimed now)."""
    with act.store.begin() as tx:
        find(tx, act.session_id)
        require(tx, act.session_id, act.visitor, act.token)
        number = items.experiment_id(act.session_id, item)
        experiment = _known(tx, act.session_id, item, tx.experiments.get([number]) if number else [])
    if items.status(experiment) != items.PENDING:
        raise items.illegal("start", item, experiment)
    request = ClaimRequest(
        queue=act.session_id,
        instrument=INSTRUMENT + act.session_id,
        adapter=_ADAPTER,
        key=str(act.ids.uuid()),
        experiments=(experiment.id,),
    )
    claimed = claim(act.store, act.ids, request)
    if not claimed.assignments:
        raise _not_claimed(act, item, claimed.reason)
    lease = claimed.assignments[0].lease
    begun = renew.start(act.store, [renew.StartItem(lease)])[0]
    if not begun.ok:
        raise Refusal(begun.message, status=409)
    return one(act.store, act.session_id, item)


def complete(act: Act, item: str, asked: Result) -> Json:
    """Its result becomes a row; a late one, too, unless somebody failed the item. The same again is one effect.

    Raises Refusal (404, 400; 409 for another result of an item that has ended, which is kept as unpaired)."""
    with act.store.begin() as tx:
        session = find(tx, act.session_id)
        require(tx, act.session_id, act.visitor, act.token)
        experiment = _locked(tx, act.session_id, item)
        answer = _complete(tx, act, session, item, experiment, asked)
    if isinstance(answer, Refusal):
        raise answer  # behind the commit: what it says was kept is kept
    return answer


def fail(act: Act, item: str, error: str) -> Json:
    """It is not tried again. Raises Refusal (404; 409 where it has ended)."""
    with act.store.begin() as tx:
        session = find(tx, act.session_id)
        require(tx, act.session_id, act.visitor, act.token)
        experiment = _locked(tx, act.session_id, item)
        if items.status(experiment) in _ENDED:
            raise items.illegal("fail", item, experiment)
        begun = items.begun(tx, experiment)
        instrument = INSTRUMENT + act.session_id
        failed = give_up_in(tx, act.ids, experiment, instrument, error[: renew.NOTE_LIMIT], act.actor)
        beliefs.has_ended(tx, act.session_id, act.visitor, experiment.id, begun)
        return items.shown(tx, session, _campaign(tx, session), [failed])[0]


def delete(act: Act, item: str) -> None:
    """Takes back what nobody has begun. Raises Refusal (404, 409)."""
    with act.store.begin() as tx:
        find(tx, act.session_id)
        require(tx, act.session_id, act.visitor, act.token)
        experiment = _locked(tx, act.session_id, item)
        if items.status(experiment) != items.PENDING:
            text = items.illegal("delete", item, experiment).body["detail"]
            raise Refusal(f"{text}; only pending items may be deleted.", status=409)
        take_back_in(tx, [experiment], "deleted", act.actor)
        beliefs.has_ended(tx, act.session_id, act.visitor, experiment.id, None)


def purge(act: Act) -> int:
    """Hides what has ended by now. How many items."""
    with act.store.begin() as tx:
        hold(tx, act.session_id)
        require(tx, act.session_id, act.visitor, act.token)
        found = _visible(tx, act.session_id, tx.campaigns.get(act.session_id))
        ended = [each for each in found if items.status(each) in _ENDED and each.finished_at]
        if ended:
            last = max(each.finished_at for each in ended if each.finished_at)
            note(tx, _PURGED, act.session_id, "", {"until": text_of(last)})
            data = {"items": len(ended)}
            tx.events.add([r.Event(PURGED, act.actor, queue=act.session_id, data=data)])
        return len(ended)


def _complete(
    tx: Transaction, act: Act, session: Session, item: str, experiment: r.Experiment, asked: Result
) -> Json | Refusal:
    _check_labels(session, asked)
    try:
        result = Measured(
            outputs_of(session, _output(session, asked), "outputs[0]"),
            noise_of(session, _noise(asked)),
            asked.actual,
            asked.iteration,
        )
        campaign = _campaign(tx, session)
        if tx.results.get([id_of(session.id, experiment.id, result)]):
            return items.shown(tx, session, campaign, [experiment])[0]  # its answer was lost
        if not _takes_results(tx, experiment):
            about = {"item_id": item, "noises": asked.noise, "iteration": asked.iteration}
            refusal = items.illegal("complete", item, experiment)
            why = refusal.body["detail"]
            unpaired.keep(tx, session.id, act.visitor, [_output(session, asked)], {**about, "why": why})
            return refusal
        begun = items.begun(tx, experiment)
        record_in(tx, act.ids, session, [(experiment, result)], act.actor)
    except Refusal as error:
        if error.body.get("error_type"):  # values that cannot be used are a conflict here
            raise Refusal(error.body["detail"], status=409) from error
        raise
    beliefs.has_ended(tx, session.id, act.visitor, experiment.id, begun)
    row = rows.count(tx, session.id) - 1
    done = tx.experiments.get([experiment.id])
    return items.shown(tx, session, campaign, done, row)[0]


def _takes_results(tx: Transaction, experiment: r.Experiment) -> bool:
    """What was given up because its holders fell silent takes a late result; what somebody failed does not."""
    if items.status(experiment) != items.FAILED:
        return items.status(experiment) != items.DONE
    last = tx.attempts.newest([experiment.id])
    return bool(last) and last[0].end == "lost"


def _output(session: Session, asked: Result) -> Any:
    if len(asked.outputs) == len(session.targets) > 1:
        return dict(zip(session.targets, asked.outputs, strict=True))
    if len(asked.outputs) != 1:
        raise Refusal(
            f"complete expects exactly one output value, got {len(asked.outputs)}. Send several targets as one object."
        )
    return asked.outputs[0]


def _noise(asked: Result) -> Any:
    if asked.noise is not None and len(asked.noise) != 1:
        raise Refusal(f"complete expects at most one noise value, got {len(asked.noise)}.")
    return asked.noise[0] if asked.noise else None


def _check_labels(session: Session, asked: Result) -> None:
    for name, label in {} if asked.force else (asked.labels or {}).items():
        known = session.objective_metadata.get(name, {}).get("label")
        if known != label:
            text = f"Objective label mismatch for {name!r}: expected {label!r}, session has {str(known)!r}"
            raise Refusal(text, status=409)


def _locked(tx: Transaction, session_id: str, item: str) -> r.Experiment:
    number = items.experiment_id(session_id, item)
    found = items.lock(tx, session_id, [number]) if number is not None else {}
    return _known(tx, session_id, item, list(found.values()))


def _known(tx: Transaction, session_id: str, item: str, found: Sequence[r.Experiment]) -> r.Experiment:
    purged = _purged(tx, session_id)
    mine = [each for each in found if each.campaign == session_id and _is_visible(each, purged)]
    if not mine:
        raise items.unknown(item)
    return mine[0]


def _not_claimed(act: Act, item: str, reason: str | None) -> LabqueueError | Refusal:
    with act.store.begin() as tx:
        experiment = tx.experiments.get([items.experiment_id(act.session_id, item) or 0])[0]
    if items.status(experiment) in (None, items.PENDING):
        return Refusal(f"Cannot start item {item}: {reason or 'it cannot be claimed now'}.", status=409)
    return items.illegal("start", item, experiment)


def _campaign(tx: Transaction, session: Session) -> r.Campaign:
    campaign = tx.campaigns.get(session.id)
    assert campaign is not None, "an item has a campaign"
    return campaign


def _visible(tx: Transaction, session_id: str, campaign: r.Campaign | None) -> list[r.Experiment]:
    if campaign is None:
        return []
    purged = _purged(tx, session_id)
    return [each for each in tx.experiments.of_campaign(campaign.id, State) if _is_visible(each, purged)]


def _is_visible(experiment: r.Experiment, purged: str) -> bool:
    now = items.status(experiment)
    if now in _ENDED and experiment.finished_at is not None:
        return text_of(experiment.finished_at) > purged
    return now is not None


def _purged(tx: Transaction, session_id: str) -> str:
    found = tx.documents.get(_PURGED, session_id, "")
    return "" if found is None else str(found.body["until"])


def _list(
    tx: Transaction,
    session: Session,
    campaign: r.Campaign | None,
    found: Sequence[r.Experiment],
    status: str | None,
) -> Json:
    # Items of a session file that had ended before they came here.
    came = [] if _purged(tx, session.id) else [dict(each) for each in brought.of(tx, session.id).items]
    states = [*(each["status"] for each in came), *(items.status(each) for each in found)]
    counts = {f"n_{each}": states.count(each) for each in items.STATUSES}
    wanted = [each for each in found if not status or items.status(each) == status]
    past = [each for each in came if not status or each["status"] == status]
    return {"items": [*past, *(items.shown(tx, session, campaign, wanted) if campaign else [])], **counts}
