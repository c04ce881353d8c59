"""What the demo says of a run that was lost is what its events say."""

from __future__ import annotations

from typing import Any

import pytest

from examples.demo import campaign
from examples.demo.progress import Progress
from labqueue.problem import Problem

CODE = "snar-41"


def event(kind: str, state: str, instrument: str = "", **data: Any) -> dict[str, Any]:
    return {
        "type": f"experiment.{kind}",
        "instrument": instrument,
        "data": {"code": CODE, "state": state, **data},
    }


def lost() -> Progress:
    """One claimed by solver-2, which fell silent."""
    progress = Progress(Problem.from_json(campaign.definition()["problem"]), 40, 1.0)
    for each in (event("claimed", "leased", "solver-2"), event("lost", "staged", "solver-2")):
        progress.take(each)
    return progress


@pytest.mark.parametrize(
    ("kind", "state", "said"),
    [
        ("superseded", "superseded", "gave way to a better candidate, once it was back in the queue"),
        ("cancelled", "cancelled", "was cancelled before anyone ran it again"),
        ("lost", "failed", "was given up: too many of its attempts ended without a result"),
        ("lost", "held", "is held: a person decides"),
        ("claimed", "leased", "is still leased"),
    ],
)
def test_a_lost_run_that_nobody_completed_is_not_said_to_be_completed(
    kind: str, state: str, said: str
) -> None:
    progress = lost()
    progress.take(event(kind, state, "solver-2"))
    assert progress.fate(CODE) == said


def test_a_lost_run_is_completed_by_who_ran_it_again() -> None:
    progress = lost()
    progress.take(event("claimed", "leased", "solver-3"))
    outputs = {each.output: 1.0 for each in progress.problem.objectives}
    progress.take(event("result", "completed", "solver-3", verdict="accepted", outputs=outputs))
    assert progress.fate(CODE) == "was completed by solver-3"
