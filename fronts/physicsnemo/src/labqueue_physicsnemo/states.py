"""The states that a run goes on from: model, optimizer, scheduler, random numbers. Files that hold only tensors and
plain values, read with weights_only=True."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

MODEL, TRAINING, RNG = "model_state.pt", "training_state.pt", "rng_state.pt"


def save(path: Path, state: Mapping[str, Any]) -> None:
    """On the disk when this returns."""
    with path.open("wb") as file:
        torch.save(dict(state), file)
        file.flush()
        os.fsync(file.fileno())


def load(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def model_state(model: Any) -> dict[str, Any]:
    """Empty for a learner without a state_dict: it keeps its own state, if it has one."""
    return dict(model.state_dict()) if hasattr(model, "state_dict") else {}


def restore_model(model: Any, state: Any) -> None:
    if hasattr(model, "load_state_dict"):
        model.load_state_dict(state)


def training_state(optimizer: Any, scheduler: Any) -> dict[str, Any]:
    return {
        "optimizer": None if optimizer is None else optimizer.state_dict(),
        "scheduler": None if scheduler is None else scheduler.state_dict(),
    }


def restore_training(optimizer: Any, scheduler: Any, state: Mapping[str, Any]) -> None:
    if optimizer is not None and state["optimizer"] is not None:
        optimizer.load_state_dict(state["optimizer"])
    if scheduler is not None and state["scheduler"] is not None:
        scheduler.load_state_dict(state["scheduler"])


def rng_state() -> dict[str, Any]:
    """Of Python, of numpy where it is in use, and of torch on every device."""
    version, numbers, gauss = random.getstate()
    found: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "python": [version, list(numbers), gauss],
        "cuda": _cuda_states(),
    }
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        name, keys, *rest = numpy.random.get_state()
        found["numpy"] = [name, [int(each) for each in keys], *rest]
    return found


def _cuda_states() -> list[torch.Tensor]:
    """Empty where CUDA is not in use; asking would begin its use."""
    used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return torch.cuda.get_rng_state_all() if used else []


def restore_rng(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    if torch.cuda.is_available():
        # A machine with fewer devices takes those that it has.
        torch.cuda.set_rng_state_all(state["cuda"][: torch.cuda.device_count()])
    if "numpy" in state:
        import numpy

        name, keys, *rest = state["numpy"]
        numpy.random.set_state((name, numpy.array(keys, dtype="uint32"), *rest))
