"""Threads for the synchronous core: as many as there are database connections for them, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """Runs synchronous calls off the event loop; who finds all threads busy waits in turn."""

    def __init__(self, size: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=max(1, size), thread_name_prefix=name)

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What `call` returns or raises. A caller that is cancelled leaves the call to its end."""
        bound = partial(call, *args, **kwargs) if kwargs else partial(call, *args)
        return await asyncio.get_running_loop().run_in_executor(self._pool, bound)

    def close(self) -> None:
        """Lets what runs end, and starts nothing more."""
        self._pool.shutdown(wait=True, cancel_futures=True)
