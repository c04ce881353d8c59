"""What a run is told: PhysicsNeMo's configuration classes, field by field, and after them our own fields.

Every field of ours has a default under which a program behaves as before. Wrong values raise ValueError.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Callable

import torch

from .loop import DefaultTrainingLoop, EarlyStopping
from .stopping import Plateau

NOT_JSON = ("dist_manager", "collate_fn")


@dataclass
class OptimizerConfig:
    """scheduler_every: when the scheduler moves on, each "batch" (as PhysicsNeMo) or each "epoch"."""

    optimizer_cls: Any = torch.optim.AdamW
    optimizer_kwargs: dict[str, Any] = field(default_factory=lambda: {"lr": 1e-4})
    scheduler_cls: Any = None
    scheduler_kwargs: dict[str, Any] = field(default_factory=dict)
    scheduler_every: str = "batch"

    def __post_init__(self) -> None:
        rate = self.optimizer_kwargs.get("lr")
        _require(rate is None or rate > 0, "optimizer_kwargs['lr']", rate, "more than 0")
        _require(
            self.scheduler_every in ("batch", "epoch"),
            "scheduler_every",
            self.scheduler_every,
            "batch, epoch",
        )


@dataclass
class TrainingConfig:
    """fine_tuning_optimizer_config: an optimizer and a schedule of their own from step 1 on, made anew at each step.
    early_stopping: ends a training of `DefaultTrainingLoop` that no longer gets better."""

    train_datapool: Any
    max_training_epochs: int
    val_datapool: Any = None
    optimizer_config: OptimizerConfig = field(default_factory=OptimizerConfig)
    max_fine_tuning_epochs: int | None = None
    train_loop_fn: Callable[..., Any] = field(default_factory=DefaultTrainingLoop)
    fine_tuning_optimizer_config: OptimizerConfig | None = None
    early_stopping: EarlyStopping | None = None

    def __post_init__(self) -> None:
        if self.max_fine_tuning_epochs is None:
            self.max_fine_tuning_epochs = self.max_training_epochs
        _require(self.max_training_epochs > 0, "max_training_epochs", self.max_training_epochs, "1 or more")
        _require(
            self.max_fine_tuning_epochs > 0,
            "max_fine_tuning_epochs",
            self.max_fine_tuning_epochs,
            "1 or more",
        )
        for name in ("train_datapool", "val_datapool"):
            pool = getattr(self, name)
            _require(pool is None or hasattr(pool, "__len__"), name, pool, "a pool with __len__")
        _require(callable(self.train_loop_fn), "train_loop_fn", self.train_loop_fn, "a callable")


@dataclass
class StrategiesConfig:
    """The strategies are told by what they do: `sample`, `label`, `compute`; they need not be callable.

    label_strategy None, with labelling not skipped: adapters label (`labqueue-physicsnemo label`).
    """

    query_strategies: list[Any]
    queue_cls: Callable[[], Any]
    label_strategy: Any = None
    metrology_strategies: list[Any] | None = None
    unlabeled_datapool: Any = None

    def __post_init__(self) -> None:
        _require(len(self.query_strategies) > 0, "query_strategies", self.query_strategies, "at least one")
        kinds = [
            ("query_strategies", "sample", self.query_strategies),
            ("label_strategy", "label", [] if self.label_strategy is None else [self.label_strategy]),
            ("metrology_strategies", "compute", self.metrology_strategies or []),
        ]
        for name, method, given in kinds:
            for each in given:
                works = callable(getattr(each, method, None)) or callable(each)
                _require(works, name, each, f"an object with {method}(), or a callable")
        _require(callable(self.queue_cls), "queue_cls", self.queue_cls, "a class that needs no arguments")


@dataclass
class DriverConfig:
    """How a run goes. After PhysicsNeMo's fields, ours:

    queue               the queue of the items; left out: one of the run's own where the driver labels, else `physicsnemo`
    keep_on_server      checkpoints also go to the server, and the run goes on from there on any machine
    url, token          the server; left out: LABQUEUE_URL and LABQUEUE_TOKEN
    label_attempts      how often an item is tried before it is given up (of a queue that the run makes)
    lease_seconds       after so long a silence an item is given to somebody else (of a queue that the run makes)
    wait_for_share      the share of a step's labels that is waited for before the next training; the rest is appended
                        when it comes
    wait_at_most        seconds after which a step goes on with the labels that are there; None: as long as it takes
    label_budget        the run ends once so many items were chosen
    plateau             the run ends once a metric no longer gets better
    stop_when_exhausted the run ends once no strategy chooses anything
    """

    batch_size: int
    max_active_learning_steps: Any = None
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    fine_tuning_lr: float | None = None
    reset_optim_states: bool = True
    skip_training: bool = False
    skip_metrology: bool = False
    skip_labeling: bool = False
    checkpoint_interval: int = 1
    checkpoint_on_training: bool = False
    checkpoint_on_metrology: bool = False
    checkpoint_on_query: bool = False
    checkpoint_on_labeling: bool = True
    model_checkpoint_frequency: int = 0
    root_log_dir: Any = field(default_factory=lambda: Path.cwd() / "active_learning_logs")
    dist_manager: Any = None
    collate_fn: Callable[..., Any] | None = None
    num_dataloader_workers: int = 0
    device: Any = None
    dtype: Any = None
    keep_on_server: bool = True
    queue: str | None = None
    url: str | None = None
    token: str | None = None
    label_attempts: int = 3
    lease_seconds: float = 60.0
    wait_for_share: float = 1.0
    wait_at_most: float | None = None
    label_budget: int | None = None
    plateau: Plateau | None = None
    stop_when_exhausted: bool = False

    def __post_init__(self) -> None:
        if self.max_active_learning_steps is None:
            self.max_active_learning_steps = float("inf")
        self.root_log_dir = Path(self.root_log_dir)
        # Paths that survive a change of the working directory, as processes of the same run may have others.
        self.root_log_dir = self.root_log_dir.absolute()
        _require(
            self.max_active_learning_steps > 0,
            "max_active_learning_steps",
            self.max_active_learning_steps,
            "1 or more, or None",
        )
        _require(self.batch_size > 0, "batch_size", self.batch_size, "1 or more")
        _require(
            self.fine_tuning_lr is None or self.fine_tuning_lr > 0,
            "fine_tuning_lr",
            self.fine_tuning_lr,
            "more than 0",
        )
        _require(
            self.num_dataloader_workers >= 0,
            "num_dataloader_workers",
            self.num_dataloader_workers,
            "0 or more",
        )
        _require(self.checkpoint_interval >= 0, "checkpoint_interval", self.checkpoint_interval, "0 or more")
        _require(
            self.model_checkpoint_frequency >= 0,
            "model_checkpoint_frequency",
            self.model_checkpoint_frequency,
            "0 or more",
        )
        _require(
            self.collate_fn is None or callable(self.collate_fn), "collate_fn", self.collate_fn, "a callable"
        )
        _require(
            bool(self.run_id)
            and self.run_id.isprintable()
            and "/" not in self.run_id
            and self.run_id not in (".", ".."),
            "run_id",
            self.run_id,
            "printable text without /",
        )
        _require(self.label_attempts >= 1, "label_attempts", self.label_attempts, "1 or more")
        _require(0 <= self.wait_for_share <= 1, "wait_for_share", self.wait_for_share, "0 to 1")
        _require(
            self.wait_at_most is None or self.wait_at_most >= 0,
            "wait_at_most",
            self.wait_at_most,
            "seconds, 0 or more",
        )
        _require(
            self.label_budget is None or self.label_budget > 0, "label_budget", self.label_budget, "1 or more"
        )
        world = getattr(self.dist_manager, "world_size", 1)
        _require(world == 1, "dist_manager.world_size", world, "1: this driver trains in one process")

    def to_json(self) -> str:
        """All but the token and what is no JSON (`dist_manager`, `collate_fn`): give these to `from_json` again."""
        body: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name in NOT_JSON or each.name == "token" or value is None:
                continue
            if each.name == "max_active_learning_steps":
                value = None if value == float("inf") else value
            elif each.name == "plateau":
                value = vars(value)
            elif not isinstance(value, (bool, int, float, str)):
                value = str(value)
            body[each.name] = value
        return json.dumps(body)

    @classmethod
    def from_json(cls, json_str: str, **kwargs: Any) -> DriverConfig:
        """kwargs: fields that take precedence. Raises ValueError for anything that is no such JSON."""
        try:
            body = json.loads(json_str)
        except ValueError as error:
            raise ValueError(f"This is no JSON: {error}") from None
        if not isinstance(body, Mapping):
            raise ValueError("This JSON is no configuration.")  # noqa: TRY004 - a text is at fault
        known = {each.name for each in fields(cls)}
        strange = sorted(set(body) - known)
        if strange:
            raise ValueError(f"A driver has no {', '.join(strange)}. Known: {', '.join(sorted(known))}.")
        given = dict(body)
        if isinstance(given.get("dtype"), str):
            given["dtype"] = _dtype(given["dtype"])
        if isinstance(given.get("plateau"), Mapping):
            given["plateau"] = Plateau(**given["plateau"])
        given.update(kwargs)
        missing = [
            each.name
            for each in fields(cls)
            if each.default is MISSING and each.default_factory is MISSING and each.name not in given
        ]
        if missing:
            raise ValueError(f"The configuration lacks {', '.join(missing)}.")
        return cls(**given)


def _dtype(text: str) -> Any:
    found = getattr(torch, text.rpartition(".")[2], None)
    _require(isinstance(found, torch.dtype), "dtype", text, "a dtype of torch, as torch.float32")
    return found


def _require(holds: bool, name: str, value: Any, allowed: str) -> None:
    if not holds:
        raise ValueError(f"{name} cannot be {value!r:.200}; allowed: {allowed}.")
