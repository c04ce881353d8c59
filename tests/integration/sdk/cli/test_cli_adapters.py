"""labqueue serve, run, replay, spool and doctor: the command on the computer of an instrument."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from command_line import Run

from labqueue.answers import Assignment
from labqueue.conformance import FakeServer
from labqueue.journal import REFUSED, WAITING, Entry, File
from labqueue.spool import Spool, default_folder


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("measure", "must be module:name"),
        ("no_such_module:measure", "neither installed nor in"),
        ("lab_one:mesure", "Did you mean measure?"),
        ("lab_two:measure", "ZeroDivisionError"),
        ("none.py:measure", "is not there"),
    ],
)
def test_a_target_that_cannot_be_found(run: Run, tmp_path: Path, target: str, text: str) -> None:
    (tmp_path / "lab_one.py").write_text("def measure(experiment): return {}")
    (tmp_path / "lab_two.py").write_text("1 / 0")
    code, _, err = run("serve", target, "--queue", "flow", "--instrument", "hplc")
    assert code == 1 and text in err


def test_serve_a_function_from_a_file(run: Run, server: FakeServer, campaign: str, tmp_path: Path) -> None:
    (tmp_path / "lab.py").write_text(
        "def measure(experiment): return {'sty': experiment.parameters['tau'] * 2}"
    )
    run("stage", "snar", "tau=1.5", "grade=2")
    words = ("serve", "lab.py:measure", "--queue", "flow", "--instrument", "hplc", "--limit", "1", "--quiet")
    assert run(*words)[0] == 0
    assert server.experiments[1].values == {"sty": 3.0}


def test_run_a_program(run: Run, server: FakeServer, campaign: str, tmp_path: Path) -> None:
    (tmp_path / "solve.py").write_text(
        "import json, sys\nx = json.load(open(sys.argv[1]))\njson.dump({'sty': x['tau']}, open(sys.argv[2], 'w'))"
    )
    run("stage", "snar", "tau=1.5", "grade=2")
    words = ["run", "--queue", "flow", "--instrument", "s1", "--limit", "1", "--quiet", "--time-limit", "60"]
    command = ["--", sys.executable, "solve.py", "{parameters}", "{result}"]
    assert run(*words, *command)[0] == 0
    assert server.experiments[1].values == {"sty": 1.5}
    assert len(list((tmp_path / "labqueue-runs").iterdir())) == 1


def test_replay_a_table(run: Run, server: FakeServer, campaign: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("tau,grade,sty\n1,1,10\n1.5,2,20\n")
    run("stage", "snar", "tau=1.4", "grade=2")
    words = ["replay", "table.csv", "--queue", "flow", "--instrument", "t", "--inputs", "tau,grade"]
    more = ["--outputs", "sty", "--limit", "1", "--match", "nearest", "--quiet"]
    assert run(*words, *more)[0] == 0
    assert server.experiments[1].values == {"sty": 20.0}
    assert server.results[0].body["actual"]["tau"] == 1.5
    code, _, err = run(*words, "--outputs", "sti")
    assert code == 1 and "Did you mean sty?" in err


def fill(folder: Path, url: str) -> None:
    """A spool with one result that was refused and one that waits."""
    with Spool(folder, url) as spool:
        for number, state in ((1, REFUSED), (2, WAITING)):
            name = f"{number}1111111-0000-4000-8000-000000000000"
            assignment = Assignment(f"lease{number}", f"attempt{number}", number, f"snar-{number}")
            spool.journal.answered("key", [assignment])
            body = {"id": name, "experiment": number, "outputs": {"stty": 1.0}, "artifacts": []}
            files = (File("00", "trace.txt", 3),)
            entry = Entry(name, "result", assignment.attempt, assignment.lease, assignment.code, body, files)
            spool.journal.finish([entry])
            if state == REFUSED:
                spool.journal.refuse(name, "There is no output stty.")


@pytest.fixture
def spool(run: Run, server: FakeServer, tmp_path: Path) -> Path:
    folder = default_folder("hplc 2")
    assert tmp_path in folder.parents
    fill(folder, server.url)
    return folder


def test_spool_list_show_repair_retry_drop(run: Run, spool: Path, tmp_path: Path) -> None:
    out = run("spool", "list")[1]
    assert "hplc 2" in out and "no output stty" in out and "waiting" in out
    assert len(json.loads(run("spool", "list", "--json")[1])) == 2
    code, _, err = run("spool", "drop-refused", "2111")
    assert code == 1 and "waits to be sent" in err
    assert "trace.txt, 3 bytes" in run("spool", "show", "1111")[1]
    body = json.loads(run("spool", "show", "1111", "--body")[1])
    body["outputs"] = {"sty": 1.0}
    (tmp_path / "body.json").write_text(json.dumps(body))
    assert "new body" in run("spool", "repair", "1111", "body.json")[1]
    with Spool(spool, lock=False) as opened:
        entries = opened.journal.entries()
        assert [each.state for each in entries] == [WAITING, WAITING]
        assert entries[0].body["outputs"] == {"sty": 1.0}
        opened.journal.refuse(entries[0].id, "again")
    assert "waits to be sent" in run("spool", "retry", "--instrument", "hplc 2")[1]
    assert "No entry was refused." in run("spool", "retry")[1]
    with Spool(spool, lock=False) as opened:
        opened.journal.refuse(opened.journal.entries()[0].id, "again")
    assert "is forgotten" in run("spool", "drop-refused", "1111", "--spool", str(spool))[1]
    with Spool(spool, lock=False) as opened:
        assert [each.id[0] for each in opened.journal.entries()] == ["2"]
    code, _, err = run("spool", "show", "777")
    assert code == 1 and "spool list" in err
    code, _, err = run("spool", "list", "--instrument", "nobody")
    assert code == 1 and "no spool in" in err


def test_doctor_is_content(run: Run, server: FakeServer) -> None:
    code, out, _ = run("doctor")
    assert code == 0 and "All is well." in out and "BAD" not in out
    assert "This clock and the server's agree." in out


def test_doctor_finds_what_is_wrong_here(run: Run, server: FakeServer, campaign: str, spool: Path) -> None:
    server.instrument("hplc 2").paused = True
    server.instrument("hplc 2").reason = "three runs failed"
    code, out, _ = run("doctor")
    server.instrument("hplc 2").held = 17
    assert "until somebody has looked at experiment 17" in run("doctor")[1]
    assert code == 1
    assert "1 refused by the server, kept here (result of snar-1: There is no output stty.)" in out
    assert "hplc 2 is paused: three runs failed" in out
    assert "labqueue instrument clear" in out


def test_doctor_finds_a_server_that_is_gone(run: Run, server: FakeServer) -> None:
    server.go_away()
    code, out, _ = run("doctor")
    assert code == 1 and "does not answer" in out and "LABQUEUE_URL" in out


def test_doctor_finds_a_missing_token(run: Run, server: FakeServer) -> None:
    server.token = "secret"
    code, out, _ = run("doctor")
    assert code == 1 and "BAD   token" in out and "LABQUEUE_TOKEN" in out
    assert run("doctor", "--token", "secret")[0] == 0


def test_doctor_finds_a_spool_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, out, _ = run("doctor", "--spool", str(tmp_path / "file" / "spool"))
    assert code == 1 and "cannot be written" in out


def test_doctor_finds_a_clock_that_is_off(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labqueue.cli.doctor._ask", lambda url: (200, "Thu, 01 Jan 2026 00:00:00 GMT"))
    out = run("doctor")[1]
    assert "ahead of the server's" in out and "NTP" in out
