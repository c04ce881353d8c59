"""labqueue campaign, status, stage, experiments, results."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from labqueue.client import Client
from labqueue.errors import FieldError, InvalidError, NotFoundError
from labqueue.problem import MAXIMIZE, MINIMIZE, Problem

from .connect import Verbs, add_json, add_reason, client
from .files import CampaignFile, pairs, read_campaign, read_document, read_rows
from .show import cell, counts, dump, many, moment, table
from .standing import outcome, standing
from .units import amount, amounts, titles, units_of


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    one = verbs.add_parser("status", parents=[common], help="what needs a person, then everything else")
    add_json(one)
    one.set_defaults(call=status)

    group = verbs.add_parser("campaign", help="create, validate, list, show, pause, resume, finish")
    actions = group.add_subparsers(metavar="ACTION", required=True)
    one = actions.add_parser("create", parents=[common], help="create the campaign that a file describes")
    one.add_argument("file", help="JSON, or YAML where PyYAML is installed")
    add_json(one)
    one.set_defaults(call=create)
    text = "read a campaign's file without a server: each field for itself"
    more = "; whether its rules can be met, and fit its strategy, is looked at when it is created"
    one = actions.add_parser("validate", help=text, description=text + more)
    one.add_argument("file")
    one.set_defaults(call=validate)
    one = actions.add_parser("list", parents=[common], help="all campaigns")
    add_json(one)
    one.set_defaults(call=list_all)
    one = actions.add_parser("show", parents=[common], help="one campaign: states, best so far, model")
    one.add_argument("campaign")
    add_json(one)
    one.set_defaults(call=show)
    for action, what in (
        ("pause", "no staging and no claims until it is resumed"),
        ("resume", "go on"),
        ("finish", "cancel what is staged, let runs end, go on taking results"),
    ):
        one = actions.add_parser(action, parents=[common], help=what)
        one.add_argument("campaign")
        add_reason(one)
        one.set_defaults(call=act, action=action)

    one = verbs.add_parser("stage", parents=[common], help="stage experiments: all of them or none")
    one.add_argument("campaign")
    one.add_argument("values", nargs="*", metavar="NAME=VALUE", help="the parameters of one experiment")
    source = one.add_mutually_exclusive_group()
    source.add_argument("--csv", metavar="FILE", help="a row per experiment, a column per parameter")
    source.add_argument(
        "--json", metavar="FILE", dest="json_file", help="a list of {parameters or payload, ...}"
    )
    one.add_argument("--priority", type=int, default=0, help="higher ones are claimed first (default 0)")
    one.add_argument("--reason", default="", help="why these")
    one.add_argument("--key", help="the batch's name: staged twice under the same key, it is there once")
    one.add_argument("--propose", action="store_true", help="wait for approval before they may be claimed")
    one.set_defaults(call=stage)

    one = verbs.add_parser("experiments", parents=[common], help="the experiments of a campaign")
    one.add_argument("campaign")
    one.add_argument("--state", help="only those in this state (staged, leased, held, ...)")
    add_json(one)
    one.set_defaults(call=experiments)
    one = verbs.add_parser("results", parents=[common], help="the results of a campaign")
    one.add_argument("campaign")
    how = one.add_mutually_exclusive_group()
    how.add_argument("--csv", action="store_true", help="print CSV")
    add_json(how)
    one.set_defaults(call=results)


# -- status and campaigns


def status(args: argparse.Namespace) -> int:
    """Begins with what needs a person."""
    found = client(args).status()
    print(dump(found) if args.json else status_text(found))
    return 0


def status_text(found: Mapping[str, Any]) -> str:
    parts = []
    waiting = found.get("attention") or []
    for number, each in enumerate(waiting, 1):
        lines = [f"{number}. {each.get('title') or each.get('kind')}", each.get("what"), each.get("do")]
        parts.append("\n   ".join(line for line in lines if line))
    parts = ["Needs a person:", *parts] if waiting else ["Nothing needs a person."]
    parts.append(
        _section("Campaigns", CAMPAIGN_HEADER, [_campaign_row(x) for x in found.get("campaigns") or ()])
    )
    queues = [
        (x.get("name"), x.get("state"), counts(x["counts"], IDLE) if "counts" in x else "", x.get("reason"))
        for x in found.get("queues") or ()
    ]
    parts.append(_section("Queues", ("name", "state", "experiments", "reason"), queues))
    instruments = [instrument_row(each) for each in found.get("instruments") or ()]
    parts.append(_section("Instruments", INSTRUMENT_HEADER, instruments))
    workers = [_worker_row(each) for each in found.get("workers") or ()]
    parts.append(_section("Workers", ("kind", "does", "process", "last heard"), workers))
    return "\n\n".join(part for part in parts if part)


#: Of a queue, whose counts leave out what has ended.
IDLE = "nothing waits or runs"
#: A worker that has not been heard for so long is taken for dead.
SILENT_SECONDS = 30.0


def _worker_row(each: Mapping[str, Any]) -> tuple[Any, ...]:
    info, seconds = each.get("info") or {}, each.get("seconds") or 0.0
    silent = seconds > SILENT_SECONDS
    does = info.get("queues") or ("leads" if info.get("leads") and not silent else "")
    heard = f"{seconds:.0f} s ago" + (": silent" if silent else "")
    return each.get("kind"), does, each.get("holder"), heard


INSTRUMENT_HEADER = ("name", "queue", "state", "adapter", "last seen", "failures", "reason")


def instrument_row(each: Mapping[str, Any]) -> tuple[Any, ...]:
    held = each.get("held_experiment")
    return (
        each.get("name"),
        each.get("queue"),
        each.get("state"),
        "live" if each.get("live") else "silent",
        moment(each.get("last_seen")),
        each.get("failures") or None,
        each.get("reason") or (f"experiment {held} is held" if held is not None else ""),
    )


def _section(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    return f"{title}\n" + table(header, rows) if rows else ""


CAMPAIGN_HEADER = ("name", "state", "queue", "best", "experiments", "reason")


def _campaign_row(each: Mapping[str, Any]) -> tuple[Any, ...]:
    best = _best_value(each)
    if each.get("front"):
        best = f"front of {len(each['front'])}"
    return (
        each.get("name"),
        each.get("state"),
        each.get("queue"),
        best,
        counts(each.get("counts")),
        each.get("reason"),
    )


def _best_value(campaign: Mapping[str, Any]) -> Any:
    """Of a single output that shall be large or small, its own value; else the score, which is called so."""
    best = campaign.get("best")
    if not best:
        return None
    objectives = (campaign.get("problem") or {}).get("objectives") or []
    if len(objectives) == 1 and objectives[0].get("goal", MAXIMIZE) in (MAXIMIZE, MINIMIZE):
        name = objectives[0]["output"]
        value, units = best["outputs"].get(name), units_of(campaign)
        return amount(name, value, units) if name in units else value
    return f"score {cell(best['score'])}"


def create(args: argparse.Namespace) -> int:
    """Makes the queue first, where it is missing and the file says how."""
    file = read_campaign(args.file)
    server = client(args)
    made_queue = _make_queue(server, file)
    try:
        campaign = server.create_campaign(
            file.name,
            queue=file.queue,
            problem=file.problem.to_json(),
            strategy=file.strategy.to_json(),
            owner=file.owner,
            weight=file.weight,
            seed=file.seed,
        )
    except InvalidError as error:
        raise file.placed(error) from None
    if args.json:
        print(dump(campaign))
        return 0
    if made_queue:
        print(f"The queue {file.queue} was created.")
    print(
        f"The campaign {file.name} is {campaign.get('state', 'active')}: {_size(file)}, queue {file.queue}."
    )
    return 0


def _make_queue(server: Client, file: CampaignFile) -> bool:
    """Was it missing? Raises InvalidError where it is there with another policy than the file asks for."""
    if file.policy is None:
        return False
    try:
        there = server.queue(file.queue)
    except NotFoundError:
        server.put_queue(file.queue, **file.policy)
        return True
    wrong = [
        FieldError(f"queue_policy.{name}", f"is {cell(wanted)}, and {cell(there.get(name))} in the queue.")
        for name, wanted in file.policy.items()
        if wanted != there.get(name)
    ]
    if wrong:
        message = (
            f"The queue {file.queue} is there already, with another policy, and other campaigns may count on it. "
            f"Write what it has, leave queue_policy out, or change it (`labqueue queue create {file.queue}`)."
        )
        raise file.placed(InvalidError(message, errors=wrong))
    return False


def validate(args: argparse.Namespace) -> int:
    """What can be said of the definition without a server."""
    file = read_campaign(args.file)
    print(f"{args.file} reads well: campaign {file.name}, {_size(file)}, queue {file.queue}.")
    print("Whether its rules can be met, and fit its strategy, is looked at when it is created.")
    return 0


def _size(file: CampaignFile) -> str:
    problem = file.problem
    inputs = "opaque items" if problem.opaque else many(len(problem.parameters), "parameter")
    inputs = inputs if problem.pool is None else f"the rows of the pool {problem.pool.name}"
    goals = many(len(problem.objectives), "objective")
    return f"{inputs}, {many(len(problem.outputs), 'output')}, {goals}, method {file.strategy.method}"


def list_all(args: argparse.Namespace) -> int:
    found = client(args).campaigns()
    print(dump(found) if args.json else table(CAMPAIGN_HEADER, map(_campaign_row, found)) if found else NONE)
    return 0


NONE = "There is no campaign yet. `labqueue campaign create FILE` makes one."


def show(args: argparse.Namespace) -> int:
    found = client(args).campaign(args.campaign)
    if args.json:
        print(dump(found))
        return 0
    best, front, units = found.get("best") or {}, found.get("front") or [], units_of(found)
    rows = [
        ("state", f"{found.get('state')}. {found.get('reason') or ''}".rstrip(" .")),
        ("owner", found.get("owner")),
        ("queue", found.get("queue")),
        ("experiments", counts(found.get("counts"))),
        ("best", _best(found)),
        ("conditions", amounts(best.get("parameters"), units) or None),
        ("outputs", amounts(best.get("outputs"), units) or None),
        ("model", found.get("model_version")),
        ("learner", learner_text(found.get("learner"))),
        ("created", moment(found.get("created_at"))),
        ("finished", moment(found.get("finished_at"))),
    ]
    print("\n".join(f"{name:12} {cell(value)}" for name, value in rows if value is not None))
    if front:
        names, outputs = _names(front, "parameters"), _names(front, "outputs")
        members = [
            [
                each["code"],
                *(_inner(each, "outputs", name) for name in outputs),
                *(_inner(each, "parameters", name) for name in names),
            ]
            for each in front
        ]
        print(f"\nThe front\n{table(['code', *titles([*outputs, *names], units)], members)}")
    return 0


def learner_text(learner: Mapping[str, Any] | None) -> str | None:
    """Of the user's own, where there is one: is it there, and what went wrong last?"""
    if not learner:
        return None
    there = "there" if learner.get("live") else "away"
    why, error = learner.get("instead") or "", learner.get("error") or ""
    instead = f"; our workers choose {why}" if why else ""
    # Why our workers choose names the first letters of what failed.
    failed = f"; failed: {error}" if error and error[:300] not in why else ""
    return f"{learner.get('name')} is {there}{instead}{failed}"


