"""Active-learning programs written for PhysicsNeMo, on Labqueue's durable queues.

from labqueue_physicsnemo import Driver, DriverConfig, StrategiesConfig, TrainingConfig

Change this one import; docs/physicsnemo.md says what runs unchanged, what differs and why.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import DriverConfig, OptimizerConfig, StrategiesConfig, TrainingConfig
    from .driver import Driver
    from .loop import DefaultTrainingLoop, EarlyStopping
    from .registry import registry
    from .standin import stand_in
    from .stock import LabqueueQueue
    from .stopping import Plateau

__version__ = "0.1.0"

#: Where each public name lives; a module is imported when its name is first used: a label process needs no torch.
_HOMES = {
    "config": "DriverConfig OptimizerConfig StrategiesConfig TrainingConfig",
    "driver": "Driver",
    "loop": "DefaultTrainingLoop EarlyStopping",
    "registry": "registry",
    "standin": "stand_in",
    "stock": "LabqueueQueue",
    "stopping": "Plateau",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "DefaultTrainingLoop",
    "Driver",
    "DriverConfig",
    "EarlyStopping",
    "LabqueueQueue",
    "OptimizerConfig",
    "Plateau",
    "StrategiesConfig",
    "TrainingConfig",
    "registry",
    "stand_in",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'labqueue_physicsnemo' has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value
