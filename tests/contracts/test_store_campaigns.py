"""Transactions, queues, campaigns and their versions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store_world import Filler, World

from labqueue.errors import ConflictError
from labqueue.states import LostLease, State
from models.domain import records as r


def test_a_block_that_raises_undoes_everything(world: World, fill: Filler) -> None:
    with pytest.raises(KeyError), world.store.begin() as tx:
        fill.campaign(tx)
        raise KeyError("after the work")
    with world.store.begin() as tx:
        assert tx.campaigns.all() == []
        assert tx.queues.all() == []


def test_now_is_read_once_per_transaction_and_goes_on_between_them(world: World) -> None:
    with world.store.begin() as tx:
        first = tx.now()
        assert tx.now() == first
        offset = first.utcoffset()
        assert offset is not None and offset.total_seconds() == 0
    with world.store.begin() as tx:
        assert tx.now() >= first


def test_a_swallowed_conflict_cannot_pass_for_a_commit(world: World, fill: Filler) -> None:
    """The database has undone the transaction by then: a block that goes on must not end as if all were well."""
    with world.store.begin() as tx:
        fill.campaign(tx)
    with pytest.raises(ConflictError), world.store.begin() as tx:
        tx.queues.put(r.Queue("never seen"))
        try:
            fill.campaign(tx)
        except ConflictError:
            pass
    with world.store.begin() as tx:
        assert tx.queues.get("never seen") is None


def test_a_queue_is_created_and_replaced(world: World) -> None:
    queue = r.Queue("flow", 30.5, LostLease.PROBE, 5, True, "paused", "pump is leaking")
    with world.store.begin() as tx:
        assert tx.queues.get("flow") is None
        tx.queues.put(r.Queue("flow"))
        tx.queues.put(queue)
        tx.queues.put(r.Queue("cfd"))
    with world.store.begin() as tx:
        assert tx.queues.get("flow") == queue
        assert [each.name for each in tx.queues.all()] == ["cfd", "flow"]


def test_a_campaign_comes_back_as_it_was_written(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        added = fill.campaign(tx, problem={"unit": "°C", "nested": [{"low": 0.1}, None, True]})
        assert added.id > 0
        assert added.created_at is not None
    with world.store.begin() as tx:
        assert tx.campaigns.get("snar") == added
        assert tx.campaigns.by_id(added.id) == added
        assert tx.campaigns.lock("snar") == added
        assert tx.campaigns.get("other") is None
        assert tx.campaigns.by_id(added.id + 1) is None
        assert tx.campaigns.lock("other") is None


def test_a_campaign_name_is_taken_once(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        fill.campaign(tx)
    with pytest.raises(ConflictError), world.store.begin() as tx:
        fill.campaign(tx)


def test_saving_a_campaign_leaves_what_numbering_and_training_keep(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        tx.events.add([r.Event("x", "anna", campaign_id=campaign.id, teaches=True, accepts=3)])
    with world.store.begin() as tx:
        tx.events.number()
    with world.store.begin() as tx:
        changed = replace(
            campaign,
            state="paused",
            reason="lunch",
            next_number=9,
            finish_tag=4.5,
            resumed_completed=1,
            weight=2.0,
            strategy_version=2,
        )
        tx.campaigns.save(changed)
    with world.store.begin() as tx:
        saved = tx.campaigns.get("snar")
    assert saved == replace(changed, data_revision=1, accepted=3)


def test_versions_are_kept_for_ever(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        tx.campaigns.add_version(campaign.id, "strategy", 1, {"depth": 4}, "anna", "first")
        tx.campaigns.add_version(campaign.id, "strategy", 2, {"depth": 8}, "ben", "more")
        tx.campaigns.add_version(campaign.id, "problem", 1, {"low": 0.25}, "anna", "first")
    with world.store.begin() as tx:
        assert tx.campaigns.version(campaign.id, "strategy", 1) == {"depth": 4}
        assert tx.campaigns.version(campaign.id, "strategy", 2) == {"depth": 8}
        assert tx.campaigns.version(campaign.id, "problem", 1) == {"low": 0.25}
        assert tx.campaigns.version(campaign.id, "problem", 2) is None
        kept = tx.campaigns.versions(campaign.id)
        assert [(each.kind, each.number, each.actor, each.reason) for each in kept] == [
            ("strategy", 1, "anna", "first"),
            ("strategy", 2, "ben", "more"),
            ("problem", 1, "anna", "first"),
        ]
        assert kept[1].body == {"depth": 8} and kept[1].created_at is not None
        assert tx.campaigns.versions(campaign.id + 1) == []
    with pytest.raises(ConflictError), world.store.begin() as tx:
        tx.campaigns.add_version(campaign.id, "problem", 1, {}, "anna", "again")


def test_campaigns_are_listed_by_state_and_by_the_queue_they_feed(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        first = fill.campaign(tx, "a")
        paused = fill.campaign(tx, "b", state="paused", owner="ben")
        fill.campaign(tx, "c", state="finished")
        fill.campaign(tx, "d", queue="cfd")
    with world.store.begin() as tx:
        assert [each.name for each in tx.campaigns.all()] == ["a", "b", "c", "d"]
        assert [each.name for each in tx.campaigns.all(state="finished")] == ["c"]
        assert tx.campaigns.flows("flow", "anna", 60.0) == [(first, 1.0, True), (paused, 1.0, False)]
        assert tx.campaigns.flows("nothing", "anna", 60.0) == []


def test_an_owners_campaigns_want_their_part_while_they_have_something_or_had_it_lately(
    world: World, fill: Filler
) -> None:
    with world.store.begin() as tx:
        mine = {name: fill.campaign(tx, name) for name in ("waits", "runs", "ran", "empty", "paused", "late")}
        foreign = fill.campaign(tx, "foreign", owner="ben")
        for name, state in (("waits", State.STAGED), ("runs", State.LEASED), ("ran", State.COMPLETED)):
            fill.staged(tx, mine[name], 1, state=state)
        fill.staged(tx, foreign, 1)
        fill.staged(tx, mine["paused"], 1)
        tx.campaigns.save(replace(mine["paused"], state="paused"))

    def wanting(owner: str) -> set[str]:
        with world.store.begin() as tx:
            return {each.name for each, _, wants in tx.campaigns.flows("flow", owner, 100.0) if wants}

    assert wanting("anna") == {"waits", "runs", "ran", "empty", "late"}
    world.advance(101.0)
    assert wanting("anna") == {"waits", "runs"}
    with world.store.begin() as tx:
        fill.staged(tx, mine["late"], 1, state=State.CANCELLED)
    assert wanting("anna") == {"waits", "runs", "late"}
    assert wanting("ben") == {"foreign"}


def test_an_owner_is_created_with_weight_one(world: World) -> None:
    with world.store.begin() as tx:
        assert tx.campaigns.owner("anna") == 1.0
    with world.store.begin() as tx:
        assert tx.campaigns.owner("anna") == 1.0


def test_text_comes_back_as_it_was_written(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx, problem={"name": "backslash \\u0000 stays", "emoji": "\U0001f9ea"})
        odd = ('a"b\\', "with, comma", "{x}", "NULL", "", " ", "%s")
        staged = fill.staged(tx, campaign, 1, outstanding=odd, reason="100 %s of 'it'; -- \U0001f9ea")
    with world.store.begin() as tx:
        assert tx.campaigns.by_id(campaign.id) == campaign
        assert tx.experiments.get([staged[0].id]) == staged


def test_a_campaign_has_its_share_of_those_that_suggesters_fill(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        mine = fill.campaign(tx, "a", weight=1.0)
        assert tx.campaigns.share(mine.id) == 1.0
        sister = fill.campaign(tx, "b", weight=3.0)
        assert tx.campaigns.share(mine.id) == pytest.approx(0.25)
        stranger = fill.campaign(tx, "c", owner="bert", weight=9.0)
        assert tx.campaigns.share(mine.id) == pytest.approx(0.125)
        assert tx.campaigns.share(stranger.id) == pytest.approx(0.5)
        fill.campaign(tx, "elsewhere", queue="cfd", owner="cleo")
        fill.campaign(tx, "by hand", owner="dora", strategy={"method": "caller"})
        paused = fill.campaign(tx, "d", owner="emil", state="paused")
        every = [tx.campaigns.share(each.id) for each in (mine, sister, stranger)]
        assert sum(every) == pytest.approx(1.0), "of those that are kept filled"
        assert tx.campaigns.share(paused.id) == pytest.approx(1 / 3), "as if it were resumed"
