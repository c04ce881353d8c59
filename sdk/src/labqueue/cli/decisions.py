"""labqueue show, decide, approve, reject, cancel, restage, dismiss: a person's word on single experiments."""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labqueue.client import Client
from labqueue.errors import ConflictError, InvalidError
from labqueue.problem import Problem

from .connect import Verbs, add_json, add_reason, client
from .files import pairs
from .show import cell, dump, moment, table
from .standing import ABOUT, outcome, standing
from .units import Units, amounts, units_of

DECISIONS = ("run_again", "complete", "give_up")


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    one = verbs.add_parser("show", parents=[common], help="one experiment: its attempts, results and notes")
    one.add_argument("experiment", help="its number or its code")
    add_json(one)
    one.set_defaults(call=show)
    one = verbs.add_parser("decide", parents=[common], help="what becomes of a held experiment")
    one.add_argument("experiment", help="its number or its code; with --all, a campaign")
    one.add_argument("decision", choices=DECISIONS)
    one.add_argument("outputs", nargs="*", metavar="OUTPUT=VALUE", help="for complete: what was measured")
    one.add_argument("--comment", default="", help="for complete: kept beside the result")
    one.add_argument("--all", action="store_true", help="every held experiment of the campaign")
    add_reason(one)
    one.set_defaults(call=decide)
    for action, what, state in (
        ("approve", "proposed experiments may be claimed", "proposed"),
        ("reject", "proposed experiments are cancelled", "proposed"),
        ("cancel", "cancel; where an instrument runs it, ask it to stop", ""),
        ("restage", "give a failed experiment another round of attempts", "failed"),
    ):
        one = verbs.add_parser(action, parents=[common], help=what)
        one.add_argument("experiments", nargs="+", metavar="experiment")
        if state:
            text = f"the names are campaigns: every {state} experiment of theirs"
            one.add_argument("--all", action="store_true", help=text)
        add_reason(one)
        one.set_defaults(call=act, action=action, state=state, all=False)
    one = verbs.add_parser("dismiss", parents=[common], help="seen: what needs nobody any more")
    one.add_argument(
        "names", nargs="+", metavar="name", help="a failed experiment, or the id of a result of no use"
    )
    one.add_argument("--reason", required=True, help="why nothing is done about it; kept with your name")
    one.set_defaults(call=dismiss)


def dismiss(args: argparse.Namespace) -> int:
    """One after the other; stops at the first that cannot be dismissed."""
    server = client(args)
    for name in args.names:
        server.dismiss(name, args.reason)
        print(f"{name} is dismissed. It is listed again if something new happens to it.")
    return 0


def act(args: argparse.Namespace) -> int:
    """One after the other; stops at the first that cannot be done."""
    server = client(args)
    action = "replay" if args.action == "restage" else args.action

    def one(name: str) -> None:
        found = server.experiment_action(name, action, args.reason)
        wished = args.action == "cancel" and found.get("state") == "leased"
        more = ": its instrument has been asked to stop" if wished else ""
        print(f"{found.get('code', name)} is {found.get('state')}{more}.")

    if args.all:
        return _every(server, args.experiments, args.state, one)
    for name in args.experiments:
        one(name)
    return 0


def _every(server: Client, campaigns: Sequence[str], state: str, act: Callable[[str], None]) -> int:
    """Acts on each experiment of the campaigns that is in this state; what has left it meanwhile is named and stays."""
    for campaign in campaigns:
        codes = [each["code"] for each in server.experiments(campaign, state)]
        if not codes:
            print(f"No experiment of {campaign} is {state}.")
        for code in codes:
            try:
                act(code)
            except ConflictError as error:
                print(error.message)
    return 0


def decide(args: argparse.Namespace) -> int:
    result, server = None, client(args)
    if args.all and args.decision == "complete":
        raise InvalidError("What was measured differs: complete held experiments one by one, without --all.")
    if args.decision == "complete":
        outputs = _values(server, args)
        if not outputs:
            raise InvalidError("To complete it, say what was measured: OUTPUT=VALUE for each output.")
        result = {"id": str(uuid.uuid4()), "outputs": outputs, "comment": args.comment}
    elif args.outputs:
        raise InvalidError(f"Outputs belong to complete, not to {args.decision}.")

    def one(name: str) -> None:
        found = server.decide(name, args.decision, args.reason, result)
        print(f"{found.get('code', name)} is {found.get('state')}.")

    if args.all:
        return _every(server, [args.experiment], "held", one)
    one(args.experiment)
    return 0


def _values(server: Client, args: argparse.Namespace) -> dict[str, Any]:
    """Numbers, but for outputs that are told apart by labels, which may look like numbers."""
    outputs = pairs(args.outputs)
    if outputs:
        campaign = server.experiment(args.experiment)["campaign"]
        known = Problem.from_json(server.campaign(campaign)["problem"]).outputs
        labelled = {each.name for each in known if each.classes}
        texts = dict(word.split("=", 1) for word in args.outputs)
        outputs.update({name: texts[name] for name in outputs if name in labelled})
    return outputs


def show(args: argparse.Namespace) -> int:
    server = client(args)
    found = server.experiment(args.experiment)
    if args.json:
        print(dump(found))
    else:
        print(experiment_text(found, units_of(server.campaign(found["campaign"]))))
    return 0


def experiment_text(found: Mapping[str, Any], units: Units) -> str:
    plain = ("code", "campaign", "state", "state_reason", "priority", "reason")
    lines = [f"{name:12} {cell(found[name])}" for name in plain if found.get(name) not in (None, "")]
    lines += [
        f"{name:12} {amounts(found[name], units)}"
        for name in ("parameters", "actual", "outputs")
        if found.get(name)
    ]
    attempts = [
        (
            each.get("number"),
            each.get("instrument"),
            each.get("ended") or each.get("state") or "running",
            moment(each.get("started_at")),
            each.get("run_ref"),
            each.get("reason"),
            " / ".join(cell(note) for note in each.get("notes") or ()),
        )
        for each in found.get("attempts") or ()
    ]
    header = ("attempt", "instrument", "end", "started", "run", "reason", "notes")
    results = [
        (
            each.get("id"),
            outcome(each),
            each.get("verdict"),
            standing(each),
            amounts(each.get("outputs"), units),
            each.get("comment"),
            None if each.get("kind") in ABOUT else each.get("message"),
        )
        for each in found.get("results") or ()
    ]
    parts = ["\n".join(lines)]
    parts += [table(header, attempts)] if attempts else []
    columns = ("result", "outcome", "verdict", "standing", "outputs", "comment", "message")
    parts += [table(columns, results)] if results else []
    return "\n\n".join(parts)
