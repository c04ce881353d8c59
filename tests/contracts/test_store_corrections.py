"""What was said later of a result: corrections, and what became of those that could not be used."""

from __future__ import annotations

from store_world import Filler, World

from labqueue.states import State, Verdict
from models.domain import records as r


def held(fill: Filler, world: World, experiment: r.Experiment, state: State) -> r.Result:
    """A held result whose event says that the experiment then was in `state`."""
    with world.store.begin() as tx:
        result = tx.results.add([fill.result(experiment, verdict=Verdict.HELD, outputs={})])[0]
        tx.events.add(
            [
                r.Event(
                    "experiment.result",
                    "anna",
                    campaign_id=experiment.campaign_id,
                    experiment_id=experiment.id,
                    data={"state": str(state)},
                    result_seq=result.seq,
                )
            ]
        )
    return result


def number(world: World) -> None:
    with world.store.begin() as tx:
        tx.events.number()


def test_amendments_and_withdrawals_are_found_by_their_experiments(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        one, two, other = fill.staged(tx, fill.campaign(tx), 3)
        first, second, third = (fill.accept(tx, each, {"yield": 0.5}) for each in (one, two, other))
        words = tx.results.add(
            [
                fill.result(two, kind="amend", amends=second.id),
                fill.result(one, kind="withdraw", amends=first.id, outputs={}),
                fill.result(other, kind="amend", amends=third.id),
            ]
        )
        tx.results.add([fill.result(one, verdict=Verdict.REPLICATE)])
    with world.store.begin() as tx:
        assert tx.results.later([one.id, two.id]) == words[:2]
        assert tx.results.later([]) == []


def test_readings_that_were_replaced_are_found_by_the_results_that_they_came_with(
    world: World, fill: Filler
) -> None:
    with world.store.begin() as tx:
        one = fill.staged(tx, fill.campaign(tx))[0]
        first = fill.accept(tx, one, {"yield": 0.5, "purity": 0.9})
        amended = tx.results.add([fill.result(one, kind="amend", amends=first.id)])[0]
        tx.results.retire_readings(one.id, ["yield"], amended.seq)
        tx.results.add_readings([r.Reading(one.id, "yield", 0.6, None, amended.seq, True)])
    with world.store.begin() as tx:
        found = tx.results.retired([first.seq, amended.seq])
        assert found == [r.Reading(one.id, "yield", 0.5, None, first.seq, False, amended.seq)]
        assert tx.results.retired([amended.seq]) == tx.results.retired([]) == []


def test_held_results_wait_where_no_experiment_was_held_for_them(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign, other = fill.campaign(tx), fill.campaign(tx, "other")
        done, waiting = fill.staged(tx, campaign, 2)
        strange = fill.staged(tx, other)[0]
        nowhere = tx.results.add([fill.result(done, experiment_id=None, verdict=Verdict.HELD)])[0]
    late = held(fill, world, done, State.COMPLETED)
    held(fill, world, waiting, State.HELD)
    elsewhere = held(fill, world, strange, State.CANCELLED)
    with world.store.begin() as tx:
        assert tx.results.waiting([campaign.id], 9) == [nowhere], "the others are not announced yet"
    number(world)
    with world.store.begin() as tx:
        assert tx.results.waiting([campaign.id], 9) == [late, nowhere]
        assert tx.results.waiting([campaign.id], 1) == [late]
        assert tx.results.waiting([campaign.id, other.id], 9) == [elsewhere, late, nowhere]
        assert tx.results.waiting([], 9) == []
        tx.results.add([fill.result(strange, kind="withdraw", amends=elsewhere.id, outputs={})])
        assert tx.results.waiting([other.id], 9) == []


def test_what_was_of_no_use_is_dismissed_by_its_id_or_with_its_experiment(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        done, waiting = fill.staged(tx, campaign, 2)
    first, second = held(fill, world, done, State.COMPLETED), held(fill, world, done, State.COMPLETED)
    decided = held(fill, world, waiting, State.HELD)
    number(world)
    with world.store.begin() as tx:
        refused = tx.results.add([fill.result(done, id=first.id, verdict=Verdict.REFUSED)])[0]
        good = fill.accept(tx, done, {"yield": 0.5})
        assert tx.results.unusable(first.id) == [
            tx.results.get([first.id])[0],
            refused,
        ]
        assert tx.results.unusable(good.id) == []
        assert not tx.results.dismissed(done.id)
        assert (tx.results.dismiss(id=decided.id), tx.results.dismiss(id=good.id)) == (0, 0)
        assert (tx.results.dismiss(id=first.id), tx.results.dismiss(id=first.id)) == (2, 0)
        assert tx.results.dismissed(done.id) and not tx.results.dismissed(waiting.id)
        assert [each.id for each in tx.results.waiting([campaign.id], 9)] == [second.id]
        assert tx.results.dismiss(experiment_id=waiting.id) == 0
        assert tx.results.dismiss(experiment_id=done.id) == 1
        assert tx.results.waiting([campaign.id], 9) == []
