"""Connections to Redis: short timeouts, no retries, one translation of what goes wrong.

Everything that we keep in Redis may be written twice or vanish, so a doubled command is harmless and a failed
one is not worth waiting for: whoever calls goes on without Redis and tries again later.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from labqueue.errors import UnavailableError
from services.settings import mask_url

#: Seconds that a read may block on the server. Less than SOCKET_SECONDS, or an idle stream looks like a dead one.
BLOCK_SECONDS = 2.0
SOCKET_SECONDS = 5.0
CONNECT_SECONDS = 2.0
#: A connection that was idle for longer is asked whether it still lives before it is used.
IDLE_SECONDS = 10


def connect(url: str) -> Any:
    """A client for `url` (redis-py's spelling); it connects when it is first used.

    Any, because redis-py types each answer as all that any server, protocol or client could give.
    """
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **_options(url))


def connect_async(url: str) -> Any:
    """The same for asyncio."""
    return redis.asyncio.Redis.from_url(url, retry=AsyncRetry(NoBackoff(), 0), **_options(url))


@contextmanager
def answering(url: str) -> Iterator[None]:
    """Raises UnavailableError for whatever goes wrong between us and the server inside the block."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise unavailable(url, error) from error


def unavailable(url: str, error: Exception) -> UnavailableError:
    return UnavailableError(f"Redis at {mask_url(url)} does not answer: {error}")


def _options(url: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_timeout": SOCKET_SECONDS,
        "health_check_interval": IDLE_SECONDS,
    }
    if not url.startswith("unix:"):
        options |= {"socket_connect_timeout": CONNECT_SECONDS, "socket_keepalive": True}
    return options
