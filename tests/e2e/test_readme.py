"""The README is what a newcomer gets: its files and commands are used as they stand, on the whole stack."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Servers
from whole import Whole, whole

from services.embedded.stack import PARTS

README = (Path(__file__).parents[2] / "README.md").read_text()
PATIENCE = 200.0


def block(language: str, word: str) -> str:
    [found] = [each for each in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if word in each]
    return str(found)


@pytest.fixture
def everything(servers: Servers) -> Iterator[Whole]:
    with whole(servers, tuple(PARTS)) as stack:
        yield stack


def test_the_instrument_and_the_campaign_of_the_readme(everything: Whole, tmp_path: Path) -> None:
    code = block("python", "labqueue.serve")
    assert len(code.splitlines()) == 4
    (tmp_path / "instrument.py").write_text(code)
    (tmp_path / "coupling.json").write_text(block("json", "coupling"))
    (tmp_path / ".venv").symlink_to(sys.prefix)
    create, serve, *look = block("sh", "campaign create").splitlines()
    assert serve.startswith(".venv/bin/python instrument.py &")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LABQUEUE_")}
    environ = {**kept, "LABQUEUE_URL": everything.url, "HOME": str(tmp_path)}
    environ.pop("XDG_STATE_HOME", None)

    def said(line: str) -> str:
        ran = subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, ""), (line, ran)
        return ran.stdout

    assert "The campaign coupling is active" in said(create)
    program = serve.partition("&")[0].split()
    with (tmp_path / "log").open("wb") as log:
        instrument = subprocess.Popen(program, cwd=tmp_path, env=environ, stdout=log, stderr=log)
    try:
        everything.until(
            lambda: everything.client.campaign("coupling")["state"] == "finished",
            "the campaign has ended",
            PATIENCE,
        )
        instrument.send_signal(signal.SIGINT)
        assert instrument.wait(60) == 0, (tmp_path / "log").read_text()
    finally:
        instrument.kill()
        instrument.wait()

    status, show, results = (said(line) for line in look)
    assert status.startswith("Nothing needs a person.") and "reactor-1" in status
    assert "finished" in show and "12 completed" in show
    rows = results.splitlines()
    assert len(rows) == 1 + 12 and all("accepted" in row for row in rows[1:])
    best = everything.client.campaign("coupling")["best"]
    assert best["outputs"]["yield"] > 0.99 and abs(best["parameters"]["temperature"] - 80) < 10
    assert everything.one("SELECT count(*) FROM models") > 0

    with urllib.request.urlopen(everything.url + "/app", timeout=30) as page:
        text = page.read().decode()
    assert "coupling" in text and "janitor" in text and "worker train" in text
