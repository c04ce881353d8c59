"""labqueue queue, instrument."""

from __future__ import annotations

import argparse

from labqueue.states import LostLease

from .campaigns import IDLE, INSTRUMENT_HEADER, instrument_row
from .connect import Verbs, add_json, add_reason, client
from .show import cell, counts, dump, table


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    group = verbs.add_parser("queue", help="create, list, show, pause, resume, drain")
    actions = group.add_subparsers(metavar="ACTION", required=True)
    one = actions.add_parser("create", parents=[common], help="create a queue, or change its policy")
    one.add_argument("queue")
    one.add_argument("--lease-seconds", type=float, help="how long a silent adapter keeps its experiment")
    one.add_argument(
        "--on-lost", choices=[each.value for each in LostLease], help="what follows when it is silent"
    )
    one.add_argument(
        "--max-attempts", type=int, help="attempts that may be lost or fail before it is given up"
    )
    one.add_argument("--people", action="store_true", default=None, help="people claim: no heartbeat")
    one.set_defaults(call=create)
    one = actions.add_parser("list", parents=[common], help="all queues")
    add_json(one)
    one.set_defaults(call=list_all)
    one = actions.add_parser("show", parents=[common], help="one queue and its policy")
    one.add_argument("queue")
    add_json(one)
    one.set_defaults(call=show)
    for action, what in (
        ("pause", "nothing is claimed from it until it is resumed"),
        ("resume", "go on"),
        ("drain", "runs end, nothing new is claimed"),
    ):
        one = actions.add_parser(action, parents=[common], help=what)
        one.add_argument("queue")
        add_reason(one)
        one.set_defaults(call=act, action=action)

    group = verbs.add_parser("instrument", help="list, pause, clear")
    actions = group.add_subparsers(metavar="ACTION", required=True)
    one = actions.add_parser("list", parents=[common], help="all instruments")
    add_json(one)
    one.set_defaults(call=instruments)
    for action, what in (
        ("pause", "it claims nothing until it is cleared"),
        ("clear", "you looked at it, and it may claim again"),
    ):
        one = actions.add_parser(action, parents=[common], help=what)
        one.add_argument("instrument")
        add_reason(one)
        one.set_defaults(call=act_instrument, action=action)


def create(args: argparse.Namespace) -> int:
    wanted = {name: getattr(args, name) for name in ("lease_seconds", "on_lost", "max_attempts", "people")}
    policy = {name: value for name, value in wanted.items() if value is not None}
    found = client(args).put_queue(args.queue, **policy)
    print(f"The queue {args.queue}: {_policy(found)}.")
    return 0


def _policy(found: dict[str, object]) -> str:
    names = ("lease_seconds", "on_lost", "max_attempts", "people")
    return ", ".join(f"{name} {cell(found[name])}" for name in names if name in found)


def list_all(args: argparse.Namespace) -> int:
    found = client(args).queues()
    if args.json:
        print(dump(found))
        return 0
    header = ("name", "state", "lease (s)", "on lost", "attempts", "people", "experiments", "reason")
    rows = [
        (
            each.get("name"),
            each.get("state"),
            each.get("lease_seconds"),
            each.get("on_lost"),
            each.get("max_attempts"),
            each.get("people"),
            counts(each["counts"], IDLE) if "counts" in each else None,
            each.get("reason"),
        )
        for each in found
    ]
    print(table(header, rows) if rows else "There is no queue yet. `labqueue queue create NAME` makes one.")
    return 0


def show(args: argparse.Namespace) -> int:
    found = client(args).queue(args.queue)
    if args.json:
        print(dump(found))
    else:
        print("\n".join(f"{name:14} {cell(value)}".rstrip() for name, value in found.items()))
    return 0


def act(args: argparse.Namespace) -> int:
    found = client(args).queue_action(args.queue, args.action, args.reason)
    print(f"The queue {args.queue} is {found.get('state')}.")
    return 0


def instruments(args: argparse.Namespace) -> int:
    found = client(args).instruments()
    if args.json:
        print(dump(found))
    else:
        none = "No instrument has ever claimed here."
        print(table(INSTRUMENT_HEADER, map(instrument_row, found)) if found else none)
    return 0


def act_instrument(args: argparse.Namespace) -> int:
    found = client(args).instrument_action(args.instrument, args.action, args.reason)
    print(f"The instrument {args.instrument} is {found.get('state')}.")
    return 0
