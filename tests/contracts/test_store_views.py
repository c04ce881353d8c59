"""Read-only listings of the real store."""

from __future__ import annotations

from dataclasses import replace

from store_world import Filler, PostgresWorld

from labqueue.states import State, Verdict
from models.domain import records as r


def test_experiments_come_by_pages_with_their_current_outputs(
    postgres_world: PostgresWorld, fill: Filler
) -> None:
    store = postgres_world.store
    with store.begin() as tx:
        campaign, other = fill.campaign(tx), fill.campaign(tx, "other")
        staged = fill.staged(tx, campaign, 4)
        fill.staged(tx, other, 1)
        fill.accept(tx, staged[1], {"yield": 0.5, "purity": 0.25})
        held = replace(staged[2], state=State.HELD)
        tx.experiments.save([held])
    page = store.views.experiments(campaign.id, None, 0, 2)
    assert page == [(staged[0], {}), (staged[1], {"yield": 0.5, "purity": 0.25})]
    assert store.views.experiments(campaign.id, None, staged[1].id, 10) == [(held, {}), (staged[3], {})]
    assert store.views.experiments(campaign.id, "held", 0, 10) == [(held, {})]


def test_results_come_by_pages_in_the_order_they_were_recorded(
    postgres_world: PostgresWorld, fill: Filler
) -> None:
    store = postgres_world.store
    with store.begin() as tx:
        campaign = fill.campaign(tx)
        staged = fill.staged(tx, campaign, 3)
        results = [fill.accept(tx, each, {"yield": 0.5}) for each in reversed(staged)]
    assert store.views.results(campaign.id, 0, 2) == results[:2]
    assert store.views.results(campaign.id, results[1].seq, 2) == results[2:]
    assert store.views.results(campaign.id + 1, 0, 2) == []


def test_queues_are_counted_by_what_has_not_ended(postgres_world: PostgresWorld, fill: Filler) -> None:
    store = postgres_world.store
    with store.begin() as tx:
        campaign, other = fill.campaign(tx), fill.campaign(tx, "other", queue="cfd")
        fill.staged(tx, campaign, 2)
        fill.staged(tx, campaign, 1, state=State.COMPLETED)
        fill.staged(tx, other, 1, state=State.FAILED)
    assert store.views.depths() == [("cfd", "failed", 1), ("flow", "staged", 2)]


def test_results_that_were_no_use_are_listed_until_somebody_decides(
    postgres_world: PostgresWorld, fill: Filler
) -> None:
    store = postgres_world.store
    with store.begin() as tx:
        campaign = fill.campaign(tx)
        held, decided = fill.staged(tx, campaign, 2, state=State.HELD)
        fill.accept(tx, held, {"yield": 0.5})
        kept = [
            tx.results.add([fill.result(each, verdict=verdict)])[0]
            for each, verdict in (
                (held, Verdict.HELD),
                (decided, Verdict.HELD),
                (decided, Verdict.REFUSED),
            )
        ]
        tx.experiments.save([replace(decided, state=State.COMPLETED)])

    def ids(found: list[r.Result]) -> list[int]:
        return [each.seq for each in found]

    assert ids(store.views.unusable()) == [kept[2].seq, kept[0].seq]
    assert ids(store.views.unusable(1)) == [kept[2].seq]
