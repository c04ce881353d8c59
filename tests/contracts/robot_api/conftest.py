"""Each test runs against every server, on a queue and a campaign of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from robot_bench import SERVERS, Bench, Server


@pytest.fixture(scope="module", params=sorted(SERVERS))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with SERVERS[request.param](request) as running:
        yield running


@pytest.fixture
def bench(server: Server) -> Bench:
    return Bench(server)
