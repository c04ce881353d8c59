"""The labqueue command, called in the test's own process against the server in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CAMPAIGN, Run

from labqueue.cli import main
from labqueue.conformance import FakeServer


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
