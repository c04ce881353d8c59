"""One stack for all tests of a process that leave it as it was; those that break one start their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from servers import Servers
from whole import Whole, whole
from whole_lab import Lab


@pytest.fixture(scope="session")
def shared(servers: Servers) -> Iterator[Whole]:
    with whole(servers) as stack:
        yield stack


@pytest.fixture
def lab(shared: Whole) -> Iterator[Callable[..., Lab]]:
    """Makes a lab on the shared stack; its books are checked at the end of the test."""
    made: list[Lab] = []

    def make(problem: Any = None, strategy: Any = None, **policy: Any) -> Lab:
        one = Lab(shared, problem, strategy, **policy)
        made.append(one)
        return one

    yield make
    shared.end_adapters()
    for one in made:
        one.check_books()
