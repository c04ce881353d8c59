"""Steps that are taken again and again; one that fails is logged and stops none of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from labqueue.errors import UnavailableError

log = structlog.get_logger(__name__)

#: A failing step is not logged more often than this.
QUIET_SECONDS = 60.0


@dataclass(frozen=True)
class Step:
    """`every`: seconds between two runs. `urgent`: the same when there is news (None: no difference)."""

    name: str
    run: Callable[[], object]
    every: float = 0.0
    urgent: float | None = None

    def wait(self, news: bool) -> float:
        return self.urgent if news and self.urgent is not None else self.every


class Round:
    """Takes its steps in order. `failing` names those whose last run failed."""

    def __init__(self, *steps: Step) -> None:
        self._steps = steps
        self._taken: dict[str, float] = {}
        self._said: dict[str, float] = {}
        self.failing: set[str] = set()

    def run(self, now: float, news: bool = False) -> None:
        """One round at `now` (seconds of any clock that only goes forward)."""
        for step in self._steps:
            last = self._taken.get(step.name)
            if last is None or now - last >= step.wait(news):
                self._taken[step.name] = now
                self._take(step, now)

    def _take(self, step: Step, now: float) -> None:
        try:
            step.run()
        except Exception as error:
            self.failing.add(step.name)
            if now >= self._said.get(step.name, now):
                self._said[step.name] = now + QUIET_SECONDS
                expected = isinstance(error, UnavailableError)
                log.warning("step failed", step=step.name, error=str(error), exc_info=not expected)
        else:
            if step.name in self.failing:
                self.failing.discard(step.name)
                self._said.pop(step.name, None)
                log.info("step works again", step=step.name)
