"""import: a person's table becomes results, corrections and runs elsewhere; read twice it says nothing new."""

from __future__ import annotations

from typing import Any

import pytest
from flow_lab import PERSON, PROBLEM, Lab, point

from labqueue.errors import InvalidError, NotFoundError, TooLargeError
from labqueue.states import State
from services.flow import amend, importing, steer

HEAD = "temperature,minutes,solvent,yield,purity\n"


def load(lab: Lab, text: str | bytes, *, dry: bool = False, name: str = "runs.csv") -> importing.Imported:
    data = text.encode() if isinstance(text, str) else text
    found = importing.import_table(lab.store, lab.ids, "snar", data, name, PERSON, dry=dry)
    lab.number()
    return found


def row(number: int, outputs: str = "0.5,98", **other: Any) -> str:
    return ",".join(map(str, {**point(number), **other}.values())) + f",{outputs}\n"


def said(found: importing.Imported) -> list[tuple[str, int | None]]:
    return [(each.verdict, each.id) for each in found.rows]


def test_every_kind_of_row_and_the_same_table_again(lab: Lab) -> None:
    lab.campaign()
    lab.stage([point(1), point(2), point(3)])
    lab.report(3, {"yield": 0.1, "purity": 90.0})
    lab.number()
    table = (
        HEAD
        + row(1)
        + row(2, "PENDING,")
        + row(3, "0.2,90")
        + row(4, "0.7,97.5")
        + row(5, "0.1,1", solvent="benzene")
    )
    assert said(load(lab, table, dry=True)) == [
        ("recorded", 1),
        ("pending", 2),
        ("changed", 3),
        ("new", None),
        ("refused", None),
    ]
    assert lab.states() == {State.STAGED: 2, State.COMPLETED: 1}, "a dry run changes nothing"
    assert not lab.events("campaign.imported")
    found = load(lab, table)
    assert said(found) == [("recorded", 1), ("pending", 2), ("changed", 3), ("new", 4), ("refused", None)]
    assert [each.code for each in found.rows] == ["snar-1", "snar-2", "snar-3", "snar-4", None]
    assert found.counts == {"new": 1, "recorded": 1, "changed": 1, "unchanged": 0, "pending": 1, "refused": 1}
    assert lab.values(1) == {"yield": 0.5, "purity": 98.0}
    assert lab.values(3) == {"yield": 0.2, "purity": 90.0}, "the old value stays beside it"
    assert [each.kind for each in lab.results(3)] == ["report", "amend"]
    assert (
        lab.results(3)[1].reason == "changed from runs.csv" and lab.results(1)[0].comment == "from runs.csv"
    )
    assert lab.experiment(4).planned == point(4) and lab.state(4) is State.COMPLETED
    (event,) = lab.events("campaign.imported")
    assert event.actor == PERSON and event.data["file"] == "runs.csv" and len(event.data["sha256"]) == 64
    training = lab.training()
    again = load(lab, table)
    assert said(again) == [
        ("unchanged", 1),
        ("pending", 2),
        ("unchanged", 3),
        ("unchanged", 4),
        ("refused", None),
    ]
    assert lab.training() == training and len(lab.events("campaign.imported")) == 1
    assert [len(lab.results(number)) for number in (1, 2, 3, 4)] == [1, 0, 2, 1]


def test_a_row_outside_of_what_may_be_planned_is_new_and_says_so(lab: Lab) -> None:
    rule = {"coefficients": {"temperature": 1, "minutes": 1}, "operator": "<=", "bound": 125}
    lab.campaign(problem={**PROBLEM, "constraints": [rule]})
    table = HEAD + row(1) + row(2, temperature=100, minutes=30) + row(3, temperature=140.5)
    for dry in (True, False):
        found = load(lab, table, dry=dry)
        assert [each.verdict for each in found.rows] == ["new", "new", "new"]
        messages = [each.message for each in found.rows]
        assert not messages[0] and "125" in messages[1] and "temperature is outside" in messages[2]
    assert [each.parameters["temperature"] for each in lab.training()] == [21.0, 100.0, 140.5]
    assert [each.verdict for each in load(lab, table).rows] == ["unchanged"] * 3


