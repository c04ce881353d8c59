"""One scenario's bench: a server in memory, the adapter in a process of its own, and what must hold at its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import labqueue
from labqueue.errors import Infeasible, Suspect
from labqueue.measured import plain
from labqueue.spool import JOURNAL, Spool

from .lab import Attempt, Stored
from .record import Line, Record
from .server import FakeServer

if TYPE_CHECKING:
    from typing_extensions import Self

INSTRUMENT = "conformance"
#: Short, so that renewals happen during a scenario.
LEASE_SECONDS = 3.0
#: How long a process may take to end when asked, in seconds.
ENDING = 15.0


class Unmet(Exception):
    """What an adapter must do and did not; the text says what happened."""


@dataclass(frozen=True)
class Case:
    """What is tried: the adapter and one experiment for it."""

    target: str
    queue: str = "bench"
    parameters: Mapping[str, Any] | None = None
    payload: Any = None
    outputs: Sequence[str] = ("y",)
    moves: str | None = None
    batch: int = 1
    heartbeat: str = "thread"
    seconds: float = 60.0


@dataclass
class Trial:
    """The bench of one scenario; a context manager that ends the processes that it started."""

    case: Case
    folder: Path
    server: FakeServer = field(default_factory=lambda: FakeServer(LEASE_SECONDS))
    child: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.record = Record(self.folder)

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.server.go_away()

    # -- the adapter's process

    def serve(self) -> None:
        """Starts the adapter, as often as the scenario wants."""
        settings = {
            "target": self.case.target,
            "moves": self.case.moves,
            "url": self.server.url,
            "queue": self.case.queue,
            "instrument": INSTRUMENT,
            "folder": str(self.folder),
            "batch": self.case.batch,
            "heartbeat": self.case.heartbeat,
        }
        here = str(Path(labqueue.__file__).resolve().parent.parent)
        path = os.pathsep.join(each for each in (here, os.environ.get("PYTHONPATH")) if each)
        with open(self.folder / "stderr.txt", "ab") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "labqueue.conformance.child", json.dumps(settings)],
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """As a power failure would; the server takes it for dead at once."""
        if self.child is not None:
            self.child.kill()
            self.child.wait()
            self.child = None
        self.server.adapter_died(INSTRUMENT)

    def signal_stop(self) -> None:
        if self.child is not None:
            self.child.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        """Waits until the process has ended by itself."""
        assert self.child is not None
        child, self.child = self.child, None
        try:
            return child.wait(self.case.seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise Unmet(
                f"The adapter did not end within {self.case.seconds:g} s of the stop signal."
            ) from None

    def stop(self) -> None:
        if self.child is None:
            return
        self.child.terminate()
        try:
            self.child.wait(ENDING)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child = None

    # -- what the scenario does and waits for

    def stage(self) -> list[int]:
        """One experiment, or a batch."""
        case = self.case
        return self.server.stage(
            dict(case.parameters or {}),
            count=case.batch,
            queue=case.queue,
            campaign=case.queue,
            outputs=case.outputs,
            payload=case.payload,
        )

    def until(self, true: Callable[[], Any], otherwise: str) -> Any:
        """Waits until it is true; Unmet with the sentence `otherwise` when it is not in time."""
        end = time.monotonic() + self.case.seconds
        while time.monotonic() < end:
            value = true()
            if value:
                return value
            if self.child is not None and self.child.poll() is not None:
                code, self.child = self.child.returncode, None
                raise Unmet(f"The adapter's process ended with code {code}. {self.last_words()}".strip())
            time.sleep(0.02)
        raise Unmet(f"{otherwise} (waited {self.case.seconds:g} s) {self.last_words()}".strip())

    def until_lines(self, what: str, count: int | None = None) -> list[Line]:
        wanted = self.case.batch if count is None else count
        named = {"begin": "No run began.", "end": "The run did not end.", "ready": "It could not be loaded."}

        def enough() -> list[Line]:
            lines = self.record.read(what)
            return lines if len(lines) >= wanted else []

        found: list[Line] = self.until(enough, named.get(what, f"It never came to {what}."))
        return found

    def until_spooled(self) -> None:
        """Until how the runs ended is on the disk."""
        self.until(self._spooled, "The finished run was not written to the spool.")

    def _spooled(self) -> bool:
        if not (self.folder / "spool" / JOURNAL).exists():
            return False
        with Spool(self.folder / "spool", lock=False) as spool:
            return len(spool.journal.entries()) >= self.case.batch

    def until_recorded(self, experiments: Sequence[int]) -> None:
        """Until each of these has a result, or an attempt that ended without one."""
        self.until(lambda: all(self._settled(each) for each in experiments), "No result arrived.")

    def _settled(self, experiment: int) -> bool:
        with self.server.changed:
            kept = any(each.experiment == experiment for each in self.server.results)
            attempts = self.server.experiments[experiment].attempts
            return kept or any(each.ended in ("failed", "cancelled") for each in attempts)

    def leases(self, experiments: Sequence[int]) -> list[str]:
        return [self.server.lease_of(each) for each in experiments]

    def attempt(self, name: str) -> Attempt:
        return next(each for each in self.server.attempts.values() if each.id == name)

    # -- what must hold at the end

    def settle(self) -> None:
        """Every rule that holds whatever happened. Raises Unmet for the first that does not."""
        self.until(self._all_arrived, "A finished measurement did not arrive at the server.")
        self.stop()
        begins = [each.attempt for each in self.record.read("begin")]
        for name in dict.fromkeys(begins):
            if begins.count(name) > 1:
                raise Unmet(f"One attempt was run {begins.count(name)} times.")
            if self.attempt(name).started_at is None:
                raise Unmet("A run began without the server's agreement.")
        for line in self._measured():
            self._arrived_once(line)
        self._still_between_runs()

    def _measured(self) -> list[Line]:
        """Runs that ended with something to record, by attempt."""
        kinds = (Infeasible.__name__, Suspect.__name__)
        ends = {each.attempt: each for each in self.record.read("end") if each.attempt}
        return [each for each in ends.values() if "outputs" in each.said or each.said.get("raised") in kinds]

    def _kept(self, line: Line) -> list[Stored]:
        lease = self.attempt(line.attempt).lease
        with self.server.changed:
            return [each for each in self.server.results if each.body.get("lease") == lease]

    def _all_arrived(self) -> bool:
        return all(self._kept(each) for each in self._measured())

    def _arrived_once(self, line: Line) -> None:
        kept = self._kept(line)
        if len(kept) != 1:
            raise Unmet(f"One measurement was recorded as {len(kept)} different results.")
        sent = line.said.get("outputs")
        if isinstance(sent, Mapping) and plain(sent) != kept[0].body.get("outputs"):
            raise Unmet(f"It measured {sent}, but {kept[0].body.get('outputs')} was recorded.")

    def _still_between_runs(self) -> None:
        """The hardware's own count may only grow while a run is going on."""
        before: dict[int, int | None] = {}
        for line in self.record.read():
            idle = line.process in before and line.what in ("begin", "exit")
            if idle and line.moves != before[line.process]:
                raise Unmet(
                    f"The hardware moved while no run was going on: {before[line.process]} -> {line.moves}."
                )
            if line.what in ("end", "ready"):
                before[line.process] = line.moves

    def last_words(self) -> str:
        path = self.folder / "stderr.txt"
        lines = path.read_text("utf-8", "replace").strip().splitlines() if path.exists() else []
        return "Its last words: " + " / ".join(lines[-3:]) if lines else ""
