"""Every kind of parameter and constraint together: what comes from the cube can always be staged."""

from __future__ import annotations

from typing import Any

import numpy as np
from any_problem import problems
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from labqueue.problem import Problem
from models.surrogates import design
from models.surrogates.encoding import Encoding

#: Without the phase that explains: it traces every line.
ANY = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)
Case = tuple[Problem, dict[str, Any]]


@ANY
@given(problems(expressions=False), st.integers(0, 10**6))
def test_a_row_of_the_cube_becomes_a_point_that_can_be_staged(case: Case, seed: int) -> None:
    problem, anchor = case
    assert problem.check_point(anchor) == []
    encoding = Encoding(problem)
    rows = np.random.default_rng(seed).uniform(-0.3, 1.3, (8, encoding.width))
    for row, point in zip(rows, encoding.decode_many(rows), strict=True):
        assert point is not None, "a point is allowed, so one is found"
        assert problem.check_point(point) == []
        assert problem.normal(point) == point and list(problem.normal(point)) == list(point)
        assert encoding.decode(row) == point, "one by one as many at once"


@ANY
@given(problems(), st.integers(0, 10**6))
def test_with_expressions_too(case: Case, seed: int) -> None:
    """A search finds them, and can miss them; near a point that is allowed it does not."""
    problem, anchor = case
    encoding = Encoding(problem)
    for point in encoding.decode_many(np.random.default_rng(seed).random((4, encoding.width))):
        assert point is None or problem.check_point(point) == []
    (near,) = encoding.decode_many(encoding.encode([anchor]))
    assert near is not None and problem.check_point(near) == []


@ANY
@given(problems(), st.integers(0, 10**6))
def test_a_point_survives_the_way_there_and_back(case: Case, seed: int) -> None:
    problem, anchor = case
    encoding = Encoding(problem)
    for point in [anchor, *design.points(encoding, seed, 0, 3)]:
        (row,) = encoding.encode([point])
        again = encoding.decode(row)
        assert again is not None
        assert np.allclose(encoding.encode([again])[0], row, atol=1e-4), "as near as rounding allows"
        assert {name: value for name, value in again.items() if isinstance(value, (str, int))} == {
            name: value for name, value in point.items() if isinstance(value, (str, int))
        } or problem.constraints, "what is not rounded is the same"


@ANY
@given(problems(), st.integers(0, 10**6))
def test_a_design_and_the_neighbours_of_its_points_can_be_staged(case: Case, seed: int) -> None:
    problem, _ = case
    encoding = Encoding(problem)
    points = design.points(encoding, seed, 0, 6)
    assert points
    for point in [*points, *encoding.neighbours(points[0])]:
        assert problem.check_point(point) == [] and problem.normal(point) == point


@ANY
@given(problems())
def test_a_list_of_all_points_has_what_checking_each_would_leave(case: Case) -> None:
    problem, anchor = case
    encoding = Encoding(problem)
    listed = encoding.listed(3000)
    if listed is not None:
        assert anchor in listed
        assert all(problem.check_point(point) == [] for point in listed)
        assert len({tuple(sorted(point.items(), key=str)) for point in listed}) == len(listed)
