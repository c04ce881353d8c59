"""How a campaign's own learner is shown: is it there, is it asked, and what went wrong last."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from labqueue.strategy import LEARNER
from models.domain import records as r
from services.api.answers import time_text
from services.flow.asking import asked, heard
from services.flow.shared import strategy_of
from services.ports import Transaction

Json = dict[str, Any]


def learner_json(tx: Transaction, campaign: r.Campaign) -> Json | None:
    """Null where the strategy names no learner. `live`: its process was heard of lately; `asked`: it chooses now;
    `instead`: why our workers choose in its place; `failures`: suggestions in a row; `error`: what the last suggestion
    failed with, and the last training, each until the next one that was kept."""
    strategy = strategy_of(campaign)
    if strategy.method != LEARNER:
        return None
    seat = tx.seats.get(campaign.id)
    if seat is None or seat.name != strategy.learner:
        seat = r.Seat(campaign.id, strategy.learner)
    who = asked(tx, campaign)
    return {
        "name": strategy.learner,
        "live": heard(seat, strategy, tx),
        "asked": who.learner != "",
        "instead": who.note,
        "process": seat.holder,
        "last_seen": None if seat.seen_at is None else time_text(seat.seen_at),
        "suggestions": seat.suggestions,
        "failures": seat.failures,
        "error": "; ".join(_faults(tx, seat)),
        "versions": seat.versions,
    }


def _faults(tx: Transaction, seat: r.Seat) -> Iterator[str]:
    if seat.error:
        yield seat.error
    train = tx.jobs.get(seat.campaign_id, "train")
    if train.learner == seat.name and train.error:
        yield f"training: {train.error}"


def learner_attention(tx: Transaction, campaign: r.Campaign) -> Iterator[tuple[str, str, str]]:
    """Title, what it means and what to do, where our workers stand in for a learner."""
    note = asked(tx, campaign).note if campaign.state == "active" else ""
    if note:
        name = strategy_of(campaign).learner
        what = f"Our workers choose {note}."
        do = f"labqueue serve-learner MODULE:CLASS --campaign {shlex.quote(campaign.name)}"
        yield f"the learner {name} of {campaign.name} is away or failing", what, do
