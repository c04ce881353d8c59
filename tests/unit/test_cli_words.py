"""What the command line says to people, where no server is needed to find out."""

from __future__ import annotations

import pytest

from labqueue.cli.campaigns import status_text
from labqueue.cli.files import pairs
from labqueue.cli.show import moment
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


def test_a_name_given_twice_is_no_guess() -> None:
    with pytest.raises(InvalidError) as caught:
        pairs(["temperature=80", "tau=1", "temperature=90"])
    assert [str(each) for each in caught.value.errors] == ["temperature: is given more than once."]


@pytest.mark.parametrize("text", ["2026-11-22T02:51:32.464430Z", "2026-11-22T02:51:32+00:00"])
def test_a_time_is_shown_in_whole_seconds(text: str) -> None:
    assert moment(text) == "2026-11-22 02:51:32 UTC"
    assert moment(None) is None
