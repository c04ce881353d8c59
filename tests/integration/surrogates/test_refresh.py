"""What becomes of staged candidates when a fresh model looks at them, and what several candidates have to do with
each other."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from surrogate_problems import FINITE, HILL, hill_rows, measured, snapshot

from labqueue.problem import Problem
from labqueue.strategy import PENDING, Share, Strategy
from models.surrogates import design, learner
from models.surrogates.acquisition.mixture import pick
from models.surrogates.encoding import Encoding
from models.surrogates.values import SUGGESTER, Observation, Point, Snapshot, Suggestion

ENCODING = Encoding(HILL)
POINTS = design.points(ENCODING, 11, 0, 16)
ROWS = hill_rows(POINTS[:12])
MODEL = learner.fit(HILL, Strategy(), ROWS).state
#: Far from the top at x = 3, y = 0.1, and known to be so.
POOR: Point = {"x": 9.9, "y": 9.0}


def ask(**changes: Any) -> Snapshot:
    return snapshot(HILL, ROWS, **{"model": MODEL, "count": 0, **changes})


def points_of(suggestion: Suggestion) -> list[Point]:
    return [each.parameters for each in suggestion.candidates]


BEST = points_of(learner.suggest(ask(count=3)))


def test_what_is_as_good_as_anything_new_keeps_its_place_and_is_told_afresh() -> None:
    found = learner.suggest(ask(staged=tuple(BEST)))
    assert [each.staged for each in found.candidates] == [0, 1, 2]
    assert points_of(found) == BEST
    assert all(each.origin == SUGGESTER and each.expected["height"] for each in found.candidates)
    assert all("Kept from the queue" in each.reason for each in found.candidates)


def test_what_is_clearly_worse_gives_way() -> None:
    found = learner.suggest(ask(staged=(BEST[0], POOR)))
    assert [each.staged for each in found.candidates] == [0, None]
    assert points_of(found)[1] == BEST[1], "what would have been asked for"


def test_the_queue_is_put_in_the_order_of_worth() -> None:
    found = learner.suggest(ask(staged=(POOR, BEST[0]), strategy=Strategy(margin=1e200)))
    assert [each.staged for each in found.candidates] == [1, 0]


def test_the_margin_says_how_much_better_a_candidate_must_be() -> None:
    near = {**BEST[0], "x": float(BEST[0]["x"]) + 0.05}
    kept = learner.suggest(ask(staged=(near,), strategy=Strategy(margin=5.0)))
    assert [each.staged for each in kept.candidates] == [0]
    better = {**BEST[0], "x": float(BEST[0]["x"]) + 0.7}
    gone = learner.suggest(ask(staged=(better,), strategy=Strategy(margin=0.0)))
    assert [each.staged for each in gone.candidates] == [None]
    whatever = learner.suggest(ask(staged=(POOR,), strategy=Strategy(margin=1e200)))
    assert [each.staged for each in whatever.candidates] == [0]


def test_new_candidates_come_beside_the_staged_ones() -> None:
    found = learner.suggest(ask(staged=(BEST[0],), count=2)).candidates
    assert len(found) == 3
    assert [each.staged for each in found].count(0) == 1
    rows = ENCODING.encode([each.parameters for each in found])
    assert all(abs(one - other).max() > 1e-3 for one, other in itertools.combinations(rows, 2))


def test_a_long_queue_takes_one_look_and_a_few_searches() -> None:
    staged = tuple(design.points(ENCODING, 5, 0, 500))
    found = learner.suggest(ask(staged=staged))
    assert len(found.candidates) == 500
    kept = [each.staged for each in found.candidates if each.staged is not None]
    assert len(set(kept)) == len(kept) >= 496
    assert found.effort["raw"] < 4 * 1000
    assert found.effort["evaluations"] < 400
    assert learner.suggest(ask(staged=staged)) == found


def test_the_same_snapshot_gives_the_same_queue_and_another_number_another() -> None:
    given = ask(staged=(POINTS[12], POINTS[13]), count=2)
    assert learner.suggest(given) == learner.suggest(given)
    assert learner.suggest(replace(given, number=2)) != learner.suggest(given)


def test_what_the_first_candidate_promises_is_said() -> None:
    found = learner.suggest(ask(count=2))
    assert found.gain is not None and 0 < found.gain < 1
    kept = learner.suggest(ask(staged=(BEST[0],)))
    assert kept.gain == pytest.approx(found.gain, rel=0.01)
    known = learner.suggest(snapshot(HILL, hill_rows([{"x": 3.0, "y": 0.1}, *POINTS[:14]]), count=1))
    assert known.gain is not None and known.gain < found.gain / 3, "nothing is left to be found"
    assert learner.suggest(snapshot(HILL, ROWS, designed=0, count=1)).gain is None, "no model chose"


@pytest.mark.parametrize("policy", PENDING)
def test_each_policy_takes_points_in_flight_into_account(policy: str) -> None:
    strategy = Strategy(pending=policy)
    alone = points_of(learner.suggest(ask(count=1, strategy=strategy)))[0]
    beside = points_of(learner.suggest(ask(count=1, pending=(alone,), strategy=strategy)))[0]
    one, other = ENCODING.encode([alone, beside])
    assert abs(one - other).max() > 1e-3


def test_a_deadline_fills_the_queue_from_what_is_valued_by_then() -> None:
    ticks = itertools.count()
    given = ask(staged=(POINTS[12], POINTS[13], POINTS[14]), count=3, deadline_seconds=0.5)
    cut = learner.suggest(given, clock=lambda: float(next(ticks)))
    assert cut.effort["cut"] is True
    assert len(cut.candidates) == 6
    assert {each.staged for each in cut.candidates} > {0, 1} or len(
        {each.staged for each in cut.candidates}
    ) > 2
    rows = ENCODING.encode(points_of(cut))
    assert all(abs(one - other).max() > 1e-3 for one, other in itertools.combinations(rows, 2))
    whole = learner.suggest(replace(given, deadline_seconds=None))
    assert whole.effort["evaluations"] > 2 * cut.effort["evaluations"]


def test_a_deadline_that_is_far_changes_nothing() -> None:
    given = ask(staged=(POINTS[12],), count=1)
    assert learner.suggest(replace(given, deadline_seconds=1e6)) == learner.suggest(given)


def test_a_model_that_cannot_be_asked_leaves_the_queue_as_it_is() -> None:
    found = learner.suggest(ask(model=b"{}", staged=(BEST[1], BEST[0]), count=1)).candidates
    assert [each.staged for each in found] == [0, 1, None]
    assert found[0].reason.startswith("Kept as it was staged")
    assert "filled on evenly" in found[2].reason


def test_a_finite_space_gives_what_is_left_of_it() -> None:
    every = list(Encoding(FINITE).every())
    rows = tuple(measured(FINITE, point, **{"yield": 10.0 * place}) for place, point in enumerate(every[:3]))
    found = learner.suggest(snapshot(FINITE, rows, staged=(every[4],), pending=(every[3],), count=5))
    assert sorted(map(str, points_of(found))) == sorted(map(str, every[4:]))
    assert [each.staged for each in found.candidates].count(0) == 1


def test_a_mixture_gives_each_function_its_share() -> None:
    shares = (Share("log_nei", 0.5), Share("uncertainty", 0.3), Share("random", 0.2))
    for seed in (1, 2):
        drawn = [pick(shares, seed, number, 0) for number in range(200)]
        for each in shares:
            assert drawn.count(each.acquisition) == pytest.approx(200 * each.share, abs=4)
        slots = [pick(shares, seed, 3, slot) for slot in range(200)]
        for each in shares:
            assert slots.count(each.acquisition) == pytest.approx(200 * each.share, abs=6)
    assert pick(shares, 1, 5, 0) == pick(shares, 1, 5, 0)
    assert pick((Share("ucb"),), 9, 9, 9) == "ucb"


def test_a_share_that_is_drawn_by_chance_says_so_and_stays_staged() -> None:
    strategy = Strategy(acquisition=(Share("random"),))
    found = learner.suggest(ask(count=3, strategy=strategy))
    assert all(each.reason.startswith("Drawn by chance") for each in found.candidates)
    kept = learner.suggest(ask(staged=tuple(points_of(found)), strategy=strategy, number=9))
    assert {each.staged for each in kept.candidates} == {0, 1, 2}


def test_cost_makes_cheap_points_preferred_and_the_reason_says_so() -> None:
    cheap = Strategy(cost="1 + 1000 * max(0, x - 2)")
    found = learner.suggest(ask(count=1, strategy=cheap)).candidates[0]
    plain = learner.suggest(ask(count=1)).candidates[0]
    assert float(plain.parameters["x"]) > 2.5
    assert float(found.parameters["x"]) < 2.1
    assert "Worth is reckoned per cost." in found.reason


FRONT = Problem.from_json(
    {
        "parameters": [each.to_json() for each in HILL.parameters],
        "outputs": [{"name": "height"}, {"name": "left"}, {"name": "time"}],
        "objectives": [{"output": "height"}, {"output": "left", "goal": "minimize"}],
        "outcome_constraints": [{"output": "time", "operator": "<=", "bound": 8.0}],
    }
)


def front_rows(bound: float = 0.0) -> tuple[Observation, ...]:
    return tuple(
        Observation(
            point,
            {
                "height": ROWS[place].outputs["height"],
                "left": abs(float(point["x"]) + 2),
                "time": float(point["y"]) + bound,
            },
        )
        for place, point in enumerate(POINTS[:12])
    )


def test_a_front_is_extended_and_the_reasons_say_how() -> None:
    found = learner.suggest(snapshot(FRONT, front_rows(), count=3))
    first = found.candidates[0]
    assert first.reason.startswith("Expected to extend the front: height of ")
    assert "Chance to keep time <= 8: " in first.reason
    assert set(first.expected) == {"height", "left", "time"}, "a front has no score"
    assert found.gain is not None and found.gain > 0
    assert len({tuple(each.parameters.items()) for each in found.candidates}) == 3
    assert all(float(each.parameters["y"]) < 8.5 for each in found.candidates)


def test_a_reference_out_of_reach_is_said() -> None:
    body = FRONT.to_json()
    body["objectives"][0]["reference"] = 50.0
    body["objectives"][1]["reference"] = 0.0
    (found,) = learner.suggest(snapshot(Problem.from_json(body), front_rows(), count=1)).candidates
    assert "Nothing that was measured is better than the reference" in found.reason


def test_where_nothing_is_admissible_the_reason_says_so() -> None:
    body = FRONT.to_json()
    body["objectives"] = [{"output": "height"}]
    wanted = Problem.from_json(body)
    (found,) = learner.suggest(snapshot(wanted, front_rows(bound=9.0), count=1)).candidates
    assert found.reason.startswith("Nothing that was measured satisfies the outcome constraints yet")


def test_learning_asks_where_least_is_known() -> None:
    body = HILL.to_json()
    body["objectives"] = [{"output": "height", "goal": "learn"}]
    wanted = Problem.from_json(body)
    found = learner.suggest(snapshot(wanted, ROWS, count=2))
    assert found.gain is None
    assert found.candidates[0].reason.startswith("Known least: height of ")
    assert set(found.candidates[0].expected) == {"height"}
    told = learner.predict(wanted, ROWS, learner.fit(wanted, Strategy(), ROWS).state, POINTS)
    assert found.candidates[0].expected["height"][1] > max(each["height"][1] for each in told[:12])


def test_where_nothing_could_be_planned_today_the_reason_says_that() -> None:
    rows = tuple(
        measured(HILL, {"x": x, "y": y}, height=x + y) for x in (20.0, 21.0, 22.0) for y in (0.1, 1.0, 5.0)
    )
    (found,) = learner.suggest(snapshot(HILL, rows, count=1)).candidates
    assert found.reason.startswith("Nothing that was measured lies in the space as it is now: height of")
