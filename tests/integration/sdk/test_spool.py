"""The spool: what is on the disk, in which order it is sent, and what is done with what the server refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from adapters_here import Adapter

import labqueue
from labqueue.answers import Assignment
from labqueue.client import Client
from labqueue.conformance.server import FakeServer
from labqueue.errors import ConflictError, NotFoundError
from labqueue.journal import (
    ACKNOWLEDGED,
    CLAIMED,
    FINISHED,
    REFUSED,
    STARTED,
    STARTING,
    WAITING,
    Asked,
    Entry,
    File,
    Journal,
    SpoolError,
)
from labqueue.sender import Sender
from labqueue.spool import Spool, default_folder


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as one:
        yield one


@pytest.fixture
def spool(server: FakeServer, tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "spool", server.url) as one:
        yield one


@pytest.fixture
def sender(server: FakeServer, spool: Spool) -> Iterator[Sender]:
    """Not started: tests call round()."""
    with Client(server.url, retry_for=0.0) as client:
        yield Sender(client, spool, lambda lease: None)


def assignment(number: int = 1) -> Assignment:
    body = {
        "lease": f"L{number}",
        "attempt": f"attempt-{number}",
        "experiment": number,
        "code": f"c-{number}",
    }
    return Assignment.from_json({**body, "lease_seconds": 30})


def result(number: int, name: str | None = None, **changes: Any) -> Entry:
    body = {"id": name or str(uuid.uuid4()), "experiment": number, "outputs": {"y": 1.0}, **changes}
    return Entry(body["id"], "result", f"attempt-{number}", f"L{number}", f"c-{number}", body)


# -- the journal


def test_a_journal_remembers_how_far_each_attempt_came(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    journal = Journal(path, "http://a")
    journal.ask(Asked("k-1", "bench", {"key": "k-1", "max": 3}))
    assert [each.key for each in journal.unanswered()] == ["k-1"]
    journal.answered("k-1", [assignment(1), assignment(2), assignment(3)])
    journal.move(["attempt-2"], STARTING)
    journal.move(["attempt-3"], STARTED)
    journal.refer("attempt-3", {"job": 7})
    journal.close()
    again = Journal(path, "http://a")
    assert again.unanswered() == []
    assert [(each.state, each.ref) for each in again.unfinished()] == [
        (CLAIMED, None),
        (STARTING, None),
        (STARTED, {"job": 7}),
    ]
    assert again.lease_seconds() == 30
    again.finish([result(3)])
    assert [each.assignment.experiment for each in again.unfinished()] == [1, 2]
    held = again.held("attempt-3")
    assert held is not None and held.state == FINISHED
    again.close()


def test_a_journal_keeps_another_servers_entries_apart(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    first = Journal(path, "http://a")
    first.ask(Asked("k", "bench", {}))
    first.answered("k", [assignment(1)])
    first.finish([result(1, "r-1")])
    first.close()
    second = Journal(path, "http://b")
    assert (second.waiting(), second.unfinished(), second.unanswered()) == ([], [], [])
    assert [each.url for each in second.strangers()] == ["http://a"]
    second.retry("r-1")
    assert [each.id for each in second.waiting()] == ["r-1"]
    second.close()


def test_an_entry_is_found_by_its_beginning(spool: Spool) -> None:
    spool.journal.finish([result(1, "abc-1"), result(2, "abd-2")])
    assert spool.journal.entry("abc").id == "abc-1"
    with pytest.raises(NotFoundError, match="Several"):
        spool.journal.entry("ab")
    with pytest.raises(NotFoundError, match="No entry"):
        spool.journal.entry("x")


def test_what_was_acknowledged_long_ago_is_forgotten_and_nothing_else(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labqueue.journal.KEPT", 3)
    spool.journal.finish([result(n, f"r-{n}") for n in range(10)])
    spool.journal.acknowledged([f"r-{n}" for n in range(1, 9)], {})
    spool.journal.prune()
    assert [each.id for each in spool.journal.entries()] == ["r-0", "r-7", "r-8", "r-9"]


def fill(journal: Journal) -> None:
    """From here on, SQLite finds no room for another page."""
    [[pages]] = journal._read("PRAGMA page_count")
    journal._read(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SpoolError, match="full"):
        for number in range(10_000):
            journal.ask(Asked(f"{number}", "bench", {"text": "x" * 500}))


def empty(journal: Journal) -> None:
    journal._read("PRAGMA max_page_count = 1000000")


def test_a_full_disk_is_an_error_and_harms_nothing(spool: Spool) -> None:
    spool.journal.finish([result(1, "r-1")])
    fill(spool.journal)
    before = len(spool.journal.entries())
    with pytest.raises(SpoolError, match="cannot be used"):
        spool.journal.finish([result(n, comment="x" * 5000) for n in range(2, 9)])
    assert len(spool.journal.entries()) == before
    empty(spool.journal)
    spool.journal.finish([result(9, "r-9")])
    assert [each.id for each in spool.journal.entries()] == ["r-1", "r-9"]


# -- the folder


def test_one_adapter_serves_from_a_spool(tmp_path: Path) -> None:
    with Spool(tmp_path):
        with pytest.raises(ConflictError, match=f"process {os.getpid()}"):
            Spool(tmp_path)
        with Spool(tmp_path, lock=False) as beside:
            assert beside.journal.entries() == []
    Spool(tmp_path).close()


def test_another_process_is_refused_politely(tmp_path: Path) -> None:
    with Spool(tmp_path):
        code = f"from labqueue.spool import Spool; Spool({str(tmp_path)!r})"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode != 0
    assert f"Another adapter (process {os.getpid()}) serves from the spool" in done.stderr


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="cannot be used"):
        Spool(tmp_path / "file" / "spool")


def test_instruments_have_folders_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    names = ["hplc-2", "hplc/2", "..", ".", "HPLC 2", "Gerät"]
    folders = {default_folder(name) for name in names}
    assert len(folders) == len(names)
    assert len({each.parent for each in folders}) == 1


def test_files_are_copied_and_swept_when_they_are_sent(
    spool: Spool, sender: Sender, server: FakeServer, tmp_path: Path
) -> None:
    server.stage(x=1.0)
    trace = tmp_path / "trace.bin"
    trace.write_bytes(b"0" * 3_000_000)
    kept = spool.keep(str(trace))
    spool.sweep()
    assert spool.file(kept.sha256).exists(), "its run is not recorded yet"
    one = result(1, artifacts=[{"name": kept.name, "sha256": kept.sha256}])
    entry = Entry(**{**vars(one), "files": (File(kept.sha256, kept.name, kept.size),)})
    spool.journal.finish([entry])
    spool.recorded([entry])
    spool.sweep()
    assert spool.file(kept.sha256).exists(), "it is not sent yet"
    assert sender.round() is False
    assert len(server.artifacts[kept.sha256]) == 3_000_000
    assert not spool.file(kept.sha256).exists()


# -- sending


def verdicts(server: FakeServer) -> list[str]:
    return [each.verdict for each in server.results]


def ended(spool: Spool) -> dict[str, str]:
    return {each.id: each.state for each in spool.journal.entries()}


def test_what_is_recorded_is_acknowledged(spool: Spool, sender: Sender, server: FakeServer) -> None:
    server.stage(x=1.0, count=3)
    spool.journal.finish([result(n, f"r-{n}") for n in (1, 2, 3)])
    assert sender.round() is False
    assert ended(spool) == dict.fromkeys(["r-1", "r-2", "r-3"], ACKNOWLEDGED)
    assert len(server.calls("/results")) == 1


def test_a_lost_reply_makes_a_duplicate_and_no_second_result(spool: Spool, server: FakeServer) -> None:
    server.stage(x=1.0)
    server.drop_next_reply("/results")
    spool.journal.finish([result(1, "r-1")])
    with Client(server.url) as client:
        one = Sender(client, spool, lambda lease: None)
        one.start()
        assert one.flush(20.0)
        one.close()
    assert len(server.results) == 1
    assert spool.journal.entry("r-1").message.startswith("duplicate")


def test_a_refused_entry_is_parked_and_the_rest_goes_on(
    spool: Spool, sender: Sender, server: FakeServer
) -> None:
    server.stage(x=1.0, count=2)
    unreadable = result(1, "bad", outcome="splendid")
    spool.journal.finish([result(1, "r-1"), unreadable, result(99, "nobody"), result(2, "r-2")])
    assert sender.round() is False
    assert ended(spool) == {"r-1": ACKNOWLEDGED, "bad": REFUSED, "nobody": REFUSED, "r-2": ACKNOWLEDGED}
    assert "outcome" in spool.journal.entry("bad").message
    assert "no experiment 99" in spool.journal.entry("nobody").message


def test_a_refused_entry_can_be_repaired_retried_and_dropped(
    spool: Spool, sender: Sender, server: FakeServer
) -> None:
    server.stage(x=1.0)
    spool.journal.finish([result(1, "bad", outcome="splendid"), result(99, "nobody")])
    sender.round()
    body = {**spool.journal.entry("bad").body, "outcome": "measured"}
    with Spool(spool.folder, lock=False) as beside:  # as `labqueue spool` does
        beside.journal.repair("bad", body)
        beside.journal.drop("nobody")
        with pytest.raises(NotFoundError, match="only refused"):
            beside.journal.drop("bad")
    sender.round()
    assert ended(spool) == {"bad": ACKNOWLEDGED}
    assert verdicts(server) == ["accepted"]


def test_an_unusable_result_that_is_held_is_acknowledged(
    spool: Spool, sender: Sender, server: FakeServer
) -> None:
    server.stage(x=1.0)
    spool.journal.finish([result(1, "r-1", outputs={})])
    sender.round()
    assert ended(spool) == {"r-1": ACKNOWLEDGED}
    assert verdicts(server) == ["held"]


@pytest.mark.parametrize("status", [401, 404, 429, 500, 502])
def test_what_an_operator_puts_right_is_tried_for_ever(
    spool: Spool, server: FakeServer, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.stage(x=1.0)
    spool.journal.finish([result(1, "r-1")])
    with Client(server.url, retry_for=0.0) as client:
        one = Sender(client, spool, lambda lease: None)
        error = client.transport._error(status, b"{}")
        monkeypatch.setattr(client, "post_results", raising(error))
        assert one._attempt_round()[0] is False
        assert ended(spool) == {"r-1": WAITING}
        monkeypatch.undo()
        assert one._attempt_round()[0] is True
    assert ended(spool) == {"r-1": ACKNOWLEDGED}


def raising(error: Exception) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


def test_one_entry_that_breaks_the_server_stops_no_other(
    spool: Spool, sender: Sender, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.stage(x=1.0, count=2)
    spool.journal.finish([result(1, "poison"), result(2, "r-2")])
    send = sender._client.post_results

    def fragile(items: Any, **more: Any) -> Any:
        if any(each["id"] == "poison" for each in items):
            raise labqueue.LabqueueError("division by zero in the server")
        return send(items, **more)

    monkeypatch.setattr(sender._client, "post_results", fragile)
    assert sender.round() is True
    assert ended(spool) == {"poison": WAITING, "r-2": ACKNOWLEDGED}


def test_a_release_that_comes_too_late_is_said_as_a_failure(
    spool: Spool, sender: Sender, server: FakeServer
) -> None:
    server.stage(x=1.0)
    with Client(server.url) as client:
        [held] = client.claim("bench", instrument="i", adapter="a", key="k").experiments
        client.start([held.lease])
    body = {"lease": held.lease, "reason": "restarted"}
    spool.journal.finish([Entry("release-1", "release", held.attempt, held.lease, held.code, body)])
    sender.round()
    attempt = server.attempts[held.lease]
    assert (attempt.ended, attempt.reason) == ("failed", "It never began. restarted")
    assert set(ended(spool).values()) == {ACKNOWLEDGED}


def test_big_results_go_in_several_requests(spool: Spool, sender: Sender, server: FakeServer) -> None:
    server.stage(x=1.0, count=250)
    spool.journal.finish([result(n) for n in range(1, 251)])
    sender.round()
    assert verdicts(server) == ["accepted"] * 250
    assert len(server.calls("/results")) == 3


# -- a full disk under a serve loop


def test_a_disk_that_fills_up_before_a_claim_claims_nothing(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.stage(x=1.0)
    full = threading.Event()
    full.set()
    tried = threading.Event()
    ask = Journal.ask

    def asking(self: Journal, asked: Asked) -> None:
        if full.is_set():
            tried.set()
            raise SpoolError("The spool cannot be used: database or disk is full.")
        ask(self, asked)

    monkeypatch.setattr(Journal, "ask", asking)
    one = Adapter(server, lambda each: {"y": 1.0}, tmp_path, limit=1)
    assert tried.wait(30)
    assert not server.calls("/queues/*/claims")
    full.clear()
    one.join()
    assert verdicts(server) == ["accepted"]


def test_a_disk_that_fills_up_before_the_start_moves_nothing(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [number] = server.stage(x=1.0)
    runs: list[str] = []
    move, failures = Journal.move, [SpoolError("full")]

    def moving(self: Journal, attempts: Any, state: str) -> None:
        if state == STARTING and failures:
            raise failures.pop()
        move(self, attempts, state)

    monkeypatch.setattr(Journal, "move", moving)
    Adapter(server, lambda each: runs.append(each.attempt) or {"y": 1.0}, tmp_path, limit=1).join()
    first, second = server.experiments[number].attempts
    assert (first.ended, first.started_at) == ("released", None)
    assert runs == [second.id]


def test_a_disk_that_is_full_when_the_measurement_ends_loses_nothing(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.stage(x=1.0)
    finish, full = Journal.finish, [SpoolError("full")] * 3

    def finishing(self: Journal, entries: Any) -> None:
        if full and any(each.kind == "result" for each in entries):
            raise full.pop()
        finish(self, entries)

    monkeypatch.setattr(Journal, "finish", finishing)
    server.drop_next_reply("/results")  # the server is asked directly; this answer is lost
    Adapter(server, lambda each: {"y": 1.0}, tmp_path, limit=1).join()
    assert verdicts(server) == ["accepted"]
    assert len(full) < 3


def test_bodies_are_json_that_anybody_reads(spool: Spool) -> None:
    spool.journal.finish([result(1, "r-1", comment="Ä")])
    [[body]] = spool.journal._read("SELECT body FROM outbox")
    assert json.loads(body)["comment"] == "Ä"


def test_chatter_is_sent_together_and_in_order(spool: Spool, sender: Sender, server: FakeServer) -> None:
    server.stage(x=1.0)
    with Client(server.url) as client:
        [held] = client.claim("bench", instrument="i", adapter="a", key="k").experiments
        client.start([held.lease])
    for number in range(150):
        sender.say("note", {"lease": held.lease, "text": f"{number}", "run_ref": None})
    server.go_away("503")
    assert sender._attempt_round()[0] is False
    server.come_back()
    sender.round()
    assert server.attempts[held.lease].notes == [f"{number}" for number in range(150)]
    assert len([each for each in server.calls("/attempts/note") if each.status == 200]) == 2
