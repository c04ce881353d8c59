"""The `Learner` port on `models.surrogates`: the only crossing between what is stored and what is learnt.

Importing this module loads torch; only processes that learn do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from labqueue.errors import LabqueueError
from labqueue.problem import Problem
from labqueue.states import Outcome
from models.domain.records import TrainingRow
from models.surrogates import learner, values
from services.ports import Chosen, Fitted, Snapshot, Suggested


class TorchLearner:
    """Pure, but for the number of threads: one a process, two were up to 20 x slower on busy cores."""

    def __init__(self) -> None:
        torch.set_num_threads(1)

    def device(self) -> str:
        """`cuda` where this machine has a GPU that torch can use."""
        return learner.usable("cuda")

    def fit(
        self, problem: Problem, rows: Sequence[TrainingRow], warm: bytes | None, seed: int, device: str
    ) -> Fitted:
        with _in_our_words():
            found = learner.fit(problem, _observations(problem, rows), warm, seed, device)
        return Fitted(found.state, found.metrics, found.device, learner.versions())

    def suggest(self, snapshot: Snapshot) -> Suggested:
        with _in_our_words():
            found = learner.suggest(
                values.Snapshot(
                    problem=snapshot.problem,
                    strategy=snapshot.strategy,
                    seed=snapshot.seed,
                    number=snapshot.number,
                    rows=_observations(snapshot.problem, snapshot.rows),
                    pending=snapshot.pending,
                    designed=snapshot.drawn,
                    model=snapshot.model,
                    count=snapshot.count,
                    device=snapshot.device,
                    deadline_seconds=snapshot.deadline_seconds,
                )
            )
        candidates = tuple(
            Chosen(each.parameters, each.reason, each.origin, each.expected) for each in found.candidates
        )
        return Suggested(candidates, found.effort, found.device, found.versions)

    def predict(
        self,
        problem: Problem,
        rows: Sequence[TrainingRow],
        model: bytes,
        points: Sequence[Mapping[str, Any]],
        device: str,
    ) -> list[Mapping[str, tuple[float, float]]]:
        with _in_our_words():
            return learner.predict(problem, _observations(problem, rows), model, points, device)


@contextmanager
def _in_our_words() -> Iterator[None]:
    """A model that cannot be made or read is a LabqueueError, which the flow keeps with its reason."""
    try:
        yield
    except values.LearningError as error:
        raise LabqueueError(str(error)) from error


def _observations(problem: Problem, rows: Sequence[TrainingRow]) -> tuple[values.Observation, ...]:
    return tuple(
        values.Observation(
            row.parameters,
            problem.score(row.outputs) if row.outcome is Outcome.MEASURED else None,
            row.outputs,
            str(row.outcome.value),
        )
        for row in rows
    )
