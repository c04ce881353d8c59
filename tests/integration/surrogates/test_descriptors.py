"""Tables of descriptors as few columns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labqueue.problem import Categorical
from models.surrogates.descriptors import reduce

NAMES = tuple("abcdef")


def table(*columns: list[float]) -> Categorical:
    rows = {
        name: {f"d{place}": column[at] for place, column in enumerate(columns)}
        for at, name in enumerate(NAMES)
    }
    return Categorical("s", NAMES, descriptors=rows)


FIRST, SECOND = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [1.0, -1.0, 1.0, -1.0, 1.0, -1.0]


def test_one_descriptor_is_one_column_from_its_least_to_its_greatest() -> None:
    assert np.allclose(reduce(table(FIRST))[:, 0], np.linspace(0, 1, 6))


def test_what_is_said_twice_or_never_changes_is_dropped() -> None:
    plain = reduce(table(FIRST, SECOND))
    again = reduce(table(FIRST, [-3 * each + 1 for each in FIRST], SECOND, [7.0] * 6))
    assert plain.shape == (6, 2) and np.allclose(plain, again)


def test_units_do_not_matter() -> None:
    scaled = table([1e6 * each + 5 for each in FIRST], [1e-9 * each for each in SECOND])
    assert np.allclose(reduce(scaled), reduce(table(FIRST, SECOND)))


def test_there_are_fewer_columns_than_categories() -> None:
    drawn = np.random.default_rng(1).standard_normal((40, 6))
    columns = reduce(table(*drawn.tolist()))
    assert columns.shape[0] == 6 and columns.shape[1] <= 5


def test_equal_descriptors_do_not_make_equal_categories() -> None:
    found = reduce(table([0.0, 0.0, 0.0, 1.0, 1.0, 2.0]))
    assert len({tuple(row) for row in found.tolist()}) == 6
    assert found.shape == (6, 3) and np.allclose(found[:, 0], [0, 0, 0, 0.5, 0.5, 1])


def test_nothing_is_left_of_what_tells_nothing() -> None:
    assert reduce(table([2.0] * 6)).shape == (6, 0)


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=6), min_size=1, max_size=8))
def test_any_table_gives_finite_columns_of_which_one_has_the_whole_range(columns: list[list[float]]) -> None:
    found = reduce(table(*columns))
    assert np.isfinite(found).all()
    if found.shape[1]:
        assert found.min() >= -1e-9 and found.max() <= 1 + 1e-9
        assert np.ptp(found, axis=0).max() == pytest.approx(1)


def test_a_component_that_explains_little_stays_small() -> None:
    much, little = np.linspace(0, 1, 6), np.array([0.0, 1, 0, 1, 1, 0])
    found = reduce(table(*(much + 0.02 * sign * little for sign in (-1, 1, 2, -3))))
    assert found.shape[1] == 1, "of one thing said four times with little beside it"
    both = reduce(table(*(much + 0.3 * sign * little for sign in (-1, 1, 2, -2))))
    assert np.ptp(both, axis=0)[0] == pytest.approx(1) and 0.1 < np.ptp(both, axis=0)[1] < 0.95
