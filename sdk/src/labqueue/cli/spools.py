"""labqueue spool: what this computer still has to say to the server, and what the server refused."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import unquote

from labqueue.errors import InvalidError, NotFoundError
from labqueue.journal import ACKNOWLEDGED, REFUSED, WAITING, Entry
from labqueue.spool import JOURNAL, Spool, default_folder, state_folder

from .connect import Verbs, add_json
from .files import read_document
from .show import cell, dump, table


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    group = verbs.add_parser("spool", help="list, show, retry, repair and drop what was not yet accepted")
    which = argparse.ArgumentParser(add_help=False)
    where = which.add_mutually_exclusive_group()
    where.add_argument("--instrument", help="the spool of this instrument")
    where.add_argument(
        "--spool", metavar="FOLDER", help="the spool in this folder (default: all of this user)"
    )
    actions = group.add_subparsers(metavar="ACTION", required=True)
    one = actions.add_parser("list", parents=[which], help="what waits and what was refused")
    one.add_argument("--all", action="store_true", help="also what was acknowledged")
    add_json(one)
    one.set_defaults(call=list_all)
    one = actions.add_parser("show", parents=[which], help="one entry; its body as JSON with --body")
    one.add_argument("entry", help="its id, or the beginning of it")
    one.add_argument("--body", action="store_true", help="only the body, to be edited and given to repair")
    one.set_defaults(call=show)
    one = actions.add_parser("retry", parents=[which], help="send refused entries again as they are")
    one.add_argument("entries", nargs="*", metavar="entry", help="none: all that were refused")
    one.set_defaults(call=retry)
    one = actions.add_parser("repair", parents=[which], help="give a refused entry another body and send it")
    one.add_argument("entry")
    one.add_argument("file", help="JSON; - reads it from the standard input")
    one.set_defaults(call=repair)
    one = actions.add_parser("drop-refused", parents=[which], help="forget refused entries for good")
    one.add_argument("entries", nargs="+", metavar="entry")
    one.set_defaults(call=drop)


def folders() -> list[Path]:
    """Every spool of this user."""
    root = state_folder()
    return sorted(each for each in root.iterdir() if (each / JOURNAL).is_file()) if root.is_dir() else []


def chosen(args: argparse.Namespace) -> list[Path]:
    """The spools that the arguments name; NotFoundError where there is none."""
    if not args.spool and not args.instrument:
        return folders()
    one = Path(args.spool) if args.spool else default_folder(args.instrument)
    if not (one / JOURNAL).is_file():
        raise NotFoundError(f"There is no spool in {one}.")
    return [one]


@contextmanager
def look_into(folder: Path) -> Iterator[Spool]:
    """Beside the adapter that may be serving from it."""
    with Spool(folder, lock=False) as spool:
        yield spool


def _find(args: argparse.Namespace, name: str) -> tuple[Path, Entry]:
    found = []
    for folder in chosen(args):
        with look_into(folder) as spool:
            try:
                found.append((folder, spool.journal.entry(name)))
            except NotFoundError:
                continue
    if len(found) != 1:
        many = "entries of several spools begin" if found else "no entry begins"
        raise NotFoundError(f"There {many} with {name!r}. `labqueue spool list` shows them.")
    return found[0]


def list_all(args: argparse.Namespace) -> int:
    rows = []
    for folder in chosen(args):
        with look_into(folder) as spool:
            rows += [
                (folder, each) for each in spool.journal.entries() if args.all or each.state != ACKNOWLEDGED
            ]
    if args.json:
        print(dump([{"spool": str(folder), **_listed(each), "body": each.body} for folder, each in rows]))
        return 0
    header = ("entry", "instrument", "what", "experiment", "state", "since", "message")
    shown = [
        (x.id[:12], unquote(folder.name), x.kind, x.code, x.state, _time(x.at), x.message)
        for folder, x in rows
    ]
    print(table(header, shown) if rows else "Nothing waits here: all that was measured is with the server.")
    return 0


def _listed(entry: Entry) -> dict[str, str]:
    names = ("id", "kind", "code", "attempt", "state", "message")
    return {**{name: getattr(entry, name) for name in names}, "at": _time(entry.at)}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")


def show(args: argparse.Namespace) -> int:
    folder, entry = _find(args, args.entry)
    if args.body:
        print(dump(entry.body))
        return 0
    rows = [("spool", str(folder)), *_listed(entry).items()]
    rows += [("file", f"{each.name}, {each.size} bytes, {each.sha256}") for each in entry.files]
    print("\n".join(f"{name:10} {cell(value)}".rstrip() for name, value in rows))
    print(dump(entry.body))
    return 0


def retry(args: argparse.Namespace) -> int:
    named = [_find(args, each) for each in args.entries]
    if not args.entries:
        for folder in chosen(args):
            with look_into(folder) as spool:
                named += [(folder, each) for each in spool.journal.entries(REFUSED)]
    for folder, entry in named:
        with look_into(folder) as spool:
            spool.journal.retry(entry.id)
        print(f"{entry.id} ({entry.kind} of {entry.code}) waits to be sent. {SENT_BY}")
    if not named:
        print("No entry was refused.")
    return 0


SENT_BY = "The adapter of this spool sends it, as soon as it runs."


def repair(args: argparse.Namespace) -> int:
    folder, entry = _find(args, args.entry)
    if entry.state == ACKNOWLEDGED:
        raise InvalidError(f"{entry.id} is with the server; amend the result there instead.")
    body = read_document(args.file)
    if not isinstance(body, dict):
        raise InvalidError(f"{args.file} must hold the entry's body: an object.")
    with look_into(folder) as spool:
        spool.journal.repair(entry.id, body)
    print(f"{entry.id} has the new body and waits to be sent. {SENT_BY}")
    return 0


def drop(args: argparse.Namespace) -> int:
    for name in args.entries:
        folder, entry = _find(args, name)
        if entry.state == WAITING:
            raise InvalidError(f"{entry.id} waits to be sent; only what was refused can be dropped.")
        with look_into(folder) as spool:
            spool.journal.drop(entry.id)
        print(f"{entry.id} ({entry.kind} of {entry.code}) is forgotten.")
    return 0
