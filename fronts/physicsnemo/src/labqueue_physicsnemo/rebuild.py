"""Strategies and optimizers as a checkpoint names them, so that `Driver.load_checkpoint` can make them again.

A strategy is kept as its class and the arguments of its constructor, where it knows them (`_args`) and they can be
JSON. What is made again comes from modules of the program; a name that is no such class is refused.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import torch

from .codec import CodecError, decode, encode
from .config import OptimizerConfig, StrategiesConfig, TrainingConfig
from .loop import DefaultTrainingLoop


def described(strategies: StrategiesConfig, training: TrainingConfig | None) -> dict[str, Any]:
    return {
        "strategies": {
            "query": [_strategy(each) for each in strategies.query_strategies],
            "label": None if strategies.label_strategy is None else _strategy(strategies.label_strategy),
            "metrology": [_strategy(each) for each in strategies.metrology_strategies or []],
            "queue": _name(strategies.queue_cls),
        },
        "training": None if training is None else _training(training),
    }


def strategies_from(body: Mapping[str, Any], unlabeled: Any) -> StrategiesConfig:
    """Raises ValueError that says what must be given where something cannot be made again."""
    given = body["strategies"]
    return StrategiesConfig(
        [_made(each, "sample") for each in given["query"]],
        _class(given["queue"], "put"),
        None if given["label"] is None else _made(given["label"], "label"),
        [_made(each, "compute") for each in given["metrology"]] or None,
        unlabeled,
    )


def training_from(body: Mapping[str, Any], train: Any, validation: Any) -> TrainingConfig | None:
    """None where the run trains nothing, or no pool is given. Raises ValueError as `strategies_from`."""
    given = body["training"]
    if given is None or train is None:
        return None
    if given["loop"] is None:
        raise ValueError("The checkpoint does not hold the training loop: give training_config.")
    epochs = given["epochs"]
    fine = given["fine_tuning_optimizer"]
    return TrainingConfig(
        train, epochs[0], validation, _optimizer(given["optimizer"]), epochs[1], DefaultTrainingLoop(**given["loop"]),
        None if fine is None else _optimizer(fine),
    )  # fmt: skip


def _training(training: TrainingConfig) -> dict[str, Any]:
    loop, fine = training.train_loop_fn, training.fine_tuning_optimizer_config
    own = type(loop) is DefaultTrainingLoop and loop.train_step_fn is None and training.early_stopping is None
    return {
        "epochs": [training.max_training_epochs, training.max_fine_tuning_epochs],
        "optimizer": _described_optimizer(training.optimizer_config),
        "fine_tuning_optimizer": None if fine is None else _described_optimizer(fine),
        "loop": {"use_progress_bars": loop.use_progress_bars}
        if own and isinstance(loop, DefaultTrainingLoop)
        else None,
    }


def _described_optimizer(config: OptimizerConfig) -> dict[str, Any] | None:
    try:
        return {
            "optimizer": _name(config.optimizer_cls),
            "scheduler": None if config.scheduler_cls is None else _name(config.scheduler_cls),
            "arguments": encode([config.optimizer_kwargs, config.scheduler_kwargs]),
            "every": config.scheduler_every,
        }
    except CodecError:
        return None


def _optimizer(given: Mapping[str, Any] | None) -> OptimizerConfig:
    if given is None:
        raise ValueError("The checkpoint does not hold the optimizer's arguments: give training_config.")
    one, two = decode(given["arguments"])
    kind = _class(given["optimizer"], "step")
    if not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)):
        raise ValueError(f"{given['optimizer']} is no optimizer.")  # noqa: TRY004 - a file is at fault
    scheduler = None if given["scheduler"] is None else _class(given["scheduler"], "step")
    return OptimizerConfig(kind, one, scheduler, two, given["every"])


def _strategy(strategy: Any) -> dict[str, Any] | None:
    known = getattr(strategy, "_args", None)
    try:
        arguments = encode(dict(known["__args__"])) if isinstance(known, dict) else None
    except (CodecError, KeyError, TypeError):
        arguments = None
    return {"class": _name(type(strategy)), "arguments": arguments}


def _made(given: Mapping[str, Any], method: str) -> Any:
    if given["arguments"] is None:
        raise ValueError(
            f"The checkpoint does not hold the arguments of {given['class']}: give strategies_config."
        )
    return _class(given["class"], method)(**decode(given["arguments"]))


def _name(kind: Any) -> str:
    return f"{getattr(kind, '__module__', '')}:{getattr(kind, '__qualname__', '')}"


def _class(name: str, method: str) -> Any:
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError):
        raise ValueError(
            f"{name} cannot be found here: give strategies_config and training_config."
        ) from None
    if not (isinstance(found, type) and callable(getattr(found, method, None))):
        raise ValueError(f"{name} is no class with {method}().")  # noqa: TRY004 - a file is at fault
    return found
