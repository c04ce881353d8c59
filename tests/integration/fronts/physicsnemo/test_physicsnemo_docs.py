"""docs/physicsnemo.md says what works: its programs and commands are run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from physicsnemo_programs import ROOT, environ
from whole import Whole

PAGE = (ROOT / "docs" / "physicsnemo.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)\n```", PAGE, re.DOTALL)
SCRIPT = '#!/bin/sh\nexec "{python}" -m labqueue_physicsnemo "$@"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The page's files under their own names."""
    for name, text in re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / name).write_text(text)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "labqueue-physicsnemo"
    script.write_text(SCRIPT.format(python=sys.executable))
    script.chmod(0o755)
    return tmp_path


def command(begins: str) -> str:
    [found] = [line for each in COMMANDS for line in each.splitlines() if line.startswith(begins)]
    return str(found)


def start(folder: Path, url: str, line: str) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.Popen(
        ["bash", "-c", f"exec {line}"], cwd=folder, env={**environ(folder, url), "PATH": path, "HOME": str(folder)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def run(folder: Path, url: str, line: str) -> str:
    started = start(folder, url, line)
    try:
        out, _ = started.communicate(timeout=240)
    finally:
        started.kill()
    assert started.returncode == 0, out
    return out


def test_the_program_of_the_page(lab: Whole, folder: Path) -> None:
    """In its own process, and again with label processes."""
    said = run(folder, lab.url, command("python program.py"))
    assert said.endswith("13 points, 0 given up\n"), said
    assert run(folder, lab.url, command("python program.py")) == said
    assert "solving" in (folder / "active_learning_logs" / "wings" / "wings.log").read_text()
    program = (folder / "program.py").read_text()
    program = program.replace("Queue, Solver()", "Queue").replace(
        'run_id="wings"', 'run_id="more", queue="wings"'
    )
    (folder / "program.py").write_text(program)
    label = start(folder, lab.url, command("labqueue-physicsnemo label"))
    try:
        assert run(folder, lab.url, command("python program.py")) == said
        label.terminate()
        out, _ = label.communicate(timeout=60)
        assert label.returncode == 0 and "solving" in out, out
    finally:
        label.kill()


def test_what_is_given_up_can_be_restaged(lab: Whole, folder: Path) -> None:
    solver = folder / "solver.py"
    works = solver.read_text()
    solver.write_text(
        works.replace(
            "            serialize_queue",
            '            assert sample["x"] != 1.5\n            serialize_queue',
        )
    )
    program = folder / "program.py"
    program.write_text(program.read_text().replace('run_id="wings"', 'run_id="fails"'))
    said = run(folder, lab.url, "python program.py")
    assert "12 points, 1 given up" in said and "labqueue restage" in said
    shown = run(folder, lab.url, command("labqueue experiments").replace("wings", "fails"))
    assert "physicsnemo-fails-7" in shown
    run(folder, lab.url, command("labqueue restage").replace("wings", "fails"))
    solver.write_text(works)
    program.write_text(
        program.read_text().replace("max_active_learning_steps=3", "max_active_learning_steps=4")
    )
    assert run(folder, lab.url, "python program.py").endswith("17 points, 0 given up\n")


def test_the_example(lab: Whole, folder: Path) -> None:
    line = command("python examples/moons/run.py").replace("--steps 8", "--steps 2 --samples 5")
    said = run(folder, lab.url, line)
    for choice in ("uncertainty", "random", "mixed"):
        assert re.search(rf"^{choice} +20:0\.\d+ 25:0\.\d+$", said, re.MULTILINE), said
    assert (folder / "active_learning_logs" / "moons.png").stat().st_size > 1000
