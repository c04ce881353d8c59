"""`labqueue-server` as a command: what it prints, how it ends, and what its doctor finds."""

from __future__ import annotations

import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from lab import JANITOR, SUGGESTER, TRAINER, campaign, running, settings_for, take, until

from labqueue.journal import Entry
from labqueue.spool import Spool, default_folder
from services.bootstrap import SystemIds
from services.broker import streams
from services.broker.connection import connect
from services.cli import doctor
from services.cli.doctor import NOTE, OK, WRONG, Finding
from services.embedded.stack import free_port
from services.flow.dismiss import dismiss_result
from services.flow.filing import Report
from services.flow.number import number
from services.flow.report import report
from services.flow.stage import StageItem, StageRequest, stage
from services.flow.tokens import authenticate
from services.settings import Settings
from services.store.postgres import PostgresStore

NOWHERE = "redis://127.0.0.1:1/0"
IDS = SystemIds()


@pytest.fixture
def settings(postgres_url: str, redis_url: str, home: Path) -> Settings:
    return settings_for(postgres_url, redis_url, home, LABQUEUE_PORT=str(free_port("127.0.0.1")))


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    made = PostgresStore(postgres_url, pool_size=2)
    yield made
    made.close()


def command(settings: Settings, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LABQUEUE_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "services.cli", *arguments],
        env={**ours, **settings.environ(), "XDG_STATE_HOME": str(settings.home / "state"), **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def found(findings: Iterator[Finding], name: str) -> Finding:
    every = list(findings)
    [one] = [each for each in every if each.name == name]
    return one


def test_a_token_is_shown_once_listed_without_its_secret_and_revoked(
    store: PostgresStore, settings: Settings
) -> None:
    assert "no tokens" in command(settings, "token", "list").stdout
    made = command(settings, "token", "create", "hplc-2", "--scope", "queue:hplc", "--days", "30")
    assert "It is the first" in made.stderr and "--scope admin" in made.stderr
    assert made.returncode == 0, made.stderr
    secret = made.stdout.strip()
    token = authenticate(store, secret)
    assert token.scopes == ("queue:hplc",)
    assert "not shown again" in made.stderr
    listed = command(settings, "token", "list").stdout
    assert "hplc-2" in listed
    assert "works until" in listed
    assert secret not in listed
    assert command(settings, "token", "revoke", str(token.id)).returncode == 0
    assert "revoked" in command(settings, "token", "list").stdout
    again = command(settings, "token", "revoke", str(token.id))
    assert (again.returncode, again.stderr.strip()) == (1, f"There is no working token {token.id}.")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["token", "create", "x", "--scope", "root"], "admin, queue:NAME or campaign:NAME"),
        (["token", "revoke", "abc"], "is no token's id"),
        (["replay", "99"], "There is no suggestion 99."),
    ],
)
def test_errors_are_short_and_end_with_status_1(settings: Settings, arguments: list[str], words: str) -> None:
    ended = command(settings, *arguments)
    assert ended.returncode == 1
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) <= 4


def test_wrong_usage_ends_with_status_2_and_the_nearest_command(settings: Settings) -> None:
    ended = command(settings, "doktor")
    assert ended.returncode == 2
    assert "doctor" in ended.stderr
    assert command(settings, "worker", "--queue", "tarin").returncode == 2


def test_an_unknown_setting_names_the_nearest_one(settings: Settings) -> None:
    ended = command(settings, "config", LABQUEUE_PROT="80")
    assert ended.returncode == 1
    assert "LABQUEUE_PROT" in ended.stderr
    assert "Did you mean LABQUEUE_PORT?" in ended.stderr


def test_config_shows_every_setting_without_its_secrets(settings: Settings) -> None:
    shown = command(
        settings,
        "config",
        LABQUEUE_DATABASE_URL="postgresql://anna:hidden1@db/lab",
        LABQUEUE_TOKEN="hidden2",
    ).stdout
    assert "LABQUEUE_DATABASE_URL=postgresql://anna:***@db/lab" in shown
    assert f"LABQUEUE_PORT={settings.port}" in shown
    assert "hidden" not in shown


