"""The labqueue command against the real API: a person's day, from a campaign's file to a repaired instrument."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api import context_for, served, settings_for
from lab import until
from servers import Servers, short_folder

from labqueue.cli import main
from labqueue.client import Client
from labqueue.conformance import FakeServer
from labqueue.conformance.people import (
    list_results,
    show_campaign,
    show_experiment,
    show_instrument,
    status,
)
from models.domain import records as r
from services.bootstrap import Context

CAMPAIGN = {
    "name": "snar",
    "queue": "flow",
    "problem": {
        "parameters": [
            {"name": "tau", "kind": "continuous", "low": 0.5, "high": 2, "unit": "min"},
            {"name": "solvent", "kind": "categorical", "categories": ["water", "ethanol"]},
        ],
        "outputs": [{"name": "sty", "unit": "g/h"}],
        "objectives": [{"output": "sty"}],
    },
    "strategy": {"method": "caller"},
    "queue_policy": {"on_lost": "hold", "max_attempts": 1},
}
LAB = """
import labqueue

def measure(experiment):
    if experiment.parameters["solvent"] == "water":
        return {"sti": 1.0}
    if experiment.parameters["tau"] > 1.9:
        raise labqueue.Failed("no vacuum")
    return {"sty": experiment.parameters["tau"] * 10}
