"""What the command line says to people, where no server is needed to find out."""

from __future__ import annotations

from typing import Any

import pytest

from labqueue.cli.campaigns import learner_text, status_text
from labqueue.cli.edits import _told, changes
from labqueue.cli.files import pairs
from labqueue.cli.show import cell, moment
from labqueue.errors import InvalidError


def test_status_says_what_each_worker_does_and_which_fell_silent() -> None:
    workers = [
        {"kind": "janitor", "holder": "a:1", "seconds": 2.0, "info": {"leads": True}},
        {"kind": "janitor", "holder": "a:2", "seconds": 90.4, "info": {"leads": True}},
        {"kind": "worker", "holder": "a:3", "seconds": 31.0, "info": {"queues": ["suggest", "inquire"]}},
    ]
    assert status_text({"workers": workers}).splitlines()[-4:] == [
        "kind     does              process  last heard",
        "janitor  leads             a:1      2 s ago",
        "janitor                    a:2      90 s ago: silent",
        "worker   suggest, inquire  a:3      31 s ago: silent",
    ]


def test_a_queue_whose_work_is_done_is_not_said_to_have_had_none() -> None:
    said = status_text({"queues": [{"name": "flow", "state": "active", "counts": {}}]})
    assert "nothing waits or runs" in said and "nothing yet" not in said


def test_a_flag_that_is_not_set_may_be_left_out_without_a_change() -> None:
    before = {"kind": "continuous", "log": False, "low": 1}
    assert list(changes(before, {"kind": "discrete", "low": 0})) == [
        "kind: continuous -> discrete",
        "low: 1 -> 0",
    ]
    assert list(changes({"log": True}, {})) == ["log: yes -> nothing"]
    assert list(changes({}, {"weight": 0})) == ["weight: nothing -> 0"]


def test_a_part_without_a_value_is_not_named() -> None:
    outputs = [{"name": "y"}, {"name": "purity", "unit": "", "noise": None, "classes": []}]
    assert list(changes({"outputs": outputs[:1]}, {"outputs": outputs})) == [
        "outputs.purity: nothing -> name purity"
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (10**300, "1e+300"),
        (-(10**16), "-1e+16"),
        (10**16 - 1, "9999999999999999"),
        (1e300, "1e+300"),
        (0.0000012, "1.2e-06"),
        (10**400, "above 1e308"),
        ({"y": 10**300}, "y 1e+300"),
    ],
)
def test_no_number_fills_a_line(value: Any, shown: str) -> None:
    assert cell(value) == shown


@pytest.mark.parametrize(
    ("objectives", "said"),
    [
        ([{"output": "y", "goal": "minimize"}], "-0.74"),
        ([{"output": "y", "goal": "maximize"}], "-0.74"),
        ([{"output": "y", "goal": "target", "target": 0}], "score 0.74"),
        ([{"output": "y", "goal": "minimize"}, {"output": "z", "goal": "minimize"}], "score 0.74"),
    ],
)
def test_the_best_is_the_output_itself_or_called_a_score(objectives: list[Any], said: str) -> None:
    best = {"score": 0.74, "code": "snar-1", "outputs": {"y": -0.74, "z": 0.0}}
    campaign = {"name": "snar", "state": "active", "best": best, "problem": {"objectives": objectives}}
    row = status_text({"campaigns": [campaign]}).splitlines()[-1]
    assert row.split("  ")[2] == said


@pytest.mark.parametrize(
    ("codes", "said"), [("1", "1 suggestion that is outside"), ("12", "2 suggestions that are")]
)
def test_suggestions_that_gave_way_are_counted_in_whole_sentences(codes: str, said: str) -> None:
    now = {"name": "snar", "problem_version": 1, "strategy_version": 1}
    answer = {"campaign": now, "superseded": [{"code": f"snar-{each}"} for each in codes], "outside": []}
    assert any(line.startswith(said) for line in _told(now, answer))


@pytest.mark.parametrize(
    ("instead", "error", "said"),
    [
        ("", "", "mine is there"),
        ("", "training: ValueError: singular", "mine is there; failed: training: ValueError: singular"),
        (
            "in place of the learner mine, which failed (the last: no)",
            "no",
            "mine is there; our workers choose in place of the learner mine, which failed (the last: no)",
        ),
        (
            "in place of the learner mine, silent for 30 s",
            "training: no",
            "mine is there; our workers choose in place of the learner mine, silent for 30 s; failed: training: no",
        ),
    ],
)
def test_what_a_learner_failed_with_is_said_once(instead: str, error: str, said: str) -> None:
    assert learner_text({"name": "mine", "live": True, "instead": instead, "error": error}) == said


def test_a_name_given_twice_is_no_guess() -> None:
    with pytest.raises(InvalidError) as caught:
        pairs(["temperature=80", "tau=1", "temperature=90"])
    assert [str(each) for each in caught.value.errors] == ["temperature: is given more than once."]


@pytest.mark.parametrize("text", ["2026-11-22T02:51:32.464430Z", "2026-11-22T02:51:32+00:00"])
def test_a_time_is_shown_in_whole_seconds(text: str) -> None:
    assert moment(text) == "2026-11-22 02:51:32 UTC"
    assert moment(None) is None
