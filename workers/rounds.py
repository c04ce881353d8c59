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
        self._urged: set[str] = set()
        self._said: dict[str, float] = {}
        self.failing: set[str] = set()

    def run(self, now: float, news: bool = False) -> None:
        """One round at `now` (seconds of any clock that only goes forward). News that comes too soon after a step's
        last run is not forgotten: it is urgent until that step was taken."""
        if news:
            self._urged.update(step.name for step in self._steps)
        for step in self._steps:
            if self._left(step, now) <= 0:
                self._taken[step.name] = now
                self._urged.discard(step.name)
                self._take(step, now)

    def rest(self, now: float) -> float | None:
        """Seconds until a step is due for which there was news; None where nothing presses."""
        left = [max(0.0, self._left(step, now)) for step in self._steps if step.name in self._urged]
        return min(left, default=None)

    def _left(self, step: Step, now: float) -> float:
        last = self._taken.get(step.name)
        return 0.0 if last is None else step.wait(step.name in self._urged) - (now - last)

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
