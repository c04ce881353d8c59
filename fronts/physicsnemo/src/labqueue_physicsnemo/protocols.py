"""What strategies, queues, pools and loops look like: base classes for programs without PhysicsNeMo.

None of them is needed: what a class does decides what it is. Whoever inherits gets the conveniences of PhysicsNeMo's
base classes: the arguments of the constructor in `_args`, a logger, `strategy_dir` and `checkpoint_dir`.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")
S = TypeVar("S")


class ActiveLearningPhase(str, Enum):
    TRAINING = "training"
    METROLOGY = "metrology"
    QUERY = "query"
    LABELING = "labeling"
    DATA_INTEGRATION = "data_integration"

    def __str__(self) -> str:
        return str(self.value)


class AbstractQueue(Generic[T]):
    def put(self, item: T) -> None:
        raise NotImplementedError

    def get(self) -> T:
        raise NotImplementedError

    def empty(self) -> bool:
        raise NotImplementedError


class DataPool(Generic[T]):
    def __getitem__(self, index: int) -> T:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError

    def append(self, item: T) -> None:
        raise NotImplementedError


class ActiveLearningProtocol:
    """A strategy. It is attached to the driver before it is used, and finds pools and learner there."""

    __protocol_name__ = ""
    __protocol_type__: Any = None
    _args: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__new__(cls)
        try:
            given = dict(inspect.signature(cls.__init__).bind(made, *args, **kwargs).arguments)
        except TypeError:
            return made  # the constructor will say what is wrong
        given.pop(next(iter(given)))
        for name, parameter in inspect.signature(cls.__init__).parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                given.update(given.pop(name, {}))
        made._args = {"__name__": cls.__name__, "__module__": cls.__module__, "__args__": given}
        return made

    def attach(self, other: object) -> None:
        self.driver = other

    @property
    def is_attached(self) -> bool:
        return getattr(self, "driver", None) is not None

    @property
    def logger(self) -> logging.Logger:
        if getattr(self, "_logger", None) is None:
            self._setup_logger()
        return self._logger

    @logger.setter
    def logger(self, logger: logging.Logger) -> None:
        self._logger = logger

    def _setup_logger(self) -> None:
        self._logger = logging.getLogger(
            f"core.active_learning.{self.__protocol_name__ or type(self).__name__}"
        )

    @property
    def strategy_dir(self) -> Path:
        """Raises RuntimeError before the strategy is attached."""
        kind = str(getattr(self.__protocol_type__, "value", self.__protocol_type__))
        return Path(self._attached().log_dir) / kind / type(self).__name__

    @property
    def checkpoint_dir(self) -> Path:
        """Raises RuntimeError before the strategy is attached."""
        driver = self._attached()
        return Path(driver.log_dir) / "checkpoints" / f"step_{driver.active_learning_step_idx}"

    def _attached(self) -> Any:
        if not self.is_attached:
            raise RuntimeError(f"{type(self).__name__} is not attached to a driver yet.")
        return self.driver


class QueryStrategy(ActiveLearningProtocol):
    __protocol_type__ = ActiveLearningPhase.QUERY
    max_samples: int

    def sample(self, query_queue: Any, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    def __call__(self, query_queue: Any, *args: Any, **kwargs: Any) -> None:
        self.sample(query_queue, *args, **kwargs)


class LabelStrategy(ActiveLearningProtocol):
    __protocol_type__ = ActiveLearningPhase.LABELING
    __is_external_process__ = False
    __provides_fields__: Any = None

    def label(self, queue_to_label: Any, serialize_queue: Any, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    def __call__(self, queue_to_label: Any, serialize_queue: Any, *args: Any, **kwargs: Any) -> None:
        self.label(queue_to_label, serialize_queue, *args, **kwargs)


class MetrologyStrategy(ActiveLearningProtocol):
    __protocol_type__ = ActiveLearningPhase.METROLOGY
    records: list[Any]

    def append(self, record: Any) -> None:
        self.records.append(record)

    def __len__(self) -> int:
        return len(self.records)

    def compute(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    def serialize_records(self, path: Path | None = None, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    def load_records(self, path: Path | None = None, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    def reset(self) -> None:
        self.records = []

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        self.compute(*args, **kwargs)


class TrainingProtocol:
    def __call__(self, model: Any, data: Any, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


class ValidationProtocol:
    def __call__(self, model: Any, data: Any, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


class InferenceProtocol:
    def __call__(self, model: Any, data: Any, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


class TrainingLoop:
    def __call__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError


class LearnerProtocol:
    def training_step(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def validation_step(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def inference_step(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


class DriverProtocol:
    """What strategies may ask of the object that they are attached to."""
