"""What JSON cannot carry is named by the client, before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from labqueue import Client
from labqueue.errors import InvalidError

GOOD = {"id": "a", "experiment": 1, "outputs": {"y": 1.0}}


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (
            lambda lab: lab.post_results([GOOD, {**GOOD, "outputs": {"y": math.nan}}]),
            "items[1].outputs.y",
        ),
        (lambda lab: lab.post_results([{**GOOD, "noise": {"y": math.inf}}]), "items[0].noise.y"),
        (
            lambda lab: lab.post_elsewhere("c", [{**GOOD, "parameters": {"t": -math.inf}}]),
            "items[0].parameters.t",
        ),
        (lambda lab: lab.decide("c-1", "complete", "", {"outputs": {"y": math.nan}}), "result.outputs.y"),
        (lambda lab: lab.amend("r", {"y": math.nan}, "wrong"), "outputs.y"),
        (lambda lab: lab.stage("c", [{"parameters": {"t": math.nan}}]), "items[0].parameters.t"),
        (
            lambda lab: lab.transport.request(
                "POST", "/attempts/a/heartbeat", {"data": {"t": [1.0, math.nan]}}
            ),
            "data.t[1]",
        ),
    ],
)
def test_a_number_that_is_not_finite_is_named(call: Callable[[Client], Any], field: str) -> None:
    # Nothing listens there: what was sent all the same would be another error.
    with Client("http://127.0.0.1:1", retry_for=0.0) as lab, pytest.raises(InvalidError) as caught:
        call(lab)
    assert [each.field for each in caught.value.errors] == [field]
    assert "is not a finite number" in str(caught.value)


def test_a_type_that_json_has_not_is_named() -> None:
    with Client("http://127.0.0.1:1", retry_for=0.0) as lab, pytest.raises(InvalidError) as caught:
        lab.stage("c", [{"parameters": {"t": date(2026, 1, 2), "n": None, "on": True}}])
    (error,) = caught.value.errors
    assert (error.field, error.message) == ("items[0].parameters.t", "is of type date, which JSON has not.")
