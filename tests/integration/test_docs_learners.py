"""docs/learners.md says what works: its learner, its commands and its requests are run as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from api import context_for, served, settings_for

import labqueue
from services.flow.recover import stamp_alive

DOCS = Path(__file__).parents[2] / "docs"
PAGE, POOLS = (DOCS / "learners.md").read_text(), (DOCS / "pools.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)\n```", PAGE, re.DOTALL)
PATIENCE = 60.0
INSTRUMENT = "def measure(experiment):\n    return {'yield': 1 - (experiment.parameters['temperature'] - 80) ** 2 / 10000}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The page's files under their own names."""
    for name, text in re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / name).write_text(text)
    [campaign] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "couplings.json").write_text(campaign)
    (tmp_path / "reactor.py").write_text(INSTRUMENT)
    return tmp_path


@pytest.fixture
def url(postgres_url: str, redis_url: str, home: Path) -> Iterator[str]:
    with context_for(settings_for(postgres_url, home, redis_url)) as context:
        stamp_alive(context.store)
        with served(context) as address:
            yield address


def environ(folder: Path, url: str = "") -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"PATH": path, "HOME": str(folder), "LABQUEUE_URL": url}


def run(folder: Path, line: str, url: str = "") -> str:
    ran = subprocess.run(
        ["bash", "-euc", line], cwd=folder, env=environ(folder, url), capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@contextmanager
def running(folder: Path, line: str, url: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {line}"], cwd=folder, env=environ(folder, url), stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], Any], folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, (folder / "log.txt").read_text()
        time.sleep(0.05)


def test_the_learner_of_the_page_teaches_its_campaign(folder: Path, url: str) -> None:
    create, serve = COMMANDS[0].splitlines()
    assert "couplings" in run(folder, create, url)
    robot = "labqueue serve reactor.py:measure --queue flow-reactor --instrument r --spool spool"
    with running(folder, serve, url) as learner, running(folder, robot, url), labqueue.Client(url) as client:

        def near() -> list[dict[str, Any]]:
            done = client.experiments("couplings", "completed")
            return [each for each in done if each["reason"].startswith("near the best")]

        until(lambda: len(near()) >= 5 and client.campaign("couplings")["model_version"] >= 3, folder)
        assert client.campaign("couplings")["learner"]["asked"] is True
        assert client.models("couplings")[-1]["metrics"].keys() == {"best"}
        assert "nearest is there" in run(folder, "labqueue campaign show couplings", url)
        learner.terminate()
        assert learner.wait(PATIENCE) == 0
        assert "Stopped after" in (folder / "log.txt").read_text()


def test_the_checks_of_the_page(folder: Path) -> None:
    [check] = [each for each in COMMANDS if each.startswith("labqueue check-learner")]
    assert "8 of 8 cases passed." in run(folder, check)
    run(folder, f"{sys.executable} -m pytest -q -p no:cacheprovider test_own.py")


def test_the_pool_learner_of_the_page(folder: Path, url: str) -> None:
    [table] = re.findall(r"```csv\n(.*?)```", POOLS, re.DOTALL)
    light = "".join(f"light-{number},{number},0.5,water\n" for number in range(20))
    (folder / "library.csv").write_text(table + light)
    problem = {"pool": "library", "outputs": [{"name": "y"}], "objectives": [{"output": "y"}]}
    strategy = {"method": "learner", "learner": "heaviest", "fallback": "design", "initial": 0, "depth": 2}
    campaign = {"name": "amines", "queue": "q", "problem": problem, "strategy": strategy}
    (folder / "amines.json").write_text(json.dumps(campaign))
    for line in (
        "labqueue pool upload library library.csv",
        "labqueue queue create q",
        "labqueue campaign create amines.json",
        "labqueue check-learner heaviest.py:Heaviest --problem amines.json",
        "labqueue serve-learner heaviest.py:Heaviest --campaign amines --limit 1",
    ):
        said = run(folder, line, url)
    assert "Stopped after 0 trainings, 1 suggestion." in said
    with labqueue.Client(url) as client:
        staged = list(client.experiments("amines"))
    assert [each["parameters"]["row"] for each in staged] == ["cmpd-3", "cmpd-4"]
    assert staged[0]["reason"] == "140.9 g/mol"


def test_the_requests_of_the_page(folder: Path, url: str) -> None:
    run(folder, COMMANDS[0].splitlines()[0], url)
    [requests] = [each for each in COMMANDS if each.startswith("learner=")]
    said = run(folder, requests, url)
    assert '"kind":"suggest"' in said and '"deadline":' in said
    assert '{"rows":[],"gone":[],"whole":false,' in said
    with labqueue.Client(url) as client:
        first, second = client.experiments("couplings")
        assert (first["parameters"], first["reason"]) == ({"temperature": 60.0}, "a start")
        assert first["expected"] == {"yield": {"mean": 0.5, "sd": 0.2}}
        assert second["reason"] == "the learner nearest chose it"
        assert client.campaign("couplings")["learner"]["live"] is False


def test_the_torch_learner_of_the_examples_passes_its_check(folder: Path) -> None:
    own = Path(__file__).parents[2] / "examples" / "learners" / "own_torch.py"
    said = run(folder, f"labqueue check-learner {own}:Ensemble --only conditions")
    assert "8 of 8 cases passed." in said
