"""labqueue campaign and queue: what a file may say, what is refused, and how the command ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from command_line import CAMPAIGN, Run

from labqueue.cli import main
from labqueue.conformance import FakeServer


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


def test_queues(run: Run, server: FakeServer) -> None:
    out = run("queue", "create", "plates", "--lease-seconds", "30", "--on-lost", "probe")[1]
    assert "lease_seconds 30" in out and "on_lost probe" in out
    assert "is paused" in run("queue", "pause", "plates", "--reason", "no plates")[1]
    assert "no plates" in run("queue", "list")[1] and "no plates" in run("queue", "show", "plates")[1]
    assert "is active" in run("queue", "resume", "plates")[1]
    assert "is draining" in run("queue", "drain", "plates")[1]
    assert json.loads(run("queue", "list", "--json")[1])[0]["name"] == "plates"


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
