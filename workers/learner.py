"""The `Learner` port on `models.surrogates`: the only crossing between what is stored and what is learnt.

Importing this module loads torch; only processes that learn do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
import torch

from labqueue.errors import LabqueueError
from labqueue.problem import Problem
from labqueue.strategy import Strategy
from models.domain.records import TrainingRow
from models.surrogates import fitting, learner, validation, values
from models.surrogates.fitting import Files
from services.ports import Chosen, Fitted, HeldOut, Snapshot, Suggested

log = structlog.get_logger(__name__)


class TorchLearner:
    """Pure, but for the number of threads: one a process, two were up to 20 x slower on busy cores.

    files: where the file that is kept under a SHA-256 lies here; only pools need any.
    """

    def __init__(self, files: Files | None = None) -> None:
        torch.set_num_threads(1)
        self._files = files

    def device(self, rows: int) -> str:
        """`cuda` where this machine has a GPU that torch can use, and there are enough rows for it to pay."""
        return fitting.device_for(rows)

    def fit(
        self,
        problem: Problem,
        strategy: Strategy,
        rows: Sequence[TrainingRow],
        warm: bytes | None,
        seed: int,
        device: str,
    ) -> Fitted:
        with _in_our_words():
            found = learner.fit(problem, strategy, _observations(rows), warm, seed, device, files=self._files)
        return Fitted(found.state, found.metrics, found.device, learner.versions())

    def suggest(self, snapshot: Snapshot) -> Suggested:
        with _in_our_words():
            found = learner.suggest(
                values.Snapshot(
                    problem=snapshot.problem,
                    strategy=snapshot.strategy,
                    seed=snapshot.seed,
                    number=snapshot.number,
                    # First, since the context that counts is that of the last row.
                    rows=(*_infeasible(snapshot.failed), *_observations(snapshot.rows)),
                    pending=snapshot.pending,
                    designed=snapshot.drawn,
                    model=snapshot.model,
                    count=snapshot.count,
                    device=snapshot.device,
                    deadline_seconds=snapshot.deadline_seconds,
                    staged=snapshot.staged,
                ),
                files=self._files,
            )
        candidates = tuple(
            Chosen(each.parameters, each.reason, each.origin, each.expected, each.staged)
            for each in found.candidates
        )
        return Suggested(candidates, found.effort, found.device, found.versions, found.gain)

    def predict(
        self,
        problem: Problem,
        rows: Sequence[TrainingRow],
        model: bytes,
        points: Sequence[Mapping[str, Any]],
        device: str,
    ) -> list[Mapping[str, tuple[float, float]]]:
        with _in_our_words():
            return learner.predict(problem, _observations(rows), model, points, device, self._files)

    def validate(
        self,
        problem: Problem,
        strategy: Strategy,
        rows: Sequence[TrainingRow],
        model: bytes,
        sizes: Sequence[int],
        seed: int,
        device: str,
    ) -> Mapping[str, Sequence[HeldOut]]:
        with _in_our_words():
            known = (problem, strategy, _observations(rows))
            found = validation.held_out(*known, model, sizes, seed, device, self._files)
        return {
            name: [HeldOut(each.rows, each.observed, each.predicted, each.sd) for each in pieces]
            for name, pieces in found.items()
        }


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Whatever goes wrong in a model is a LabqueueError, which the flow keeps with its reason."""
    try:
        yield
    except values.LearningError as error:
        raise LabqueueError(str(error)) from error
    except (LabqueueError, MemoryError):
        raise
    except Exception as error:
        log.exception("the model failed")
        raise LabqueueError(f"the model failed: {type(error).__name__}: {error}") from error


def _infeasible(points: Sequence[Mapping[str, Any]]) -> tuple[values.Observation, ...]:
    return tuple(values.Observation(each, {}, outcome="infeasible") for each in points)


def _observations(rows: Sequence[TrainingRow]) -> tuple[values.Observation, ...]:
    return tuple(
        values.Observation(
            row.parameters, row.outputs, row.noise, str(row.outcome.value), row.replicates, row.planned
        )
        for row in rows
    )
