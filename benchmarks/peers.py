"""The same echo work through Labqueue, plain Celery on Redis, and Procrastinate, while their workers are killed.

Two workers each. First echoes that take no time, for the rate. Then echoes of a fifth of a second during which both
workers are killed with -9 in mid-run and started again, six times. What is not done when nothing has happened
for a while is lost, as far as a person who waits for it can tell.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

import psycopg

from benchmarks import diary
from benchmarks.figures import Figure
from benchmarks.place import Commits, stack
from labqueue.client import Client
from services.settings import Settings, kombu_url, postgres_url

ROOT = Path(__file__).parents[1]
VENV = ROOT / ".bench-venv"
PEERS = ("procrastinate>=3.10,<4", "psycopg[binary]>=3.3,<4")
WORKERS = 2
FAST = 200
SLOW, SECONDS = 160, 0.2
ROUNDS = 6  # in each, every worker is killed once
PATIENCE = 90.0
QUIET = 12.0
LEASE = 2.0
PROBLEM = {
    "parameters": [
        {"name": "number", "kind": "integer", "low": 0, "high": 1_000_000},
        {"name": "seconds", "kind": "continuous", "low": 0, "high": 10, "unit": "s"},
    ],
    "outputs": [{"name": "echo"}],
    "objectives": [{"output": "echo", "goal": "maximize"}],
}


class Peer(Protocol):
    """How one of them is given work, and what its workers are."""

    name: str

    def worker(self, place: int) -> tuple[list[str], dict[str, str]]:
        """Command and environment of worker number `place`."""

    def submit(self, first: int, last: int, seconds: float) -> None:
        """Echoes of the numbers from `first` to before `last`."""

    def done(self) -> set[int]:
        """The numbers that are done, as far as this system knows."""


class OnLabqueue:
    name = "labqueue"

    def __init__(self, url: str, client: Client, path: Path) -> None:
        self._url, self._client, self._path = url, client, path
        client.put_queue("echoes", lease_seconds=LEASE, on_lost="requeue", max_attempts=50)
        client.create_campaign("echoes", queue="echoes", problem=PROBLEM, strategy={"method": "caller"})

    def worker(self, place: int) -> tuple[list[str], dict[str, str]]:
        spool = self._path.with_name(f"spool-{place}")
        named = [self._url, "echoes", f"echo-{place}", str(spool), str(self._path)]
        return [sys.executable, "-m", "benchmarks.peer_labqueue", *named], {}

    def submit(self, first: int, last: int, seconds: float) -> None:
        points = [{"number": number, "seconds": seconds} for number in range(first, last)]
        self._client.stage("echoes", [{"parameters": each} for each in points], key=str(uuid.uuid4()))

    def done(self) -> set[int]:
        completed = self._client.experiments("echoes", "completed")
        return {int(each["parameters"]["number"]) for each in completed}


class OnCelery:
    name = "celery"

    def __init__(self, settings: Settings, path: Path) -> None:
        self._environ = {
            "BENCH_BROKER": kombu_url(settings.redis.replace("db=0", "db=9")),
            "BENCH_DIARY": str(path),
        }
        self._path = path

    def worker(self, place: int) -> tuple[list[str], dict[str, str]]:
        options = ["--concurrency", "1", "--loglevel", "WARNING", "--hostname", f"echo-{place}"]
        return [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "benchmarks.peer_celery",
            "worker",
            *options,
        ], self._environ

    def submit(self, first: int, last: int, seconds: float) -> None:
        os.environ.update(self._environ)
        from benchmarks.peer_celery import echo_task

        for number in range(first, last):
            echo_task.delay(number, seconds)

    def done(self) -> set[int]:
        return {number for what, number, _ in diary.read(self._path) if what == "done"}


class OnProcrastinate:
    name = "procrastinate"

    def __init__(self, settings: Settings, path: Path) -> None:
        with psycopg.connect(settings.database, autocommit=True) as admin:
            admin.execute("CREATE DATABASE procrastinate")
        url = postgres_url(settings.sockets, "procrastinate")
        self._environ = {"BENCH_DATABASE": url, "BENCH_DIARY": str(path)}
        self._path = path
        self._run("schema")

    def worker(self, place: int) -> tuple[list[str], dict[str, str]]:
        return self._command("worker"), self._environ

    def submit(self, first: int, last: int, seconds: float) -> None:
        self._run(str(first), str(last), str(seconds))

    def done(self) -> set[int]:
        return {number for what, number, _ in diary.read(self._path) if what == "done"}

    def _run(self, *words: str) -> None:
        subprocess.run(self._command(*words), env={**os.environ, **self._environ}, cwd=ROOT, check=True)

    def _command(self, *words: str) -> list[str]:
        return [str(VENV / "bin" / "python"), "-m", "benchmarks.peer_procrastinate", *words]


class Crew:
    """The workers of one peer, each the leader of a process group."""

    def __init__(self, peer: Peer, path: Path) -> None:
        self._peer, self._path = peer, path
        self._processes = [self._start(place) for place in range(WORKERS)]

    def _start(self, place: int) -> subprocess.Popen[bytes]:
        command, environ = self._peer.worker(place)
        with self._path.with_suffix(f".{place}.log").open("ab") as log:
            return subprocess.Popen(
                command,
                env={**os.environ, **environ},
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill_in_mid_run(self) -> None:
        """Each worker gets -9, with its children, while it is at work; another one takes its place."""
        for place, process in enumerate(self._processes):
            until(partial(self._is_at_work, process.pid), f"{self._peer.name}: worker {place} works")
            kill(process)
            self._processes[place] = self._start(place)

    def _is_at_work(self, pid: int) -> bool:
        mine = [what for what, _, worker in diary.read(self._path) if worker == pid]
        return bool(mine) and mine[-1] == "began"

    def end(self) -> None:
        for each in self._processes:
            kill(each)


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to a worker that we started and to its children."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


def until_quiet(peer: Peer, path: Path, wanted: set[int]) -> None:
    """Until all is done, or nothing has happened for a while."""
    seen, at = -1, time.monotonic()
    while not wanted <= peer.done() and time.monotonic() - at < QUIET:
        size = path.stat().st_size
        if size != seen:
            seen, at = size, time.monotonic()
        time.sleep(0.2)


@contextmanager
def crew(peer: Peer, path: Path) -> Iterator[Crew]:
    made = Crew(peer, path)
    try:
        yield made
    finally:
        made.end()


def measure(peer: Peer, path: Path, commits: Commits) -> list[Figure]:
    commits.sample(100)
    with crew(peer, path) as workers:
        # One echo for each worker at least: both are up when the clock starts.
        peer.submit(0, 4 * WORKERS, 0.1)
        until(lambda: set(range(4 * WORKERS)) <= peer.done(), f"{peer.name}: its workers work")
        began = time.perf_counter()
        wanted = set(range(100, 100 + FAST))
        peer.submit(100, 100 + FAST, 0.0)
        until(lambda: wanted <= peer.done(), f"{peer.name}: {FAST} echoes")
        rate = FAST / (time.perf_counter() - began)
        wanted = set(range(1000, 1000 + SLOW))
        peer.submit(1000, 1000 + SLOW, SECONDS)
        for _ in range(ROUNDS):
            workers.kill_in_mid_run()
        until_quiet(peer, path, wanted)
        lost = wanted - peer.done()
    begun = {number for _, number, _ in diary.read(path)}
    runs = [number for what, number, _ in diary.read(path) if what == "done"]
    kills = ROUNDS * WORKERS
    asked = 0.0 if peer.name == "labqueue" else None
    return [
        Figure(f"{peer.name}, echoes through {WORKERS} workers", rate, "/s", baseline=str(commits)),
        Figure(
            f"{peer.name}, lost of {SLOW} by {kills} kill -9", len(lost), "", most=asked,
            baseline=f"{len(lost & begun)} of them had begun, {len(lost - begun)} were only reserved",
        ),
        Figure(f"{peer.name}, done more than once", len(runs) - len(set(runs)), ""),
    ]  # fmt: skip


def environment() -> None:
    """The peers' own Python, made once."""
    if (VENV / ".ready").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    subprocess.run([str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", *PEERS], check=True)
    (VENV / ".gitignore").write_text("*\n")
    (VENV / ".ready").touch()


def run() -> list[Figure]:
    environment()
    figures: list[Figure] = []
    with stack("api", "janitor") as running, Client(running.url) as client:
        settings = running.settings
        commits = Commits(settings.database)
        makers: dict[str, Callable[[Path], Peer]] = {
            "labqueue": lambda path: OnLabqueue(running.url, client, path),
            "celery": lambda path: OnCelery(settings, path),
            "procrastinate": lambda path: OnProcrastinate(settings, path),
        }
        for name, make in makers.items():
            path = settings.home / f"{name}.diary"
            figures += measure(make(path), path, commits)
        commits.close()
    return figures
