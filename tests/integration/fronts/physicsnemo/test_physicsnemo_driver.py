"""The driver: configuration, phases, criteria, checkpoints, and the names that strategies use."""

from __future__ import annotations

import json
import logging
from multiprocessing import Queue as ProcessQueue
from pathlib import Path
from queue import LifoQueue, Queue
from typing import Any

import numpy as np
import pytest
import torch
from labqueue_physicsnemo import (
    DefaultTrainingLoop,
    Driver,
    DriverConfig,
    EarlyStopping,
    LabqueueQueue,
    OptimizerConfig,
    Plateau,
    StrategiesConfig,
    TrainingConfig,
    stand_in,
)
from labqueue_physicsnemo.protocols import LabelStrategy, MetrologyStrategy, QueryStrategy
from moons import Pool, pools
from run import Classifier, driver_for, training_step
from strategies import F1, Reveal
from torch import nn
from whole import Whole


class Takes(QueryStrategy):
    """The first items of the unlabelled pool, as many as asked and some more."""

    def __init__(self, max_samples: int, more: int = 0) -> None:
        self.max_samples, self.more = max_samples, more

    def sample(self, query_queue: Any, *args: Any, **kwargs: Any) -> None:
        known = {each["index"] for each in self.driver.train_datapool}
        left = [each for each in self.driver.unlabeled_datapool if each["index"] not in known]
        for each in left[: self.max_samples + self.more]:
            query_queue.put(each)


class Knows(LabelStrategy):
    def __init__(self, seed: int) -> None:
        self.seed = seed

    def label(self, queue_to_label: Any, serialize_queue: Any, *args: Any, **kwargs: Any) -> None:
        Reveal(self.seed).label(queue_to_label, serialize_queue)


class Counts(MetrologyStrategy):
    def __init__(self) -> None:
        self.records = []

    def compute(self, *args: Any, **kwargs: Any) -> None:
        self.append(
            {"labels": len(self.driver.training_pool), "drawn": torch.rand(1).item(), "array": np.arange(2)}
        )

    def serialize_records(self, path: Path | None = None, *args: Any, **kwargs: Any) -> None:
        self.strategy_dir.mkdir(parents=True, exist_ok=True)
        (self.strategy_dir / "counts.json").write_text(json.dumps([each["labels"] for each in self.records]))


def make(
    folder: Path, run_id: str, query: Any = None, *, training: dict[str, Any] | None = None, **more: Any
) -> Driver:
    torch.manual_seed(5)
    train, validation, unlabeled = pools(1)
    config = {"max_active_learning_steps": 2, "skip_training": training is None, **more}
    queue = config.pop("queue_cls", Queue)
    metrology = config.pop("metrology", None)
    return Driver(
        DriverConfig(16, run_id=run_id, root_log_dir=folder, **config),
        Classifier(),
        StrategiesConfig([query or Takes(3)], queue, Knows(1), metrology, unlabeled),
        TrainingConfig(train, **{"max_training_epochs": 2, "val_datapool": validation, **(training or {})}),
    )


def indexes(driver: Driver) -> list[int]:
    return [each["index"] for each in driver.train_datapool][20:]


# -- configuration


def test_defaults_are_those_of_physicsnemo() -> None:
    config = DriverConfig(8)
    assert config.max_active_learning_steps == float("inf") and len(config.run_id) == 36
    assert (config.reset_optim_states, config.checkpoint_interval, config.checkpoint_on_labeling) == (
        True,
        1,
        True,
    )
    assert config.root_log_dir.name == "active_learning_logs" and config.fine_tuning_lr is None
    optimizer = OptimizerConfig()
    assert (optimizer.optimizer_cls, optimizer.optimizer_kwargs) == (torch.optim.AdamW, {"lr": 1e-4})
    training = TrainingConfig([], 7)
    assert training.max_fine_tuning_epochs == 7 and isinstance(training.train_loop_fn, DefaultTrainingLoop)


