"""What strategies find on the driver that they are attached to, under each of the names in use."""

from __future__ import annotations

from typing import Any

from .config import DriverConfig, StrategiesConfig, TrainingConfig


class Facade:
    """Pools and strategies of the configuration. Pools have three sets of names in programs; all are here."""

    config: DriverConfig
    strategies_config: StrategiesConfig
    training_config: TrainingConfig | None

    @property
    def train_datapool(self) -> Any:
        return None if self.training_config is None else self.training_config.train_datapool

    @property
    def val_datapool(self) -> Any:
        return None if self.training_config is None else self.training_config.val_datapool

    @property
    def unlabeled_datapool(self) -> Any:
        return self.strategies_config.unlabeled_datapool

    training_pool, validation_pool, unlabeled_pool = train_datapool, val_datapool, unlabeled_datapool

    @property
    def query_strategies(self) -> list[Any]:
        return self.strategies_config.query_strategies

    @property
    def label_strategy(self) -> Any:
        return self.strategies_config.label_strategy

    @property
    def metrology_strategies(self) -> list[Any] | None:
        return self.strategies_config.metrology_strategies

    @property
    def train_loop_fn(self) -> Any:
        return None if self.training_config is None else self.training_config.train_loop_fn