def _best(campaign: Mapping[str, Any]) -> str:
    best, front = campaign.get("best"), campaign.get("front")
    if front:
        return f"a front of {many(len(front), 'experiment')}"
    return f"{cell(_best_value(campaign))} by {best['code']}" if best else "nothing yet"


def act(args: argparse.Namespace) -> int:
    found = client(args).campaign_action(args.campaign, args.action, args.reason)
    why = found.get("reason") or ""
    print(f"The campaign {args.campaign} is {found.get('state')}{': ' if why else ''}{why}.")
    return 0


# -- staging


def stage(args: argparse.Namespace) -> int:
    """From words, a CSV or a JSON file; prints each row that is wrong, and stages none then."""
    if bool(args.values) == bool(args.csv or args.json_file):
        raise InvalidError("Say what to stage: NAME=VALUE words, --csv FILE or --json FILE; one of them.")
    server = client(args)
    problem = Problem.from_json(server.campaign(args.campaign)["problem"])
    items = _items(args, problem)
    for item in items:
        item.setdefault("priority", args.priority)
        item.setdefault("reason", args.reason)
    try:
        answer = server.stage(args.campaign, items, key=args.key, propose=args.propose)
    except InvalidError as error:
        errors = [_where(each, args.csv, bool(args.values)) for each in error.errors]
        raise InvalidError(error.message, errors=errors) from None
    made = answer["experiments"]
    print(f"{many(len(made), 'experiment')} staged: {', '.join(each['code'] for each in made)}.")
    return 0


