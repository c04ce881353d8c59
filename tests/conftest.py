"""Fixtures for every test: real servers, one Postgres and one Valkey for a test process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest
from hypothesis import HealthCheck, settings
from servers import Servers, short_folder

# How long an example takes says how busy the machine is, and nothing about what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The shared servers; nothing starts before a test asks for it."""
    started = Servers()
    yield started
    started.stop()


@pytest.fixture
def postgres_url(servers: Servers) -> Iterator[str]:
    """A fresh migrated database of the test's own."""
    with servers.database() as url:
        yield url


@pytest.fixture
def empty_postgres_url(servers: Servers) -> Iterator[str]:
    """A fresh database without any table."""
    with servers.database(migrated=False) as url:
        yield url


@pytest.fixture
def redis_url(servers: Servers) -> Iterator[str]:
    """An empty Redis database of the test's own, as redis-py spells it. Channels are shared between databases."""
    with servers.redis_database() as url:
        yield url


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty folder with a path short enough for sockets."""
    folder = short_folder()
    yield folder
    rmtree(folder, ignore_errors=True)
