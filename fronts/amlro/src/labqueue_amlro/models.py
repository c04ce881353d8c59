"""AMLRO's models by name, each tuned over a small grid as AMLRO does: ten random splits, a fifth of the rows held out.

What they are asked is only their mean: whoever wants to know how sure a model is takes model="labqueue".
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.ensemble import AdaBoostRegressor, GradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import BayesianRidge, ElasticNet
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor

SEED, SPLITS, HELD_OUT = 42, 10, 0.2
#: Fewer rows than this leave nothing to tune on.
FEWEST = 5

Kind = tuple[Callable[[], Any], Mapping[str, list[Any]]]

#: Scaled where distances between rows count; its settings are then those of the step.
KINDS: dict[str, Kind] = {
    "ela_net": (lambda: make_pipeline(StandardScaler(), ElasticNet(random_state=SEED, max_iter=10_000)), {
        "elasticnet__alpha": [0.01, 0.1, 1.0], "elasticnet__l1_ratio": [0.2, 0.8]}),
    "dtree": (lambda: DecisionTreeRegressor(random_state=SEED), {
        "max_depth": [3, 6, None], "min_samples_leaf": [1, 3]}),
    "rf": (lambda: RandomForestRegressor(random_state=SEED, n_jobs=1), {
        "max_features": [0.5, 1.0], "min_samples_leaf": [1, 2]}),
    "gb": (lambda: GradientBoostingRegressor(random_state=SEED), {
        "n_estimators": [50, 150], "max_depth": [2, 3]}),
    "aboost": (lambda: AdaBoostRegressor(random_state=SEED), {
        "learning_rate": [0.1, 0.3, 1.0]}),
    "svr": (lambda: make_pipeline(StandardScaler(), SVR()), {
        "svr__C": [1.0, 10.0, 100.0], "svr__epsilon": [0.01, 0.1]}),
    "knn": (lambda: make_pipeline(StandardScaler(), KNeighborsRegressor()), {
        "kneighborsregressor__n_neighbors": [1, 2, 3, 5], "kneighborsregressor__weights": ["uniform", "distance"]}),
    "bayesian_ridge": (lambda: make_pipeline(StandardScaler(), BayesianRidge()), {
        "bayesianridge__alpha_1": [1e-6, 1e-3], "bayesianridge__lambda_1": [1e-6, 1e-3]}),
}  # fmt: skip
NAMES = (*KINDS, "xgb")


def fit(name: str, features: Any, outputs: Any) -> Any:
    """A model fitted to features of shape (rows, features) and outputs of shape (rows, objectives).

    Its predict answers shape (rows,) for one objective, (rows, objectives) for several, each tuned by itself. Raises
    ValueError for an unknown name or without rows.
    """
    if not len(features):
        raise ValueError("There is no result yet: measure the training set first (generate_training_data).")
    make, settings = kind_of(name)
    model = make()
    if len(features) >= FEWEST:
        splits = ShuffleSplit(n_splits=SPLITS, test_size=HELD_OUT, random_state=SEED)
        # A neighbour that a split does not have is a setting that cannot be judged, and no fault.
        fitting = len(features) - int(np.ceil(HELD_OUT * len(features)))
        settings = {
            key: [each for each in values if not key.endswith("n_neighbors") or each <= fitting]
            for key, values in settings.items()
        }
        model = GridSearchCV(model, settings, cv=splits, scoring="neg_mean_squared_error", n_jobs=1)
    elif name == "knn":
        model.set_params(kneighborsregressor__n_neighbors=1)
    outputs = np.asarray(outputs, dtype=float).reshape(len(features), -1)
    several = outputs.shape[1] > 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = MultiOutputRegressor(model, n_jobs=1) if several else model
        return fitted.fit(np.asarray(features, dtype=float), outputs if several else outputs[:, 0])


def kind_of(name: str) -> Kind:
    """How a model is made and what is tuned. Raises ValueError for an unknown name."""
    if name in KINDS:
        return KINDS[name]
    if name != "xgb":
        raise ValueError(f"model: {name!r} is not one of {', '.join(NAMES)}, labqueue.")
    try:
        xgboost = importlib.import_module("xgboost")
    except ImportError:
        _say_once(
            "xgboost is not installed: gradient boosting of scikit-learn (gb) stands in for model='xgb'."
        )
        return KINDS["gb"]
    settings = {"n_estimators": [50, 150], "max_depth": [2, 4]}
    return lambda: xgboost.XGBRegressor(random_state=SEED, n_jobs=1), settings


_said: set[str] = set()


def _say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        warnings.warn(text, stacklevel=4)
