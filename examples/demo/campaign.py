"""What the demo runs: the SnAr flow reactor, product against waste, four solvers in two speed classes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = QUEUE = "snar"
BUDGET = 40
SEED = 7
LEASE_SECONDS = 6.0


@dataclass(frozen=True)
class Solver:
    name: str
    median: float  # seconds


SOLVERS = (
    Solver("solver-1", 3.0),
    Solver("solver-2", 15.0),
    Solver("solver-3", 3.0),
    Solver("solver-4", 15.0),
)
KILLED = SOLVERS[1]
#: The solver is killed in a run that began when at least this many experiments were completed.
KILL_AFTER = 8


def definition() -> dict[str, Any]:
    """The campaign as the API takes it."""
    problem = json.loads((Path(__file__).parents[1] / "snar" / "problem.json").read_text())
    return {
        "name": NAME,
        "queue": QUEUE,
        "problem": problem,
        "strategy": {"initial": 8, "stop": {"budget": BUDGET}},
        "seed": SEED,
    }
