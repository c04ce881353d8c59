"""docs/adapters.md says what works: its programs and commands are run as they stand, as processes of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from labqueue.conformance import FakeServer, check_adapter

PAGE = (Path(__file__).parents[2] / "docs" / "adapters.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)\n```", PAGE, re.DOTALL)
PATIENCE = 60.0

# A cluster of one: a job is a process in the background, known by its name as long as it runs.
SLURM = {
    "sbatch": 'name=${1#--job-name=}; cd "${2#--chdir=}"; sh "$OLDPWD/$3" >log 2>&1 & echo $! >"$JOBS/$name"',
    "squeue": 'pid=$(cat "$JOBS/${2#--name=}"); kill -0 "$pid" 2>/dev/null && echo "$pid" || true',
    "scancel": 'kill "$(cat "$JOBS/${1#--name=}")" || true',
}
SOLVE = "test -f parameters.json && echo '{\"lift\": 1.5}' > half && mv half result.json\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Every program of the page under its own name, beside what a cluster would bring."""
    for name, text in re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / name).write_text(text)
    [table] = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "table.csv").write_text(table)
    (tmp_path / "solve.sh").write_text(SOLVE)
    (tmp_path / "known").mkdir()
    (tmp_path / "bin").mkdir()
    for name, text in SLURM.items():
        script = tmp_path / "bin" / name
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
    return tmp_path


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        yield fake


def environ(folder: Path, url: str = "") -> dict[str, str]:
    return {
        "PATH": os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(folder),
        "JOBS": str(folder / "known"),
        "LABQUEUE_URL": url,
    }


def command(verb: str) -> str:
    [found] = [each for each in COMMANDS if each.startswith(f"labqueue {verb} ")]
    return str(found)


REACTOR = {"temperature": 80.0}
CASES: Sequence[tuple[str, str, Mapping[str, Any], dict[str, float], int]] = [
    ("python reactor.py", "flow-reactor", REACTOR, {"yield": 1.0}, 2),
    ("labqueue serve reactor.py:measure --queue flow-reactor --instrument r", "flow-reactor", REACTOR, {"yield": 1.0}, 1),
    ("python plates.py", "plates", {"dye": 2.0}, {"absorbance": 1.0}, 24),
    ("python cluster.py", "cfd", {"angle": 3.0}, {"lift": 1.5}, 3),
    (command("run"), "wings", {"angle": 10.0}, {"drag": 0.12}, 2),
    (command("replay"), "couplings", {"ligand": "XPhos", "temperature": 80.0}, {"yield": 0.83}, 1),
]  # fmt: skip


@pytest.mark.parametrize(("line", "queue", "parameters", "outputs", "count"), CASES)
def test_a_program_of_the_page_serves(
    folder: Path, server: FakeServer, line: str, queue: str, parameters: Mapping[str, Any],
    outputs: dict[str, float], count: int,
) -> None:  # fmt: skip
    staged = server.stage(parameters, queue=queue, campaign=queue, outputs=tuple(outputs), count=count)
    log = folder / "log.txt"
    with log.open("wb") as out:
        adapter = subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            cwd=folder,
            env=environ(folder, server.url),
            stdout=out,
            stderr=out,
        )
    try:
        until = time.monotonic() + PATIENCE
        while len(server.results) < count:
            assert adapter.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.02)
        adapter.terminate()
        assert adapter.wait(PATIENCE) == 0, log.read_text()
    finally:
        adapter.kill()
        adapter.wait()
    assert sorted(each.body["experiment"] for each in server.results) == sorted(staged)
    for each in server.results:
        assert (each.verdict, each.body["outputs"]) == ("accepted", pytest.approx(outputs))


def test_what_cannot_be_run_is_said(folder: Path, server: FakeServer) -> None:
    server.stage({"temperature": 118.0}, queue="flow-reactor", outputs=("yield",))
    line = "labqueue serve reactor.py:measure --queue flow-reactor --instrument r --limit 1"
    ran = subprocess.run(
        line.split(), cwd=folder, env=environ(folder, server.url), capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    [result] = server.results
    assert (result.body["outcome"], result.body["comment"]) == ("infeasible", "The solvent boils.")
    assert ran.returncode == 0 and "r stopped after 1 run: the server has it all." in ran.stdout, ran.stderr


def test_the_command_of_the_kit(folder: Path) -> None:
    ran = subprocess.run(
        ["bash", "-c", command("conformance")], cwd=folder, env=environ(folder), capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "13 of 13 scenarios passed." in ran.stdout


def test_the_test_of_the_page_fails_for_a_bad_adapter(folder: Path) -> None:
    """It passes for the good one (the command above is the same check); here one scenario is enough."""
    (folder / "reactor.py").write_text("def measure(experiment):\n    return {'yeild': 1.0}\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_reactor.py"],
        cwd=folder, env=environ(folder), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 1 and "one run" in ran.stdout, ran.stdout + ran.stderr


def test_the_cluster_of_the_page_bears_its_own_death(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for name, value in environ(folder).items():
        monkeypatch.setenv(name, value)
    faults = ["one run", "cancelled in mid-run", "killed after the run", "killed in mid-run"]
    found = check_adapter("cluster.py:Cluster", parameters={"angle": 3.0}, outputs=["lift"], scenarios=faults)
    assert [str(each) for each in found if not each.passed] == []
    assert any("found its run again" in each.text for each in found)
