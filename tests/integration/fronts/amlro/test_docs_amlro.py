"""docs/amlro.md says what works: its programs and commands are run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from amlro_lab import ROOT, lines, states

from labqueue.client import Client

PAGE = (ROOT / "docs" / "amlro.md").read_text()
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)\n```", PAGE, re.DOTALL) for line in block.splitlines()
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Every program of the page under its own name."""
    for name, text in re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / name).write_text(text)
    return tmp_path


def shell(folder: Path, url: str, line: str) -> str:
    environ = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(folder),
        "LABQUEUE_URL": url,
        "OMP_NUM_THREADS": "1",
    }
    ran = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_commands_of_the_page(url: str, client: Client, folder: Path) -> None:
    assert len(COMMANDS) == 2
    said = [shell(folder, url, each) for each in COMMANDS]
    rows = lines(folder / "amines" / "reactions_data_decoded.csv")
    assert rows[0] == "temperature,loading,solvent,yield,cost" and len(rows) == 15 and "\n13 " in said[0]
    assert states(client) == ["completed"] * 14 and "amlro-amines-" in said[1]


def test_the_notebook_of_the_page(folder: Path) -> None:
    assert "Takes the result of the condition that was handed out last" in shell(
        folder, "", "python notebook.py"
    )


def test_the_limits_of_the_page() -> None:
    from labqueue_amlro import models, scope

    named: Any = set(re.findall(r"`(\w+)`", PAGE))
    assert named >= set(models.NAMES) and f"{scope.GRID_LIMIT:,}" in PAGE
