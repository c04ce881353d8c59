"""A model as bytes: what was written is read, everything else is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from surrogate_problems import FINITE, HILL

from labqueue.problem import LEARN, Continuous, Objective, Output, Problem
from models.surrogates import state
from models.surrogates.data import Data
from models.surrogates.gp import Hyper
from models.surrogates.kinds.gp import Exact
from models.surrogates.kinds.registry import KINDS
from models.surrogates.likelihood import RBF
from models.surrogates.packing import pack, unpack
from models.surrogates.state import Found, State
from models.surrogates.values import LearningError
from models.surrogates.warps import IDENTITY, Warp

HYPER = Hyper(Warp(IDENTITY, 0.0, 1.0, 1.0, 2.0, 3.0, -1.0, 1.0), RBF, (0.5, 1.5), 1.0, 1e-3, 0.1, -12.0)
STATE = State({"height": Found("gp", Exact((HYPER,)), 12)}, "auto")
LABELS = Problem(
    (Continuous("x", 0, 1), Continuous("y", 0, 1)),
    (Output("height", classes=("low", "high")),),
    (Objective("height", LEARN),),
)


def changed(**changes: Any) -> bytes:
    body = json.loads(state.dump(STATE))
    body.update(changes)
    return json.dumps(body).encode()


def fitted(kind: str, problem: Problem) -> dict[str, Any]:
    inputs = np.random.default_rng(0).random((12, 2))
    classes = len(problem.outputs[0].classes)
    values = (inputs[:, 0] > 0.5).astype(float) if classes else inputs.sum(axis=1)
    found = KINDS[kind].fit(Data.of(inputs, values, classes=classes), None, 0, "cpu")
    body: dict[str, Any] = json.loads(state.dump(State({"height": Found(kind, found, 12)}, kind)))
    return body


def test_what_was_written_is_read() -> None:
    assert state.load(HILL, 2, state.dump(STATE)) == STATE


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"[" * 100_000,
        b"\x80\x04\x95cposix\nsystem\n",
        changed(format=99),
        changed(outputs={}),
        changed(outputs={"height": {}}),
        changed(outputs={"height": {"kind": "gp", "rows": "many", "fit": HYPER.to_json()}}),
        changed(outputs={"height": {"kind": "os.system", "rows": 1, "fit": {}}}),
        changed(outputs={"height": {"kind": "gp", "rows": 1, "fit": [1]}}),
        changed(outputs=7),
    ],
)
def test_what_was_not_is_refused(data: bytes) -> None:
    with pytest.raises(LearningError):
        state.load(HILL, 2, data)


@pytest.mark.parametrize(
    "change",
    [
        {"noise": -1.0},
        {"lengthscales": [0.0, 1.0]},
        {"lengthscales": [1.0]},
        {"kernel": "magic"},
        {"mean": None},
        {"outputscale": 1e999},
    ],
)
def test_numbers_that_no_fit_gives_are_refused(change: dict[str, Any]) -> None:
    body = json.loads(state.dump(STATE))
    body["outputs"]["height"]["fit"]["fits"][0].update(change)
    with pytest.raises(LearningError):
        state.load(HILL, 2, json.dumps(body).encode())


def shortened(value: Any) -> Any:
    return {**value, "shape": [*value["shape"][:-1], value["shape"][-1] + 1]} if "shape" in value else None


def wild(value: Any) -> Any:
    """The same array full of NaN, or of places that are nowhere."""
    if "shape" not in value:
        return None
    kind = value["type"]
    return pack(np.full(value["shape"], 2**31 - 1 if kind == "<i4" else np.nan), kind)


def texts(value: Any) -> Any:
    return {**value, "data": "not base64!"} if "shape" in value else None


@pytest.mark.parametrize("spoil", [shortened, wild, texts])
@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("robust", HILL),
        ("variational", HILL),
        ("ensemble", HILL),
        ("forest", HILL),
        ("variational", LABELS),
        ("ensemble", LABELS),
        ("forest", LABELS),
    ],
    ids=lambda each: each if isinstance(each, str) else "labels" if each is LABELS else "numbers",
)
def test_spoilt_arrays_are_refused(kind: str, problem: Problem, spoil: Callable[[Any], Any]) -> None:
    body = fitted(kind, problem)
    state.load(problem, 2, json.dumps(body).encode())
    fit = body["outputs"]["height"]["fit"]
    tried = 0
    for name, value in list(fit.items()):
        nested = isinstance(value, list) and isinstance(value[0], dict)
        bad = spoil(value[0] if nested else value) if isinstance(value, dict) or nested else None
        if bad is None or 0 in (value[0] if nested else value)["shape"]:
            continue
        tried += 1
        fit[name] = [bad, *value[1:]] if nested else bad
        with pytest.raises(LearningError):
            state.load(problem, 2, json.dumps(body).encode())
        fit[name] = value
    assert tried or kind == "robust", "nothing is set aside among good rows"


def test_the_state_of_another_problem_is_refused() -> None:
    with pytest.raises(LearningError, match="another problem"):
        state.load(FINITE, 3, state.dump(STATE))
    with pytest.raises(LearningError):
        state.load(HILL, 5, state.dump(STATE))


def test_what_is_too_large_is_neither_kept_nor_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = state.dump(STATE)
    monkeypatch.setattr(state, "LIMIT", len(data) - 1)
    with pytest.raises(LearningError, match="can be kept"):
        state.dump(STATE)
    with pytest.raises(LearningError, match="are allowed"):
        state.load(HILL, 2, data)


def test_arrays_come_back_as_they_were() -> None:
    values = np.random.default_rng(1).standard_normal((3, 4))
    assert np.array_equal(unpack(pack(values, "<f8"), (3, None), "<f8"), values)
    assert np.allclose(unpack(pack(values), (None, 4)), values, atol=1e-6)
    assert unpack(pack(np.zeros((0, 4)), "<f8"), (None, 4), "<f8").shape == (0, 4)
    with pytest.raises(LearningError, match="another shape"):
        unpack(pack(values), (3, 5))