def _items(args: argparse.Namespace, problem: Problem) -> list[dict[str, Any]]:
    if args.csv:
        return read_rows(args.csv, problem)
    if args.values:
        return [{"parameters": pairs(args.values, problem)}]
    items = read_document(args.json_file)
    if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
        raise InvalidError(f"{args.json_file} must hold a list of objects, one for each experiment.")
    known = ("parameters", "payload", "priority", "reason", "expires_at", "pinned")
    plain = [not any(name in each for name in ("parameters", "payload")) for each in items]
    return [
        {"parameters": each} if is_plain and not set(each) <= set(known) else dict(each)
        for each, is_plain in zip(items, plain)
    ]


def _where(error: FieldError, path: str | None, one: bool) -> FieldError:
    """`items[3].tau` as the line of the CSV that it came from; of the only row, just `tau`."""
    place, _, rest = error.field.partition(".")
    if one and rest:
        return replace(error, field=rest)
    if path is None or not place.startswith("items["):
        return error
    line = int(place[6:-1]) + 2
    return replace(error, field=f"line {line}, {rest}" if rest else f"line {line}")


# -- experiments and results


def experiments(args: argparse.Namespace) -> int:
    server = client(args)
    found = list(server.experiments(args.campaign, args.state))
    if args.json:
        print(dump(found))
        return 0
    campaign = server.campaign(args.campaign)
    names, outputs = _columns(found, "parameters", campaign)
    units = units_of(campaign)
    header = ["code", "state", "priority", *titles([*names, *outputs], units), "why"]
    rows = [
        [
            each.get("code"),
            each.get("state"),
            each.get("priority") or None,
            *(_inner(each, "parameters", name) for name in names),
            *(_inner(each, "outputs", name) for name in outputs),
            each.get("state_reason") or each.get("reason"),
        ]
        for each in found
    ]
    print(table(header, rows) if rows else "There are none.")
    return 0


