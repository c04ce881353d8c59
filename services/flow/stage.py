"""stage: a caller's batch enters a campaign's queue, all of it or nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from labqueue.errors import ConflictError, FieldError, InvalidError, KeyReusedError
from labqueue.problem import Problem
from models.domain import records as r
from models.domain.replacing import replace
from services.ports import Ids, Store, Transaction

from .placing import Draft, place
from .pools import Points
from .shared import campaign_of, fingerprint, problem_of, queue_of, storable

BATCH_LIMIT = 1000
PAYLOAD_LIMIT = 64 * 1024
PRIORITY_LIMIT = 1000


@dataclass(frozen=True)
class StageItem:
    parameters: Any = None
    payload: Any = None
    priority: int = 0
    reason: str = ""
    expires_at: datetime | None = None
    pinned: bool = False


@dataclass(frozen=True)
class StageRequest:
    """`key`: the caller's own name for this batch; the same key again is one effect."""

    campaign: str
    key: str
    items: tuple[StageItem, ...]
    propose: bool = False


@dataclass(frozen=True)
class Staged:
    batch: UUID
    queue: str
    experiments: tuple[r.Experiment, ...]
    created: bool


def stage(store: Store, ids: Ids, request: StageRequest, actor: str) -> Staged:
    """Raises InvalidError that names every bad row, KeyReusedError for a key with another body, ConflictError
    where the campaign takes nothing."""
    with store.begin() as tx:
        return stage_in(tx, ids, request, actor)


def stage_in(tx: Transaction, ids: Ids, request: StageRequest, actor: str) -> Staged:
    """The same, within a transaction."""
    request_hash = fingerprint([request.propose, [vars(item) for item in request.items]])
    campaign = campaign_of(tx, request.campaign, lock=True)
    prior = tx.batches.get(campaign.id, request.key)
    if prior is not None:
        if prior.request_hash != request_hash:
            raise KeyReusedError(f"The batch key {request.key!r} was used before with other experiments.")
        return Staged(prior.id, campaign.queue, tuple(tx.experiments.get(prior.experiments)), False)
    _check_open(tx, campaign)
    drafts = _drafts(tx, problem_of(campaign), request)
    batch = ids.uuid()
    campaign, placed = place(tx, campaign, drafts, actor, batch=batch, propose=request.propose)
    numbers = tuple(each.id for each in placed)
    tx.batches.add(r.StagedBatch(batch, campaign.id, request.key, request_hash, numbers))
    return Staged(batch, campaign.queue, tuple(placed), True)


def _check_open(tx: Transaction, campaign: r.Campaign) -> None:
    if campaign.state != "active":
        what = "Resume it first" + (", or create another one." if campaign.state == "finished" else ".")
        raise ConflictError(f"Campaign {campaign.name!r} is {campaign.state}: {campaign.reason}. {what}")
    queue = queue_of(tx, campaign.queue)
    if queue.state == "draining":
        raise ConflictError(
            f"Queue {queue.name!r} is draining and takes nothing new: {queue.reason}. Resume it first."
        )


def _drafts(tx: Transaction, problem: Problem, request: StageRequest) -> list[Draft]:
    if not request.items or len(request.items) > BATCH_LIMIT:
        rule = f"1 to {BATCH_LIMIT} experiments"
        raise InvalidError(errors=[FieldError("items", f"must be {rule}.", len(request.items), rule)])
    points = Points(tx, problem, [item.parameters for item in request.items])
    wrong: list[FieldError] = []
    drafts = []
    for row, item in enumerate(request.items):
        errors = _check(problem, points, item)
        wrong += [replace(each, field=f"items[{row}].{each.field}") for each in errors]
        if not errors:
            planned = None if problem.opaque else points.normal(item.parameters)
            drafts.append(
                Draft(
                    planned,
                    "person",
                    reason=item.reason,
                    payload=item.payload,
                    priority=item.priority,
                    pinned=item.pinned,
                    expires_at=item.expires_at,
                )
            )
    if wrong:
        bad = len({each.field.split(".")[0] for each in wrong})
        raise InvalidError(
            f"Nothing was staged: {bad} of {len(request.items)} rows cannot be used.", errors=wrong
        )
    return drafts


def _check(problem: Problem, points: Points, item: StageItem) -> list[FieldError]:
    errors = []
    if abs(item.priority) > PRIORITY_LIMIT:
        rule = f"-{PRIORITY_LIMIT} to {PRIORITY_LIMIT}"
        errors.append(FieldError("priority", f"is outside {rule}.", item.priority, rule))
    if not problem.opaque:
        if item.payload is not None:
            errors.append(FieldError("payload", "is for opaque problems; name parameters.", None))
        return errors + points.check(item.parameters)
    if item.parameters is not None:
        errors.append(
            FieldError("parameters", "are for problems with parameters; this one is opaque: use payload.")
        )
    if item.payload is None:
        errors.append(FieldError("payload", "is missing."))
    elif storable(item.payload) != item.payload:
        errors.append(
            FieldError("payload", "holds NaN, an infinity, NUL or half of a letter: none can be kept.")
        )
    elif len(json.dumps(item.payload)) > PAYLOAD_LIMIT:
        errors.append(
            FieldError("payload", "is too large; keep bytes as an artifact.", None, f"{PAYLOAD_LIMIT} bytes")
        )
    return errors
