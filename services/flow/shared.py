"""What several verbs need: finding things by name with a kind error, hashing requests, reading problems."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from labqueue.errors import FieldError, InvalidError, NotFoundError
from labqueue.problem import Problem, did_you_mean
from labqueue.strategy import Strategy
from models.domain import records as r
from models.domain.editing import needed_of
from services.ports import Transaction

NAME_LIMIT = 100
_PARSED: dict[tuple[str, datetime | None, int, int], Problem] = {}
_PARSED_LIMIT = 256


def fingerprint(body: Any) -> str:
    """The same request has the same fingerprint, whatever the order of its keys."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


def storable(value: Any) -> Any:
    """JSON that a database can keep: numbers that are none become text, and so do letters that are none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, str):
        return value.encode(errors="replace").decode().replace("\0", "\ufffd")
    if isinstance(value, Mapping):
        return {storable(str(name)): storable(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(each) for each in value]
    return value


def unknown(kind: str, name: Any, known: Iterable[str], remedy: str = "") -> NotFoundError:
    names = sorted(known)
    shown = ", ".join(names[:10]) or "none yet"
    hint = did_you_mean(name, names)
    message = f"There is no {kind} {str(name)[:NAME_LIMIT]!r}."
    wrong = f"is not known. {remedy}".strip()
    return NotFoundError(message, errors=[FieldError(kind, wrong, str(name)[:NAME_LIMIT], shown, hint)])


def queue_of(tx: Transaction, name: str, *, lock: bool = False) -> r.Queue:
    queue = tx.queues.lock(name) if lock else tx.queues.get(name)
    if queue is None:
        remedy = "`labqueue queue create NAME` makes one; so does a campaign with a queue_policy."
        raise unknown("queue", name, (each.name for each in tx.queues.all()), remedy)
    return queue


def campaign_of(tx: Transaction, name: str, *, lock: bool = False) -> r.Campaign:
    campaign = tx.campaigns.lock(name) if lock else tx.campaigns.get(name)
    if campaign is None:
        raise unknown("campaign", name, (each.name for each in tx.campaigns.all()))
    return campaign


def experiment_of(tx: Transaction, id: int) -> r.Experiment:
    """Locked."""
    found = tx.experiments.lock([id])
    if not found:
        raise NotFoundError(f"There is no experiment {id}.")
    return found[0]


def problem_of(campaign: r.Campaign) -> Problem:
    """Parsed once per campaign and version: claims and results come by the thousand."""
    return _parsed(campaign, campaign.problem_version, lambda: campaign.problem)


def problem_at(tx: Transaction, campaign: r.Campaign, version: int) -> Problem:
    """The problem as it was in that version."""
    if version == campaign.problem_version:
        return problem_of(campaign)
    return _parsed(campaign, version, lambda: tx.campaigns.version(campaign.id, "problem", version))


def needed(tx: Transaction, campaign: r.Campaign, experiment: r.Experiment) -> tuple[str, ...]:
    """The outputs that this experiment must bring, whatever was edited since it was staged."""
    since = range(experiment.problem_version, campaign.problem_version + 1)
    return needed_of([problem_at(tx, campaign, version) for version in since])


def _parsed(campaign: r.Campaign, version: int, body: Callable[[], r.Json]) -> Problem:
    """Only of versions that are committed: an undone one would stay here in the place of the next."""
    key = (campaign.request_hash, campaign.created_at, campaign.id, version)
    problem = _PARSED.get(key)
    if problem is None:
        if len(_PARSED) >= _PARSED_LIMIT:
            _PARSED.clear()
        problem = _PARSED[key] = Problem.from_json(body())
    return problem


def strategy_of(campaign: r.Campaign) -> Strategy:
    return Strategy.from_json(campaign.strategy)


def check_name(kind: str, name: str) -> None:
    if not name.strip() or len(name) > NAME_LIMIT or not name.isprintable() or name != name.strip():
        rule = f"printable text of 1 to {NAME_LIMIT} letters, no space at its ends"
        raise InvalidError(
            f"This {kind} name cannot be used.",
            errors=[FieldError(kind, "is no usable name.", name[:200], rule)],
        )


def changed(kind: str, experiment: r.Experiment, actor: str, **data: Any) -> r.Event:
    """The event of an experiment's move."""
    return r.Event(
        f"experiment.{kind}",
        actor,
        campaign_id=experiment.campaign_id,
        experiment_id=experiment.id,
        attempt=experiment.attempt,
        queue=experiment.queue,
        data={"code": experiment.code, "state": str(experiment.state), **data},
    )
