"""The smaller functions that AMLRO's scripts and notebooks import beside the three entry points.

Of most of them AMLRO documents the names and not the arguments; these are the ones that the entry points' own would
give them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import models
from .choosing import on_front, ranked
from .const import REACTIONS_DATA_FILENAME, TRAINING_COMBO_FILENAME
from .desk import desk_for
from .files import read_training
from .project import take_in, write_data
from .scope import Scope, Value, read_config, read_scope
from .telling import read_told, tell
from .training import generate_training_data


def validate_reaction_scope_config(config: Mapping[str, Any]) -> None:
    """Raises ValueError that names the field, where the features cannot be used."""
    read_scope(config)


def validate_optimizer_config(config: Mapping[str, Any]) -> None:
    """The same for features and objectives."""
    read_config(config)


def load_training_conditions(path: Any) -> Any:
    """The training set as a table; `path`: its file, or the folder that it is in."""
    return pd.read_csv(Path(path) / TRAINING_COMBO_FILENAME if os.path.isdir(path) else path)


def get_next_training_conditions(
    exp_dir: Any, config: Mapping[str, Any], filename: str = REACTIONS_DATA_FILENAME
) -> list[Any] | None:
    """The next condition of the training set; None where none is left."""
    return generate_training_data(exp_dir, config, [], [], filename)


def write_data_to_training_files(
    exp_dir: Any, config: Mapping[str, Any], parameters: Sequence[Any], obj_values: Any,
    filename: str = REACTIONS_DATA_FILENAME,
) -> None:  # fmt: skip
    """Takes the result of one condition."""
    generate_training_data(exp_dir, config, parameters, obj_values, filename, termination=True)


def write_training_data(
    exp_dir: Any,
    objectives: Sequence[Any],
    config: Mapping[str, Any],
    filename: str = REACTIONS_DATA_FILENAME,
) -> None:
    """The results of the whole training set at once, in its order. Raises ValueError unless there is one for each.

    Results that were there before stay: a program that runs again adds nothing.
    """
    desk = desk_for(exp_dir, config, filename)
    rows = read_training(desk.folder, desk.scope)
    if len(rows) != len(objectives):
        raise ValueError(
            f"objectives: {len(objectives)} results came, and the training set has {len(rows)} conditions."
        )
    plain = [_as_program(desk.scope, row) for row in rows]
    told = [read_told(desk.scope, row, values) for row, values in zip(plain, objectives)]
    with desk.turn():
        take_in(desk)
        tell(desk, told)
        write_data(desk, desk.campaign.look())


def categorical_feature_encoding(config: Mapping[str, Any], parameters: Any) -> Any:
    """A condition, or a table of them, with the index of each category in the place of its name."""
    scope = read_scope(config)
    if not isinstance(parameters, pd.DataFrame):
        return list(scope.encode(scope.read(parameters)))
    table = parameters.copy()
    for each in scope.categorical:
        table[each.name] = [float(each.place(value)) for value in table[each.name]]
    return table


def categorical_feature_decoding(config: Mapping[str, Any], parameters: Any) -> Any:
    """The way back."""
    scope = read_scope(config)
    if not isinstance(parameters, pd.DataFrame):
        rest = list(parameters)[len(scope.continuous) :]
        names = [each.values[int(place)] for each, place in zip(scope.categorical, rest)]
        return [*list(parameters)[: len(scope.continuous)], *names]
    table = parameters.copy()
    for each in scope.categorical:
        table[each.name] = [each.values[int(place)] for place in table[each.name]]
    return table


def load_data(
    exp_dir: Any, config: Mapping[str, Any], filename: str = REACTIONS_DATA_FILENAME
) -> tuple[Any, Any]:
    """What was measured: the encoded features and the objectives, as two tables."""
    scope = read_config(config)
    table = pd.read_csv(os.path.join(exp_dir, filename))
    return table[list(scope.features)], table[list(scope.objectives)]


def get_regressor_model(model: str) -> tuple[Any, Mapping[str, list[Any]]]:
    """An estimator of scikit-learn and the settings among which it is tuned."""
    make, settings = models.kind_of(model)
    return make(), settings


def model_training(features: Any, objectives: Any, model: str = "gb") -> Any:
    """The model of one objective, tuned and fitted."""
    return models.fit(model, np.asarray(features), np.asarray(objectives))


#: Several objectives: a model for each.
mo_model_training = model_training


def predict_next_parameters(
    regressor: Any, candidates: Any, config: Mapping[str, Any], batch_size: int = 1
) -> list[list[Any]]:
    """The best of these encoded candidates, a table or an array, decoded."""
    scope, table = read_config(config), np.asarray(candidates, dtype=float)
    best = ranked(np.asarray(regressor.predict(table)).reshape(len(table), -1), scope.directions, batch_size)
    return [categorical_feature_decoding(config, table[each].tolist()) for each in best]


def identify_pareto_front(values: Any, directions: Sequence[str]) -> list[int]:
    """The places of the rows of `values` (rows, objectives) that no other row beats."""
    return [int(each) for each in np.flatnonzero(on_front(_larger_is_better(values, directions)))]


def is_pareto_dominant(one: Sequence[float], other: Sequence[float], directions: Sequence[str]) -> bool:
    """Whether `one` is nowhere worse than `other`, and better somewhere."""
    mine, its = _larger_is_better([one, other], directions)
    return bool((mine >= its).all() and (mine > its).any())


def _larger_is_better(values: Any, directions: Sequence[str]) -> Any:
    return np.asarray(values, dtype=float) * np.array([1.0 if each == "max" else -1.0 for each in directions])


def _as_program(scope: Scope, row: Sequence[Value]) -> list[Any]:
    """A condition of the grid with ints where the files have them."""
    count = len(scope.continuous)
    return [*(int(v) if axis.whole else v for axis, v in zip(scope.continuous, row)), *row[count:]]
