"""labqueue import and export: a campaign as a table for a spreadsheet."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labqueue.errors import FieldError

from .connect import Verbs, add_json, client
from .show import cell, dump, many, table

#: What becomes of a row, in the words of a person.
SAID = {
    "new": "run elsewhere, now an experiment of its own",
    "recorded": "recorded",
    "changed": "changed",
    "unchanged": "known already",
    "pending": "nothing measured yet",
    "refused": "refused",
}
#: What needs no line of its own.
_QUIET = ("unchanged", "pending")


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    one = verbs.add_parser(
        "import", parents=[common], help="read results from a CSV file, columns in any order"
    )
    one.add_argument("campaign")
    one.add_argument("file")
    one.add_argument(
        "--dry-run", action="store_true", help="say what would become of each row, and do nothing"
    )
    add_json(one)
    one.set_defaults(call=read_in)
    one = verbs.add_parser(
        "export", parents=[common], help="a row per experiment, to be edited and imported again"
    )
    one.add_argument("campaign")
    one.add_argument("file", nargs="?", help="where to write it (default, or -: print it)")
    one.set_defaults(call=give_out)


def read_in(args: argparse.Namespace) -> int:
    """1 where a row was refused."""
    path = Path(args.file)
    found = client(args).import_table(
        args.campaign, lambda: path.open("rb"), path.stat().st_size, file=path.name, dry_run=args.dry_run
    )
    print(dump(found) if args.json else _text(found))
    return 1 if found["counts"].get("refused") else 0


def _text(found: Mapping[str, Any]) -> str:
    rows = [_row(each) for each in found["rows"] if each.get("verdict") not in _QUIET]
    parts = [table(("line", "experiment", "what", "why or which"), rows)] if rows else []
    counted = [f"{count} {SAID.get(verdict, verdict)}" for verdict, count in found["counts"].items() if count]
    whole = f"{many(len(found['rows']), 'row')}: {', '.join(counted) or 'none'}."
    if found.get("ignored"):
        whole += f" Columns left out: {', '.join(found['ignored'])}."
    if found.get("encoded"):
        whole += f" Read as places in the list of categories: {', '.join(found['encoded'])}."
    if found.get("dry_run"):
        whole += " Nothing was done: a dry run."
    return "\n\n".join([*parts, whole])


def _row(each: Mapping[str, Any]) -> tuple[Any, ...]:
    errors = [str(FieldError.from_json(error)) for error in each.get("errors") or ()]
    values = {**(each.get("actual") or {}), **(each.get("outputs") or {})}
    why = (
        " ".join(errors)
        or each.get("message")
        or ", ".join(f"{name} {cell(v)}" for name, v in values.items())
    )
    return each.get("line"), each.get("code"), SAID.get(str(each.get("verdict")), each.get("verdict")), why


def give_out(args: argparse.Namespace) -> int:
    data = client(args).export_table(args.campaign)
    if args.file in (None, "-"):
        sys.stdout.write(data.decode("utf-8").replace("\r\n", "\n"))
        return 0
    path = Path(args.file)
    path.write_bytes(data)
    print(f"The campaign {args.campaign} is in {path}.")
    return 0