def test_migrate_says_from_where_to_where(empty_postgres_url: str, redis_url: str, home: Path) -> None:
    settings = settings_for(empty_postgres_url, redis_url, home)
    assert found(doctor.database(settings), "schema").do == "Run `labqueue-server migrate`."
    assert "from empty to" in command(settings, "migrate").stdout
    assert "already" in command(settings, "migrate").stdout
    assert found(doctor.database(settings), "database").level == OK


def test_doctor_finds_nothing_wrong_with_a_whole_stack(settings: Settings) -> None:
    with running(settings, ("services.api",), JANITOR, TRAINER, SUGGESTER):
        last = SimpleNamespace(returncode=1, stdout="")

        def healthy() -> bool:
            nonlocal last
            last = command(settings, "doctor")
            return last.returncode == 0

        until(healthy, "the doctor is content", 180)
    assert "Nothing is wrong." in last.stdout
    assert WRONG not in last.stdout


def test_doctor_says_what_is_wrong_with_a_stack_that_is_down(settings: Settings) -> None:
    ended = command(settings, "doctor", LABQUEUE_REDIS_URL=NOWHERE)
    assert ended.returncode == 1
    for line in (
        "WRONG  janitor: none was ever heard",
        "WRONG  worker for train: none was ever heard",
        "WRONG  redis: Redis at redis://127.0.0.1:1/0 does not answer",
        "WRONG  url: nothing answers at",
    ):
        assert line in ended.stdout, ended.stdout
    assert "labqueue-server worker --queue train" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_doctor_finds_a_database_that_is_away_or_may_lose_what_it_acknowledged(
    settings: Settings, postgres_url: str
) -> None:
    away = settings_for("postgresql://nobody:secret@127.0.0.1:1/none", NOWHERE, settings.home)
    finding = found(doctor.database(away), "database")
    assert finding.level == WRONG
    assert "secret" not in finding.text()
    with psycopg.connect(postgres_url, autocommit=True) as database:
        name = database.info.dbname
        database.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
    unsafe = found(doctor.database(settings), "durability")
    assert unsafe.level == WRONG
    assert "synchronous_commit" in unsafe.what


def test_doctor_tells_living_workers_from_dead_ones(store: PostgresStore, settings: Settings) -> None:
    with store.begin() as tx:
        tx.liveness.beat("worker", "here:1:1", {"queues": ["train"]})
        tx.liveness.beat("janitor", "here:2:1", {})
    findings = list(doctor.database(settings))
    assert found(iter(findings), "janitor").level == OK
    missing = {each.name for each in findings if each.name.startswith("worker for")}
    assert missing == {"worker for suggest", "worker for inquire", "worker for notify"}
    old = doctor.SILENT_SECONDS + 1
    dead = found(doctor._workers([("worker", "here:1:1", old, {"queues": ["train"]})]), "worker for train")
    assert dead.what == "none lives; the last was heard 31 s ago"


def test_doctor_finds_commands_that_nobody_takes(settings: Settings) -> None:
    assert found(doctor.redis(settings), "redis").level == OK
    connect(settings.redis).rpush(f"{streams.CELERY}train", *["x"] * (doctor.MANY_COMMANDS + 1))
    assert found(doctor.redis(settings), "queue of train").level == WRONG


@pytest.mark.parametrize(("seconds", "level"), [(0.4, OK), (-3.0, OK), (600.0, WRONG), (-600.0, WRONG)])
def test_doctor_finds_clocks_that_differ(seconds: float, level: str) -> None:
    assert doctor._skew("database", seconds).level == level


