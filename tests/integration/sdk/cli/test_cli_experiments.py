"""labqueue stage, status, decide and their like: what becomes of experiments, told and decided by a person."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import CAMPAIGN, Run

from labqueue.client import Client
from labqueue.conformance import FakeServer


def claimed(server: FakeServer, experiment: int, started: bool = True) -> str:
    """Somebody holds this experiment."""
    with Client(server.url) as client:
        key = f"k{experiment}"
        client.claim("flow", instrument="hplc", adapter="a", key=key, experiments=[experiment])
        lease = server.lease_of(experiment)
        if started:
            assert client.start([lease])[0].ok
    return lease


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
    assert out.splitlines()[0].endswith("  tau (min)  grade")
    with Client(server.url) as client:
        client.post_results([{"id": "r1", "experiment": 1, "outputs": {"sty": 0.5}, "comment": "calm"}])
    header, row = run("results", "snar")[1].splitlines()
    assert "tau (min)  grade  sty" in header
    assert row.split()[:6] == ["snar-1", "1.25", "2", "0.5", "measured", "accepted"]
    lines = run("results", "snar", "--csv")[1].splitlines()
    assert lines[0].startswith("code,tau,grade,sty,outcome") and lines[1].startswith(
        "snar-1,1.25,2,0.5,measured"
    )
    assert json.loads(run("results", "snar", "--json")[1])[0]["outputs"] == {"sty": 0.5}
    assert "0.5 by snar-1" in run("campaign", "show", "snar")[1]


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


def test_output_to_a_reader_that_has_enough(server: FakeServer, tmp_path: Path) -> None:
    server.stage(x=1, count=600)
    command = [sys.executable, "-m", "labqueue.cli", "experiments", "bench", "--url", server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b"" and child.wait(60) == 0
