"""An adapter on another network: the API is bound where others reach it, and asks everybody for a token."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from elsewhere import Place, elsewhere
from servers import Servers
from whole import running, settings_for
from whole_lab import Lab

from labqueue.client import Client
from labqueue.errors import DeniedError
from services.embedded.stack import Stack
from services.settings import Settings


@pytest.fixture
def place() -> Iterator[Place]:
    with elsewhere() as found:
        yield found


def at_the_terminal(settings: Settings, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", *argv],
        env={**os.environ, **settings.environ()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def token(settings: Settings, name: str, scope: str) -> str:
    made = at_the_terminal(settings, "services.cli", "token", "create", name, "--scope", scope)
    assert made.returncode == 0, made.stderr
    return max(made.stdout.split(), key=len)


def test_an_adapter_elsewhere_needs_a_token_and_then_works(servers: Servers, place: Place) -> None:
    settings = settings_for(servers.new_home(), LABQUEUE_HOST=place.bind)
    with Stack(settings, parts=()) as alone:
        refused = at_the_terminal(alone.settings, "services.api")
        assert refused.returncode == 1 and "labqueue-server token create" in refused.stderr
        admin = token(settings, "anna", "admin")
    stack = Stack(settings, parts=("api", "janitor"))
    with running(stack, admin) as whole:
        it = Lab(whole, lease_seconds=2)
        url = f"http://{place.address}:{stack.settings.port}"
        robots = token(stack.settings, "robot", f"queue:{it.queue}")
        with Client(url, token="", retry_for=0.0) as stranger, pytest.raises(DeniedError) as denied:
            stranger.stage(it.name, [{"parameters": {"x": 1.0}}])
        assert denied.value.status == 401 and "LABQUEUE_TOKEN" in str(denied.value)
        with Client(url, robots, retry_for=0.0) as robot, pytest.raises(DeniedError) as denied:
            robot.stage(it.name, [{"parameters": {"x": 1.0}}])
        assert denied.value.status == 403 and f"campaign:{it.name}" in str(denied.value)

        staged = it.stage(1.0, 2.0, 3.0)
        it.gate.touch()
        adapter = it.adapter(url=url, token=robots, prefix=place.prefix)
        it.reaches("completed", *staged)
        assert {each["actor"] for each in whole.rows("SELECT actor FROM results")} == {"token:robot"}
        # What it holds stays its own while the API is away.
        it.gate.unlink()
        [last] = it.stage(4.0)
        it.moved(4)
        whole.kill("api")
        it.gate.touch()
        it.reaches("completed", last)
        assert it.ends(last) == ["completed"] and it.verdicts(last) == ["accepted"]
        assert adapter.stop() == {"runs": 4, "unsent": 0, "refused": 0}
        it.check_books()
