"""Tables of descriptors as few columns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labqueue.problem import Categorical, Continuous, Objective, Output, Problem
from models.surrogates.data import groups
from models.surrogates.descriptors import reduce
from models.surrogates.encoding import Encoding

NAMES = tuple("abcdef")


def table(*columns: list[float]) -> Categorical:
    rows = {
        name: {f"d{place}": column[at] for place, column in enumerate(columns)}
        for at, name in enumerate(NAMES)
    }
    return Categorical("s", NAMES, descriptors=rows)


FIRST, SECOND = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [1.0, -1.0, 1.0, -1.0, 1.0, -1.0]


MANY = np.random.default_rng(1).standard_normal((8, 6)).tolist()


def apart(points: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=-1)))


def test_a_few_descriptors_are_columns_from_their_least_to_their_greatest() -> None:
    points, together = reduce(table(FIRST, SECOND))
    assert not together
    assert np.allclose(points, np.column_stack([np.linspace(0, 1, 6), [1, 0, 1, 0, 1, 0]]))


def test_what_is_said_twice_or_never_changes_is_dropped() -> None:
    plain, _ = reduce(table(FIRST, SECOND))
    squares = [each**2 for each in FIRST]  # correlated at 0.96
    again, _ = reduce(table(FIRST, [-3 * each + 1 for each in FIRST], squares, SECOND, [7.0] * 6))
    assert plain.shape == (6, 2) and np.allclose(plain, again)


@pytest.mark.parametrize("columns", [[FIRST, SECOND], MANY], ids=["few", "many"])
def test_units_do_not_matter(columns: list[list[float]]) -> None:
    scaled = [
        [(-1e6 if place else 1e-9) * value + place for value in each] for place, each in enumerate(columns)
    ]
    assert np.allclose(apart(reduce(table(*scaled))[0]), apart(reduce(table(*columns))[0]))


def test_of_many_descriptors_categories_are_as_far_apart_as_all_of_them_say() -> None:
    points, together = reduce(table(*MANY))
    low, high = np.min(MANY, axis=1), np.max(MANY, axis=1)
    plain = (np.array(MANY).T - low) / (high - low)
    scale = apart(plain)[0, 1] / apart(points)[0, 1]
    assert together and points.shape == (6, 5), "one fewer than there are categories"
    assert np.allclose(scale * apart(points), apart(plain))
    assert np.ptp(points, axis=0).max() == pytest.approx(1)


def test_many_columns_of_one_parameter_share_a_length_scale_and_few_do_not() -> None:
    outputs, aims = (Output("y"),), (Objective("y"),)
    for columns, expected in (
        ([FIRST, SECOND], (0, 1, 2)),
        (MANY, (0, 0, 0, 0, 0, 1)),
        ([], (0, 0, 0, 0, 0, 0, 1)),
    ):
        named = table(*columns) if columns else Categorical("s", NAMES)
        assert groups(Encoding(Problem((named, Continuous("x", 0, 1)), outputs, aims))) == expected


def test_hundreds_of_names_leave_the_other_parameters_their_own_length_scales() -> None:
    names = tuple(f"n{place}" for place in range(250))
    drawn = np.random.default_rng(2).standard_normal((250, 300))
    rows = {
        name: {f"d{place}": float(value) for place, value in enumerate(row)}
        for name, row in zip(names, drawn, strict=True)
    }
    for named in (Categorical("s", names, descriptors=rows), Categorical("s", names)):
        problem = Problem((named, Continuous("x", 0, 1)), (Output("y"),), (Objective("y"),))
        found = groups(Encoding(problem))
        assert len(found) > 200 and set(found[:-1]) == {0} and found[-1] == 1


def test_equal_descriptors_do_not_make_equal_categories() -> None:
    found, _ = reduce(table([0.0, 0.0, 0.0, 1.0, 1.0, 2.0]))
    assert len({tuple(row) for row in found.tolist()}) == 6
    assert found.shape == (6, 3) and np.allclose(found[:, 0], [0, 0, 0, 0.5, 0.5, 1])


def test_nothing_is_left_of_what_tells_nothing() -> None:
    assert reduce(table([2.0] * 6))[0].shape == (6, 0)


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=6), min_size=1, max_size=8))
def test_any_table_gives_finite_columns_of_which_one_has_the_whole_range(columns: list[list[float]]) -> None:
    found, _ = reduce(table(*columns))
    assert np.isfinite(found).all()
    if found.shape[1]:
        assert found.min() >= -1e-9 and found.max() <= 1 + 1e-9
        assert np.ptp(found, axis=0).max() == pytest.approx(1)
        assert len({tuple(np.round(row, 9)) for row in found.tolist()}) == 6
