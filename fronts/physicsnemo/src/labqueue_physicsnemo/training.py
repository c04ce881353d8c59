"""Training and fine-tuning: optimizer and schedule of each, and the call of the program's training loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from .config import DriverConfig, OptimizerConfig, TrainingConfig
from .loop import DefaultTrainingLoop, last_epoch


class Trainer:
    """The learner's optimizer and scheduler, where there is something to train (else they are None)."""

    def __init__(
        self, config: DriverConfig, training: TrainingConfig | None, learner: Any, device: torch.device
    ) -> None:
        self.config, self.training, self.learner, self.device = config, training, learner, device
        self.optimizer: Any = None
        self.scheduler: Any = None
        if training is not None and parameters_of(learner):
            self._make(training.optimizer_config)
        self._first = None if self.optimizer is None else _copied(self.optimizer.state_dict())

    def prepare(self, step: int) -> None:
        """The optimizer of this step, as new, where fine-tuning has one of its own."""
        own = None if self.training is None else self.training.fine_tuning_optimizer_config
        if step > 0 and own is not None:
            self._make(own)

    def train(
        self,
        step: int,
        train_step: Any,
        validate_step: Any,
        kwargs: dict[str, Any],
        *,
        keep: Path,
        resume: Path | None,
    ) -> None:
        """Trains at step 0, fine-tunes later. keep: where our own loop leaves epochs. resume: where it left some.

        Raises ValueError where something is missing to train with.
        """
        training = self.training
        assert training is not None
        train_step = train_step or self._own_step("training_step")
        if train_step is None and getattr(training.train_loop_fn, "train_step_fn", None) is None:
            raise ValueError("train_step_fn is needed where the learner has no training_step.")
        if validate_step is not None and training.val_datapool is None:
            raise ValueError("training_config.val_datapool is needed for validate_step_fn.")
        fine = step > 0
        if fine:
            self._begin_fine_tuning(training, step)
        epochs = training.max_fine_tuning_epochs if fine else training.max_training_epochs
        assert epochs is not None
        done = self._prepare_loop(training, fine, keep, resume)
        if done >= epochs:
            return
        validation = (
            None if training.val_datapool is None else self._loader(training.val_datapool, shuffle=False)
        )
        training.train_loop_fn(
            self.learner,
            self.optimizer,
            train_dataloader=self._loader(training.train_datapool, shuffle=True),
            validation_dataloader=validation,
            train_step_fn=train_step,
            validate_step_fn=validate_step,
            max_epochs=epochs - done,
            lr_scheduler=self.scheduler,
            device=self.device,
            dtype=self.config.dtype,
            **kwargs,
        )

    def _begin_fine_tuning(self, training: TrainingConfig, step: int) -> None:
        if training.fine_tuning_optimizer_config is not None:
            self.prepare(step)
        elif self.config.reset_optim_states and self.optimizer is not None:
            self.optimizer.load_state_dict(_copied(self._first))
        if self.config.fine_tuning_lr is not None:
            for group in self.optimizer.param_groups:
                group["lr"] = self.config.fine_tuning_lr

    def _prepare_loop(self, training: TrainingConfig, fine: bool, keep: Path, resume: Path | None) -> int:
        """Tells our own loop what it needs; returns the epochs of this training that are done already."""
        loop = training.train_loop_fn
        if not isinstance(loop, DefaultTrainingLoop):
            return 0
        config = (training.fine_tuning_optimizer_config if fine else None) or training.optimizer_config
        loop.checkpoint_base_dir, loop.checkpoint_frequency = keep, self.config.model_checkpoint_frequency
        loop.scheduler_every, loop.early_stopping = config.scheduler_every, training.early_stopping
        done = 0 if resume is None else last_epoch(resume, self.learner, self.optimizer, self.scheduler)
        loop.first_epoch = done + 1
        return done

    def _own_step(self, name: str) -> Any:
        """The learner's method as a step function; None where it has none."""
        own = getattr(self.learner, name, None)
        return None if own is None else lambda _model, data, *args, **kwargs: own(data, *args, **kwargs)

    def _make(self, config: OptimizerConfig) -> None:
        self.optimizer = config.optimizer_cls(parameters_of(self.learner), **config.optimizer_kwargs)
        scheduler = config.scheduler_cls
        self.scheduler = None if scheduler is None else scheduler(self.optimizer, **config.scheduler_kwargs)

    def _loader(self, pool: Any, *, shuffle: bool) -> DataLoader[Any]:
        return DataLoader(
            pool, batch_size=self.config.batch_size, shuffle=shuffle, collate_fn=self.config.collate_fn,
            num_workers=self.config.num_dataloader_workers,
        )  # fmt: skip


def parameters_of(learner: Any) -> list[torch.Tensor]:
    """Its parameters, a method in modules and a property in PhysicsNeMo's LearnerProtocol; empty where it has none."""
    given = getattr(learner, "parameters", ())
    return list(given() if callable(given) else given)


def _copied(state: Any) -> Any:
    """The state, independent of what the optimizer does from here on."""
    if isinstance(state, torch.Tensor):
        return state.clone()
    if isinstance(state, dict):
        return {key: _copied(each) for key, each in state.items()}
    if isinstance(state, list):
        return [_copied(each) for each in state]
    return state
