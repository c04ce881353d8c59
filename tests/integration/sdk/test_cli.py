"""The labqueue command, against the server in memory: what is printed, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labqueue.answers import Assignment
from labqueue.cli import main
from labqueue.client import Client
from labqueue.conformance import FakeServer
from labqueue.journal import REFUSED, WAITING, Entry, File
from labqueue.spool import Spool, default_folder

CAMPAIGN: dict[str, Any] = {
    "name": "snar",
    "queue": "flow",
    "problem": {
        "parameters": [
            {"name": "tau", "kind": "continuous", "low": 0.5, "high": 2, "unit": "min"},
            {"name": "grade", "kind": "categorical", "categories": ["1", "2"]},
        ],
        "outputs": [{"name": "sty"}],
        "objectives": [{"output": "sty"}],
    },
    "strategy": {"method": "caller"},
    "queue_policy": {"on_lost": "requeue"},
}

Run = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        yield fake


@pytest.fixture
def run(
    server: FakeServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Run:
    monkeypatch.setenv("LABQUEUE_URL", server.url)
    monkeypatch.delenv("LABQUEUE_TOKEN", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        code = main(words)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return call


@pytest.fixture
def campaign(run: Run, tmp_path: Path) -> str:
    path = tmp_path / "snar.json"
    path.write_text(json.dumps(CAMPAIGN))
    code, out, _ = run("campaign", "create", str(path))
    assert code == 0 and "The queue flow was created." in out and "2 parameters, 1 output" in out
    return "snar"


def claimed(server: FakeServer, experiment: int, started: bool = True) -> str:
    """Somebody holds this experiment."""
    with Client(server.url) as client:
        key = f"k{experiment}"
        client.claim("flow", instrument="hplc", adapter="a", key=key, experiments=[experiment])
        lease = server.lease_of(experiment)
        if started:
            assert client.start([lease])[0].ok
    return lease


# -- campaigns


def test_validate_needs_no_server(run: Run, server: FakeServer, tmp_path: Path) -> None:
    server.go_away()
    path = tmp_path / "c.json"
    path.write_text(json.dumps(CAMPAIGN))
    code, out, _ = run("campaign", "validate", str(path))
    assert code == 0 and "reads well: campaign snar" in out
    assert "Whether its rules can be met, and fit its strategy, is looked at when it is created." in out


def test_validate_names_everything_that_is_wrong(run: Run, tmp_path: Path) -> None:
    body = json.loads(json.dumps(CAMPAIGN))
    body["ower"] = "anna"
    body["problem"]["parameters"][0]["high"] = 0.1
    body["problem"]["objectives"][0]["output"] = "styy"
    body["strategy"]["method"] = "baysian"
    body["queue_policy"]["onlost"] = "hold"
    path = tmp_path / "c.json"
    path.write_text(json.dumps(body))
    code, out, err = run("campaign", "validate", str(path))
    assert (code, out) == (1, "")
    for text in ("ower: is not known here. Did you mean owner?", "high: must be greater than low", "styy"):
        assert text in err
    assert "Did you mean bayesian?" in err and "queue_policy.onlost" in err


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("c.json", '{"name": ', "no JSON"),
        ("c.json", '{"name": NaN}', "NaN"),
        ("c.json", "[]", "must be an object"),
    ],
)
def test_a_file_that_cannot_be_read(run: Run, tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    code, _, err = run("campaign", "validate", name)
    assert code == 1 and said in err


def test_a_file_that_is_not_there(run: Run) -> None:
    code, _, err = run("campaign", "validate", "none.json")
    assert code == 1 and "none.json: No such file" in err


def test_yaml_where_pyyaml_is_installed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yaml = pytest.importorskip("yaml")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(CAMPAIGN))
    assert run("campaign", "validate", "c.yaml")[0] == 0
    (tmp_path / "d.yaml").write_text("name: [")
    assert "is no YAML" in run("campaign", "validate", "d.yaml")[2]
    monkeypatch.setitem(sys.modules, "yaml", None)
    code, _, err = run("campaign", "validate", "c.yaml")
    assert code == 1 and "PyYAML is not installed here" in err


def test_create_twice_is_one_and_another_is_refused(run: Run, campaign: str, tmp_path: Path) -> None:
    assert run("campaign", "create", "snar.json")[0] == 0
    (tmp_path / "snar.json").write_text(json.dumps({**CAMPAIGN, "owner": "berta"}))
    code, _, err = run("campaign", "create", "snar.json")
    assert code == 1 and "another campaign of the name snar" in err


def test_create_without_a_queue_says_so(run: Run, tmp_path: Path) -> None:
    body = {key: value for key, value in CAMPAIGN.items() if key != "queue_policy"}
    (tmp_path / "c.json").write_text(json.dumps(body))
    code, _, err = run("campaign", "create", "c.json")
    assert code == 1 and "no queue 'flow'" in err


def test_a_queue_that_is_there_is_not_taken_for_another(
    run: Run, server: FakeServer, campaign: str, tmp_path: Path
) -> None:
    body = {**CAMPAIGN, "name": "second", "queue_policy": {"on_lost": "hold", "max_attempts": 3}}
    (tmp_path / "c.json").write_text(json.dumps(body))
    code, _, err = run("campaign", "create", "c.json")
    assert code == 1 and "queue_policy.on_lost: is hold, and requeue in the queue." in err
    assert "max_attempts" not in err and "c.json:1: " in err
    assert list(server.campaigns) == ["snar"]
    (tmp_path / "c.json").write_text(json.dumps({**body, "queue_policy": {"on_lost": "requeue"}}))
    assert run("campaign", "create", "c.json")[0] == 0


@pytest.mark.parametrize("queue", ["flow", "other"])
def test_everything_wrong_with_a_policy_is_named_at_once(
    run: Run, server: FakeServer, campaign: str, tmp_path: Path, queue: str
) -> None:
    policy = {"on_lost": "explode", "lease_seconds": -5, "max_attempts": 0, "people": "no"}
    (tmp_path / "c.json").write_text(json.dumps({**CAMPAIGN, "queue": queue, "queue_policy": policy}))
    code, _, err = run("campaign", "create", "c.json")
    assert code == 1 and "other" not in server.queues
    for text in (
        "on_lost: must be one of hold, requeue, probe.",
        "lease_seconds: must be 1 to 7776000 seconds.",
    ):
        assert f"queue_policy.{text}" in err
    assert "queue_policy.max_attempts: must be a whole" in err and "queue_policy.people: must be true" in err


def test_list_show_pause_resume_finish(run: Run, campaign: str) -> None:
    assert "snar  active  flow" in run("campaign", "list")[1]
    assert json.loads(run("campaign", "list", "--json")[1])[0]["name"] == "snar"
    assert "is paused" in run("campaign", "pause", "snar", "--reason", "holiday")[1]
    assert "paused. holiday" in run("campaign", "show", "snar")[1]
    assert "is active" in run("campaign", "resume", "snar")[1]
    assert "is finished" in run("campaign", "finish", "snar")[1]
    code, _, err = run("campaign", "finish", "snar")
    assert code == 1 and "is finished" in err
    code, _, err = run("campaign", "show", "snra")
    assert code == 1 and "Did you mean snar?" in err


# -- staging, experiments, results


def test_stage_one(run: Run, server: FakeServer, campaign: str) -> None:
    code, out, _ = run("stage", "snar", "tau=1", "grade=2", "--priority", "3", "--reason", "a try")
    assert (code, out) == (0, "1 experiment staged: snar-1.\n")
    made = server.experiments[1]
    assert (made.parameters, made.priority, made.reason) == ({"tau": 1, "grade": "2"}, 3, "a try")


def test_stage_csv_is_all_or_nothing(run: Run, server: FakeServer, campaign: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("tau,grade,priority\n1,1,0\n5,1,0\n1.5,3,0\n")
    code, out, err = run("stage", "snar", "--csv", "rows.csv")
    assert (code, out, server.experiments) == (1, "", {})
    assert "line 3, tau: is outside 0.5 to 2 min. (It is 5.)" in err
    assert "line 4, grade: is not one of 1, 2." in err
    (tmp_path / "rows.csv").write_text("tau,grade,priority\n1,1,0\n1.5,2,7\n")
    code, out, _ = run("stage", "snar", "--csv", "rows.csv", "--key", "monday")
    assert (code, out) == (0, "2 experiments staged: snar-1, snar-2.\n")
    assert server.experiments[2].parameters == {"tau": 1.5, "grade": "2"}
    assert server.experiments[2].priority == 7
    assert run("stage", "snar", "--csv", "rows.csv", "--key", "monday")[0] == 0
    assert len(server.experiments) == 2


def test_a_csv_that_was_cut_off_stages_nothing(
    run: Run, server: FakeServer, campaign: str, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("tau,gade\n1,1\n1.5")
    code, _, err = run("stage", "snar", "--csv", "rows.csv")
    assert (code, server.experiments) == (1, {})
    assert "line 3: has 1 cells instead of 2." in err
    assert "gade: is no parameter of this campaign. Did you mean grade?" in err
    assert "grade: is missing" in err


def test_stage_json(run: Run, server: FakeServer, campaign: str, tmp_path: Path) -> None:
    rows = [{"tau": 1, "grade": "1"}, {"parameters": {"tau": 2, "grade": "2"}, "priority": 4}]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    assert run("stage", "snar", "--json", "rows.json", "--propose")[0] == 0
    assert [(each.state.value, each.priority) for each in server.experiments.values()] == [
        ("proposed", 0),
        ("proposed", 4),
    ]
    assert "snar-1 is staged." in run("approve", "snar-1")[1]
    assert "snar-2 is cancelled." in run("reject", "2", "--reason", "too hot")[1]


@pytest.mark.parametrize("words", [[], ["tau=1", "--csv", "rows.csv"], ["tau"]])
def test_stage_says_what_it_takes(run: Run, campaign: str, words: list[str]) -> None:
    code, _, err = run("stage", "snar", *words)
    assert code == 1 and "NAME=VALUE" in err.upper()


def test_experiments_and_results(run: Run, server: FakeServer, campaign: str) -> None:
    assert "no results yet" in run("results", "snar")[1]
    run("stage", "snar", "tau=1.25", "grade=2")
    out = run("experiments", "snar")[1]
    assert out.splitlines()[0].split() == ["code", "state", "tau", "grade"]
    with Client(server.url) as client:
        client.post_results([{"id": "r1", "experiment": 1, "outputs": {"sty": 0.5}, "comment": "calm"}])
    header, row = run("results", "snar")[1].splitlines()
    assert header.split()[:4] == ["code", "tau", "grade", "sty"]
    assert row.split()[:6] == ["snar-1", "1.25", "2", "0.5", "measured", "accepted"]
    lines = run("results", "snar", "--csv")[1].splitlines()
    assert lines[0].startswith("code,tau,grade,sty,outcome") and lines[1].startswith(
        "snar-1,1.25,2,0.5,measured"
    )
    assert json.loads(run("results", "snar", "--json")[1])[0]["outputs"] == {"sty": 0.5}
    assert "0.5 by snar-1" in run("campaign", "show", "snar")[1]


# -- status and decisions


def test_status_begins_with_what_needs_a_person(run: Run, server: FakeServer, campaign: str) -> None:
    assert run("status")[1].startswith("Nothing needs a person.")
    run("stage", "snar", "tau=1", "grade=2")
    server.lose(claimed(server, 1), then="hold")
    out = run("status")[1]
    assert out.startswith("Needs a person:\n\n1. snar-1 is held\n   hplc fell silent")
    assert "labqueue decide snar-1" in out and "hplc waits for a decision" in out
    assert json.loads(run("status", "--json")[1])["attention"]
    assert "snar-1 is staged." in run("decide", "snar-1", "run_again", "--reason", "it never moved")[1]
    assert "is active" in run("instrument", "clear", "hplc", "--reason", "looked")[1]
    assert run("status")[1].startswith("Nothing needs a person.")


def test_decide_complete_needs_what_was_measured(run: Run, server: FakeServer, campaign: str) -> None:
    run("stage", "snar", "tau=1", "grade=2")
    code, _, err = run("decide", "snar-1", "give_up")
    assert code == 1 and "only what is held" in err
    server.lose(claimed(server, 1), then="hold")
    code, _, err = run("decide", "snar-1", "complete")
    assert code == 1 and "OUTPUT=VALUE" in err
    assert run("decide", "snar-1", "give_up", "sty=1")[0] == 1
    assert "is completed" in run("decide", "snar-1", "complete", "sty=0.7", "--reason", "by hand")[1]
    out = run("show", "snar-1")[1]
    assert "sty 0.7" in out and "hplc" in out and "lost" in out


def test_a_label_that_looks_like_a_number_is_one(run: Run, server: FakeServer, tmp_path: Path) -> None:
    problem = {**CAMPAIGN["problem"], "outputs": [{"name": "sty"}, {"name": "purity", "classes": ["1", "2"]}]}
    (tmp_path / "snar.json").write_text(json.dumps({**CAMPAIGN, "problem": problem}))
    assert run("campaign", "create", "snar.json")[0] == 0
    run("stage", "snar", "tau=1", "grade=2")
    server.lose(claimed(server, 1), then="hold")
    code, out, err = run("decide", "snar-1", "complete", "sty=0.7", "purity=2")
    assert code == 0 and "is completed" in out, err
    assert server.experiments[1].values == {"sty": 0.7, "purity": "2"}


def test_cancel_and_restage(run: Run, server: FakeServer, campaign: str) -> None:
    run("stage", "snar", "tau=1", "grade=2")
    run("stage", "snar", "tau=2", "grade=2")
    lease = claimed(server, 1)
    out = run("cancel", "snar-1", "snar-2", "--reason", "a leak")[1]
    assert "snar-1 is leased: its instrument has been asked to stop." in out
    assert "snar-2 is cancelled." in out and server.experiments[1].wish == "a leak"
    assert lease
    code, _, err = run("restage", "snar-2")
    assert code == 1 and "snar-2 is cancelled" in err


def test_dismiss(run: Run, server: FakeServer, campaign: str) -> None:
    run("stage", "snar", "tau=1", "grade=2")
    code, _, err = run("dismiss", "snar-1", "--reason", "seen")
    assert code == 1 and "snar-1 is staged" in err
    server.lose(claimed(server, 1), then="hold")
    run("decide", "snar-1", "give_up")
    assert run("dismiss", "snar-1", "--reason", "the vial was cracked")[1] == (
        "snar-1 is dismissed. It is listed again if something new happens to it.\n"
    )
    assert server.events[-1]["type"] == "dismiss"
    with pytest.raises(SystemExit):
        run("dismiss", "snar-1")


def test_queues(run: Run, server: FakeServer) -> None:
    out = run("queue", "create", "plates", "--lease-seconds", "30", "--on-lost", "probe")[1]
    assert "lease_seconds 30" in out and "on_lost probe" in out
    assert "is paused" in run("queue", "pause", "plates", "--reason", "no plates")[1]
    assert "no plates" in run("queue", "list")[1] and "no plates" in run("queue", "show", "plates")[1]
    assert "is active" in run("queue", "resume", "plates")[1]
    assert "is draining" in run("queue", "drain", "plates")[1]
    assert json.loads(run("queue", "list", "--json")[1])[0]["name"] == "plates"


# -- errors


def test_no_server_is_one_paragraph(run: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labqueue.cli.connect.PATIENCE", 0.0)
    server.go_away()
    code, out, err = run("status")
    assert (code, out) == (1, "") and server.url in err and len(err.strip().splitlines()) == 1


def test_usage_is_2(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["sttus"], ["serve", "lab:measure"], ["decide", "snar-1", "shrug"]):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2
    assert "There is no command 'sttus'. Did you mean status?" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0 and "labqueue doctor" in capsys.readouterr().out


# -- serving


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


# -- the spool and the doctor


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


def test_output_to_a_reader_that_has_enough(server: FakeServer, tmp_path: Path) -> None:
    server.stage(x=1, count=600)
    command = [sys.executable, "-m", "labqueue.cli", "experiments", "bench", "--url", server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b"" and child.wait(60) == 0