class Stranger(http.server.BaseHTTPRequestHandler):
    """Some other program's server."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<h1>hello</h1>")

    def log_message(self, *_: object) -> None: ...


def test_doctor_finds_a_wrong_url_and_a_port_that_another_program_has(settings: Settings) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        elsewhere = settings_for(NOWHERE, NOWHERE, settings.home, LABQUEUE_URL=url)
        wrong = found(doctor.api(elsewhere), "url")
        assert wrong.level == WRONG
        assert "is no Labqueue" in wrong.what
        assert wrong.do == "Check LABQUEUE_URL."
        same = settings_for(NOWHERE, NOWHERE, settings.home, LABQUEUE_PORT=str(server.server_port))
        assert found(doctor.api(same), "port").level == WRONG
        taken = found(doctor.port(same), "port")
        assert taken.level == WRONG
        assert "PORT=8001" in taken.do
        server.shutdown()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        deaf = settings_for(
            NOWHERE, NOWHERE, settings.home, LABQUEUE_URL=f"http://127.0.0.1:{silent.getsockname()[1]}"
        )
        began = time.monotonic()
        assert found(doctor.api(deaf), "url").level == WRONG
        assert time.monotonic() - began < 60


def test_doctor_finds_a_full_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(doctor.disk(settings), "disk").level == OK
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 * 1024**2))
    full = found(doctor.disk(settings), "disk")
    assert full.level == WRONG
    assert "0.1 GiB free" in full.what


def test_doctor_says_whether_there_is_a_gpu(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    assert found(doctor.gpu(settings), "gpu").level == OK
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert found(doctor.gpu(settings), "gpu").level == NOTE


def test_doctor_finds_what_servers_refused_and_what_could_not_be_used(
    store: PostgresStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(settings.home / "state"))
    assert list(doctor.spools(settings)) == []
    with Spool(default_folder("hplc-2")) as spool:
        entry = Entry("0" * 32, "result", "a", "lease", "tiny-1", {"outputs": {}})
        spool.journal.finish([entry])
        spool.journal.refuse(entry.id, "no such experiment")
    kept = found(doctor.spools(settings), "spool")
    assert kept.level == WRONG
    assert "no such experiment" in kept.what

    campaign(store, method="caller")
    stage(store, IDS, StageRequest("tiny", "k", (StageItem({"x": 1.0}),)), "person:anna")
    [(lease, experiment)] = take(store)
    report(store, IDS, [Report(IDS.uuid(), experiment.id, lease, outputs={"z": 1.0})], "adapter:robot")
    unusable = found(doctor.database(settings), "results")
    assert unusable.level == NOTE
    assert unusable.what.startswith("1 kept") and "decide about it (`labqueue status`)" in unusable.do
    nowhere = Report(IDS.uuid(), 999_999, outputs={"y": 1.0})
    report(store, IDS, [nowhere], "adapter:robot")
    both = found(doctor.database(settings), "results")
    assert both.what.startswith("2 kept") and f"labqueue dismiss {nowhere.id} --reason" in both.do
    dismiss_result(store, nowhere.id, "sent by a test", "person:anna")
    assert found(doctor.database(settings), "results") == unusable
    report(store, IDS, [Report(IDS.uuid(), experiment.id, outputs={"y": 1.0})], "person:anna")
    number(store)
    assert not any(each.name == "results" for each in doctor.database(settings)), "it was decided"
    late = Report(IDS.uuid(), experiment.id, outputs={"y": "high"})
    report(store, IDS, [late], "adapter:robot")
    number(store)
    odd = found(doctor.database(settings), "results")
    assert odd.what.startswith("1 kept") and f"labqueue dismiss {late.id} --reason" in odd.do
    dismiss_result(store, late.id, "sent by a test", "person:anna")
    assert not any(each.name == "results" for each in doctor.database(settings))


def test_a_check_that_breaks_is_a_finding_and_stops_none_of_the_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Settings) -> Iterator[Finding]:
        raise OSError("the cable is out")
        yield

    monkeypatch.setattr(doctor, "CHECKS", (broken, doctor.disk))
    first, second = doctor.examine(settings)
    assert (first.level, second.level) == (WRONG, OK)
    assert "the cable is out" in first.what


def test_beats_tells_a_part_that_lives_from_one_that_does_not(
    settings: Settings, store: PostgresStore
) -> None:
    never = command(settings, "beats", "janitor")
    assert never.returncode == 1 and "never was heard here" in never.stdout
    with store.begin() as tx:
        tx.liveness.beat("janitor", "here:1:1", {"host": socket.gethostname()})
        tx.liveness.beat("worker", "there:1:1", {"host": "another machine", "queues": ["train"]})
    heard = command(settings, "beats", "janitor")
    assert heard.returncode == 0 and "janitor was heard" in heard.stdout
    assert command(settings, "beats", "train").returncode == 1, "that one lives elsewhere"
