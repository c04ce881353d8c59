"""Starts programs of users as processes of their own, and tells what came of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from whole import Whole

HERE = Path(__file__).parent
ROOT = HERE.parents[3]
PATIENCE = 240.0


def environ(folder: Path, url: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("LABQUEUE_")},
        "PYTHONPATH": str(ROOT / "examples" / "moons"),
        "LABQUEUE_URL": url,
        "XDG_STATE_HOME": str(folder / "state"),
        "OMP_NUM_THREADS": "1",
    }


class Moons:
    """The program, running."""

    def __init__(self, folder: Path, url: str, run_id: str, options: dict[str, Any], *death: str) -> None:
        program = [
            sys.executable,
            str(HERE / "moons_program.py"),
            str(folder),
            run_id,
            json.dumps(options),
            *death,
        ]
        self.process = subprocess.Popen(
            program, env=environ(folder, url), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def result(self, *, may_die: bool = False) -> dict[str, Any] | None:
        """What it says at its end; None where it died as it should."""
        try:
            out, err = self.process.communicate(timeout=PATIENCE)
        finally:
            self.process.kill()
        if may_die and self.process.returncode == -signal.SIGKILL:
            return None
        assert self.process.returncode == 0, out + err
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found


def moons(folder: Path, url: str, run_id: str, options: dict[str, Any], *death: str) -> dict[str, Any] | None:
    """From its start to its end."""
    return Moons(folder, url, run_id, options, *death).result(may_die=bool(death))


class Labeller:
    """`labqueue-physicsnemo label`, as a process."""

    def __init__(self, folder: Path, url: str, strategy: str, *more: str) -> None:
        self.log = folder / f"label-{len(list(folder.glob('label-*.log')))}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "labqueue_physicsnemo", "label", strategy, "--folder", str(folder / "labels"), *more],
                env=environ(folder, url), cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(60) == 0, self.text


def messages(folder: Path, run_id: str) -> list[str]:
    """What the log says, in order."""
    lines = (folder / run_id / f"{run_id}.log").read_text().splitlines()
    return [json.loads(line)["message"] for line in lines]


def staged(lab: Whole, run_id: str) -> list[tuple[int, str]]:
    """The step and the item of every experiment, in their order."""
    rows = sorted(lab.client.experiments(f"physicsnemo-{run_id}"), key=lambda each: each["id"])
    return [(each["payload"]["step"], each["payload"]["sha256"]) for each in rows]