def test_an_output_that_is_blank_is_outstanding_and_comes_with_the_next_table(lab: Lab) -> None:
    lab.campaign()
    lab.stage([point(1)])
    load(lab, HEAD + row(1, "0.5,"))
    assert lab.state(1) is State.PARTIAL and lab.values(1) == {"yield": 0.5}
    assert said(load(lab, HEAD + row(1, "0.5,97"))) == [("recorded", 1)]
    assert lab.state(1) is State.COMPLETED and lab.values(1) == {"yield": 0.5, "purity": 97.0}


def test_what_was_really_run_is_kept_beside_what_was_planned_and_can_be_corrected(lab: Lab) -> None:
    lab.campaign()
    lab.stage([point(1)])
    head = "code," + HEAD
    found = load(lab, head + "snar-1," + row(1, temperature=140.5))
    assert found.rows[0].actual == {"temperature": 140.5}
    assert lab.training()[0].parameters == {**point(1), "temperature": 140.5}
    assert lab.experiment(1).planned == point(1)
    assert said(load(lab, head + "snar-1," + row(1, temperature=140.5))) == [("unchanged", 1)]
    assert said(load(lab, head + "snar-1," + row(1, temperature=141.0))) == [("changed", 1)]
    assert lab.training()[0].parameters["temperature"] == 141.0
    assert [each.actual for each in lab.results(1)] == [{"temperature": 140.5}, {"temperature": 141.0}]


def test_a_correction_of_parameters_alone_leaves_the_values(lab: Lab) -> None:
    lab.campaign()
    lab.stage([point(1)])
    first = lab.report(1)
    given = amend.Correction(first.id, lab.ids.uuid(), {}, "the oven was off by one", {"minutes": 3})
    assert amend.amend(lab.store, given, PERSON).verdict == "accepted"
    assert amend.amend(lab.store, given, PERSON).verdict == "duplicate"
    lab.number()
    (known,) = lab.training()
    assert known.parameters["minutes"] == 3 and known.outputs == lab.values(1)
    wrong = amend.Correction(first.id, lab.ids.uuid(), {}, "typo", {"minutes": "long"})
    with pytest.raises(InvalidError) as caught:
        amend.amend(lab.store, wrong, PERSON)
    assert [each.field for each in caught.value.errors] == ["actual.minutes"]


def test_a_result_from_a_table_ends_the_run_of_a_robot_as_any_other_does(lab: Lab) -> None:
    lab.campaign()
    lab.stage([point(1)])
    held = lab.hold()
    assert said(load(lab, HEAD + row(1))) == [("recorded", 1)]
    assert lab.state(1) is State.COMPLETED and lab.beat(held.lease).state != "live"
    assert lab.complete(held, {"yield": 0.6, "purity": 97.0}).verdict == "replicate"


def test_tables_are_taken_by_campaigns_that_take_nothing_else(lab: Lab) -> None:
    lab.campaign()
    lab.stage([point(1)])
    steer.finish_campaign(lab.store, "snar", "", PERSON)
    assert said(load(lab, HEAD + row(1) + row(2))) == [("recorded", 1), ("new", 2)]


def test_a_table_that_cannot_be_used_changes_nothing(lab: Lab) -> None:
    lab.campaign()
    with pytest.raises(InvalidError, match="columns"):
        load(lab, "temperature,yield\n40,1\n")
    with pytest.raises(TooLargeError):
        load(lab, b"x" * (importing.FILE_LIMIT + 1))
    with pytest.raises(NotFoundError):
        importing.import_table(lab.store, lab.ids, "nix", b"a\n1\n", "", PERSON, dry=True)
    lab.campaign("opaque", problem={"opaque": True, "outputs": PROBLEM["outputs"]})
    with pytest.raises(InvalidError) as caught:
        importing.import_table(lab.store, lab.ids, "opaque", b"yield\n1\n", "", PERSON, dry=True)
    assert [each.field for each in caught.value.errors] == ["campaign"]
    assert lab.states() == {}


def test_the_same_point_many_times_over(lab: Lab) -> None:
    lab.campaign()
    table = HEAD + row(1, "0.5,98") + row(1, "0.6,98") + row(1, "0.5,98")
    assert [verdict for verdict, _ in said(load(lab, table))] == ["new", "new", "new"]
    assert [verdict for verdict, _ in said(load(lab, table))] == ["unchanged"] * 3
    shuffled = HEAD + row(1, "0.6,98") + row(1, "0.5,98") + row(1, "0.5,98") + row(1, "0.8,98")
    assert [verdict for verdict, _ in said(load(lab, shuffled))] == [*["unchanged"] * 3, "new"]
