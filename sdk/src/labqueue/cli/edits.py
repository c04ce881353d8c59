"""labqueue edit, versions: a running campaign is changed, and what it was before can be read."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from labqueue.errors import FieldError, InvalidError

from .connect import Verbs, add_json, add_reason, client
from .files import CampaignFile, read_campaign
from .show import cell, dump, explain_field, many, moment, table

CHANGES_SHOWN = 6


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    one = verbs.add_parser(
        "edit", parents=[common], help="give a running campaign the problem and strategy of its edited file"
    )
    one.add_argument("campaign")
    one.add_argument("file", help="the campaign's file, edited: JSON, or YAML where PyYAML is installed")
    add_reason(one)
    add_json(one)
    one.set_defaults(call=edit)
    one = verbs.add_parser(
        "versions", parents=[common], help="every problem and strategy that a campaign had, and what changed"
    )
    one.add_argument("campaign")
    add_json(one)
    one.set_defaults(call=versions)


def edit(args: argparse.Namespace) -> int:
    file = read_campaign(args.file)
    server = client(args)
    before = server.campaign(args.campaign)
    _check_rest(args, file, before)
    try:
        answer = server.change_problem(
            args.campaign, file.problem.to_json(), args.reason, strategy=file.strategy.to_json()
        )
    except InvalidError as error:
        raise file.placed(error) from None
    print(dump(answer) if args.json else "\n".join(_told(before, answer)))
    return 0


def _check_rest(args: argparse.Namespace, file: CampaignFile, before: Mapping[str, Any]) -> None:
    """An edit changes the problem and the strategy; a file that says something else is not this campaign's."""
    wrong = [
        FieldError(name, f"is {before.get(name)} in the campaign; an edit cannot change it.", given)
        for name, given in (
            ("name", file.name),
            ("queue", file.queue),
            ("owner", file.owner),
            ("weight", file.weight),
            ("seed", file.seed),
        )
        if given is not None and given != before.get(name)
    ]
    if wrong:
        raise InvalidError(f"{args.file} does not describe the campaign {args.campaign}.", errors=wrong)


def _told(before: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[str]:
    now = answer["campaign"]
    for what in ("problem", "strategy"):
        number = now[f"{what}_version"]
        if number == before[f"{what}_version"]:
            continue
        yield f"The {what} of {now['name']} is at version {number}:"
        yield from (f"  {each}" for each in _listed(changes(before[what], now[what])))
    if all(now[f"{what}_version"] == before[f"{what}_version"] for what in ("problem", "strategy")):
        yield f"Nothing changed: the campaign {now['name']} is as the file says."
    gone = [each["code"] for each in answer["superseded"]]
    if gone:
        verb = "is" if len(gone) == 1 else "are"
        yield f"{many(len(gone), 'suggestion')} that {verb} outside now gave way: {', '.join(gone)}."
    for each in answer["outside"]:
        wrong = " ".join(explain_field(FieldError.from_json(error)) for error in each["errors"])
        yield (
            f"{each['code']} stays staged, since a person chose it: {wrong} "
            f"`labqueue cancel {each['code']}` takes it out."
        )


def versions(args: argparse.Namespace) -> int:
    found = client(args).versions(args.campaign)
    if args.json:
        print(dump(found))
        return 0
    before: dict[str, Any] = {}
    rows = []
    for each in found:
        kind, body = each["kind"], each["body"]
        said = _listed(changes(before[kind], body)) if kind in before else []
        rows.append(
            [kind, each["number"], moment(each["at"]), each["actor"], each["reason"], "; ".join(said)]
        )
        before[kind] = body
    print(table(["what", "version", "since", "by", "reason", "changes"], rows))
    return 0


def changes(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """What differs between two definitions, named parts by their names. A flag that is not set may as well be left
    out."""
    old, new = _by_name(old), _by_name(new)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in {**old, **new}:
            where = f"{place}.{name}" if place else str(name)
            yield from changes(old.get(name), new.get(name), where)
    elif old != new and not all(each is None or each is False for each in (old, new)):
        yield f"{place}: {_short(old)} -> {_short(new)}"


def _by_name(value: Any) -> Any:
    """A list of named objects as {name: object}."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(each, Mapping) for each in value):
        for key in ("name", "output"):
            names = [each.get(key) for each in value]
            if None not in names and len(set(names)) == len(names):
                return dict(zip(names, value))
    return value


def _short(value: Any) -> str:
    text = cell(value) or "nothing"
    return text if len(text) <= 60 else text[:59] + "…"


def _listed(said: Iterator[str]) -> Sequence[str]:
    lines = list(said)
    more = len(lines) - CHANGES_SHOWN
    return lines if more <= 0 else [*lines[:CHANGES_SHOWN], f"and {more} more"]
