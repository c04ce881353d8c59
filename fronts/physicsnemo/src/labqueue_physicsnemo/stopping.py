"""When a run has learnt enough, beyond its number of steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MAXIMUM, MINIMUM = "max", "min"


@dataclass(frozen=True)
class Plateau:
    """A metric that no longer gets better.

    metric: its name in the records of a metrology strategy. patience: so many steps without an improvement of more
    than `least` end the run. mode: "max" where more is better, "min" where less is.
    """

    metric: str
    patience: int = 5
    least: float = 0.0
    mode: str = MAXIMUM

    def __post_init__(self) -> None:
        if self.patience < 1 or self.least < 0 or self.mode not in (MAXIMUM, MINIMUM):
            raise ValueError(
                "A plateau has a patience of 1 or more, a least gain of 0 or more, and the mode max or min."
            )

    def reached(self, values: Sequence[float]) -> bool:
        """Whether the last `patience` of these, one per step, brought no improvement over the best before them."""
        if len(values) <= self.patience:
            return False
        sign = 1.0 if self.mode == MAXIMUM else -1.0
        gains = [sign * value for value in values]
        return max(gains[-self.patience :]) <= max(gains[: -self.patience]) + self.least

    def values(self, strategies: Sequence[Any]) -> list[float]:
        """The metric's history, from the first strategy whose records have it."""
        for strategy in strategies:
            records = getattr(strategy, "records", None) or []
            found = [each[self.metric] for each in records if isinstance(each, dict) and self.metric in each]
            if found:
                return [float(each) for each in found]
        return []
