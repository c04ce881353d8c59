"""Strategies as PhysicsNeMo's active learning has them: plain classes with `sample`, `label`, or `compute`."""

from __future__ import annotations

import json
import time
from typing import Any

import torch
from moons import moon_of


class _Query:
    def __init__(self, max_samples: int) -> None:
        self.max_samples = max_samples
        self.driver: Any = None

    def attach(self, driver: Any) -> None:
        self.driver = driver

    def candidates(self) -> list[dict[str, Any]]:
        """What nobody has labelled yet."""
        known = {int(item["index"]) for item in self.driver.training_pool}
        return [item for item in self.driver.unlabeled_pool if item["index"] not in known]


class Uncertainty(_Query):
    """The points whose predicted probability is nearest to one half."""

    def sample(self, query_queue: Any) -> None:
        items = self.candidates()
        if not items:
            return
        learner = self.driver.learner.eval()
        with torch.no_grad():
            chances = torch.sigmoid(learner(torch.stack([item["x"] for item in items])))
        for place in (chances - 0.5).abs().argsort()[: self.max_samples].tolist():
            query_queue.put(items[place])


class Random(_Query):
    """Any points."""

    def sample(self, query_queue: Any) -> None:
        items = self.candidates()
        for place in torch.randperm(len(items))[: self.max_samples].tolist():
            query_queue.put(items[place])


class Reveal:
    """Labels an item after `seconds`, as a solver that takes so long."""

    def __init__(self, seed: int, seconds: float = 0.0) -> None:
        self.seed, self.seconds = seed, seconds

    def label(self, queue_to_label: Any, serialize_queue: Any) -> None:
        while not queue_to_label.empty():
            item = queue_to_label.get()
            time.sleep(self.seconds)
            serialize_queue.put({**item, "y": moon_of(item, self.seed)})


class F1:
    """Precision, recall and F1 of the rarer moon, on the validation pool."""

    def __init__(self) -> None:
        self.records: list[dict[str, float]] = []
        self.driver: Any = None

    def attach(self, driver: Any) -> None:
        self.driver = driver

    def compute(self) -> None:
        pool = self.driver.validation_pool
        learner = self.driver.learner.eval()
        with torch.no_grad():
            said = learner(torch.stack([item["x"] for item in pool])) > 0
        true = torch.stack([item["y"] for item in pool]) == 1
        right = float((said & true).sum())
        precision, recall = right / max(1.0, float(said.sum())), right / max(1.0, float(true.sum()))
        self.records.append(
            {
                "precision": precision,
                "recall": recall,
                "f1": 2 * right / max(1.0, float(said.sum() + true.sum())),
                "step": self.driver.active_learning_step_idx,
                "num_train_samples": len(self.driver.training_pool),
            }
        )

    def serialize_records(self) -> None:
        folder = self.driver.log_dir / "metrology" / "F1" / f"step_{self.driver.active_learning_step_idx}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "f1_metrology.json").write_text(json.dumps(self.records))