@pytest.mark.parametrize(
    ("make_it", "words"),
    [
        (lambda: DriverConfig(0), "batch_size"),
        (lambda: DriverConfig(1, max_active_learning_steps=0), "max_active_learning_steps"),
        (lambda: DriverConfig(1, run_id="../elsewhere"), "run_id"),
        (lambda: DriverConfig(1, wait_for_share=2), "wait_for_share"),
        (lambda: DriverConfig(1, fine_tuning_lr=-1.0), "fine_tuning_lr"),
        (lambda: OptimizerConfig(optimizer_kwargs={"lr": 0}), "lr"),
        (lambda: TrainingConfig(iter([]), 1), "train_datapool"),
        (lambda: TrainingConfig([], 0), "max_training_epochs"),
        (lambda: StrategiesConfig([], Queue), "query_strategies"),
        (lambda: StrategiesConfig([object()], Queue), "sample"),
        (lambda: StrategiesConfig([Takes(1)], Queue, object()), "label"),
        (lambda: DriverConfig.from_json("{}"), "lacks batch_size"),
        (lambda: DriverConfig.from_json('{"batch_size": 1, "batchsize": 1}'), "no batchsize"),
        (lambda: DriverConfig.from_json("{"), "no JSON"),
        (lambda: Plateau("f1", patience=0), "patience"),
    ],
)
def test_wrong_values_are_named(make_it: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_it()


def test_a_configuration_as_json() -> None:
    config = DriverConfig(8, dtype=torch.float64, plateau=Plateau("f1", 3), wait_at_most=5.0, token="secret")
    text = config.to_json()
    assert "secret" not in text
    found = DriverConfig.from_json(text, batch_size=9)
    assert (found.dtype, found.plateau, found.batch_size, found.token) == (
        torch.float64,
        Plateau("f1", 3),
        9,
        None,
    )
    assert (found.run_id, found.max_active_learning_steps) == (config.run_id, float("inf"))


# -- what strategies meet


def test_pools_have_all_their_names(lab: Whole, tmp_path: Path) -> None:
    driver = make(tmp_path, "names")
    assert driver.train_datapool is driver.training_pool
    assert driver.val_datapool is driver.validation_pool and len(driver.val_datapool) == 600
    assert driver.unlabeled_datapool is driver.unlabeled_pool and len(driver.unlabeled_pool) == 580
    assert driver.log_dir == tmp_path / "names"
    uuid = "0fc5c5f0-54f7-4e7f-8e3b-0f4b8a7d9b10"
    assert make(tmp_path, uuid).log_dir == tmp_path / uuid[:8]


def test_no_metrology_is_no_error_and_nobody_puts_too_much(
    lab: Whole, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    driver = make(tmp_path, "capped", Takes(3, more=2))
    driver.logger.propagate = True
    driver()
    assert indexes(driver) == [20, 21, 22, 23, 24, 25]
    assert "put 2 items more than its max_samples" in caplog.text


@pytest.mark.parametrize(("queue", "expected"), [(LifoQueue, [22, 21, 20]), (ProcessQueue, [20, 21, 22])])
def test_the_queue_class_of_the_program_orders(
    lab: Whole, tmp_path: Path, queue: Any, expected: list[int]
) -> None:
    driver = make(tmp_path, f"ordered-{expected[0]}", queue_cls=queue, max_active_learning_steps=1)
    driver()
    assert indexes(driver) == expected


def test_extra_arguments_reach_every_strategy(lab: Whole, tmp_path: Path) -> None:
    seen: list[Any] = []

    class Listens(Takes):
        def sample(self, query_queue: Any, *args: Any, **kwargs: Any) -> None:
            seen.append((args, kwargs))
            super().sample(query_queue)

    make(tmp_path, "extra", Listens(1), max_active_learning_steps=1)(None, None, 4, mesh="fine")
    assert seen == [((4,), {"mesh": "fine"})]


def test_what_is_on_its_way_is_not_chosen_again(lab: Whole, tmp_path: Path) -> None:
    driver = make(tmp_path, "again", wait_at_most=0.0)
    driver.strategies_config.label_strategy = None
    driver()
    assert driver.outstanding == 3 and indexes(driver) == []


# -- training


def rates(driver: Driver) -> list[float]:
    """The learning rate of every batch, as the run goes."""
    found: list[float] = []

    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        found.append(driver.optimizer.param_groups[0]["lr"])
        return training_step(model, batch)

    driver(train_step_fn=step)
    return found


def test_schedules_of_their_own(lab: Whole, tmp_path: Path) -> None:
    first = OptimizerConfig(
        torch.optim.SGD, {"lr": 1.0}, torch.optim.lr_scheduler.ExponentialLR, {"gamma": 0.5}, "epoch"
    )
    fine = OptimizerConfig(
        torch.optim.SGD, {"lr": 0.1}, torch.optim.lr_scheduler.ExponentialLR, {"gamma": 0.1}, "epoch"
    )
    training = {"optimizer_config": first, "fine_tuning_optimizer_config": fine, "max_training_epochs": 3,
                "max_fine_tuning_epochs": 2}  # fmt: skip
    found = rates(make(tmp_path, "schedules", training=training, max_active_learning_steps=3))
    assert found == pytest.approx([1, 1, 0.5, 0.5, 0.25, 0.25, *[0.1, 0.1, 0.01, 0.01] * 2])


def test_the_fine_tuning_rate(lab: Whole, tmp_path: Path) -> None:
    training = {"optimizer_config": OptimizerConfig(torch.optim.SGD, {"lr": 1.0}), "max_training_epochs": 1}
    assert rates(make(tmp_path, "rate", training=training, fine_tuning_lr=0.2)) == [1, 1, 0.2, 0.2]


def test_early_stopping() -> None:
    loop, seen = DefaultTrainingLoop(), []
    loop.early_stopping = EarlyStopping(patience=2)
    model = nn.Linear(1, 1)
    losses = iter([3.0, 2.0, 2.5, 2.0, 1.0])
    loop(
        model, torch.optim.SGD(model.parameters()), [torch.ones(1, 1)], 5, [torch.ones(1, 1)],
        train_step_fn=lambda model, batch: model(batch).sum(),
        validate_step_fn=lambda model, batch: seen.append(next(losses)) or seen[-1],
    )  # fmt: skip
    assert seen == [3.0, 2.0, 2.5, 2.0]


def test_a_learner_with_steps_of_its_own(lab: Whole, tmp_path: Path) -> None:
    class Steps(Classifier):
        def training_step(self, data: Any) -> torch.Tensor:
            return training_step(self, data)

    driver = make(tmp_path, "own-steps", training={}, max_active_learning_steps=1)
    with pytest.raises(ValueError, match="train_step_fn"):
        driver()
    driver.close()
    driver = Driver(driver.config, Steps(), driver.strategies_config, driver.training_config)
    before = [each.clone() for each in driver.learner.parameters()]
    driver()
    assert any(
        not torch.equal(one, two) for one, two in zip(before, driver.learner.parameters(), strict=True)
    )


# -- criteria


def test_a_budget_of_labels(lab: Whole, tmp_path: Path) -> None:
    driver = make(tmp_path, "budget", label_budget=8, max_active_learning_steps=None)
    driver()
    assert len(indexes(driver)) == 8 and driver.active_learning_step_idx == 3
    assert "the budget is 8" in str(driver.stop_reason())


def test_a_pool_that_is_exhausted(lab: Whole, tmp_path: Path) -> None:
    driver = make(tmp_path, "exhausted", stop_when_exhausted=True, max_active_learning_steps=None)
    driver.strategies_config.unlabeled_datapool = Pool(list(driver.unlabeled_pool)[:4])
    driver()
    assert len(indexes(driver)) == 4 and driver.active_learning_step_idx == 3


def test_a_plateau() -> None:
    rule = Plateau("f1", patience=2, least=0.01)
    assert not rule.reached([0.5, 0.6, 0.605])
    assert rule.reached([0.5, 0.6, 0.605, 0.609]) and not rule.reached([0.5, 0.6, 0.605, 0.62])
    assert Plateau("loss", 1, mode="min").reached([0.5, 0.6]) and not Plateau("loss", 1, mode="min").reached(
        [0.5, 0.4]
    )


def test_a_plateau_ends_a_run(lab: Whole, tmp_path: Path) -> None:
    f1 = F1()
    driver = make(
        tmp_path, "plateau", metrology=[f1], plateau=Plateau("f1", 2), max_active_learning_steps=None
    )
    driver()
    assert len(f1.records) == 3 and "f1 got no better" in str(driver.stop_reason())


# -- checkpoints


def test_a_run_goes_on_from_any_checkpoint(lab: Whole, tmp_path: Path) -> None:
    """As PhysicsNeMo's example does: reload a step in the middle, and run on. Everything comes again."""
    counts = Counts()
    training = {"optimizer_config": OptimizerConfig(optimizer_kwargs={"lr": 0.02})}
    whole_run = make(tmp_path, "reload", metrology=[counts], training=training, max_active_learning_steps=4)
    whole_run(train_step_fn=training_step)
    whole_run.close()
    points = sorted(
        each.relative_to(whole_run.log_dir) for each in whole_run.log_dir.rglob("labeling/checkpoint.json")
    )
    assert [each.parts[1] for each in points] == ["step_0", "step_1", "step_2", "step_3"]
    for each in whole_run.log_dir.rglob("*.pt"):
        torch.load(each, weights_only=True)
    train, validation, unlabeled = pools(1)
    point = whole_run.log_dir / "checkpoints" / "step_1" / "labeling"
    again = Driver.load_checkpoint(point, Classifier(), train, validation, unlabeled)
    assert again.active_learning_step_idx == 1 and indexes(again) == [20, 21, 22]
    [restored] = again.metrology_strategies or []
    assert isinstance(restored, Counts) and [each["labels"] for each in restored.records] == [20, 23]
    again(train_step_fn=training_step)
    assert indexes(again) == indexes(whole_run)
    for one, two in zip(restored.records, counts.records, strict=True):
        assert one["drawn"] == two["drawn"] and (one["array"] == two["array"]).all()
    for one, two in zip(again.learner.parameters(), whole_run.learner.parameters(), strict=True):
        assert torch.equal(one, two)
    assert len(list(lab.client.experiments("physicsnemo-reload"))) == 12


def test_another_way_from_an_old_checkpoint(lab: Whole, tmp_path: Path) -> None:
    """What was chosen before stays; what is chosen now is staged beside it."""
    first = make(tmp_path, "branch", max_active_learning_steps=2)
    first()
    first.close()
    train, _, unlabeled = pools(1)
    point = first.log_dir / "checkpoints" / "step_0" / "labeling"
    strategies = StrategiesConfig([Takes(4)], Queue, Knows(1), None, unlabeled)
    again = Driver.load_checkpoint(
        point, Classifier(), strategies_config=strategies, training_config=TrainingConfig(train, 1)
    )
    again()
    assert indexes(again) == [20, 21, 22, 23, 24, 25, 26]
    assert len(list(lab.client.experiments("physicsnemo-branch"))) == 10


def test_checkpoints_that_cannot_be_used(lab: Whole, tmp_path: Path) -> None:
    driver = driver_for("random", "unknown", tmp_path, steps=1, epochs=1)
    driver(train_step_fn=training_step)
    point = driver.log_dir / "checkpoints" / "step_0" / "labeling"
    with pytest.raises(ValueError, match="learner"):
        Driver.load_checkpoint(point)
    with pytest.raises(ValueError, match="give strategies_config"):
        Driver.load_checkpoint(point, Classifier(), pools(1)[0])
    with pytest.raises(FileNotFoundError):
        Driver.load_checkpoint(tmp_path / "nowhere", Classifier())
    body = json.loads((point / "checkpoint.json").read_text())
    body["strategies"]["query"] = [{"class": "os:system", "arguments": {"command": "touch hacked"}}]
    (point / "checkpoint.json").write_text(json.dumps(body))
    with pytest.raises(ValueError, match="no class with sample"):
        Driver.load_checkpoint(point, Classifier(), pools(1)[0])


def test_the_log_is_only_added_to(lab: Whole, tmp_path: Path) -> None:
    driver = make(tmp_path, "log", max_active_learning_steps=1)
    driver()
    driver.close()
    path = driver.log_dir / "log.log"
    before = path.read_text()
    with path.open("a") as file:
        file.write('{"half a li')
    driver = make(tmp_path, "log", max_active_learning_steps=2)
    driver()
    assert path.read_text().startswith(before) and "half a li" not in path.read_text()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {each["step"] for each in lines} == {0, 1} and all(each["level"] for each in lines)
    assert logging.getLogger("labqueue_physicsnemo.log").handlers


# -- PhysicsNeMo's own driver, and programs without PhysicsNeMo


def test_the_queue_for_the_stock_driver(lab: Whole) -> None:
    queue = LabqueueQueue()
    assert queue.empty()
    items = [torch.tensor(3), {"b": 1, "a": torch.ones(2)}, (1.5, None)]
    for each in items:
        queue.put(each)
    kept = queue.to_list()
    assert not queue.empty() and torch.equal(kept[0], items[0]) and list(kept[1]) == ["b", "a"]
    assert torch.equal(queue.get(), items[0])
    loaded = LabqueueQueue()
    loaded.put("what was there before")
    loaded.from_list(kept[1:])
    assert list(loaded.get()) == ["b", "a"] and loaded.get() == (1.5, None) and loaded.empty()


def test_the_stand_in_never_shadows(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import ModuleType

    monkeypatch.setitem(sys.modules, "physicsnemo", ModuleType("physicsnemo"))
    assert stand_in() is False
