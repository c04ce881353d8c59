"""What the campaign's numbered events say, folded into one picture; the display draws nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from examples.snar.front import hypervolume
from labqueue.problem import Problem

ENDED = ("completed", "failed", "cancelled", "superseded", "expired")
#: What became of a run that was lost, where nobody completed it.
_FATES = {
    "failed": "was given up: too many of its attempts ended without a result",
    "cancelled": "was cancelled before anyone ran it again",
    "superseded": "gave way to a better candidate, once it was back in the queue",
    "expired": "expired before anyone ran it again",
    "held": "is held: a person decides",
}


@dataclass
class Progress:
    """Grows by `take`, an event at a time."""

    problem: Problem  # of two objectives, with a reference for each
    budget: int
    whole: float  # the hypervolume of the true front
    states: dict[str, str] = field(default_factory=dict)  # by experiment code
    points: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    running: dict[str, str] = field(default_factory=dict)  # instrument -> code
    outputs: dict[str, dict[str, float]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)  # codes, in the order of completion
    shares: list[float] = field(default_factory=list)  # of the true front's hypervolume, after each of them
    staleness: list[int] = field(default_factory=list)
    model_version: int = 0
    model_rows: int = 0
    superseded: int = 0
    runners: dict[str, list[str]] = field(default_factory=dict)  # code -> instruments that claimed it
    finished: str = ""
    lost: dict[str, str] = field(default_factory=dict)  # code -> instrument that fell silent

    def take(self, event: Mapping[str, Any]) -> str | None:
        """Applies one event; a sentence where it is worth one."""
        kind, data = str(event["type"]), event.get("data") or {}
        code, instrument = str(data.get("code", "")), str(event.get("instrument") or "")
        if code:
            self.states[code] = str(data.get("state"))
        if kind == "experiment.claimed":
            self.running[instrument] = code
            self.runners.setdefault(code, []).append(instrument)
            if data.get("staleness") is not None:
                self.staleness.append(int(data["staleness"]))
            if code in self.lost:
                return f"{code}, lost by {self.lost[code]}, is run again by {instrument}"
        elif kind == "experiment.lost":
            self._free(code)
            self.lost[code] = instrument
            return f"{instrument} fell silent; {code} went back to its place in the queue"
        elif kind == "experiment.result":
            return self._result(code, data)
        elif kind == "experiment.superseded":
            self.superseded += 1
        elif kind == "model.trained":
            self.model_version, self.model_rows = int(data["version"]), int(data["rows"])
        elif kind == "campaign.finished":
            self.finished = str(data.get("reason"))
        elif kind in ("experiment.attempt_failed", "model.failed", "suggestion.failed"):
            return f"{kind}: {data.get('reason')}"
        return None

    def _result(self, code: str, data: Mapping[str, Any]) -> str | None:
        self.outputs.setdefault(code, {}).update(data.get("outputs") or {})
        if data.get("verdict") != "accepted" or data.get("state") != "completed":
            return None
        self._free(code)
        if self.problem.values(self.outputs[code]) is None:
            return None
        self.done.append(code)
        self.shares.append(hypervolume(self.problem, [self.values(each) for each in self.done]) / self.whole)
        again = f", {code} in the end by {self.runners[code][-1]}" if code in self.lost else ""
        figures = ", ".join(
            f"{each.output} {self.outputs[code][each.output]:,.5g}" for each in self.problem.objectives
        )
        return f"{code}: {figures}{' (on the front)' if code in self.front else ''}{again}"

    def fate(self, code: str) -> str:
        """What became of an experiment that was lost, as the rest of a sentence about it."""
        state = self.states[code]
        if state == "completed":
            return f"was completed by {self.runners[code][-1]}"
        return _FATES.get(state, f"is still {state}")

    def _free(self, code: str) -> None:
        self.running = {name: each for name, each in self.running.items() if each != code}

    def values(self, code: str) -> tuple[float, float]:
        """The measured outputs of the two objectives, in lab units."""
        first, second = (self.outputs[code][each.output] for each in self.problem.objectives)
        return first, second

    @property
    def front(self) -> list[str]:
        """The codes of those that no other experiment beats, in the order of the first objective."""
        found = [self.done[place] for place in self.problem.front([self.outputs[each] for each in self.done])]
        return sorted(found, key=self.values)

    @property
    def completed(self) -> int:
        return len(self.done)

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.states.values())

    @property
    def mean_staleness(self) -> float | None:
        return sum(self.staleness) / len(self.staleness) if self.staleness else None
