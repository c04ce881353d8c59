"""Stop rules: when a campaign is done, and what it says then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labqueue.strategy import StopRules
from models.domain.stopping import Progress, room, verdict

SCORES = st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=20)


def test_without_rules_it_goes_on_for_ever() -> None:
    assert verdict(StopRules(), Progress(10**6, [1.0] * 100)) is None


@pytest.mark.parametrize(
    ("rules", "completed", "scores", "reason"),
    [
        (StopRules(budget=3), 2, [], None),
        (StopRules(budget=3), 3, [], "budget of 3 experiments spent"),
        (StopRules(target=0.9), 5, [0.5, 0.89], None),
        (StopRules(target=0.9), 5, [0.5, 0.9, 0.1], "target 0.9 reached: best score 0.9"),
        (StopRules(target=0.9), 5, [], None),
        (StopRules(no_improvement=2), 5, [None, None, None], None),
        (StopRules(no_improvement=2), 5, [1.0, 0.5], None),
        (StopRules(no_improvement=2), 5, [1.0, 0.5, None], "no improvement in the last 2 experiments"),
        (StopRules(no_improvement=2), 5, [1.0, 1.0, 1.0], "no improvement in the last 2 experiments"),
        (StopRules(no_improvement=2), 5, [1.0, 0.5, 1.1], None),
        (StopRules(budget=3, target=0.9), 3, [0.95], "target 0.9 reached: best score 0.95"),
    ],
)
def test_the_first_rule_that_holds(
    rules: StopRules, completed: int, scores: list[float | None], reason: str | None
) -> None:
    assert verdict(rules, Progress(completed, scores)) == reason


@given(st.integers(1, 10), SCORES)
def test_a_better_score_always_gives_more_time(most: int, scores: list[float | None]) -> None:
    best = max([score for score in scores if score is not None], default=0.0)
    assert verdict(StopRules(no_improvement=most), Progress(0, [*scores, best + 1.0])) is None


@given(st.integers(1, 100), st.integers(0, 200))
def test_there_is_room_until_the_budget_is_spent(budget: int, spent: int) -> None:
    left = room(StopRules(budget=budget), spent)
    assert left is not None and left == max(0, budget - spent)
    assert room(StopRules(), spent) is None
