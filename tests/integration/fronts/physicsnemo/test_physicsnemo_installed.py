"""Where PhysicsNeMo is installed: its base classes and Module learners on our driver, and its driver on our queues."""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path
from queue import Queue
from typing import Any

import labqueue_physicsnemo as ours
import pytest
import torch
from moons import moon_of, pools
from run import Classifier, training_step
from whole import Whole

theirs = pytest.importorskip("physicsnemo.active_learning")


def strategies() -> tuple[Any, Any, Any]:
    protocols = import_module("physicsnemo.active_learning.protocols")

    class Attaches:
        driver: Any = None

        def attach(self, other: object) -> None:
            self.driver = other

        @property
        def is_attached(self) -> bool:
            return self.driver is not None

    class First(Attaches, protocols.QueryStrategy):
        def __init__(self, max_samples: int) -> None:
            self.max_samples = max_samples

        def sample(self, query_queue: Any, *args: Any, **kwargs: Any) -> None:
            known = len(self.driver.train_datapool) - 20
            for item in list(self.driver.unlabeled_datapool)[known : known + self.max_samples]:
                query_queue.put(item)

    class Label(Attaches, protocols.LabelStrategy):
        __is_external_process__ = False
        __provides_fields__ = None

        def __init__(self, seed: int) -> None:
            self.seed = seed

        def label(self, queue_to_label: Any, serialize_queue: Any, *args: Any, **kwargs: Any) -> None:
            while not queue_to_label.empty():
                item = queue_to_label.get()
                self.logger.info("labels %s", item["index"])
                serialize_queue.put({**item, "y": moon_of(item, self.seed)})

    class Folders(Attaches, protocols.MetrologyStrategy):
        def __init__(self) -> None:
            self.records: list[Any] = []

        def compute(self, *args: Any, **kwargs: Any) -> None:
            self.append([self.strategy_dir.parts[-2:], self.checkpoint_dir.parts[-1:]])

        def serialize_records(self, path: Path | None = None, *args: Any, **kwargs: Any) -> None:
            self.strategy_dir.mkdir(parents=True, exist_ok=True)

        def load_records(self, path: Path | None = None, *args: Any, **kwargs: Any) -> None:
            raise AssertionError("the driver restores them")

    return First(4), Label(1), Folders()


def test_its_classes_run_on_our_driver(lab: Whole, tmp_path: Path) -> None:
    module: Any = import_module("physicsnemo.core").Module

    class Learner(module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = Classifier()

        def forward(self, points: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.inner(points)
            return found

    query, label, measure = strategies()
    train, validation, unlabeled = pools(1)
    driver = ours.Driver(
        ours.DriverConfig(16, max_active_learning_steps=2, run_id="installed", root_log_dir=tmp_path),
        Learner(),
        ours.StrategiesConfig([query], Queue, label, [measure], unlabeled),
        ours.TrainingConfig(train, 2, validation),
    )
    driver(train_step_fn=training_step)
    assert len(train) == 28 and driver.given_up == {}
    assert measure.records == [[("metrology", "Folders"), (f"step_{step}",)] for step in range(2)]
    [first, *_] = lab.client.experiments("physicsnemo-installed")
    assert first["payload"]["arguments"] == {"max_samples": 4}


def test_its_driver_runs_on_our_queues(lab: Whole, tmp_path: Path) -> None:
    query, label, _ = strategies()
    label.__protocol_name__ = "Label"  # ours gives it where it is missing
    train, _, unlabeled = pools(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        driver = theirs.Driver(
            theirs.DriverConfig(
                batch_size=16, max_active_learning_steps=2, run_id="stock-driver", root_log_dir=tmp_path,
                skip_metrology=True, skip_training=True,
            ),
            Classifier(),
            theirs.StrategiesConfig([query], ours.LabqueueQueue, label, None, unlabeled),
            theirs.TrainingConfig(train_datapool=train, max_training_epochs=1),
        )  # fmt: skip
        driver()
    assert [each["index"] for each in train] == list(range(28))
    kept = sorted(tmp_path.rglob("query_queue.pt"))
    assert [len(torch.load(each, weights_only=True)["data"]) for each in kept] == [4, 4]
