"""The API on a real Postgres and a real Valkey under uvicorn, and workers behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from alchemist_lab import Another, Program, crew
from api import context_for, served, settings_for
from fake_learner import FakeLearner

from services.bootstrap import Context
from workers.learner import TorchLearner


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


@pytest.fixture
def another() -> Iterator[Another]:
    with ExitStack() as stack:

        def make(url: str, session: str, agent: str) -> Program:
            made = Program(url, agent)
            stack.enter_context(made.http)
            made.session = session
            return made

        yield make


@pytest.fixture
def learner() -> FakeLearner:
    return FakeLearner()


@pytest.fixture
def taught(context: Context, learner: FakeLearner) -> Iterator[Program]:
    """With workers whose learner is at hand."""
    with served(context) as address, crew(context, learner):
        made = Program(address)
        with made.http:
            yield made


@pytest.fixture
def real(context: Context) -> Iterator[Program]:
    """With workers that learn."""
    with served(context) as address, crew(context, TorchLearner()):
        made = Program(address)
        with made.http:
            yield made
