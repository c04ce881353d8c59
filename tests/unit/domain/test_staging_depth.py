"""How deep a queue is staged: no instrument finds it empty, and no more is decided early than that needs."""

from __future__ import annotations

import heapq
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.staging_depth import FEWEST, LEAST, MOST, START, Load, depth, lasts, short

ONE = Load(1, 1)


def test_as_long_as_nothing_is_known_a_few_are_staged_and_a_batch_finds_its_size() -> None:
    assert depth([], [], 0.0) == START
    assert depth([], [3600.0] * 20, 5.0) == START
    assert depth([ONE], [3600.0] * (FEWEST - 1), 5.0) == START
    assert depth([Load(0, 96)], [], 0.0) == 96


@pytest.mark.parametrize("instruments", [1, 2, 7])
def test_instruments_of_hours_need_one_each(instruments: int) -> None:
    assert depth([ONE] * instruments, [7200.0] * 20, 5.0) == instruments


def test_short_runs_and_slow_models_need_more() -> None:
    assert depth([ONE], [60.0] * 20, 5.0) == 1
    assert depth([ONE], [3.0] * 20, 5.5) == 3, "while the model works, three more runs begin"
    assert depth([ONE], [3.0] * 20, 29.5) == 11
    assert depth([ONE, ONE], [3.0] * 20, 5.5) == 6


def test_a_plate_needs_a_plate() -> None:
    assert depth([Load(96, 96)], [3600.0] * 20, 5.0) == 96


def test_a_cluster_whose_slots_end_one_by_one_needs_few_of_them() -> None:
    assert depth([Load(300, 1)], [3600.0] * 20, 5.0) in range(1, 5)
    assert depth([Load(0, 300)], [3600.0] * 20, 5.0) == 300, "its slots are free"


def test_campaigns_share_what_their_queue_needs() -> None:
    assert depth([ONE] * 8, [7200.0] * 20, 5.0, share=0.25) == 2
    assert depth([ONE] * 8, [7200.0] * 20, 5.0, share=0.01) == 1, "each has something to offer"


def test_one_odd_duration_does_not_fill_the_queue() -> None:
    assert depth([ONE], [0.01, *[3600.0] * 19], 5.0) == 1


def test_a_choice_takes_no_longer_than_what_waits_lasts() -> None:
    busy = [Load(1, 1)] * 4
    assert lasts(3, busy, [60.0] * 20) == 60.0, "four runs of a minute begin in a minute"
    assert lasts(0, busy, [7200.0] * 20) == 1800.0, "nothing waits, and nobody does"
    assert lasts(0, [Load(0, 1)] * 4, [7200.0] * 20) == 72.0, "somebody waits: a hundredth of a run"
    assert lasts(0, [Load(0, 1)] * 4, [5.0] * 20) == LEAST
    assert lasts(0, busy, [5.0] * (FEWEST - 1)) == lasts(0, [], [5.0] * 20) == math.inf


def test_a_queue_with_less_than_half_of_what_it_needs_is_short() -> None:
    assert short(0, 1) and short(1, 3) and not short(1, 2) and not short(2, 4) and not short(5, 4)


@given(
    st.lists(st.builds(Load, st.integers(0, 50), st.integers(1, 50)), max_size=5),
    st.lists(st.floats(0, 1e6), max_size=20),
    st.floats(0, 1e5),
    st.floats(0.001, 1),
)
def test_it_is_a_sane_number_whatever_comes(
    loads: list[Load], durations: list[float], late: float, share: float
) -> None:
    found = depth(loads, durations, late, share)
    assert 1 <= found <= MOST
    assert depth(loads, durations, late, 1.0) >= found
    if loads and len(durations) >= FEWEST:
        assert depth(loads, durations, late + 100, share) >= found


@pytest.mark.parametrize(
    ("loads", "seconds", "late"),
    [
        ([ONE], 10.0, 2.0),
        ([ONE] * 3, 4.0, 10.0),
        ([ONE] * 8, 5.0, 2.5),
        ([Load(100, 1)], 600.0, 8.0),
        ([Load(100, 1)], 60.0, 20.0),
    ],
)
def test_simulated_instruments_hardly_ever_find_the_queue_empty(
    loads: list[Load], seconds: float, late: float
) -> None:
    """Slots with runs of uneven length; each claim is made up for `late` seconds later."""
    slots = sum(each.holds for each in loads)
    luck = random.Random(slots)
    durations = [luck.uniform(0.5, 1.5) * seconds for _ in range(20)]
    staged = depth(loads, durations, late)
    free = [(luck.uniform(0, seconds), slot) for slot in range(slots)]
    heapq.heapify(free)
    refills: list[float] = []
    empty = 0
    for _ in range(200 * slots):
        now, slot = heapq.heappop(free)
        while refills and refills[0] <= now:
            heapq.heappop(refills)
            staged += 1
        if staged == 0:
            empty += 1
            now = heapq.heappop(refills)
            staged += 1
        staged -= 1
        heapq.heappush(refills, now + late)
        heapq.heappush(free, (now + luck.uniform(0.5, 1.5) * seconds, slot))
    assert empty <= 0.01 * 200 * slots
