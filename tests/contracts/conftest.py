"""Every store contract runs on the fake and on the real thing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from store_world import FakeWorld, Filler, PostgresWorld, World


@pytest.fixture(params=["fake", "postgres"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "fake":
        yield FakeWorld()
        return
    real = PostgresWorld(request.getfixturevalue("postgres_url"))
    yield real
    real.store.close()


@pytest.fixture
def postgres_world(postgres_url: str) -> Iterator[PostgresWorld]:
    """The real thing alone: for what only happens between two transactions at once."""
    real = PostgresWorld(postgres_url)
    yield real
    real.store.close()


@pytest.fixture
def fill() -> Filler:
    return Filler()
