"""The API on a real Postgres and a real Valkey under uvicorn, and workers behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alchemist_lab import Program, crew
from api import context_for, served, settings_for

from services.bootstrap import Context


@pytest.fixture
def context(postgres_url: str, redis_url: str, home: Path) -> Iterator[Context]:
    with context_for(settings_for(postgres_url, home, redis_url)) as made:
        yield made


@pytest.fixture
def url(context: Context) -> Iterator[str]:
    with served(context) as address, crew(context):
        yield address


@pytest.fixture
def program(url: str) -> Iterator[Program]:
    made = Program(url)
    with made.http:
        yield made
