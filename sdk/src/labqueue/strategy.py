"""A campaign's strategy: how to suggest, how deep to stage, when to stop. Frozen; read from JSON or YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import InvalidError
from .parse import Reader

AHEAD, SEQUENTIAL = "ahead", "sequential"
BAYESIAN, SOBOL, CALLER = "bayesian", "sobol", "caller"


@dataclass(frozen=True)
class StopRules:
    """When a campaign is done. Every rule that is set counts; the first that holds ends the campaign.

    budget          experiments completed (held and cancelled ones do not count)
    target          a score (the weighted sum of the objectives) that is good enough
    no_improvement  completed experiments since the best score last rose
    """

    budget: int | None = None
    target: float | None = None
    no_improvement: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {"budget": self.budget, "target": self.target, "no_improvement": self.no_improvement}


@dataclass(frozen=True)
class Strategy:
    """How a campaign chooses its experiments.

    method   `bayesian` (Sobol start, then a Gaussian process), `sobol`, or `caller` (the caller stages)
    initial  experiments of the initial design before a model is asked
    depth    how many experiments are kept staged, ahead of the instruments
    mode     `ahead`: the queue is refilled at once, with what is known then, and unclaimed candidates give
             way to better ones when a new model is ready; `sequential`: one experiment at a time, each
             chosen after every earlier result was learnt, so that a campaign repeats point for point
    approve  suggestions wait for a person as `proposed` before they are staged
    """

    method: str = BAYESIAN
    initial: int = 8
    depth: int = 4
    mode: str = AHEAD
    approve: bool = False
    stop: StopRules = field(default_factory=StopRules)

    def to_json(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "initial": self.initial,
            "depth": self.depth,
            "mode": self.mode,
            "approve": self.approve,
            "stop": self.stop.to_json(),
        }

    @classmethod
    def from_json(cls, body: Any) -> Strategy:
        """Raises InvalidError that names every wrong field."""
        reader = Reader()
        fields = reader.object({} if body is None else body, "strategy")
        reader.only(fields, ("method", "initial", "depth", "mode", "approve", "stop"), "strategy")
        strategy = cls(
            reader.choice(fields, "method", "strategy", (BAYESIAN, SOBOL, CALLER), default=BAYESIAN),
            reader.whole(fields, "initial", "strategy", default=8, low=1),
            reader.whole(fields, "depth", "strategy", default=4, low=1),
            reader.choice(fields, "mode", "strategy", (AHEAD, SEQUENTIAL), default=AHEAD),
            reader.flag(fields, "approve", "strategy", False),
            _read_stop(reader, fields.get("stop")),
        )
        if reader.errors:
            raise InvalidError("The strategy cannot be used as it stands.", errors=reader.errors)
        return strategy


def _read_stop(reader: Reader, body: Any) -> StopRules:
    fields: Mapping[str, Any] = reader.object({} if body is None else body, "strategy.stop")
    reader.only(fields, ("budget", "target", "no_improvement"), "strategy.stop")

    def whole(key: str) -> int | None:
        return None if fields.get(key) is None else reader.whole(fields, key, "strategy.stop", low=1)

    target = None if fields.get("target") is None else reader.number(fields, "target", "strategy.stop")
    return StopRules(whole("budget"), target, whole("no_improvement"))
