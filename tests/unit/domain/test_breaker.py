"""The circuit breaker: failed runs in a row pause the instrument."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.domain import breaker
from models.domain.records import Instrument

NEW = Instrument("hplc")


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 5))
def test_it_opens_after_so_many_failures_in_a_row_and_stays_open(runs: list[bool], limit: int) -> None:
    instrument, row, open_ = Instrument("hplc", failure_limit=limit), 0, False
    for good in runs:
        instrument = breaker.succeeded(instrument) if good else breaker.failed(instrument, "no vacuum")
        row = 0 if good else row + 1
        open_ = open_ or row >= limit
        assert (instrument.state == "paused") == open_
        assert (breaker.refusal(instrument) is not None) == open_


def test_it_says_why_and_keeps_the_first_reason() -> None:
    instrument = NEW
    for reason in ("leak", "leak", "no vacuum", "smoke"):
        instrument = breaker.failed(instrument, reason)
    assert instrument.reason == "3 failed runs in a row, the last: no vacuum"
    assert breaker.refusal(instrument) == f"instrument hplc is paused: {instrument.reason}"


def test_a_lost_run_blocks_until_somebody_looked() -> None:
    blocked = breaker.blocked(NEW, 17)
    refusal = breaker.refusal(blocked)
    assert refusal is not None and "running experiment 17" in refusal
    assert breaker.refusal(breaker.cleared(blocked)) is None


def test_clearing_forgets_everything() -> None:
    worn = breaker.blocked(breaker.failed(Instrument("hplc", failure_limit=1), "smoke"), 3)
    assert breaker.cleared(worn) == Instrument("hplc", failure_limit=1)
