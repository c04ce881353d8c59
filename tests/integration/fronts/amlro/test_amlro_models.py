"""The models by name, what they choose, and how samples are drawn; no server."""

from __future__ import annotations

import importlib
import inspect
import sys
import types
from typing import Any

import labqueue_amlro
import numpy as np
import pytest
from amlro_lab import CONFIG
from labqueue_amlro import choosing, grid, models, sampling
from labqueue_amlro.scope import read_config


def data(rows: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    features = rng.random((rows, 3))
    return features, np.stack([features[:, 0] * 3 + features[:, 1], -features[:, 0]], axis=1)


@pytest.mark.parametrize("name", [each for each in models.NAMES if each != "xgb"])
@pytest.mark.parametrize("rows", [1, 4, 5, 30])
def test_each_model_learns_one_objective_and_several(name: str, rows: int) -> None:
    features, outputs = data(rows)
    one = models.fit(name, features, outputs[:, :1]).predict(features)
    assert one.shape == (rows,) and np.isfinite(one).all()
    if rows == 30:
        assert np.corrcoef(one, outputs[:, 0])[0, 1] > 0.9
    if rows == 30 and name in ("gb", "svr"):  # each output has a model of its own, whatever its kind
        both = models.fit(name, features, outputs).predict(features)
        assert both.shape == (rows, 2) and np.corrcoef(both[:, 1], outputs[:, 1])[0, 1] > 0.9


def test_gradient_boosting_stands_in_for_xgboost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    monkeypatch.setattr(models, "_said", set())
    with pytest.warns(UserWarning, match="xgboost is not installed"):
        assert models.kind_of("xgb") is models.KINDS["gb"]
    models.kind_of("xgb")  # said once: a second warning would be an error here
    monkeypatch.setitem(sys.modules, "xgboost", types.SimpleNamespace(XGBRegressor=dict))
    assert models.kind_of("xgb")[0]()["n_jobs"] == 1
    with pytest.raises(ValueError, match=r"'forest' is not one of ela_net, .*labqueue"):
        models.kind_of("forest")
    with pytest.raises(ValueError, match="no result yet"):
        models.fit("gb", np.zeros((0, 3)), np.zeros((0, 1)))


def test_the_best_come_first() -> None:
    assert choosing.ranked([[1.0], [3.0], [2.0]], ["max"], 2) == [1, 2]
    assert choosing.ranked([[1.0], [3.0], [2.0]], ["min"], 5) == [0, 2, 1]
    # Objectives of very different size count the same: the middle of the front before its ends.
    values = [[0.0, 1000.0], [0.9, 900.0], [1.0, 0.0], [0.5, 500.0], [0.4, 400.0]]
    assert choosing.ranked(values, ["max", "max"], 5) == [1, 0, 2, 3, 4]


def test_the_front_is_what_nothing_beats() -> None:
    rng = np.random.default_rng(1)
    for columns in (2, 3):
        values = rng.integers(0, 6, (200, columns)).astype(float)
        beaten = [bool(((values >= each).all(axis=1) & (values > each).any(axis=1)).any()) for each in values]
        assert (choosing.on_front(values) == ~np.array(beaten)).all()
    large = rng.random((200_000, 2))
    assert 1 <= choosing.on_front(large).sum() < 100


def test_places_and_conditions_agree() -> None:
    scope = read_config(CONFIG)
    every = grid.encoded_at(scope, np.arange(scope.size))
    assert (grid.places(scope, every) == np.arange(scope.size)).all()
    assert (every == np.round(grid.encoded(scope).to_numpy(), 5)).all()
    for place in (0, 7, scope.size - 1):
        assert scope.encode(grid.condition(scope, place)) == tuple(every[place])


@pytest.mark.parametrize("kind", sampling.KINDS)
def test_samples_are_different_conditions_spread_over_the_grid(kind: str) -> None:
    scope = read_config(CONFIG)
    places = sampling.sample(scope, kind, 16)
    assert len(set(places)) == 16
    for column in grid.encoded_at(scope, np.array(places)).T:
        assert len(set(column)) >= 2
    if kind == "random":  # a program's own seed holds
        drawn = []
        for _ in range(2):
            np.random.seed(5)
            drawn.append(sampling.sample(scope, kind, 16))
        assert drawn[0] == drawn[1]
    else:
        assert sampling.sample(scope, kind, 16) == places
    for wrong in (0, True, 2.5):
        with pytest.raises(ValueError, match="training_size"):
            sampling.sample(scope, kind, wrong)  # type: ignore[arg-type]


@pytest.fixture
def no_amlro(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.split(".")[0] == "amlro"]:
        monkeypatch.delitem(sys.modules, name)


def test_the_names_are_there_only_when_asked_for(no_amlro: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImportError):
        importlib.import_module("amlro.optimizer")
    labqueue_amlro.install()
    labqueue_amlro.install()
    for module in ("generate_reaction_conditions", "generate_training_data", "optimizer"):
        found = importlib.import_module(f"amlro.{module}")
        names = set(getattr(found, "__all__", vars(found)))  # what a star takes
        assert {"np", "pd", "os", "get_reaction_scope", "generate_training_data"} <= names
        assert {"get_optimized_parameters", "write_training_data", "identify_pareto_front"} <= names
    from amlro.const import TRAINING_COMBO_FILENAME  # type: ignore[import-not-found]

    assert TRAINING_COMBO_FILENAME == "training_combo.csv"
    for name in [each for each in sys.modules if each.split(".")[0] == "amlro"]:
        monkeypatch.delitem(sys.modules, name)


def test_an_installed_amlro_is_not_replaced_silently(
    no_amlro: None, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "amlro").mkdir()
    (tmp_path / "amlro" / "__init__.py").write_text("REAL = True\n")
    (tmp_path / "script.py").write_text("import amlro\nprint('real', hasattr(amlro, 'REAL'))\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="AMLRO itself is installed here"):
        labqueue_amlro.install()
    from labqueue_amlro.cli import main

    monkeypatch.setattr(sys, "argv", [])
    assert main([str(tmp_path / "script.py")]) == 2
    assert "labqueue-amlro --replace SCRIPT" in capsys.readouterr().err
    assert main(["--replace", str(tmp_path / "script.py")]) == 0
    assert "real False" in capsys.readouterr().out
    assert main([str(tmp_path / "nothing.py")]) == 2 and "there is no script" in capsys.readouterr().err
    for name in [each for each in sys.modules if each.split(".")[0] == "amlro"]:
        monkeypatch.delitem(sys.modules, name)


#: What AMLRO's programs call, with the arguments that are on record, in their order.
CALLS = {
    "get_reaction_scope": ["config", "sampling", "training_size", "write_files", "exp_dir"],
    "generate_training_data": [
        "exp_dir", "config", "parameters", "obj_values", "filename", "termination",
    ],
    "get_optimized_parameters": [
        "exp_dir", "config", "parameters_list", "objectives_list", "model", "filename", "batch_size", "termination",
    ],
    "write_training_data": ["exp_dir", "objectives", "config", "filename"],
    "load_training_conditions": ["path"],
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_what_programs_call_has_its_arguments(name: str) -> None:
    from labqueue_amlro.compat import names

    assert list(inspect.signature(getattr(names, name)).parameters) == CALLS[name]


def test_the_training_set_is_read_by_its_path(tmp_path: Any) -> None:
    from labqueue_amlro.compat.names import get_reaction_scope, load_training_conditions

    *_, training = get_reaction_scope(CONFIG, "sobol", 4, True, str(tmp_path))
    for path in (str(tmp_path / "training_combo.csv"), tmp_path):
        read = load_training_conditions(path=path)
        assert read.round(5).to_numpy().tolist() == training.round(5).to_numpy().tolist()
        assert list(read) == list(training)


def test_helpers(no_amlro: None) -> None:
    from labqueue_amlro import helpers

    assert helpers.categorical_feature_encoding(CONFIG, [20, 0.1, "THF"]) == [20.0, 0.1, 1.0]
    assert helpers.categorical_feature_decoding(CONFIG, [20.0, 0.1, 1.0]) == [20.0, 0.1, "THF"]
    table = grid.decoded(read_config(CONFIG))
    encoded = helpers.categorical_feature_encoding(CONFIG, table)
    assert set(encoded["solvent"]) == {0.0, 1.0}
    assert helpers.categorical_feature_decoding(CONFIG, encoded).equals(table)
    assert helpers.identify_pareto_front([[1, 1], [2, 1], [1, 2]], ["max", "max"]) == [1, 2]
    assert helpers.is_pareto_dominant([2, 1], [1, 1], ["max", "max"])
    assert not helpers.is_pareto_dominant([2, 1], [1, 1], ["min", "max"])
    model = helpers.model_training(encoded, table["temperature"], "dtree")
    assert helpers.predict_next_parameters(model, encoded, CONFIG, 2) == [
        [80.0, 0.1, "DMF"],
        [80.0, 0.1, "THF"],
    ]
