"""Staging: points enter the work queue, all of a request or none; the pending list, and clearing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labqueue.errors import InvalidError
from models.domain import records as r
from models.domain.lifecycle import WAITING
from services.flow.ending import take_back_in
from services.flow.stage import BATCH_LIMIT, StageItem, StageRequest, stage_in
from services.fronts.alchemist.experiments import beside, items
from services.fronts.alchemist.experiments.rows import ITERATION, REASON, check_inputs
from services.fronts.alchemist.refusals import VALUE, Refusal
from services.fronts.alchemist.sessions.keeping import hold
from services.fronts.alchemist.sessions.locking import require
from services.fronts.alchemist.sessions.opening import Act, Opened, opened, reading
from services.fronts.alchemist.visit import Visitor
from services.ports import Store, Transaction

from . import beliefs

#: Staging must cost the same however much is staged, and counting everything would not.
COUNTED = 20_000

Json = dict[str, Any]


@dataclass(frozen=True)
class Point:
    inputs: Json
    reason: str | None = None


@dataclass(frozen=True)
class Staged:
    """ids    of the new items, in order
    total  pending items, these among them
    batch  under which streams announce them"""

    ids: tuple[str, ...]
    total: int
    batch: str = ""


def stage(act: Act, points: Sequence[Point], key: str = "", *, whole: bool = False) -> Staged:
    """`key`: names this request; the same again is one effect. `whole`: a refusal says that nothing was staged, names
    every fault, and has no type. Raises Refusal."""
    points = [_plain(each) for each in points]
    with opened(act) as here:
        if not points:
            return Staged((), n_pending(here.tx, here.campaign))
        faults = _faults(here, points, whole or len(points) > 1)
        if faults:
            text = "; ".join(faults)
            raise Refusal(f"Nothing was staged. {text}") if whole else Refusal(text, VALUE)
        said = [beside.split(here.session, each.inputs) for each in points]
        rows = tuple(
            StageItem(chosen, reason=each.reason or "")
            for each, (chosen, _) in zip(points, said, strict=True)
        )
        request = StageRequest(act.session_id, key or str(act.ids.uuid()), rows)
        try:
            staged = stage_in(here.tx, act.ids, request, act.actor)
        except InvalidError as error:
            text = "; ".join(_in_words(error, whole or len(points) > 1))
            refusal = Refusal(f"Nothing was staged. {text}") if whole else Refusal(text, VALUE)
            raise refusal from error
        new = [each.id for each in staged.experiments]
        if staged.created:
            beside.keep(here.tx, act.session_id, {id: each for id, (_, each) in zip(new, said, strict=True)})
            beliefs.has_staged(here.tx, act.session_id, act.visitor, new)
        ids = tuple(items.item_id(act.session_id, each) for each in new)
        return Staged(ids, n_pending(here.tx, here.campaign), str(staged.batch))


def n_pending(tx: Transaction, campaign: r.Campaign) -> int:
    """Exact up to COUNTED; beyond, as whoever read the list last knows it, with what was staged since."""
    counted = tx.experiments.at_least(campaign.id, WAITING, COUNTED)
    return counted if counted < COUNTED else max(counted, beliefs.known(tx, campaign.name))


def listed(store: Store, session_id: str, visitor: Visitor) -> Json:
    """The pending list; from now on the caller knows it. Raises Refusal (404)."""
    with store.begin() as tx:
        session, campaign = reading(tx, session_id)
        found = items.pending(tx, campaign)
        beliefs.has_read(tx, session_id, visitor, [each.id for each in found])
        said = beside.every(tx, session_id) if found else {}
    reasons = [items.reason_of(each) for each in found]
    return {
        "experiments": [
            session.ordered({**items.inputs_of(each), **said.get(each.id, {})}) for each in found
        ],
        "n_staged": len(found),
        "reason": reasons[0] if reasons else None,
        "reasons": reasons,
        "ids": [items.item_id(session.id, each.id) for each in found],
    }


def clear(act: Act) -> int:
    """Takes back whatever nobody has begun. How many items. Raises Refusal (404, 409)."""
    with act.store.begin() as tx:
        hold(tx, act.session_id)
        require(tx, act.session_id, act.visitor, act.token)
        campaign = tx.campaigns.lock(act.session_id)
        if campaign is None:
            return 0
        waiting = tx.experiments.lock_of_campaign(campaign.id, WAITING)
        take_back_in(tx, waiting, "cleared", act.actor)
        beliefs.has_cleared(tx, act.session_id, act.visitor)
        return len(waiting)


def _plain(point: Point) -> Point:
    """Without the labels of a row, which ALchemist's page stages with a suggestion: they are said at its completion."""
    inputs = {name: value for name, value in point.inputs.items() if name not in (ITERATION, REASON)}
    return Point(inputs, point.reason or point.inputs.get(REASON))


def _faults(here: Opened, points: Sequence[Point], numbered: bool) -> list[str]:
    """In ALchemist's words, before the flow looks at ranges and constraints."""
    if len(points) > BATCH_LIMIT:
        return [f"at most {BATCH_LIMIT} experiments can be staged at once, not {len(points)}"]
    found = []
    for place, each in enumerate(points, 1):
        wrong = check_inputs(here.session, each.inputs, observed=False)
        if wrong:
            found.append(f"item {place}: {wrong}" if numbered else wrong)
    return found[:10]


def _in_words(error: InvalidError, numbered: bool) -> list[str]:
    found = []
    for each in error.errors[:10]:
        row, _, name = each.field.partition(".")
        number = row.removeprefix("items[").removesuffix("]")
        place = f"item {int(number) + 1}: " if numbered and number.isdecimal() else ""
        found.append(place + f"{name.removeprefix('parameters.') or row} {each.message}".rstrip("."))
    return found or [error.message]
