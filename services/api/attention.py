"""What needs a person: what is it, why, and what to do, in sentences with the command to give."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from labqueue.states import State
from labqueue.strategy import CALLER, LEARNER
from models.domain import records as r
from services.api.taught import learner_attention
from services.flow.shared import strategy_of
from services.ports import Store, Transaction

Json = dict[str, Any]

SHOWN = 20  # held experiments of a campaign, one by one; the rest is counted
SILENT_SECONDS = 30.0
API = "/api/v1"


def attention(
    store: Store, campaigns: Sequence[Mapping[str, Any]], instruments: Sequence[Mapping[str, Any]]
) -> list[Json]:
    """The most pressing first: held runs and blocked instruments, then what stands still, then what waits.

    `campaigns` and `instruments`: those that the caller may see, as they are shown.
    """
    with store.begin() as tx:
        records = {each.name: each for each in tx.campaigns.all()}
        held = [item for each in campaigns for item in _held(tx, records[each["name"]], each)]
        odd = list(_unusable(tx, [records[each["name"]] for each in campaigns]))
        learning = [item for each in campaigns for item in _learning(tx, records[each["name"]])]
        queues = {each["queue"] for each in campaigns}
        stopped = [item for each in tx.queues.all() if each.name in queues for item in _queue(each)]
        absent = list(_absent(tx, campaigns))
        blocked = [item for each in instruments for item in _instrument(tx, each)]
        waiting = [item for each in campaigns for item in _campaign(tx, records[each["name"]], each)]
    return [
        *held,
        *blocked,
        *odd,
        *waiting,
        *stopped,
        *learning,
        *absent,
    ]


def _held(tx: Transaction, campaign: r.Campaign, shown: Mapping[str, Any]) -> Iterator[Json]:
    count = shown["counts"].get("held", 0)
    if not count:
        return
    for each in tx.experiments.of_campaign(campaign.id, (State.HELD,), SHOWN):
        yield _item(
            "held",
            f"{each.code} is held",
            each.held_reason,
            f"labqueue decide {shlex.quote(each.code)} run_again|complete|give_up --reason '...'",
            f"{API}/experiments/{each.id}",
        )
    if count > SHOWN:
        do = f"labqueue decide {shlex.quote(campaign.name)} run_again|give_up --all --reason '...'"
        yield _item("held", f"{count - SHOWN} more of {campaign.name} are held", "", do, "")


def _unusable(tx: Transaction, campaigns: Sequence[r.Campaign]) -> Iterator[Json]:
    """Results that could not be used and for which no experiment was held: it had ended, or somebody else ran it."""
    names = {each.id: each.name for each in campaigns}
    found = tx.results.waiting(list(names), SHOWN + 1)
    codes = {each.id: each.code for each in tx.experiments.get([each.experiment_id or 0 for each in found])}
    for each in found[:SHOWN]:
        code = codes.get(each.experiment_id or 0)
        of = code or names[each.campaign_id or 0]
        do = f"labqueue dismiss {each.id} --reason '...'"
        if code is None:
            link = f"{API}/campaigns"
        else:
            right = f"labqueue amend {shlex.quote(code)} --result {each.id} NAME=VALUE --reason '...'"
            do = f"labqueue show {shlex.quote(code)}, then {do} or {right}"
            link = f"{API}/experiments/{each.experiment_id}"
        yield _item("result", f"a result of {of} cannot be used", each.reason, do, link)
    if len(found) > SHOWN:
        yield _item(
            "result", "more results cannot be used", "They are listed as these are dismissed.", "", ""
        )


def _instrument(tx: Transaction, shown: Mapping[str, Any]) -> Iterator[Json]:
    name = shown["name"]
    do, link = f"labqueue instrument clear {shlex.quote(name)}", f"{API}/instruments"
    if shown["held_experiment"] is not None:
        codes = ", ".join(each.code for each in tx.experiments.get([shown["held_experiment"]]))
        what = f"It claims nothing until somebody has looked at it and at experiment {codes}."
        yield _item("instrument", f"{name} waits for a decision", what, do, link)
    elif shown["state"] != "active":
        yield _item("instrument", f"{name} is {shown['state']}", shown["reason"], do, link)


def _campaign(tx: Transaction, campaign: r.Campaign, shown: Mapping[str, Any]) -> Iterator[Json]:
    name, counts = shown["name"], shown["counts"]
    link = f"{API}/campaigns"
    if shown["state"] == "paused":
        do = f"labqueue campaign resume {shlex.quote(name)}"
        yield _item("campaign", f"{name} is paused", shown["reason"], do, link)
    if counts.get("proposed"):
        what = f"{_experiments(counts['proposed'])} of {name} waiting for approval"
        do = f"labqueue experiments {shlex.quote(name)} --state proposed, then labqueue approve CODE or reject CODE (--all: of the whole campaign)"
        yield _item("proposed", what, "", do, link)
    given_up = tx.experiments.given_up(campaign.id) if counts.get("failed") else 0
    if given_up:
        what = f"{_experiments(given_up)} of {name} given up"
        do = (
            f"labqueue experiments {shlex.quote(name)} --state failed, then labqueue restage CODE, or "
            "labqueue dismiss CODE --reason '...'"
        )
        yield _item("failed", what, "They run again only if somebody says so.", do, link)


def _experiments(count: int) -> str:
    return f"{count} experiment" + ("" if count == 1 else "s")


def _queue(queue: r.Queue) -> Iterator[Json]:
    if queue.state != "active":
        do = f"labqueue queue resume {shlex.quote(queue.name)}"
        yield _item("queue", f"queue {queue.name} is {queue.state}", queue.reason, do, f"{API}/queues")


def _learning(tx: Transaction, campaign: r.Campaign) -> Iterator[Json]:
    """A training or suggesting that failed; suggestions go on from the last good model, else from the design."""
    if campaign.state != "active":
        return
    for kind, what in (("train", "training"), ("suggest", "suggesting")):
        error = tx.jobs.get(campaign.id, kind).error
        if error:
            taught = kind == "train" and strategy_of(campaign).method == LEARNER
            log = "the learner's own log" if taught else "the log of the worker"
            do = f"See {log}; it is tried again when there are new results."
            yield _item("learning", f"{what} for {campaign.name} failed", error[:300], do, f"{API}/campaigns")
    for title, what, do in learner_attention(tx, campaign):
        yield _item("learner", title, what, do, f"{API}/campaigns")


def _absent(tx: Transaction, campaigns: Sequence[Mapping[str, Any]]) -> Iterator[Json]:
    """Nobody trains or suggests, though a campaign wants it."""
    wanting = [
        each["name"]
        for each in campaigns
        if each["state"] == "active" and each["strategy"].get("method") != CALLER
    ]
    if not wanting:
        return
    served: set[str] = set()
    janitors = 0
    for kind, _, seconds, info in tx.liveness.workers():
        if seconds <= SILENT_SECONDS:
            served.update(info.get("queues", ()))
            janitors += kind == "janitor"
    if not janitors:
        what = "Lost leases, stop rules and commands to the workers wait for it."
        yield _item("worker", "no janitor is alive", what, "labqueue-server janitor", "")
    for queue in ("train", "suggest"):
        if queue not in served:
            what = f"Wanted by: {', '.join(wanting[:5])}. Claims and results go on without."
            yield _item(
                "worker",
                f"no worker is alive for {queue}",
                what,
                f"labqueue-server worker --queue {queue}",
                "",
            )


def _item(kind: str, title: str, what: str, do: str, link: str) -> Json:
    return {"kind": kind, "title": title, "what": what, "do": do, "link": link}
