"""docs/http.md says what works: its commands are run as they stand, against a real server."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import httpx
from api import served

from services.bootstrap import Context

PAGE = Path(__file__).parents[3] / "docs" / "http.md"


def test_the_commands_of_the_page(context: Context, tmp_path: Path) -> None:
    script = "set -eu\n" + "\n".join(re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL))
    with served(context) as url:
        ran = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin:/usr/local/bin", "LABQUEUE_URL": url},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        found = httpx.get(f"{url}/api/v1/experiments/snar-1").json()
        assert (found["state"], found["outputs"]) == ("completed", {"yield": 87.5})
        assert '"state":"live"' in ran.stdout and '"verdict":"accepted"' in ran.stdout
        assert json.loads((tmp_path / "claim.json").read_text())["reason"] is None
