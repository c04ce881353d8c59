"""What tests of the labqueue command call, and the campaign that they create with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CAMPAIGN: dict[str, Any] = {
    "name": "snar",
    "queue": "flow",
    "problem": {
        "parameters": [
            {"name": "tau", "kind": "continuous", "low": 0.5, "high": 2, "unit": "min"},
            {"name": "grade", "kind": "categorical", "categories": ["1", "2"]},
        ],
        "outputs": [{"name": "sty"}],
        "objectives": [{"output": "sty"}],
    },
    "strategy": {"method": "caller"},
    "queue_policy": {"on_lost": "requeue"},
}

#: Calls the command with these words: its exit code, what it printed and what it said of errors.
Run = Callable[..., "tuple[int, str, str]"]
