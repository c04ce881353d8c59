"""The one kind of Celery task: a command that may be lost, doubled or late without harm.

What it does begins with a compare-and-set in Postgres (in `services.flow`), so a second copy finds that
nothing is left to do. It never asks Celery for a retry: the janitor sends again what is still due.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

import structlog
from celery import Task

from labqueue.errors import ConflictError, UnavailableError
from services.broker.commands import task_name
from services.settings import Settings
from workers.bootstrap import Context, build
from workers.keeping import JOBS, let_go

log = structlog.get_logger(__name__)


class Contexts:
    """One context for all tasks of a process, made where they run: connections do not survive a fork."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def own(self) -> Context:
        return build(self._settings)


class Command(Task):  # type: ignore[misc]
    """`verb` with this process's context: its line in the log, its errors, and events numbered afterwards."""

    #: Errors that mean "somebody else was faster". The verb is tried again at once, and finds either something
    #: to do or nothing.
    again_on: ClassVar[tuple[type[Exception], ...]] = (ConflictError,)
    tries: ClassVar[int] = 3
    #: For how long a job is to be let go while the database is away. Nothing else can be done meanwhile.
    patience: ClassVar[float] = 60.0

    def __init__(self, command: str, verb: Callable[[Context, Any], None], contexts: Contexts) -> None:
        self.command = command
        self.name = task_name(command)
        self.verb = verb
        self.contexts = contexts

    @property
    def context(self) -> Context:
        return self.contexts.own

    def run(self, argument: int | str) -> None:
        began = time.monotonic()
        with structlog.contextvars.bound_contextvars(command=self.command, argument=argument):
            outcome = self._outcome(argument)
            self.context.settle()
            log.info("command", outcome=outcome, seconds=round(time.monotonic() - began, 3))

    def _outcome(self, argument: int | str) -> str:
        for _ in range(self.tries):
            try:
                self.verb(self.context, argument)
                return "done"
            except Exception as error:
                # Not raised: Celery would only log it a second time.
                self._let_go(argument)
                if isinstance(error, UnavailableError):
                    log.warning("a server is away; what is due is sent again", error=str(error))
                    return "unavailable"
                if not isinstance(error, self.again_on):
                    log.exception("the command failed")
                    return "failed"
        return "overtaken"

    def _let_go(self, argument: int | str) -> None:
        """A job that failed here is nobody's: the next worker need not wait for its lease to end."""
        deadline = time.monotonic() + self.patience
        while self.command in JOBS:
            try:
                let_go(self.context.store, self.command, int(argument), self.context.holder, failed=True)
                return
            except UnavailableError:
                if time.monotonic() > deadline:
                    return
                time.sleep(1.0)
