"""The state machine: what it allows, what it says, and that its picture in the docs is the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labqueue.errors import ConflictError
from labqueue.states import State
from models.domain.lifecycle import ENDED, IN_FLIGHT, MOVES, SPENT, move

PAGE = Path(__file__).parents[3] / "docs" / "states.md"


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == set(State)
    assert all(to is not now for now, moves in MOVES.items() for to in moves)


def test_a_move_is_allowed_or_says_what_is() -> None:
    for now in State:
        for to in State:
            if to in MOVES[now]:
                assert move(now, to) is to
            else:
                with pytest.raises(ConflictError) as caught:
                    move(now, to)
                assert all(f"{each} ({MOVES[now][each]})" in str(caught.value) for each in MOVES[now])


def test_a_completed_one_has_ended_for_good() -> None:
    with pytest.raises(ConflictError, match="nothing; it has ended"):
        move(State.COMPLETED, State.STAGED)


def test_a_result_is_welcome_in_every_state() -> None:
    for now in State:
        if now is not State.COMPLETED:
            assert State.COMPLETED in MOVES[now]


def test_what_has_ended_moves_on_by_a_late_result_or_a_replay_only() -> None:
    for now in ENDED:
        reasons = set(MOVES[now].values())
        assert reasons <= {"replay", "late result", "late result, some outputs outstanding"}


def test_nothing_is_run_that_was_not_staged_or_held() -> None:
    assert {now for now in State if State.LEASED in MOVES[now]} == {State.STAGED, State.HELD}


def test_every_state_can_be_reached() -> None:
    reached = {State.PROPOSED, State.STAGED}
    while more := {to for now in reached for to in MOVES[now]} - reached:
        reached |= more
    assert reached == set(State)


def test_held_points_are_in_flight_and_not_spent() -> None:
    assert set(IN_FLIGHT) | set(ENDED) == set(State) and set(IN_FLIGHT).isdisjoint(ENDED)
    assert State.HELD in IN_FLIGHT and State.HELD not in SPENT


def drawn() -> dict[State, dict[State, str]]:
    """The arrows of the diagram."""
    found: dict[State, dict[State, str]] = {state: {} for state in State}
    for now, to, why in re.findall(r"^\s*(\w+) --> (\w+): (.+)$", PAGE.read_text(), re.MULTILINE):
        assert State(to) not in found[State(now)], f"{now} --> {to} is drawn twice"
        found[State(now)][State(to)] = why.strip()
    return found


def listed() -> dict[State, dict[State, str]]:
    """The rows of the table."""
    found: dict[State, dict[State, str]] = {state: {} for state in State}
    for now, to, why in re.findall(r"^\| (\w+) \| (\w+) \| (.+?) \|$", PAGE.read_text(), re.MULTILINE):
        if now in set(State):
            found[State(now)][State(to)] = why.strip()
    return found


def test_the_diagram_draws_every_move_and_no_other() -> None:
    assert drawn() == MOVES


def test_the_table_lists_every_move_and_no_other() -> None:
    assert listed() == MOVES


def test_the_page_says_what_each_state_means() -> None:
    text = PAGE.read_text()
    assert all(re.search(rf"^- \*\*{state}\*\*: \S", text, re.MULTILINE) for state in State)
