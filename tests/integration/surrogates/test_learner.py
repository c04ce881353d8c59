"""Fit, suggest and predict as the flow calls them."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from any_problem import problems
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from linear_operator.utils.errors import NotPSDError
from surrogate_problems import FINITE, HILL, MIXED, hill, hill_rows, measured, mixed_outputs, snapshot

from labqueue.problem import Continuous, Objective, Output, Problem
from labqueue.strategy import DESIGN as DESIGN_ALONE
from labqueue.strategy import Design, Strategy
from models.surrogates import design, learner
from models.surrogates.encoding import Encoding
from models.surrogates.taken import NEAR
from models.surrogates.values import DESIGN, SUGGESTER, LearningError, Observation, Point, Suggestion

ENCODING = Encoding(HILL)
POINTS = design.points(ENCODING, 11, 0, 12)
ROWS = hill_rows(POINTS)


def points_of(suggestion: Suggestion) -> list[Point]:
    return [candidate.parameters for candidate in suggestion.candidates]


def apart(left: Point, right: Point, encoding: Encoding = ENCODING) -> float:
    one, other = encoding.encode([left, right])
    return float(np.abs(one - other).max())


def test_the_same_snapshot_gives_the_same_answer_whatever_happened_before() -> None:
    model = learner.fit(HILL, Strategy(), ROWS, None, 7).state
    asked = snapshot(HILL, ROWS, model=model, count=2, pending=(POINTS[0],))
    torch.manual_seed(1)
    np.random.seed(1)
    first = learner.suggest(asked)
    torch.manual_seed(2)
    torch.randn(17)
    before = torch.get_rng_state()
    again = learner.suggest(asked)
    assert again == first
    assert torch.equal(torch.get_rng_state(), before), "the caller's generator is left as it was"
    assert learner.fit(HILL, Strategy(), ROWS, None, 7).state == model


def test_another_number_is_another_draw() -> None:
    design_free = Strategy(method=DESIGN_ALONE)
    one = learner.suggest(snapshot(HILL, ROWS, number=1))
    two = learner.suggest(snapshot(HILL, ROWS, number=2))
    assert one != two
    same = [learner.suggest(snapshot(HILL, strategy=design_free, number=number)) for number in (1, 2)]
    assert same[0] == same[1], "a design is numbered by its own index"


def test_the_initial_design_comes_first_and_ends_where_the_strategy_says() -> None:
    asked = snapshot(HILL, ROWS, designed=6, count=4)
    found = learner.suggest(asked).candidates
    assert [each.origin for each in found] == [DESIGN, DESIGN, SUGGESTER, SUGGESTER]
    assert found[0].reason.startswith("Point 7 of 8 of the initial Sobol design")
    assert len({tuple(each.parameters.items()) for each in found}) == 4
    drawn = learner.suggest(snapshot(HILL, designed=0, count=8))
    assert points_of(drawn)[6:] == points_of(learner.suggest(snapshot(HILL, designed=6, count=2)))


def test_a_sobol_campaign_asks_no_model() -> None:
    found = learner.suggest(
        snapshot(HILL, ROWS, strategy=Strategy(method=DESIGN_ALONE), designed=20, count=3)
    )
    assert [each.origin for each in found.candidates] == [DESIGN] * 3
    assert found.effort["evaluations"] == 0


def test_the_first_of_several_is_the_single_one() -> None:
    several = learner.suggest(snapshot(HILL, ROWS, count=3))
    single = learner.suggest(snapshot(HILL, ROWS, count=1))
    assert points_of(several)[0] == points_of(single)[0]
    assert several.candidates[0].reason == single.candidates[0].reason
    assert several.gain == single.gain


def test_points_in_flight_are_taken_into_account() -> None:
    model = learner.fit(HILL, Strategy(), ROWS).state
    (alone,) = points_of(learner.suggest(snapshot(HILL, ROWS, model=model)))
    asked = learner.suggest(snapshot(HILL, ROWS, model=model, pending=(alone,), count=3))
    chosen = [alone, *points_of(asked)]
    assert all(apart(left, right) > NEAR for left, right in itertools.combinations(chosen, 2))
    assert "1 point in flight" in asked.candidates[0].reason
    assert "3 points in flight" in asked.candidates[2].reason


def test_a_few_rounds_come_near_the_top_of_the_hill() -> None:
    rows, model = ROWS[:6], None
    for number in range(8):
        model = learner.fit(HILL, Strategy(), rows, model, 7).state
        (point,) = points_of(learner.suggest(snapshot(HILL, rows, model=model, number=number)))
        rows = (*rows, *hill_rows([point]))
    best = max(hill(row.parameters) for row in rows)
    even = max(hill(point) for point in design.points(ENCODING, 11, 0, 200))
    assert best > -0.005
    assert best > even, "better than 200 points spread evenly"


def test_a_minimized_output_goes_down() -> None:
    problem = Problem((Continuous("x", 0, 1),), (Output("cost"),), (Objective("cost", "minimize", 3.0),))
    rows = tuple(measured(problem, {"x": x}, cost=(x - 0.7) ** 2) for x in (0.0, 0.3, 0.5, 1.0))
    (found,) = learner.suggest(snapshot(problem, rows)).candidates
    assert float(found.parameters["x"]) == pytest.approx(0.7, abs=0.1)
    assert found.expected["score"][0] == pytest.approx(-3 * found.expected["cost"][0])


def test_what_is_expected_agrees_with_predict_and_with_the_rows() -> None:
    model = learner.fit(HILL, Strategy(), ROWS).state
    (found,) = learner.suggest(snapshot(HILL, ROWS, model=model)).candidates
    (again,) = learner.predict(HILL, ROWS, model, [found.parameters])
    assert again["height"] == pytest.approx(found.expected["height"])
    for row, told in zip(ROWS, learner.predict(HILL, ROWS, model, POINTS), strict=True):
        mean, spread = told["height"]
        assert mean == pytest.approx(row.outputs["height"], abs=0.2)
        assert 0 <= spread < 0.3
    assert "height of" in found.reason and " m; the best so far is" in found.reason


def test_rows_that_the_model_has_not_seen_count() -> None:
    model = learner.fit(HILL, Strategy(), ROWS[:8]).state
    newest = ROWS[8]
    (before,) = learner.predict(HILL, ROWS[:8], model, [newest.parameters])
    (after,) = learner.predict(HILL, ROWS, model, [newest.parameters])
    assert after["height"][1] < before["height"][1] / 2
    assert after["height"][0] == pytest.approx(newest.outputs["height"], abs=0.2)


def test_infeasible_conditions_are_kept_away_from() -> None:
    (wanted,) = points_of(learner.suggest(snapshot(HILL, ROWS)))
    failed = Observation(wanted, {}, outcome="infeasible")
    (found,) = learner.suggest(snapshot(HILL, (*ROWS, failed))).candidates
    steered = found.parameters
    assert "Chance that it can be run: " in found.reason
    assert "can be run" not in learner.suggest(snapshot(HILL, ROWS)).candidates[0].reason
    assert apart(wanted, steered) > 0.05, "farther than the nearest point that is not the same"
    model = learner.fit(HILL, Strategy(), (*ROWS, failed))
    assert model.state == learner.fit(HILL, Strategy(), ROWS).state, "nothing was measured there"


def test_few_rows_fall_back_to_the_design_and_say_so() -> None:
    (found,) = learner.suggest(snapshot(HILL, ROWS[:1])).candidates
    assert found.origin == SUGGESTER
    assert found.reason == (
        "No model could be asked (fewer than 2 results with height are in), so the space is filled on evenly instead."
    )
    assert found.parameters == design.points(ENCODING, learner.seed_for("design", 7), 8, 1)[0]


def test_without_a_model_too_what_is_likely_to_be_impossible_waits() -> None:
    failed = tuple(
        Observation({"x": x, "y": y}, {}, outcome="infeasible")
        for x in (4.0, 6.0, 8.0)
        for y in (0.01, 0.1, 1.0)
    )
    found = learner.suggest(snapshot(HILL, failed, count=8)).candidates
    assert all(each.reason.startswith("No model could be asked") for each in found)
    assert all(float(each.parameters["x"]) < 3 for each in found)
    blind = design.points(ENCODING, learner.seed_for("design", 7), 8, 8)
    assert any(float(point["x"]) > 4 for point in blind)
    five = tuple(Observation(point, {}, outcome="infeasible") for point in SIX[:5])
    (last,) = points_of(learner.suggest(snapshot(FINITE, five, count=3)))
    assert last == SIX[5], "for want of others"


def test_a_state_that_cannot_be_used_falls_back_and_says_so() -> None:
    (found,) = learner.suggest(snapshot(HILL, ROWS, model=b"{}")).candidates
    assert "The model state cannot be read" in found.reason
    other = learner.fit(
        FINITE, Strategy(), tuple(measured(FINITE, p, **{"yield": 1.0 + i}) for i, p in enumerate(SIX))
    ).state
    (found,) = learner.suggest(snapshot(HILL, ROWS, model=other)).candidates
    assert "belongs to another problem" in found.reason


SIX = list(Encoding(FINITE).every())


def test_a_finite_space_is_used_up_before_anything_is_repeated() -> None:
    rows: tuple[Observation, ...] = tuple(
        measured(FINITE, point, **{"yield": number * 10.0}) for number, point in enumerate(SIX[:3])
    )
    found = points_of(learner.suggest(snapshot(FINITE, rows, count=3)))
    assert sorted(map(str, found)) == sorted(map(str, SIX[3:]))
    used = snapshot(FINITE, rows, pending=tuple(found), count=2)
    assert learner.suggest(used).candidates == (), "nothing is repeated unless replicates are wanted"
    again = learner.suggest(replace(used, strategy=Strategy(replicates=True))).candidates
    assert len(again) == 2
    assert all(each.reason.startswith("Measured again, as the strategy allows") for each in again)


def test_mixed_spaces_with_constraints_are_searched_inside_them() -> None:
    encoding = Encoding(MIXED)
    drawn = design.points(encoding, 3, 0, 14)
    rows = tuple(measured(MIXED, point, **mixed_outputs(point)) for point in drawn)
    found = learner.suggest(snapshot(MIXED, rows, count=3))
    for candidate in found.candidates:
        assert MIXED.check_point(candidate.parameters) == []
        assert MIXED.normal(candidate.parameters) == candidate.parameters
    best = max(MIXED.score(mixed_outputs(point)) or 0.0 for point in points_of(found))
    assert best > max(MIXED.score(row.outputs) or 0.0 for row in rows), (
        "the model finds better than 14 even points"
    )


def test_partial_and_unscored_rows_teach_what_they_can() -> None:
    drawn = design.points(Encoding(MIXED), 3, 0, 10)
    whole = [measured(MIXED, point, **mixed_outputs(point)) for point in drawn[:8]]
    part = [Observation(point, {"cost": mixed_outputs(point)["cost"]}) for point in drawn[8:]]
    fitted = learner.fit(MIXED, Strategy(), [*whole, *part])
    assert fitted.metrics["outputs"]["cost"]["n"] == 10
    assert fitted.metrics["outputs"]["yield"]["n"] == 8


def test_a_deadline_cuts_the_search_and_is_reported() -> None:
    ticks = itertools.count()
    cut = learner.suggest(snapshot(HILL, ROWS, deadline_seconds=0.5), clock=lambda: float(next(ticks)))
    whole = learner.suggest(snapshot(HILL, ROWS))
    assert cut.effort["cut"] is True and whole.effort["cut"] is False
    assert cut.effort["evaluations"] < whole.effort["evaluations"]
    assert len(cut.candidates) == 1


def test_a_warm_state_that_cannot_be_read_is_left_aside() -> None:
    assert learner.fit(HILL, Strategy(), ROWS, b"no state").state == learner.fit(HILL, Strategy(), ROWS).state


def test_noise_that_is_known_is_not_guessed() -> None:
    def spread(noise: float | None) -> float:
        problem = Problem((Continuous("x", 0, 1),), (Output("o", noise=noise),), (Objective("o"),))
        rows = tuple(measured(problem, {"x": x / 10}, o=float(x % 3)) for x in range(11))
        return learner.predict(problem, rows, learner.fit(problem, Strategy(), rows).state, [{"x": 0.5}])[0][
            "o"
        ][1]

    assert spread(0.0) < 0.05 < spread(0.8)


def test_too_few_rows_to_fit_are_named() -> None:
    with pytest.raises(LearningError, match="fewer than 2 results with height"):
        learner.fit(HILL, Strategy(), ROWS[:1])
    opaque = Problem((Continuous("x", 0, 1),), (Output("o"),))
    with pytest.raises(LearningError, match="no objective"):
        learner.fit(opaque, Strategy(), [Observation({"x": 0.1}, {"o": 1.0})])


def test_states_are_small_plain_json() -> None:
    state = learner.fit(HILL, Strategy(), ROWS).state
    assert len(state) < 2000
    assert json.loads(state)["format"] == 2
    assert learner.suggest(snapshot(HILL, ROWS, model=state)).versions["torch"] == torch.__version__


def test_an_opaque_problem_is_left_to_its_caller() -> None:
    opaque = Problem((), (Output("o"),), (Objective("o"),), opaque=True)
    with pytest.raises(LearningError, match="its caller suggests"):
        learner.suggest(snapshot(opaque))


def test_rows_that_are_all_the_same_still_give_a_point() -> None:
    rows = tuple(measured(HILL, point, height=1.0) for point in POINTS[:5])
    (found,) = points_of(learner.suggest(snapshot(HILL, (*rows, rows[0]))))
    assert HILL.check_point(found) == []


@settings(
    deadline=None,
    max_examples=8,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(problems(), st.integers(0, 10**6))
def test_whatever_the_problem_is_candidates_can_be_run_and_are_new(case: Any, seed: int) -> None:
    plain, _ = case
    problem = replace(plain, objectives=(Objective("o"),))
    drawn = design.points(Encoding(problem), seed, 0, 9)
    values = np.random.default_rng(seed).standard_normal(len(drawn))
    rows = tuple(Observation(point, {"o": float(o)}) for point, o in zip(drawn[:-1], values, strict=False))
    if len(rows) < 2:
        return
    found = learner.suggest(snapshot(problem, rows, pending=(drawn[-1],), count=2))
    for each in found.candidates:
        assert problem.check_point(each.parameters) == []
        assert problem.normal(each.parameters) == each.parameters
        assert each.parameters not in drawn
    if Encoding(problem).size is None:
        assert len(found.candidates) == 2


def test_where_a_design_has_an_end_the_space_is_filled_on_evenly_without_a_model() -> None:
    corners = Strategy(design=Design("full_factorial"))
    asked = snapshot(HILL, strategy=corners, designed=0, count=6)
    found = learner.suggest(asked).candidates
    assert [each.origin for each in found] == [DESIGN] * 4 + [SUGGESTER] * 2
    assert found[0].reason == "Point 1 of the initial full factorial design."
    assert "filled on evenly" in found[4].reason


def test_a_model_whose_numbers_break_down_is_said_and_stood_in_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise NotPSDError("Matrix not positive definite")

    monkeypatch.setattr(learner, "choose", broken)
    (found,) = learner.suggest(snapshot(HILL, ROWS)).candidates
    assert "its numbers broke down: Matrix not positive definite" in found.reason
    monkeypatch.undo()
    nothing = {"height": (float("nan"), 1.0)}
    monkeypatch.setattr(learner, "expected", lambda *_: [nothing])
    (found,) = learner.suggest(snapshot(HILL, ROWS)).candidates
    assert "the model expects what is no number" in found.reason and found.expected == {}


def test_suggestions_are_for_the_context_that_was_reported_last() -> None:
    problem = Problem.from_json(
        {
            "parameters": [
                {"name": "x", "kind": "continuous", "low": 0, "high": 1},
                {"name": "humidity", "kind": "context", "low": 0, "high": 100},
            ],
            "outputs": [{"name": "y"}],
            "objectives": [{"output": "y"}],
        }
    )

    def row(x: float, humidity: float) -> Observation:
        return Observation({"x": x, "humidity": humidity}, {"y": -((x - humidity / 100) ** 2)})

    rows = tuple(row(x / 10, humidity) for x in range(0, 11, 2) for humidity in (20.0, 80.0))
    for last in (20.0, 80.0):
        asked = snapshot(problem, (*rows, row(0.5, last)))
        (found,) = points_of(learner.suggest(asked))
        assert set(found) == {"x"}
        assert float(found["x"]) == pytest.approx(last / 100, abs=0.1)
