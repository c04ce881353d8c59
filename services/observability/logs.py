"""Structured logs: one JSON object a line, or text for people, each with what it is about.

What a line is about is bound once and is on every line logged within, whichever library writes it:

    with about(campaign="snar", experiment=17):
        log.info("staged")
"""

from __future__ import annotations

import logging
import logging.config
import re
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.typing import Processor

from services.settings import Settings, mask_url

CONTEXT = ("campaign", "experiment", "attempt", "instrument")
HIDDEN = "***"
# Names whose text is never written, at any depth (a count may be). A lease is a right to act, so it is a secret as well.
_SECRET_NAMES = re.compile(
    r"authorization|cookie|password|passwd|secret|token|\bleases?\b|api_?key", re.IGNORECASE
)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE)
_BEARER = re.compile(r"(bearer\s+)\S+", re.IGNORECASE)
# Chatty at info, with nothing that our own lines do not say.
_QUIET = ("httpx", "httpcore", "alembic", "asyncio")


def configure(settings: Settings, process: str) -> None:
    """Log everything of this process to its standard error, as `settings` say; may be called again.

    `process` is the part's name (api, janitor, trainer, ...), on every line.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _Named(process),
    ]
    if settings.log_format == "json":
        shared.append(structlog.processors.format_exc_info)
        last: Processor = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    else:
        last = structlog.dev.ConsoleRenderer(colors=False)
    shared.append(hide_secrets)
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "line": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"handlers": ["stderr"], "level": settings.log_level.upper()},
            "loggers": {name: {"level": "WARNING"} for name in _QUIET}
            # uvicorn and Celery bring handlers of their own; theirs would write each line twice.
            | {
                name: {"handlers": [], "propagate": True, "level": "NOTSET"}
                for name in ("uvicorn", "uvicorn.access", "celery")
            },
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


@contextmanager
def about(
    *,
    campaign: str | None = None,
    experiment: int | str | None = None,
    attempt: str | None = None,
    instrument: str | None = None,
) -> Iterator[None]:
    """Put what is given on every line that this thread or task logs within."""
    given = {"campaign": campaign, "experiment": experiment, "attempt": attempt, "instrument": instrument}
    with structlog.contextvars.bound_contextvars(**{k: v for k, v in given.items() if v is not None}):
        yield


def hide_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what must not be read in a log: values of secret names, passwords in addresses, bearer tokens."""
    for name, value in event.items():
        if not name.startswith("_"):
            event[name] = _hidden(name, value)
    return event


def _hidden(name: str, value: Any) -> Any:
    if _SECRET_NAMES.search(name) and not isinstance(value, int | float | None):
        return HIDDEN
    if isinstance(value, str):
        return _BEARER.sub(rf"\1{HIDDEN}", _URL.sub(_masked, value))
    if isinstance(value, dict):
        return {key: _hidden(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden("", inner) for inner in value]
    return value


def _masked(found: re.Match[str]) -> str:
    try:
        return mask_url(found[0])
    except ValueError:  # it only looks like an address
        return HIDDEN


class _Named:
    def __init__(self, process: str) -> None:
        self._process = process

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["process"] = self._process
        return event
