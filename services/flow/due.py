"""due: the commands that the workers should hear now, read off Postgres. Lost ones are issued again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from models.domain import records as r
from services.ports import Store, Transaction

from .asking import asked, found_by
from .awaiting import KIND as TRAIN
from .awaiting import awaited
from .planning import NOTHING, training_due, wanted
from .teach import end_late

#: A command that brought nothing about within this time is issued again.
AGAIN = timedelta(seconds=5)
#: And within this one where it failed and no instrument waits for it, or where commands of its kind wait: then it was
#: hardly lost, and a second one would take another campaign's turn.
AT_LEISURE = timedelta(seconds=60)


@dataclass(frozen=True)
class Command:
    """`argument`: a campaign's id for train and suggest, else the row's own."""

    name: str
    argument: int | str


def due(store: Store, among: Collection[int] | None = None, waiting: Collection[str] = ()) -> list[Command]:
    """What is due and was not issued just now; marked as issued. `among`: the campaigns that are looked at, by id;
    None: all. `waiting`: commands of which some wait for a worker."""
    commands: list[Command] = []
    with store.begin() as tx:
        now = tx.now()
        campaigns = [
            each
            for each in tx.campaigns.all()
            if each.state != "finished" and (among is None or each.id in among)
        ]
        for open_one in tx.inquiries.due():
            inquiry = tx.inquiries.lock(open_one.id)
            if inquiry is None or inquiry.state != "open" or not _stale(inquiry.issued_at, now, AGAIN):
                continue
            if inquiry.kind == TRAIN:  # the training answers it
                continue
            if inquiry.deadline is not None and inquiry.deadline > now:
                tx.inquiries.save(inquiry, issued=True)
                commands.append(Command("inquire", str(inquiry.id)))
        last = tx.events.last()
        for seen in tx.webhooks.all():
            hook = tx.webhooks.lock(seen.id) if seen.cursor < last else None
            waits = hook is not None and hook.retry_at is not None and hook.retry_at > now
            if hook is not None and hook.state == "active" and hook.cursor < last and not waits:
                tx.webhooks.save(replace(hook, retry_at=now + AGAIN))
                commands.append(Command("notify", str(hook.id)))
    for campaign in campaigns:
        with store.begin() as tx:
            commands += _learning(tx, campaign, waiting)
    return commands


def _learning(tx: Transaction, campaign: r.Campaign, waiting: Collection[str]) -> list[Command]:
    end_late(tx, campaign)
    now, who = tx.now(), asked(tx, campaign)
    if who.learner:
        return []
    campaign, commands = who.campaign, []

    def free(job: r.Job) -> bool:
        running = job.deadline is not None and job.deadline > now
        return not running and _stale(job.issued_at, now, AT_LEISURE if job.kind in waiting else AGAIN)

    train = found_by(tx.jobs.get(campaign.id, "train"), "")
    if training_due(campaign, train, awaited=awaited(tx, campaign.id)) and free(train):
        tx.jobs.save(tx.jobs.lock(campaign.id, "train"), issued=True)
        commands.append(Command("train", campaign.id))
    suggest = tx.jobs.get(campaign.id, "suggest")
    want = wanted(tx, campaign, who.most) if free(suggest) else NOTHING
    failed = suggest.error != "" and suggest.done == campaign.data_revision
    if failed and want.fill == 0 and not _stale(suggest.issued_at, now, AT_LEISURE):
        want = NOTHING
    if want != NOTHING:
        tx.jobs.save(tx.jobs.lock(campaign.id, "suggest"), issued=True)
        commands.append(Command("suggest", campaign.id))
    return commands


def _stale(issued: datetime | None, now: datetime, after: timedelta) -> bool:
    return issued is None or now - issued > after
