"""The API on a real Postgres and a real Valkey, in this process, for asynchronous tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from api import Client, Lab, context_for, in_process, settings_for

from services.bootstrap import Context


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def context(postgres_url: str, redis_url: str, home: Path) -> Iterator[Context]:
    with context_for(settings_for(postgres_url, home, redis_url)) as made:
        yield made


@pytest.fixture
async def client(context: Context) -> AsyncIterator[Client]:
    async with in_process(context) as made:
        yield made


@pytest.fixture
async def lab(client: Client) -> Lab:
    return await Lab.make(client)
