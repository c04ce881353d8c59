"""Sends commands to the Celery workers, without importing them: a command's name, and ids.

What is sent here may be lost, doubled or late. Each task begins with a compare-and-set in Postgres, and the
janitor sends again what is due.
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu.exceptions import KombuError
from redis import RedisError

from labqueue.errors import UnavailableError
from services.broker import streams
from services.broker.connection import CONNECT_SECONDS, SOCKET_SECONDS, answering, connect, unavailable
from services.settings import Settings

#: The commands; each has a Celery queue of its own name.
COMMANDS = ("train", "suggest", "inquire", "notify")

#: No more commands than this wait in a queue: nobody takes them, and what is due will still be due later.
WAITING_LIMIT = 1000


def task_name(command: str) -> str:
    return f"labqueue.{command}"


def configuration(settings: Settings) -> dict[str, Any]:
    """What both ends of Celery must agree on. JSON alone is sent and accepted; no answers, no remote control."""
    options: dict[str, Any] = {
        "global_keyprefix": streams.CELERY,
        # What a worker has taken is gone from Redis. Were it kept there until confirmed, each long training would be
        # delivered again, and a worker that could not confirm because Redis died would never hear another command.
        "ack_emulation": False,
        "socket_timeout": SOCKET_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_keepalive": True,
        "health_check_interval": 5,
    }
    return {
        "broker_url": settings.celery_broker,
        "broker_transport_options": options,
        "broker_connection_timeout": CONNECT_SECONDS,
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_publish_retry": False,
        "task_routes": {task_name(command): {"queue": command} for command in COMMANDS},
    }


class CeleryCommands:
    """The `Commands` port."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.redis
        self._client = connect(self._url)
        self._app = Celery("labqueue", set_as_current=False)
        self._app.conf.update(configuration(settings))

    def send(self, name: str, *arguments: Any) -> None:
        """Raises UnavailableError where the broker is away, and where too many such commands wait already."""
        if name not in COMMANDS:
            raise ValueError(f"{name!r} is no command; known are {', '.join(COMMANDS)}.")
        if self.waiting(name) >= WAITING_LIMIT:
            raise UnavailableError(
                f"{WAITING_LIMIT} commands wait and no worker takes them: labqueue-server worker --queue {name}"
            )
        try:
            self._app.send_task(task_name(name), args=[_plain(each) for each in arguments], retry=False)
        except (KombuError, RedisError, OSError) as error:
            raise unavailable(self._url, error) from error

    def waiting(self, name: str) -> int:
        """How many such commands no worker has taken yet. Raises UnavailableError."""
        with answering(self._url):
            return int(self._client.llen(f"{streams.CELERY}{name}"))

    def close(self) -> None:
        self._app.close()
        self._client.close()


def _plain(argument: Any) -> int | str:
    return argument if isinstance(argument, int) else str(argument)
