"""labqueue doctor: what is wrong between this computer and its server, and what to do about it."""

from __future__ import annotations

import argparse
import http.client
import shlex
import shutil
import ssl
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from labqueue.client import Client
from labqueue.errors import DeniedError, LabqueueError
from labqueue.journal import REFUSED, WAITING
from labqueue.spool import SPACE, default_folder, state_folder

from .connect import PATIENCE, Verbs, client
from .spools import folders, look_into

GOOD, NOTE, BAD = "ok", "note", "BAD"
#: Seconds between this clock and the server's that are worth a word. Nothing depends on it: leases are the
#: server's time; but the times that results name are this computer's.
SKEW = 5.0
#: Seconds that something may wait in a spool before it is worth a word.
STALE = 600.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    grade: str
    subject: str
    text: str


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    one = verbs.add_parser("doctor", parents=[common], help="what is wrong here, and what to do")
    one.add_argument("--instrument", help="look at this instrument (default: those with a spool here)")
    one.add_argument("--spool", metavar="FOLDER", help="and at the spool in this folder")
    one.set_defaults(call=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 1 when something is bad."""
    bad = False
    for each in examine(args):
        print(f"{each.grade:5} {each.subject:11} {each.text}", flush=True)
        bad = bad or each.grade == BAD
    print("Something is wrong; see the lines that say BAD." if bad else "All is well.")
    return 1 if bad else 0


def examine(args: argparse.Namespace) -> Iterator[Finding]:
    places = [Path(args.spool)] if args.spool else folders()
    if args.instrument and not args.spool:
        places = [default_folder(args.instrument)]
    server = client(args)
    reached = False
    for each in _server(server):
        reached = reached or each.grade == GOOD
        yield each
    names = [args.instrument] if args.instrument else [unquote(each.name) for each in places]
    if reached:
        yield from _known(server, names)
    yield from _disk(places[0] if places else state_folder())
    for place in places:
        yield from _spool(place, server.url)


# -- the server


def _server(server: Client) -> Iterator[Finding]:
    began = time.time()
    try:
        status, date = _ask(server.url)
    except OSError as error:
        text = f"{server.url} does not answer ({error}). Is it running, and is LABQUEUE_URL right?"
        yield Finding(BAD, "server", text)
        return
    if status != 200:
        text = f"{server.url} answers {status} to /livez: that is no Labqueue server, or it is not well."
        yield Finding(BAD, "server", text)
        return
    yield Finding(GOOD, "server", f"{server.url} answers.")
    if date is not None:
        yield _skew(date, began, time.time())


def _ask(url: str) -> tuple[int, str | None]:
    """The status of /livez, and the server's clock in its own words."""
    parts = urlsplit(url)
    host, kind = parts.hostname or "", http.client.HTTPConnection
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, parts.port, timeout=PATIENCE, context=context)
    else:
        connection = kind(host, parts.port, timeout=PATIENCE)
    try:
        connection.request("GET", parts.path.rstrip("/") + "/livez")
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("Date")
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP: {error!r}") from None
    finally:
        connection.close()


def _skew(date: str, before: float, after: float) -> Finding:
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return Finding(NOTE, "clock", f"The server's clock cannot be read: {date!r}.")
    # Its clock is given in whole seconds.
    ahead = max(0.0, before - (theirs + 1.0)) - max(0.0, theirs - after)
    if abs(ahead) <= SKEW:
        return Finding(GOOD, "clock", "This clock and the server's agree.")
    which = "ahead of" if ahead > 0 else "behind"
    text = (
        f"This clock is {abs(ahead):.0f} s {which} the server's. Measuring times will be off: set it by NTP."
    )
    return Finding(NOTE, "clock", text)


def _known(server: Client, names: list[str]) -> Iterator[Finding]:
    """What the server says once it believes who asks."""
    try:
        status = server.status()
    except DeniedError as error:
        text = f"The server does not accept it: {error.message} Set LABQUEUE_TOKEN; `labqueue-server token` makes one."
        yield Finding(BAD, "token", text)
        return
    except LabqueueError as error:
        yield Finding(BAD, "status", error.message)
        return
    yield Finding(
        GOOD, "token", "The server accepts it." if server.token else "None is set, and none is needed."
    )
    yield Finding(GOOD, "version", f"The server is version {status.get('version')}.")
    yield from _ready(server)
    waiting = len(status.get("attention") or ())
    if waiting:
        yield Finding(NOTE, "attention", f"{waiting} things need a person; `labqueue status` names them.")
    shown = {each.get("name"): each for each in status.get("instruments") or ()}
    for name in names:
        yield from _instrument(name, shown.get(name) or {})


def _instrument(name: str, shown: Mapping[str, Any]) -> Iterator[Finding]:
    clear = f"When it is fit again: labqueue instrument clear {shlex.quote(name)}"
    held = shown.get("held_experiment")
    if held is not None:
        text = f"{name} claims nothing until somebody has looked at experiment {held}. {clear}"
        yield Finding(BAD, "instrument", text)
    elif shown.get("state", "active") != "active":
        why = shown.get("reason") or "no reason given"
        yield Finding(BAD, "instrument", f"{name} is {shown['state']}: {why}. {clear}")


def _ready(server: Client) -> Iterator[Finding]:
    try:
        server.ready()
    except LabqueueError as error:
        yield Finding(BAD, "server", f"It is not ready: {error.message}")


# -- this computer


def _disk(folder: Path) -> Iterator[Finding]:
    """Whether the spool's place can be written and has room."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"labqueue")
            file.flush()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        text = f"{folder} cannot be written ({error.strerror or error}). Name another one with --spool."
        yield Finding(BAD, "spool", text)
        return
    yield Finding(GOOD, "spool", f"{folder} can be written.")
    room = f"{free / 2**30:.1f} GiB are free."
    if free < SPACE:
        yield Finding(BAD, "disk", f"Only {room} Below {SPACE / 2**20:.0f} MiB no new experiment is claimed.")
    else:
        yield Finding(GOOD, "disk", room)


def _spool(folder: Path, url: str) -> Iterator[Finding]:
    name = unquote(folder.name)
    try:
        with look_into(folder) as spool:
            refused, waiting = spool.journal.entries(REFUSED), spool.journal.entries(WAITING)
    except LabqueueError as error:
        yield Finding(BAD, "spool", f"{name}: {error.message}")
        return
    if refused:
        first = f"{refused[0].kind} of {refused[0].code}: {refused[0].message}"
        text = (
            f"{name}: {len(refused)} refused by the server, kept here ({first}). See `labqueue spool list`."
        )
        yield Finding(BAD, "refused", text)
    old = [each for each in waiting if time.time() - each.at > STALE]
    if old:
        text = f"{name}: {len(old)} wait since more than {STALE / 60:.0f} minutes. Is its adapter running?"
        yield Finding(BAD, "waiting", text)
    elsewhere = sorted({each.url for each in waiting if each.url and each.url != url})
    if elsewhere:
        text = f"{name}: results wait for {', '.join(elsewhere)}, not for {url}. `labqueue spool retry ID` moves one."
        yield Finding(BAD, "waiting", text)
    if not refused and not old and not elsewhere:
        yield Finding(GOOD, "spool", f"{name}: {len(waiting)} to be sent, none refused.")