"""

Run = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def context(servers: Servers) -> Iterator[Context]:
    home = short_folder()
    try:
        with (
            servers.database() as postgres_url,
            servers.redis_database() as redis_url,
            context_for(settings_for(postgres_url, home, redis_url)) as made,
        ):
            yield made
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def url(context: Context) -> Iterator[str]:
    with served(context) as address:
        yield address


@pytest.fixture
def run(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("LABQUEUE_URL", url)
    monkeypatch.delenv("LABQUEUE_TOKEN", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "snar.json").write_text(json.dumps(CAMPAIGN))
    (tmp_path / "lab.py").write_text(LAB)

    def call(*words: str) -> tuple[int, str, str]:
        code = main(words)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def serve(run: Run, limit: int) -> tuple[int, str, str]:
    words = ("serve", "lab.py:measure", "--queue", "flow", "--instrument", "hplc", "--quiet")
    return run(*words, "--limit", str(limit))


def test_a_persons_day(run: Run, tmp_path: Path) -> None:
    code, out, err = run("campaign", "create", "snar.json")
    assert code == 0 and "The queue flow was created." in out, err
    assert run("campaign", "create", "snar.json")[0] == 0

    (tmp_path / "rows.csv").write_text("tau,solvent\n1,ethanol\n3,ethanol\n1,watre\n")
    code, _, err = run("stage", "snar", "--csv", "rows.csv")
    assert code == 1 and "line 3, tau" in err and "line 4, solvent" in err and "water" in err
    (tmp_path / "rows.csv").write_text("tau,solvent\n1,ethanol\n1.25,ethanol\n1,water\n2,ethanol\n")
    code, out, err = run("stage", "snar", "--csv", "rows.csv")
    assert code == 0 and out.startswith("4 experiments staged: snar-1"), err

    code, _, err = serve(run, 4)
    assert code == 0, err
    lines = run("results", "snar", "--csv")[1].splitlines()
    assert lines[0].startswith("code,tau,solvent,sty") and lines[2].startswith("snar-2,1.25,ethanol,12.5")
    # Of results that have a number, which they get right after they were recorded.
    until(lambda: "12.5 g/h by snar-2" in run("campaign", "show", "snar")[1], "the best is shown")
    assert "conditions   tau 1.25 min, solvent ethanol" in run("campaign", "show", "snar")[1]
    for command in ("results", "experiments"):
        assert "tau (min)  solvent  sty (g/h)" in run(command, "snar")[1]

    out = run("status")[1]
    assert out.startswith("Needs a person:") and "snar-3 is held" in out and "given up" in out
    code, _, err = run("decide", "snar-1", "give_up")
    assert code == 1 and "snar-1" in err
    assert "completed" in run("decide", "snar-3", "complete", "sty=1", "--reason", "a typing error")[1]
    assert "snar-4 is staged" in run("restage", "snar-4", "--reason", "new pump")[1]
    assert "snar-4 is cancelled" in run("cancel", "snar-4", "--reason", "not needed")[1]
    shown = run("show", "snar-4")[1]
    assert "no vacuum" in shown and "hplc" in shown and "tau 2 min" in shown
    assert "sty 12.5 g/h" in run("show", "snar-2")[1]

    assert "is paused" in run("instrument", "pause", "hplc", "--reason", "cleaning")[1]
    assert "cleaning" in run("instrument", "list")[1]
    code, out, _ = run("doctor", "--instrument", "hplc")
    assert code == 1 and "hplc is paused: cleaning" in out
    assert "is active" in run("instrument", "clear", "hplc")[1]
    code, out, _ = run("doctor", "--instrument", "hplc")
    assert "BAD" not in out, out

    assert "is paused" in run("queue", "pause", "flow", "--reason", "holiday")[1]
    assert "holiday" in run("queue", "list")[1]
    assert "is active" in run("queue", "resume", "flow")[1]
    assert "is finished" in run("campaign", "finish", "snar")[1]
    code, _, err = run("stage", "snar", "tau=1", "solvent=water")
    assert code == 1 and "finished" in err
    code, _, err = run("campaign", "show", "snra")
    assert code == 1 and "snar" in err


def test_a_running_campaign_is_edited_by_its_file(run: Run, tmp_path: Path) -> None:
    assert run("campaign", "create", "snar.json")[0] == 0
    run("stage", "snar", "tau=1.75", "solvent=ethanol")
    code, out, err = run("edit", "snar", "snar.json")
    assert (code, out) == (0, "Nothing changed: the campaign snar is as the file says.\n"), err

    file = json.loads(json.dumps(CAMPAIGN))
    file["problem"]["parameters"][0]["high"] = 1.5
    file["problem"]["parameters"][1]["categories"].append("toluene")
    file["strategy"]["stop"] = {"budget": 9}
    (tmp_path / "snar.json").write_text(json.dumps(file))
    code, out, err = run("edit", "snar", "snar.json", "--reason", "the pump is worn out")
    assert code == 0, err
    assert "The problem of snar is at version 2:" in out and "parameters.tau.high: 2 -> 1.5" in out
    assert "parameters.solvent.categories: water, ethanol -> water, ethanol, toluene" in out
    assert "The strategy of snar is at version 2:" in out and "stop.budget: nothing -> 9" in out
    assert "snar-1 stays staged" in out and "tau: is outside 0.5 to 1.5 min." in out
    out = run("versions", "snar")[1]
    assert "the pump is worn out" in out and "parameters.tau.high: 2 -> 1.5" in out
    assert [each["number"] for each in json.loads(run("versions", "snar", "--json")[1])] == [1, 1, 2, 2]

    file["problem"]["parameters"][0]["unit"] = "s"
    (tmp_path / "snar.json").write_text(json.dumps(file))
    code, _, err = run("edit", "snar", "snar.json")
    assert code == 1 and "snar.json:1: " in err and "Give tau in min" in err
    (tmp_path / "snar.json").write_text(json.dumps({**CAMPAIGN, "queue": "other"}))
    code, _, err = run("edit", "snar", "snar.json")
    assert code == 1 and "queue: is flow in the campaign" in err


def test_all_of_a_campaign_are_decided_about_at_once(run: Run, tmp_path: Path) -> None:
    assert run("campaign", "create", "snar.json")[0] == 0
    (tmp_path / "rows.csv").write_text("tau,solvent\n1,water\n1.25,water\n1.5,ethanol\n")
    assert run("stage", "snar", "--csv", "rows.csv", "--propose")[0] == 0
    code, out, err = run("approve", "snar", "--all")
    assert (code, out.splitlines()) == (0, [f"snar-{number} is staged." for number in (1, 2, 3)]), err
    assert run("approve", "snar", "--all") == (0, "No experiment of snar is proposed.\n", "")
    serve(run, 3)
    code, _, err = run("decide", "snar", "complete", "sty=1", "--all")
    assert code == 1 and "one by one" in err
    code, out, err = run("decide", "snar", "give_up", "--all", "--reason", "wrong solvent")
    assert (code, out.splitlines()) == (0, ["snar-1 is failed.", "snar-2 is failed."]), err
    assert run("restage", "snar", "--all")[1].splitlines() == ["snar-1 is staged.", "snar-2 is staged."]
    code, _, err = run("decide", "snra", "run_again", "--all")
    assert code == 1 and "snar" in err


def test_a_result_is_corrected_and_taken_back(run: Run, tmp_path: Path) -> None:
    assert run("campaign", "create", "snar.json")[0] == 0
    run("stage", "snar", "tau=1", "solvent=ethanol")
    code, _, err = run("withdraw", "snar-1", "--reason", "none yet")
    assert code == 1 and "no result that could be" in err
    serve(run, 1)
    code, _, err = run("amend", "snar-1", "sti=9", "--reason", "a typing error")
    assert code == 1 and "Did you mean sty?" in err
    code, out, err = run("amend", "snar-1", "sty=9.5", "tau=1.1", "--reason", "integrated again")
    assert (code, out.split(".")[0]) == (0, "snar-1 is corrected: sty 9"), err
    shown = run("show", "snar-1")[1]
    assert "sty 9.5 g/h" in shown and "tau 1.1 min" in shown and "integrated again" in shown
    code, out, err = run("withdraw", "snar-1", "--reason", "wrong vial")
    assert code == 0 and "counts no longer" in out, err
    assert "9.5" not in run("export", "snar")[1] and "wrong vial" in run("results", "snar")[1]


def test_a_front_is_shown_as_one(run: Run, url: str, tmp_path: Path) -> None:
    file = json.loads(json.dumps(CAMPAIGN))
    file["problem"]["outputs"].append({"name": "cost"})
    file["problem"]["objectives"].append({"output": "cost", "goal": "minimize"})
    (tmp_path / "snar.json").write_text(json.dumps(file))
    assert run("campaign", "create", "snar.json")[0] == 0
    run("stage", "snar", "tau=1", "solvent=ethanol")
    assert "nothing yet" in run("campaign", "show", "snar")[1]
    (tmp_path / "lab.py").write_text('def measure(experiment):\n    return {"sty": 1.0, "cost": 2.0}\n')
    serve(run, 1)
    with Client(url) as client:  # a numbered event is one that people see
        next(each for each in client.events() if each["type"] == "experiment.result")
    shown = run("campaign", "show", "snar")[1]
    assert "a front of 1 experiment" in shown and "The front" in shown and "snar-1" in shown
    assert "code    sty (g/h)  cost  tau (min)" in shown
    assert "front of 1" in run("campaign", "list")[1]


def test_models_and_what_became_of_their_expectations(run: Run, url: str, context: Context) -> None:
    assert run("campaign", "create", "snar.json")[0] == 0
    assert run("models", "snar")[1].startswith("There is no model yet")
    run("stage", "snar", "tau=1", "solvent=ethanol")
    with context.store.begin() as tx:
        [experiment] = tx.experiments.lock([1])
        tx.experiments.save([replace(experiment, expected={"sty": {"mean": 9.0, "sd": 1.0}})])
        metrics = {"outputs": {"sty": {"rmse": 0.25, "coverage95": 0.9, "r2": None, "kind": "gp"}}}
        tx.models.add(r.Model(experiment.campaign_id, 1, 0, 0, 1, 7, b"{}", "00", metrics, "cpu", {}, 0.5))
    serve(run, 1)
    out = run("models", "snar")[1]
    assert "sty rmse" in out and "0.25" in out and "sty r2" not in out
    assert "Expected against measured" in out and "z_mean" in out
    assert json.loads(run("models", "snar", "--json")[1])["calibration"][0]["n"] == 1


def test_the_server_in_memory_shows_what_the_real_one_shows(run: Run, url: str) -> None:
    """The fields that the real API answers with are those that commands were tried with."""
    assert run("campaign", "create", "snar.json")[0] == 0
    run("stage", "snar", "tau=1", "solvent=ethanol")
    serve(run, 1)
    with FakeServer() as fake:
        fake.stage(x=1)
        with Client(fake.url) as client:
            client.post_results([{"id": "r1", "experiment": 1, "outputs": {"y": 0.5}, "comment": "calm"}])
        answers = (
            (["campaign", "show", "snar", "--json"], show_campaign(fake, "bench")),
            (["status", "--json"], status(fake)),
            (["show", "snar-1", "--json"], show_experiment(fake, fake.experiment(1), whole=True)),
            (["results", "snar", "--json"], list_results(fake, "bench", {})["items"]),
            (["instrument", "list", "--json"], [show_instrument(fake, "i")]),
            (["queue", "list", "--json"], [fake.queue("bench").to_json()]),
        )
    for words, ours in answers:
        theirs: Any = json.loads(run(*words)[1])
        one, other = (ours[0], theirs[0]) if isinstance(ours, list) else (ours, theirs)
        assert set(one) <= set(other), words
        for mine, real in zip(one.get("results", ()), other.get("results", ()), strict=True):
            assert set(mine) <= set(real), words
