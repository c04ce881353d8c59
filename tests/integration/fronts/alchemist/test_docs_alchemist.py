"""docs/alchemist.md says what works: its commands are run as they stand, against a real server."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import httpx

PAGE = Path(__file__).parents[4] / "docs" / "alchemist.md"


def test_the_commands_of_the_page(url: str, tmp_path: Path) -> None:
    script = "set -eu\n" + "\n".join(re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL))
    ran = subprocess.run(
        ["bash", "-c", f"{script}\necho; echo session=$session"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "LABQUEUE_URL": url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    session = ran.stdout.rpartition("session=")[2].strip()
    found = httpx.get(f"{url}/api/v1/sessions/{session}/experiments").json()
    rows = [
        (each["temperature"], each["catalyst"], each["Output"], each["Reason"])
        for each in found["experiments"]
    ]
    assert rows == [
        (40, "Pt", 0.41, "screening"),
        (80, "Pd", 0.87, "screening"),
        (100, "Ni", 0.63, "screening"),
    ]
    listed = httpx.get(f"{url}/api/v1/sessions/{session}/experiments/queue").json()
    assert (listed["n_done"], listed["n_running"], listed["n_pending"]) == (3, 1, 0)