def results(args: argparse.Namespace) -> int:
    server = client(args)
    found = list(server.results(args.campaign))
    if args.json:
        print(dump(found))
        return 0
    campaign = server.campaign(args.campaign)
    names, outputs = _columns(found, "as_run", campaign)
    about = ["outcome", "verdict", "standing", "instrument", "measured_at", "comment", "result"]
    rows = [_result_row(each, names, outputs) for each in found]
    if args.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["code", *names, *outputs, *about])
        writer.writerows(rows)
    elif rows:
        shown = titles([*names, *outputs], units_of(campaign))
        # Ids are long: they stand there where one row is about another.
        some = any(each.get("amends") for each in found)
        print(table(["code", *shown, *about], [_for_people(row, some) for row in rows]))
    else:
        print("There are no results yet.")
    return 0


def _for_people(row: Sequence[Any], ids: bool) -> list[Any]:
    *before, at, comment, id = row
    return [*before, moment(at), comment, id if ids else None]


def _result_row(each: Mapping[str, Any], names: Sequence[str], outputs: Sequence[str]) -> list[Any]:
    """The parameters as they really were, where that is known."""
    return [
        each.get("code") or each.get("experiment"),
        *(_inner(each, "as_run", name) for name in names),
        *(_inner(each, "outputs", name) for name in outputs),
        outcome(each),
        each.get("verdict"),
        standing(each),
        each.get("instrument"),
        each.get("measured_at") or each.get("recorded_at"),
        each.get("comment"),
        each.get("id"),
    ]


def _columns(
    rows: Sequence[Mapping[str, Any]], key: str, campaign: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """The parameters (under `key`) and outputs that any row has, in the problem's own order, then what it does not
    know."""
    problem = Problem.from_json(campaign["problem"])
    names, outputs = _names(rows, key), _names(rows, "outputs")
    own = [*problem.ordered(dict.fromkeys(names))]
    measured = [name for name in problem.output_names if name in outputs]
    return (
        [*own, *(name for name in names if name not in own)],
        [*measured, *(name for name in outputs if name not in measured)],
    )


def _names(rows: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    """Every name that any row has, in the order in which they come."""
    seen: dict[str, None] = {}
    for row in rows:
        if isinstance(row.get(key), Mapping):
            seen.update(dict.fromkeys(row[key]))
    return list(seen)


def _inner(row: Mapping[str, Any], key: str, name: str) -> Any:
    inner = row.get(key)
    return inner.get(name) if isinstance(inner, Mapping) else None
