"""Results, the current value of each output, and what training may use."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store_world import Filler, World

from labqueue.errors import ConflictError
from labqueue.states import Outcome, State, Verdict
from models.domain import records as r


def _number(world: World) -> int:
    with world.store.begin() as tx:
        tx.events.number()
    with world.store.begin() as tx:
        return tx.events.last()


def test_a_result_is_kept_as_it_came(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        experiment = fill.staged(tx, fill.campaign(tx))[0]
        full = fill.result(
            experiment,
            attempt=fill.uuid(),
            kind="amend",
            verdict=Verdict.REPLICATE,
            outcome=Outcome.INFEASIBLE,
            outputs={"yield": 0.25, "purity": 1e-12},
            extra={"colour": 3},
            noise={"yield": 0.5},
            actual={"tau": 0.75, "solvent": "THF"},
            outstanding=("purity",),
            artifacts=[{"name": "scan.csv", "sha256": "0" * 64}],
            comment="ok \u2713",
            reason="typo",
            body={"raw": [None, "x"]},
            amends=fill.uuid(),
            measured_at="2026-11-01T08:00:00+02:00",
        )
        nowhere = fill.result(experiment, experiment_id=None, campaign_id=None, verdict=Verdict.REFUSED)
        added = tx.results.add([full, nowhere])
        assert tx.results.add([]) == []
    assert added[0].seq < added[1].seq
    assert added[0] == replace(full, seq=added[0].seq, received_at=added[0].received_at)
    assert added[0].received_at is not None
    with world.store.begin() as tx:
        alone = tx.results.add([fill.result(experiment)])[0]
        assert alone.seq > added[1].seq
        assert tx.results.get([full.id, nowhere.id, fill.uuid()]) == [added[0]]
        assert tx.results.of_experiment(experiment.id) == [added[0], alone]


def test_a_result_id_is_recorded_once_but_refused_ones_are_all_kept(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        experiment = fill.staged(tx, fill.campaign(tx))[0]
        first = tx.results.add([fill.result(experiment)])[0]
        refused = replace(first, verdict=Verdict.REFUSED, body_hash="other")
        tx.results.add([refused])
        tx.results.add([refused])
    with world.store.begin() as tx:
        assert tx.results.get([first.id]) == [first]
        assert len(tx.results.of_experiment(experiment.id)) == 3
    with pytest.raises(ConflictError), world.store.begin() as tx:
        tx.results.add([replace(first, body_hash="other")])


def test_an_output_has_one_current_value(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        experiment = fill.staged(tx, fill.campaign(tx))[0]
        result = tx.results.add([fill.result(experiment)])[0]
        current = r.Reading(experiment.id, "yield", 0.1, 0.01, result.seq, True)
        purity = r.Reading(experiment.id, "purity", 0.9, None, result.seq, True)
        tx.results.add_readings([current, purity, replace(current, value=0.2, current=False)])
        tx.results.add_readings([])
    with world.store.begin() as tx:
        assert tx.results.readings([experiment.id, 999]) == [purity, current]
        assert tx.results.readings([]) == []
    with pytest.raises(ConflictError), world.store.begin() as tx:
        tx.results.add_readings([replace(current, value=0.3)])
    with world.store.begin() as tx:
        amended = tx.results.add([fill.result(experiment, kind="amend")])[0]
        tx.results.retire_readings(experiment.id, ["yield", "unknown"], amended.seq)
        new = r.Reading(experiment.id, "yield", 0.3, None, amended.seq, True)
        tx.results.add_readings([new])
    with world.store.begin() as tx:
        assert tx.results.readings([experiment.id]) == [purity, new]


def test_training_sees_results_as_of_a_revision(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        first, second = fill.staged(tx, campaign, 2)
        fill.accept(tx, second, {"yield": 0.5})
    early = _number(world)
    with world.store.begin() as tx:
        fill.accept(tx, first, {"yield": 0.25, "purity": 2.0}, actual={"tau": 0.75})
        assert [row.experiment_id for row in tx.results.training(campaign.id, 10**9)] == [second.id]
    late = _number(world)
    with world.store.begin() as tx:
        assert tx.results.training(campaign.id, 0) == []
        tau = {"tau": 0.5}
        old = r.TrainingRow(second.id, tau, tau, {"yield": 0.5}, {}, Outcome.MEASURED, early)
        assert tx.results.training(campaign.id, early) == [old]
        new = r.TrainingRow(
            first.id, tau, {"tau": 0.75}, {"yield": 0.25, "purity": 2.0}, {}, Outcome.MEASURED, late
        )
        assert tx.results.training(campaign.id, late) == [new, old]
        assert tx.results.training(campaign.id + 1, late) == []


def test_training_takes_infeasible_ones_without_outputs_and_leaves_out_the_rest(
    world: World, fill: Filler
) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        infeasible, suspect, replicate, held, _staged = fill.staged(tx, campaign, 5)
        fill.accept(tx, infeasible, {}, outcome=Outcome.INFEASIBLE)
        fill.accept(tx, suspect, {"yield": 0.5}, outcome=Outcome.SUSPECT)
        fill.accept(tx, held, {}, verdict=Verdict.HELD)
        fill.accept(tx, replicate, {"yield": 0.5})
        again = tx.results.add([fill.result(replicate, verdict=Verdict.REPLICATE, actual={"tau": 9.0})])[0]
        tx.results.add_readings([r.Reading(replicate.id, "yield", 0.75, 0.25, again.seq, False)])
        tx.events.add([fill.taught(replicate, again.seq, accepts=0)])
    revision = _number(world)
    with world.store.begin() as tx:
        rows = tx.results.training(campaign.id, revision)
    assert [(row.experiment_id, row.outcome, row.outputs) for row in rows] == [
        (infeasible.id, Outcome.INFEASIBLE, {}),
        (replicate.id, Outcome.MEASURED, {"yield": 0.5}),
    ]
    assert rows[1].parameters == {"tau": 0.5}


def test_training_repeats_what_was_true_before_an_amendment_and_a_withdrawal(
    world: World, fill: Filler
) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        experiment, other = fill.staged(tx, campaign, 2)
        fill.accept(tx, experiment, {"yield": 0.25, "purity": 0.5})
        wrong = fill.accept(tx, other, {}, outcome=Outcome.INFEASIBLE)
    measured = _number(world)
    with world.store.begin() as tx:
        amended = tx.results.add([fill.result(experiment, kind="amend", actual={"tau": 0.7})])[0]
        tx.results.retire_readings(experiment.id, ["yield"], amended.seq)
        tx.results.add_readings([r.Reading(experiment.id, "yield", 0.75, 0.125, amended.seq, True)])
        tx.events.add([fill.taught(experiment, amended.seq, accepts=0)])
    corrected = _number(world)
    with world.store.begin() as tx:
        gone = tx.results.add([fill.result(experiment, kind="withdraw", outputs={}, actual={"tau": 3.0})])[0]
        tx.results.retire_readings(experiment.id, ["yield"], gone.seq)
        tx.results.retire(amended.id, gone.seq)
        tx.events.add([fill.taught(experiment, gone.seq, accepts=-1)])
        none = tx.results.add([fill.result(other, kind="withdraw", outputs={})])[0]
        tx.results.retire(wrong.id, none.seq)
        tx.events.add([fill.taught(other, none.seq, accepts=-1)])
    withdrawn = _number(world)

    def seen(revision: int) -> dict[int, tuple[object, ...]]:
        with world.store.begin() as tx:
            rows = tx.results.training(campaign.id, revision)
        return {row.experiment_id: (row.parameters, row.outputs, row.noise) for row in rows}

    assert seen(measured) == {
        experiment.id: ({"tau": 0.5}, {"yield": 0.25, "purity": 0.5}, {}),
        other.id: ({"tau": 0.5}, {}, {}),
    }
    assert seen(corrected)[experiment.id] == (
        {"tau": 0.7},
        {"yield": 0.75, "purity": 0.5},
        {"yield": 0.125},
    )
    assert seen(withdrawn) == {experiment.id: ({"tau": 0.5}, {"purity": 0.5}, {})}
    assert seen(measured)[experiment.id][1] == {"yield": 0.25, "purity": 0.5}


def test_numbers_and_text_come_back_exactly(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        experiment = fill.staged(tx, campaign, 1, planned={"tau": 0.1 + 0.2, "tiny": 5e-324, "n": 2.0})[0]
        outputs = {"yield": 0.1 + 0.7, "big": 1.7976931348623157e308, "whole": 3.0}
        fill.accept(tx, experiment, outputs)
    revision = _number(world)
    with world.store.begin() as tx:
        row = tx.results.training(campaign.id, revision)[0]
    assert row.outputs == outputs
    assert all(type(value) is float for value in row.outputs.values())
    assert row.parameters == {"tau": 0.1 + 0.2, "tiny": 5e-324, "n": 2.0}


def test_further_values_of_an_output_are_replicates_while_their_results_stand(
    world: World, fill: Filler
) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        experiment, other = fill.staged(tx, campaign, 2)
        fill.accept(tx, experiment, {"yield": 0.5})
        fill.accept(tx, other, {"yield": 0.25})
    first = _number(world)
    with world.store.begin() as tx:
        again = tx.results.add([fill.result(experiment, verdict=Verdict.REPLICATE)])[0]
        doubted = tx.results.add(
            [fill.result(experiment, verdict=Verdict.REPLICATE, outcome=Outcome.SUSPECT)]
        )[0]
        tx.results.add_readings(
            [
                r.Reading(experiment.id, "yield", 0.75, None, again.seq, False),
                r.Reading(experiment.id, "purity", 1.0, None, again.seq, False),
                r.Reading(experiment.id, "yield", 9.0, None, doubted.seq, False),
            ]
        )
        tx.events.add([fill.taught(experiment, each.seq, accepts=0) for each in (again, doubted)])
        assert tx.results.training(campaign.id, 10**9)[0].replicates == {}, "not numbered yet"
    second = _number(world)
    with world.store.begin() as tx:
        gone = tx.results.add([fill.result(experiment, kind="withdraw", outputs={})])[0]
        tx.results.retire(again.id, gone.seq)
        tx.events.add([fill.taught(experiment, gone.seq, accepts=0)])
    third = _number(world)

    with world.store.begin() as tx:
        seen = [
            [row.replicates for row in tx.results.training(campaign.id, revision)]
            for revision in (first, second, third)
        ]
    assert seen == [[{}, {}], [{"yield": (0.75,)}, {}], [{}, {}]]


def test_what_was_ever_reported_and_measured(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign, other = fill.campaign(tx), fill.campaign(tx, "other")
        experiment, second = fill.staged(tx, campaign, 2)
        fill.accept(tx, fill.staged(tx, other)[0], {"cost": 1.0}, actual={"tau": 9.0})
        fill.accept(tx, experiment, {"yield": 0.5}, actual={"tau": 0.7})
        held = fill.result(second, verdict=Verdict.HELD, actual={"solvent": "THF"})
        amended = tx.results.add([held, fill.result(experiment, kind="amend")])[1]
        tx.results.retire_readings(experiment.id, ["yield"], amended.seq)
    with world.store.begin() as tx:
        assert tx.results.reported(campaign.id) == [{"tau": 0.7}, {"solvent": "THF"}]
        assert tx.results.measured(campaign.id) == ["yield"]
        assert (tx.results.reported(0), tx.results.measured(0)) == ([], [])


def test_what_parameters_really_were_is_what_the_latest_standing_results_say(
    world: World, fill: Filler
) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        first, second, third = fill.staged(tx, campaign, 3)
        fill.accept(tx, first, {"yield": 0.5}, actual={"tau": 0.7, "solvent": "THF"})
        withdrawn = fill.result(second, actual={"tau": 9.0})
        tx.results.add([withdrawn, fill.result(first, kind="amend", actual={"tau": 0.8})])
        tx.results.retire(withdrawn.id, tx.results.add([fill.result(second, kind="withdraw")])[0].seq)
        tx.results.add([fill.result(third, verdict=Verdict.HELD, actual={"tau": 1.0}), fill.result(third)])
    with world.store.begin() as tx:
        found = tx.results.actual([first.id, second.id, third.id])
        assert found == {first.id: {"tau": 0.8, "solvent": "THF"}}
        assert tx.results.actual([]) == {}


def test_what_was_reported_of_a_run_without_a_measurement_is_no_part_of_one(
    world: World, fill: Filler
) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        both, alone = fill.staged(tx, campaign, 2)
        for each in (both, alone):
            fill.accept(tx, each, {}, outcome=Outcome.INFEASIBLE, actual={"tau": 9.0})
        fill.accept(tx, both, {"yield": 0.5})
        tx.experiments.save([replace(each, state=State.COMPLETED) for each in (both, alone)])
    revision = _number(world)
    with world.store.begin() as tx:
        rows = tx.results.training(campaign.id, revision)
        assert [row.parameters["tau"] for row in rows] == [both.planned["tau"], 9.0]
        assert tx.results.actual([both.id, alone.id]) == {alone.id: {"tau": 9.0}}
        assert [each.actual for each in tx.results.findings(campaign.id)] == [{}, {"tau": 9.0}]


def test_findings_are_what_stands_of_what_has_run(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        staged = fill.staged(tx, campaign, 4, reason="qEI")
        elsewhere = tx.experiments.add([fill.experiment(campaign)])[0]
        strange = fill.staged(tx, fill.campaign(tx, "other", queue="flow"))[0]
        done = [staged[1], staged[0], elsewhere, strange]
        for place, each in enumerate(done):
            fill.accept(
                tx,
                each,
                {"yield": 0.5 + place},
                actual={"tau": 0.75},
                extra={"batch": place},
                comment="first",
            )
        late = fill.result(staged[1], outputs={"purity": 0.9}, extra={"batch": 9}, comment="later")
        seq = tx.results.add([late])[0].seq
        tx.results.add_readings([r.Reading(staged[1].id, "purity", 0.9, 0.125, seq, True)])
        tx.results.add([fill.result(staged[1], verdict=Verdict.REPLICATE, actual={"tau": 9.0})])
        # Run, but waiting for a person; not run.
        fill.accept(tx, staged[2], {"yield": 7.0})
        states = {staged[0].id: State.PARTIAL, staged[2].id: State.HELD}
        tx.experiments.save(
            [replace(each, state=states.get(each.id, State.COMPLETED)) for each in [*done, staged[2]]]
        )
    with world.store.begin() as tx:
        found = tx.results.findings(campaign.id)
        assert [each.experiment_id for each in found] == [staged[1].id, staged[0].id, elsewhere.id]
        first = found[0]
        assert first.outputs == {"yield": 0.5, "purity": 0.9} and first.noise == {"purity": 0.125}
        assert (first.actual, first.extra, first.comment) == ({"tau": 0.75}, {"batch": 9}, "first")
        assert (first.planned, first.reason, first.staged) == ({"tau": 0.5}, "qEI", True)
        assert [each.staged for each in found] == [True, True, False] and first.at <= tx.now()
        assert tx.results.findings(campaign.id, [staged[0].id, strange.id]) == [found[1]]
        assert tx.results.findings(campaign.id, []) == []


def test_a_withdrawn_result_leaves_its_experiment_among_the_findings(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        one = fill.staged(tx, fill.campaign(tx))[0]
        result = fill.accept(tx, one, {"yield": 0.5}, actual={"tau": 0.75})
        tx.experiments.save([replace(one, state=State.COMPLETED)])
        gone = tx.results.add([fill.result(one, kind="withdraw", amends=result.id, outputs={})])[0]
        tx.results.retire_readings(one.id, ["yield"], gone.seq)
        tx.results.retire(result.id, gone.seq)
    with world.store.begin() as tx:
        found = tx.results.findings(one.campaign_id)[0]
        assert (found.experiment_id, found.seq) == (one.id, result.seq)
        assert (found.outputs, found.actual) == ({}, {})
