"""rows: a learner is told what changed since it was told last, and everything where that cannot be told."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from fake_store import FakeStore
from flow_lab import PERSON, PROBLEM, Lab, point
from store_world import PostgresWorld

from services.flow import amend, edit
from services.flow.rows import Told, tell


def tell_newest(lab: Lab, since: str = "") -> Told:
    lab.number()
    return tell(lab.store, "snar", lab.known().data_revision, since)


def ids(told: Told) -> list[int]:
    return [row.experiment_id for row in told.rows]


def measured(lab: Lab, number: int, **more: Any) -> int:
    [one] = lab.stage([point(number)])
    lab.report(one.id, {"yield": number / 100, "purity": 90.0}, **more)
    return one.id


def test_first_everything_then_only_what_is_new_changed_or_gone(lab: Lab) -> None:
    lab.campaign()
    wrong = lab.ids.uuid()
    first, second = measured(lab, 1), measured(lab, 2, id=wrong)
    whole = tell_newest(lab)
    assert whole.whole and ids(whole) == [first, second]
    again = tell_newest(lab, whole.mark)
    assert (again.whole, ids(again), again.gone, again.mark) == (False, [], [], whole.mark)

    third = measured(lab, 3)
    news = tell_newest(lab, whole.mark)
    assert (news.whole, ids(news), news.gone) == (False, [third], [])

    amend.withdraw(lab.store, wrong, lab.ids.uuid(), "the valve stood open", PERSON)
    known = lab.results(first)[0].id
    amend.amend(
        lab.store, amend.Correction(known, lab.ids.uuid(), {"yield": 0.9}, "a slip of the pen"), PERSON
    )
    last = tell_newest(lab, news.mark)
    assert (last.whole, ids(last), last.gone) == (False, [first], [second])
    assert last.rows[0].outputs["yield"] == 0.9
    both = tell_newest(lab, whole.mark)
    assert (both.whole, ids(both), both.gone) == (False, [first, third], [second])


@pytest.mark.parametrize("seed", range(3))
def test_who_joins_what_it_was_told_has_the_whole(lab: Lab, seed: int) -> None:
    """Told at any moments, with edits of the problem among them."""
    lab.campaign()
    luck, known, mark, kept = random.Random(seed), dict[int, Any](), "", list[Any]()
    differences = 0
    for number in range(30):
        act = luck.random()
        if act < 0.6 or not kept:
            kept.append(lab.ids.uuid())
            measured(lab, number, id=kept[-1])
        elif act < 0.75:
            again = {"yield": luck.random()}
            amend.amend(
                lab.store, amend.Correction(luck.choice(kept), lab.ids.uuid(), again, "again"), PERSON
            )
        elif act < 0.9:
            old = kept.pop(luck.randrange(len(kept)))
            amend.withdraw(lab.store, old, lab.ids.uuid(), "wrong", PERSON)
        else:
            added = {"name": f"extra{number}", "kind": "fixed", "value": 0.25}
            problem = lab.known().problem
            wider = {**problem, "parameters": [*problem["parameters"], added]}
            edit.change_problem(lab.store, "snar", wider, "wider", PERSON)
        if luck.random() < 0.5:
            told = tell_newest(lab, mark)
            known = {} if told.whole else known
            known.update((row.experiment_id, row) for row in told.rows)
            for id in told.gone:
                known.pop(id, None)
            mark, differences = told.mark, differences + (not told.whole)
            assert [row for _, row in sorted(known.items())] == lab.training()
    assert differences > 3


def test_an_edit_of_the_problem_is_a_reason_to_tell_everything(lab: Lab) -> None:
    lab.campaign()
    one = measured(lab, 1)
    before = tell_newest(lab)
    more = [*PROBLEM["parameters"], {"name": "stirring", "kind": "fixed", "value": 300.0}]
    edit.change_problem(lab.store, "snar", {**PROBLEM, "parameters": more}, "it always was", PERSON)
    after = tell_newest(lab, before.mark)
    assert after.whole and ids(after) == [one] and after.rows[0].parameters["stirring"] == 300.0
    assert not tell_newest(lab, after.mark).whole


@pytest.mark.parametrize(
    "mark", ["", "x", "-1.1.", "1", "1.1.", "999999.1.", "9" * 90, "²3.1.", "1.2.x", "\n"]
)
def test_what_is_no_mark_of_ours_is_answered_by_everything(lab: Lab, mark: str) -> None:
    lab.campaign()
    one = measured(lab, 1)
    told = tell_newest(lab, mark)
    assert told.whole and ids(told) == [one]


def test_who_knows_more_than_is_asked_for_is_told_everything(lab: Lab) -> None:
    """Work that was leased before the last result came is done with what was known then."""
    lab.campaign()
    first = measured(lab, 1)
    early = tell_newest(lab)
    measured(lab, 2)
    late = tell_newest(lab)
    told = tell(lab.store, "snar", int(early.mark.partition(".")[0]), late.mark)
    assert told.whole and ids(told) == [first] and told.mark == early.mark
    assert tell(lab.store, "snar", 10**9, late.mark).mark == late.mark, "nothing is later than the newest"


def test_another_history_under_the_same_numbers_is_told_whole(lab: Lab) -> None:
    """A database that was restored gives numbers again that it had given before."""
    lab.campaign()
    measured(lab, 1)
    before = tell_newest(lab)
    _move_history(lab)
    one = measured(lab, 2)
    told = tell_newest(lab, before.mark)
    assert told.whole and one in ids(told)


def _move_history(lab: Lab) -> None:
    """Every event happened a second later."""
    if isinstance(lab.world, PostgresWorld):
        with lab.world.store.session() as session:
            session.run("UPDATE events SET at = at + interval '1 second'")
        return
    assert isinstance(lab.store, FakeStore)
    events = lab.store._rows.events
    for id, each in events.items():
        assert each.at is not None
        events[id] = type(each)(**{**vars(each), "at": each.at + timedelta(seconds=1)})
