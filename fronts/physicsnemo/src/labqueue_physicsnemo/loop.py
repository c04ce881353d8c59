"""The default training loop: epochs over a loader, with the program's own step functions."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import torch

from . import states

log = logging.getLogger("labqueue_physicsnemo")


@dataclass(frozen=True)
class EarlyStopping:
    """Ends a training when the loss got no better by more than `least` for `patience` epochs.

    The loss is the mean of what `validate_step_fn` returns, where it returns numbers, else the mean training loss.
    """

    patience: int
    least: float = 0.0

    def __post_init__(self) -> None:
        if self.patience < 1 or self.least < 0:
            raise ValueError("Early stopping has a patience of 1 or more and a least gain of 0 or more.")


class DefaultTrainingLoop:
    """Calls `train_step_fn(model, batch)` for each batch and steps the optimizer and the scheduler.

    enable_static_capture and capture_kwargs are taken and have no effect here: nothing is captured in CUDA graphs.
    use_progress_bars shows one where tqdm is installed and standard error is a terminal.
    Set by the driver: checkpoint_base_dir, checkpoint_frequency, scheduler_every, early_stopping, first_epoch.
    """

    def __init__(
        self, train_step_fn: Any = None, validate_step_fn: Any = None, enable_static_capture: bool = True,
        use_progress_bars: bool = True, device: Any = None, dtype: Any = None, checkpoint_frequency: int = 0,
        **capture_kwargs: Any,
    ) -> None:  # fmt: skip
        self.train_step_fn, self.validate_step_fn = train_step_fn, validate_step_fn
        self.enable_static_capture, self.capture_kwargs = enable_static_capture, capture_kwargs
        self.use_progress_bars = use_progress_bars
        self.device, self.dtype = device, dtype
        self.checkpoint_frequency = checkpoint_frequency
        self.checkpoint_base_dir: Path | None = None
        self.scheduler_every = "batch"
        self.early_stopping: EarlyStopping | None = None
        self.first_epoch = 1

    def __call__(
        self, model: Any, optimizer: Any, train_dataloader: Any, max_epochs: int, validation_dataloader: Any = None,
        train_step_fn: Any = None, validate_step_fn: Any = None, lr_scheduler: Any = None, device: Any = None,
        dtype: Any = None, *args: Any, **kwargs: Any,
    ) -> None:  # fmt: skip
        """Trains for `max_epochs`. Raises RuntimeError where nobody says what a training step is."""
        train = train_step_fn or self.train_step_fn
        validate = validate_step_fn or self.validate_step_fn
        if train is None:
            raise RuntimeError("There is no train_step_fn: give one to the loop or to the driver's run().")
        device = device or self.device or torch.get_default_device()
        dtype = dtype or self.dtype or torch.get_default_dtype()
        model = model.to(device)
        last = self.first_epoch + max_epochs - 1
        losses: list[float] = []
        for epoch in self._shown(range(self.first_epoch, last + 1)):
            model.train()
            loss = self._train(
                model, optimizer, train_dataloader, train, lr_scheduler, device, dtype, args, kwargs
            )
            if lr_scheduler is not None and self.scheduler_every == "epoch":
                lr_scheduler.step()
            if validate is not None and validation_dataloader is not None:
                model.eval()
                found = [
                    validate(model, cast(batch, device, dtype), *args, **kwargs)
                    for batch in validation_dataloader
                ]
                loss = _mean(found, loss)
            losses.append(loss)
            if (
                self.checkpoint_base_dir
                and self.checkpoint_frequency > 0
                and epoch % self.checkpoint_frequency == 0
            ):
                save_epoch(self.checkpoint_base_dir, epoch, model, optimizer, lr_scheduler)
            if self.early_stopping is not None and _stalled(losses, self.early_stopping):
                log.info("Training ends after epoch %d of %d: the loss %g gets no better.", epoch, last, loss)
                break

    def _train(
        self, model: Any, optimizer: Any, loader: Any, step: Callable[..., Any], scheduler: Any, device: Any,
        dtype: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any],
    ) -> float:  # fmt: skip
        """One epoch; the mean loss."""
        losses = []
        for batch in loader:
            model.zero_grad(set_to_none=True)
            loss = step(model, cast(batch, device, dtype), *args, **kwargs)
            loss.backward()
            optimizer.step()
            if scheduler is not None and self.scheduler_every == "batch":
                scheduler.step()
            losses.append(loss)
        return _mean(losses, float("nan"))

    def _shown(self, epochs: Iterable[int]) -> Iterable[int]:
        if not self.use_progress_bars or not sys.stderr.isatty():
            return epochs
        try:
            from tqdm import tqdm  # type: ignore[import-untyped]
        except ImportError:
            return epochs
        found: Iterable[int] = tqdm(epochs, desc="Epoch", leave=False)
        return found


def cast(value: Any, device: Any, dtype: Any) -> Any:
    """Every tensor in `value` on this device; those of floats in this dtype."""
    if isinstance(value, torch.Tensor):
        return value.to(device, dtype if value.is_floating_point() else None)
    if isinstance(value, Mapping):
        return {key: cast(each, device, dtype) for key, each in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(cast(each, device, dtype) for each in value))
    if isinstance(value, (list, tuple)):
        return type(value)(cast(each, device, dtype) for each in value)
    return value.to(device) if hasattr(value, "to") else value


def save_epoch(base: Path, epoch: int, model: Any, optimizer: Any, scheduler: Any) -> None:
    """What `last_epoch` goes on from, written whole or not at all."""
    part, final = base / f".epoch_{epoch}", base / f"epoch_{epoch}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    states.save(part / states.MODEL, states.model_state(model))
    states.save(
        part / states.TRAINING, {**states.training_state(optimizer, scheduler), "training_epoch": epoch}
    )
    states.save(part / states.RNG, states.rng_state())
    shutil.rmtree(final, ignore_errors=True)
    part.rename(final)


def last_epoch(base: Path, model: Any, optimizer: Any, scheduler: Any) -> int:
    """Restores the newest epoch that lies under `base` and returns its number; 0 where there is none."""
    found = {int(each.name[6:]): each for each in base.glob("epoch_*") if each.name[6:].isdecimal()}
    if not found:
        return 0
    epoch = max(found)
    states.restore_model(model, states.load(found[epoch] / states.MODEL))
    states.restore_training(optimizer, scheduler, states.load(found[epoch] / states.TRAINING))
    states.restore_rng(states.load(found[epoch] / states.RNG))
    return epoch


def _mean(values: list[Any], otherwise: float) -> float:
    numbers = [float(each.detach()) if isinstance(each, torch.Tensor) else each for each in values]
    if not numbers or not all(isinstance(each, (int, float)) for each in numbers):
        return otherwise
    return float(sum(numbers) / len(numbers))


def _stalled(losses: list[float], rule: EarlyStopping) -> bool:
    if len(losses) <= rule.patience:
        return False
    return min(losses[-rule.patience :]) >= min(losses[: -rule.patience]) - rule.least
