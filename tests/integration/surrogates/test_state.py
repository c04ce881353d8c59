"""A model as bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from surrogate_problems import FINITE, HILL

from models.surrogates import state
from models.surrogates.gp import Hyper
from models.surrogates.likelihood import RBF
from models.surrogates.values import LearningError
from models.surrogates.warps import IDENTITY, Warp

HYPER = Hyper(Warp(IDENTITY, 0.0, 1.0, 1.0, 2.0, 3.0, -1.0, 1.0), RBF, (0.5, 1.5), 1.0, 1e-3, 0.1, -12.0)
STATE = state.State({"height": HYPER}, 12, 10)


def changed(**changes: Any) -> bytes:
    body = json.loads(state.dump(STATE))
    body.update(changes)
    return json.dumps(body).encode()


def test_what_was_written_is_read() -> None:
    assert state.load(HILL, state.dump(STATE)) == STATE


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        changed(format=99),
        changed(outputs={}),
        changed(outputs={"height": {}}),
        changed(outputs=7),
        changed(rows="many"),
    ],
)
def test_what_was_not_is_refused(data: bytes) -> None:
    with pytest.raises(LearningError):
        state.load(HILL, data)


@pytest.mark.parametrize(
    "change",
    [
        {"noise": -1.0},
        {"lengthscales": [0.0, 1.0]},
        {"lengthscales": [1.0]},
        {"kernel": "magic"},
        {"mean": None},
    ],
)
def test_numbers_that_no_fit_gives_are_refused(change: dict[str, Any]) -> None:
    body = json.loads(state.dump(STATE))
    body["outputs"]["height"].update(change)
    with pytest.raises(LearningError):
        state.load(HILL, json.dumps(body).encode())


def test_the_state_of_another_problem_is_refused() -> None:
    with pytest.raises(LearningError, match="another problem"):
        state.load(FINITE, state.dump(STATE))
