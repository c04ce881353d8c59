"""`labqueue-server doctor`: everything that is known to go wrong, looked for one by one.

Each check is a function of the settings that yields findings; none of them changes anything.
"""

from __future__ import annotations

import email.utils
import http.client
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from labqueue.errors import LabqueueError
from labqueue.states import State, Verdict
from services.broker import streams
from services.broker.commands import COMMANDS
from services.broker.connection import answering, connect
from services.flow.asking import asked
from services.settings import Settings, mask_url
from services.store import migrate
from services.store.postgres import PostgresStore

OK, NOTE, WRONG = "ok", "note", "WRONG"

#: A worker, janitor or API process that was silent for so long is taken for dead, seconds.
SILENT_SECONDS = 30.0
SKEW_SECONDS = 5.0
FREE_BYTES = 1024**3
#: More commands than this do not wait where a worker takes them.
MANY_COMMANDS = 100
TIMEOUT = 5.0


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, why it matters and what to do."""

    level: str
    name: str
    what: str
    why: str = ""
    do: str = ""

    def text(self) -> str:
        lines = [f"{self.level:<6} {self.name}: {self.what}"]
        lines += [f"       {line}" for line in (self.why, self.do) if line]
        return "\n".join(lines)


def examine(settings: Settings) -> list[Finding]:
    """The findings of all checks; a check that breaks is itself a finding."""
    findings: list[Finding] = []
    for check in CHECKS:
        try:
            findings += check(settings)
        except (LabqueueError, OSError) as error:
            findings.append(Finding(WRONG, check.__name__.strip("_"), f"could not be looked at: {error}"))
    return findings


def database(settings: Settings) -> Iterator[Finding]:
    shown = mask_url(settings.database)
    why = "Everything that Labqueue knows is in Postgres."
    try:
        found = migrate.current(settings.database)
    except LabqueueError as error:
        do = (
            "Start the stack with `labqueue-server up`, or set LABQUEUE_DATABASE_URL."
            if settings.embeds_postgres
            else "Check LABQUEUE_DATABASE_URL and that the server runs."
        )
        yield Finding(WRONG, "database", f"{shown} does not answer: {error}", why, do)
        return
    if found != migrate.head():
        what = f"its schema is at {found or 'nothing'}, this version needs {migrate.head()}"
        yield Finding(WRONG, "schema", what, "Nothing works before.", "Run `labqueue-server migrate`.")
        return
    yield Finding(OK, "database", f"{shown} answers, schema {found}")
    store = _store(settings)
    try:
        try:
            store.check_safety()
        except LabqueueError as error:
            why = "With these settings a crash can lose what was acknowledged, so the API refuses to start."
            yield Finding(WRONG, "durability", str(error), why, "Switch them on in postgresql.conf.")
        else:
            yield Finding(OK, "durability", "fsync, full_page_writes and synchronous_commit are on")
        yield from _inside(store, settings)
    finally:
        store.close()


def _inside(store: PostgresStore, settings: Settings) -> Iterator[Finding]:
    with store.begin() as tx:
        now, workers, api_age = tx.now(), tx.liveness.workers(), tx.liveness.age()
        tokens = tx.tokens.any()
        absent = [(each, asked(tx, each).note) for each in tx.campaigns.all(state="active")]
    yield _skew("database", (now - datetime.now(UTC)).total_seconds())
    yield from _workers(workers)
    if api_age is None or api_age > SILENT_SECONDS:
        since = "never" if api_age is None else f"not for {api_age:.0f} s"
        what = f"no API process has said that it lives ({since})"
        why = "While none does, no lease is taken from anybody, and nobody can claim."
        yield Finding(WRONG, "api", what, why, "Start one: `labqueue-server api`.")
    if not tokens and settings.host not in ("127.0.0.1", "::1", "localhost"):
        what = f"LABQUEUE_HOST is {settings.host} and there is no token"
        do = "Make one first: `labqueue-server token create NAME --scope admin`."
        yield Finding(WRONG, "tokens", what, "The API refuses to be open to everybody.", do)
    for campaign, note in absent:
        if note:
            do = f"Start its program again: `labqueue serve-learner MODULE:CLASS --campaign {campaign.name}`."
            yield Finding(NOTE, f"learner of {campaign.name}", f"our workers choose {note}", do=do)
    unusable = store.views.unusable()
    if unusable:
        what = f"{len(unusable)} kept as they came that could not be used"
        newest = unusable[0]
        do = f"The newest: {newest.reason} Once you have seen it: `labqueue dismiss {newest.id} --reason '...'`."
        if newest.verdict is Verdict.HELD and _is_held(store, newest.experiment_id):
            do = f"The newest: {newest.reason} Its experiment is held: decide about it (`labqueue status`)."
        yield Finding(NOTE, "results", what, do=do)


def _is_held(store: PostgresStore, experiment: int | None) -> bool:
    with store.begin() as tx:
        found = tx.experiments.get([experiment or 0])
    return any(each.state is State.HELD for each in found)


def _workers(workers: list[tuple[str, str, float, Any]]) -> Iterator[Finding]:
    living = [each for each in workers if each[2] <= SILENT_SECONDS]
    if any(kind == "janitor" for kind, *_ in living):
        yield Finding(OK, "janitor", "lives")
    else:
        why = "Lost leases, stop rules, commands to the workers and lost streams all wait for it."
        yield Finding(
            WRONG, "janitor", _silence("janitor", workers), why, "Start one: `labqueue-server janitor`."
        )
    served = {queue for kind, _, _, info in living if kind == "worker" for queue in info.get("queues", ())}
    for command in COMMANDS:
        if command in served:
            continue
        seen = [each for each in workers if each[0] == "worker" and command in each[3].get("queues", ())]
        why = "Claims and results go on without it; what needs it waits."
        do = f"Start one: `labqueue-server worker --queue {command}`."
        yield Finding(WRONG, f"worker for {command}", _silence("worker", seen), why, do)
    if served == set(COMMANDS):
        yield Finding(OK, "workers", f"there is one for each of {', '.join(COMMANDS)}")


def _silence(kind: str, seen: list[tuple[str, str, float, Any]]) -> str:
    ages = [age for each, _, age, _ in seen if each == kind]
    return f"none lives; the last was heard {min(ages):.0f} s ago" if ages else "none was ever heard"


def redis(settings: Settings) -> Iterator[Finding]:
    shown, name = mask_url(settings.redis), "redis"
    why = "Without it claims and results are slower, and nothing is trained or suggested."
    client = connect(settings.redis)
    try:
        with answering(settings.redis):
            server = client.info()
            lengths = [int(client.llen(f"{streams.CELERY}{command}")) for command in COMMANDS]
    except LabqueueError as error:
        do = (
            "Start the stack with `labqueue-server up`, or set LABQUEUE_REDIS_URL."
            if settings.embeds_redis
            else "Check LABQUEUE_REDIS_URL and that the server runs."
        )
        yield Finding(WRONG, name, str(error), why, do)
        return
    finally:
        client.close()
    yield Finding(OK, name, f"{shown} answers ({server.get('valkey_version') or server['redis_version']})")
    for command, waiting in zip(COMMANDS, lengths, strict=True):
        if waiting > MANY_COMMANDS:
            what = f"{waiting} commands wait for a worker"
            do = f"See the worker's log; another helps: `labqueue-server worker --queue {command}`."
            yield Finding(WRONG, f"queue of {command}", what, "They come faster than they are done.", do)
    policy = server.get("maxmemory_policy", "noeviction")
    if server.get("maxmemory", 0) and policy != "noeviction":
        what = f"maxmemory-policy is {policy}"
        why = "It may drop commands and batches at any time; they come back late."
        yield Finding(WRONG, "redis memory", what, why, "Set `maxmemory-policy noeviction`.")


def api(settings: Settings) -> Iterator[Finding]:
    """Does a Labqueue answer where the SDK and the command line look for one?"""
    local = f"http://{_reachable(settings.host)}:{settings.port}"
    url = settings.url.get_secret_value().rstrip("/") if settings.url is not None else local
    shown = mask_url(url)
    try:
        status, headers, body = _get(f"{url}/readyz")
    except (OSError, http.client.HTTPException, ValueError) as error:
        what = f"nothing answers at {shown}: {error}"
        yield Finding(WRONG, "url", what, "Instruments find no server there.", _check_url(settings))
        return
    if not isinstance(body, dict) or "postgres" not in json.dumps(body):
        what = f"what answers at {shown} is no Labqueue (status {status})"
        why = "Another program has the port." if settings.url is None else ""
        yield Finding(WRONG, "port" if settings.url is None else "url", what, why, _check_url(settings))
        return
    if status != 200:
        yield Finding(WRONG, "api", f"{shown} is not ready: {json.dumps(body)}", do="See its log.")
    else:
        yield Finding(OK, "api", f"{shown} is ready")
    if headers.get("Date"):
        skew = (email.utils.parsedate_to_datetime(headers["Date"]) - datetime.now(UTC)).total_seconds()
        yield _skew("api", skew)


def _check_url(settings: Settings) -> str:
    if settings.url is not None:
        return "Check LABQUEUE_URL."
    return "Start it with `labqueue-server up`, or choose another port with PORT=8001."


def port(settings: Settings) -> Iterator[Finding]:
    """Only where no API of ours runs there: can one start?"""
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if _is_ours(settings):
                return
            what = f"{settings.host}:{settings.port} cannot be used: {error.strerror}"
            do = "Stop what listens there, or choose another port with PORT=8001."
            yield Finding(WRONG, "port", what, "The API cannot start.", do)


def _is_ours(settings: Settings) -> bool:
    try:
        _, _, body = _get(f"http://{_reachable(settings.host)}:{settings.port}/readyz")
    except (OSError, http.client.HTTPException, ValueError):
        return False
    return isinstance(body, dict) and "postgres" in json.dumps(body)


def disk(settings: Settings) -> Iterator[Finding]:
    folder = _existing(settings.home.absolute())
    free = shutil.disk_usage(folder).free
    shown = f"{free / 1024**3:.1f} GiB free at {folder}"
    if free < FREE_BYTES:
        why = "A full disk stops Postgres, and with it the lab."
        yield Finding(WRONG, "disk", shown, why, "Free at least 1 GiB, or move LABQUEUE_HOME.")
    elif not os.access(folder, os.W_OK):
        yield Finding(WRONG, "disk", f"{folder} cannot be written to", do="Check LABQUEUE_HOME.")
    else:
        yield Finding(OK, "disk", shown)


def gpu(settings: Settings) -> Iterator[Finding]:
    if Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi"):
        yield Finding(OK, "gpu", "this machine has one")
    else:
        what = "this machine has none that is known here"
        why = "Models are trained on the CPU: seconds up to about 500 results, a minute at 2,000."
        yield Finding(NOTE, "gpu", what, why)


def spools(settings: Settings) -> Iterator[Finding]:
    """Results of instruments on this machine that the server did not take."""
    from labqueue.cli.spools import folders
    from labqueue.journal import REFUSED
    from labqueue.spool import Spool

    for folder in folders():
        spool = Spool(folder, lock=False)
        try:
            refused = spool.journal.entries(REFUSED)
        finally:
            spool.close()
        if refused:
            what = f"{len(refused)} entries in {folder} were refused: {refused[0].message}"
            why = "They are kept there and are not in the database."
            yield Finding(WRONG, "spool", what, why, "Repair them: `labqueue spool list`.")


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    database,
    redis,
    api,
    port,
    disk,
    gpu,
    spools,
)


def _store(settings: Settings) -> PostgresStore:
    return PostgresStore(settings.database, pool_size=1, prepared=settings.prepared_statements)


def _skew(who: str, seconds: float) -> Finding:
    name = f"clock of the {who}"
    if abs(seconds) <= SKEW_SECONDS:
        return Finding(OK, name, "agrees with this machine's")
    what = f"differs from this machine's by {seconds:+.0f} s"
    why = "Nothing is decided by it, but times in logs and files do not fit together."
    return Finding(WRONG, name, what, why, "Set the clocks by NTP.")


def _get(url: str) -> tuple[int, http.client.HTTPMessage, Any]:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        text = answer.read(65536)
        try:
            return answer.status, answer.headers, json.loads(text)
        except ValueError:
            return answer.status, answer.headers, None
    finally:
        connection.close()


def _reachable(host: str) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.exists())
