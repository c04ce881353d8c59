"""The example of the front on the path, and a Labqueue of the test's own with a janitor."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import whole as whole_module
from servers import Servers
from whole import Whole

ROOT = Path(__file__).parents[4]
MOONS = ROOT / "examples" / "moons"
for folder in (MOONS, Path(__file__).parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture(scope="session")
def stack(servers: Servers) -> Iterator[Whole]:
    with whole_module.whole(servers) as made:
        yield made


@pytest.fixture
def lab(stack: Whole, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Whole:
    """The server is found as a user's program finds it; spools lie in the test's own folder."""
    monkeypatch.setenv("LABQUEUE_URL", stack.url)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("LABQUEUE_TOKEN", raising=False)
    return stack
