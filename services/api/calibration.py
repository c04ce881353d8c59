"""Whether what was expected of a campaign's experiments came true, output by output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from labqueue.problem import Problem
from labqueue.states import State
from models.domain import records as r
from models.domain.calibration import calibration
from services.api.shapes import Json
from services.flow.shared import problem_of
from services.ports import Store

#: The name under which the expected score stands beside the expected outputs.
SCORE = "score"


def calibration_json(store: Store, campaign: r.Campaign) -> list[Json]:
    """By output, and of the score where there is one: what stood beside the experiment when it was claimed, against
    its first value. Only experiments that a model chose have expectations."""
    problem = problem_of(campaign)
    values: dict[str, list[tuple[float, float, float]]] = {}
    with store.begin() as tx:
        done = tx.experiments.of_campaign(campaign.id, (State.COMPLETED, State.PARTIAL))
        foretold = {each.id: each for each in done if each.expected}
        measured: dict[int, dict[str, float]] = {}
        for reading in tx.results.readings(list(foretold)):
            measured.setdefault(reading.experiment_id, {})[reading.output] = reading.value
    for id, outputs in measured.items():
        # A score means something else in another version of the problem.
        scored = foretold[id].problem_version == campaign.problem_version
        for name, triple in _pairs(problem, foretold[id].expected, outputs, scored):
            values.setdefault(name, []).append(triple)
    numbers = [each.name for each in problem.outputs if not each.classes]
    return [
        {"output": name, **asdict(calibration(values[name]))} for name in (*numbers, SCORE) if name in values
    ]


def _pairs(
    problem: Problem, expected: Mapping[str, Any], outputs: Mapping[str, float], scored: bool
) -> Iterator[tuple[str, tuple[float, float, float]]]:
    known: dict[str, float | None] = {**outputs}
    if scored and SCORE not in problem.output_names:
        known[SCORE] = problem.score(outputs)
    for name, value in known.items():
        found = expected.get(name)
        if value is not None and isinstance(found, Mapping) and {"mean", "sd"} <= set(found):
            yield name, (float(found["mean"]), float(found["sd"]), value)
