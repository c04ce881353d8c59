"""Where results stand: what was corrected or withdrawn is told from what counts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flow_lab import PERSON, Lab

from services.api.standing import Standing, standings
from services.flow import amend

BOTH = ("purity", "yield")
COUNTS = Standing("stands")


def found(lab: Lab, experiment: int = 1) -> list[Standing]:
    with lab.store.begin() as tx:
        results = tx.results.of_experiment(experiment)
        told = standings(tx, results)
    return [told[each.seq] for each in results]


def correct(lab: Lab, result: UUID, outputs: Any = None, **actual: Any) -> UUID:
    new = amend.Correction(result, lab.ids.uuid(), outputs or {}, "typo", actual)
    return amend.amend(lab.store, new, PERSON).id


def withdraw(lab: Lab, result: UUID) -> None:
    amend.withdraw(lab.store, result, lab.ids.uuid(), "wrong vial", PERSON)


def start(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()


def test_what_nobody_touched_stands_and_what_was_of_no_use_never_did(lab: Lab) -> None:
    start(lab)
    id = lab.report(1).id
    lab.report(1)
    lab.report(1, {"yield": "high"})
    lab.report(1, {"yield": 0.7}, id=id)
    assert found(lab) == [COUNTS, COUNTS, Standing(None), Standing(None)]


def test_the_values_that_were_replaced_are_named(lab: Lab) -> None:
    start(lab)
    first = lab.report(1).id
    second = correct(lab, first, {"yield": 0.6})
    assert found(lab) == [Standing("corrected", ("yield",)), COUNTS]
    correct(lab, second, {"yield": 0.65, "purity": 97.0})
    assert found(lab) == [Standing("corrected", BOTH), Standing("corrected", ("yield",)), COUNTS]


def test_a_value_is_replaced_though_another_result_was_named(lab: Lab) -> None:
    """A table that is read in corrects by the last result, whichever of them brought the value."""
    start(lab)
    lab.report(1, {"yield": 0.5}, outstanding=("purity",))
    second = lab.report(1, {"purity": 98.0}).id
    correct(lab, second, {"yield": 0.6})
    assert found(lab) == [Standing("corrected", ("yield",)), COUNTS, COUNTS]


def test_what_only_adds_a_value_replaces_none(lab: Lab) -> None:
    start(lab)
    first = lab.report(1, {"yield": 0.5}, outstanding=("purity",)).id
    correct(lab, first, {"purity": 98.0})
    assert found(lab) == [COUNTS, COUNTS]


def test_corrected_parameters_are_named(lab: Lab) -> None:
    start(lab)
    first = lab.report(1, actual={"minutes": 5, "temperature": 50.5}).id
    second = correct(lab, first, minutes=6)
    assert found(lab) == [Standing("corrected", ("minutes",)), COUNTS]
    withdraw(lab, second)
    assert [each.word for each in found(lab)] == ["stands", "withdrawn", "stands"]


def test_a_withdrawn_result_counts_no_longer_and_what_corrected_it_does(lab: Lab) -> None:
    start(lab)
    first = lab.report(1).id
    correct(lab, first, {"yield": 0.6})
    withdraw(lab, first)
    assert found(lab) == [Standing("withdrawn", BOTH), COUNTS, COUNTS]


def test_a_withdrawn_correction_does_not_bring_the_old_value_back(lab: Lab) -> None:
    start(lab)
    second = correct(lab, lab.report(1).id, {"yield": 0.6})
    withdraw(lab, second)
    assert found(lab) == [Standing("corrected", ("yield",)), Standing("withdrawn", ("yield",)), COUNTS]
    assert "yield" not in lab.values(1)


def test_a_corrected_replicate_is_replaced_and_so_is_the_value_that_it_repeated(lab: Lab) -> None:
    start(lab)
    lab.report(1)
    again = lab.report(1).id
    correct(lab, again, {"yield": 0.6})
    assert found(lab) == [Standing("corrected", ("yield",)), Standing("corrected", BOTH), COUNTS]


def test_a_value_replaces_what_said_that_there_is_none(lab: Lab) -> None:
    start(lab)
    first = lab.report(1, {}, outcome="infeasible").id
    correct(lab, first, {"yield": 0.6, "purity": 98.0})
    assert found(lab) == [Standing("corrected"), COUNTS]


def test_a_held_result_that_was_corrected_says_so(lab: Lab) -> None:
    start(lab)
    first = lab.report(1, {"yeild": 0.5}).id
    correct(lab, first, {"yield": 0.5, "purity": 98.0})
    assert found(lab) == [Standing("corrected"), COUNTS]
