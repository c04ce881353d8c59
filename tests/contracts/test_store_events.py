"""Events get gapless numbers; the outbox keeps what is to be published."""

from __future__ import annotations

from dataclasses import replace

from store_world import Filler, World

from models.domain import records as r


def test_events_are_numbered_in_order_and_kept_whole(world: World, fill: Filler) -> None:
    event = r.Event(
        "experiment.claimed",
        "adapter:hplc-2",
        campaign_id=1,
        experiment_id=2,
        attempt=fill.uuid(),
        queue="flow",
        instrument="hplc-2",
        data={"code": "snar-1", "n": [1, None]},
    )
    with world.store.begin() as tx:
        tx.events.add([event, replace(event, type="second")])
        tx.events.add([replace(event, type="third", experiment_id=3, campaign_id=None)])
        tx.events.add([])
    with world.store.begin() as tx:
        assert tx.events.after(0, 10) == []
        assert tx.events.last() == 0
        numbered = tx.events.number()
    assert [(each.number, each.type) for each in numbered] == [
        (1, "experiment.claimed"),
        (2, "second"),
        (3, "third"),
    ]
    assert numbered[0] == replace(event, number=1, at=numbered[0].at)
    assert numbered[0].at is not None
    with world.store.begin() as tx:
        assert tx.events.number() == []
        assert tx.events.last() == 3
        assert tx.events.after(0, 10) == numbered
        assert tx.events.after(1, 1) == numbered[1:2]
        assert tx.events.after(0, 10, campaign_id=1) == numbered[:2]
        assert tx.events.after(0, 10, experiment_id=3) == numbered[2:]
        assert tx.events.after(0, 10, campaign_id=1, experiment_id=3) == []


def test_numbering_goes_on_where_it_stopped(world: World) -> None:
    with world.store.begin() as tx:
        tx.events.add([r.Event(f"e{place}", "anna") for place in range(5)])
    for expected in ([1, 2], [3, 4], [5], []):
        with world.store.begin() as tx:
            assert [each.number for each in tx.events.number(2)] == expected


def test_an_undone_numbering_leaves_no_gap(world: World) -> None:
    with world.store.begin() as tx:
        tx.events.add([r.Event("e", "anna")])
    try:
        with world.store.begin() as tx:
            tx.events.number()
            raise KeyError
    except KeyError:
        pass
    with world.store.begin() as tx:
        assert [each.number for each in tx.events.number()] == [1]


def test_numbers_become_data_revisions_and_counts(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        one, two = fill.campaign(tx, "one"), fill.campaign(tx, "two")
        tx.events.add(
            [
                r.Event("quiet", "anna", campaign_id=two.id),
                r.Event("taught", "anna", campaign_id=one.id, teaches=True, accepts=1),
                r.Event("taught", "anna", campaign_id=one.id, teaches=True, accepts=2),
                r.Event("counted", "anna", campaign_id=one.id, accepts=1),
                r.Event("elsewhere", "anna"),
            ]
        )
        tx.events.number()
    with world.store.begin() as tx:
        first, second = tx.campaigns.get("one"), tx.campaigns.get("two")
        assert first is not None and (first.data_revision, first.accepted) == (3, 4)
        assert second is not None and (second.data_revision, second.accepted) == (0, 0)
        tx.events.add([r.Event("withdrawn", "anna", campaign_id=one.id, teaches=True, accepts=-1)])
        tx.events.number()
    with world.store.begin() as tx:
        first = tx.campaigns.get("one")
        assert first is not None and (first.data_revision, first.accepted) == (6, 3)


def test_the_outbox_gives_entries_in_order_until_they_are_done(world: World) -> None:
    with world.store.begin() as tx:
        tx.outbox.add([r.Published("flow", "batch", {"n": 1}), r.Published("cfd", "withdrawn", {"n": 2})])
        tx.outbox.add([r.Published("flow", "batch", {"n": 3})])
        tx.outbox.add([])
    with world.store.begin() as tx:
        taken = tx.outbox.take(10)
        assert [(each.queue, each.kind, each.body) for each in taken] == [
            ("flow", "batch", {"n": 1}),
            ("cfd", "withdrawn", {"n": 2}),
            ("flow", "batch", {"n": 3}),
        ]
        assert tx.outbox.take(1) == taken[:1]
        tx.outbox.done([taken[0].id, taken[1].id])
        assert tx.outbox.take(10) == taken[2:]
    with world.store.begin() as tx:
        assert tx.outbox.take(10) == taken[2:]


def test_what_a_queue_holds_is_announced_again_in_its_stored_order(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign, other = fill.campaign(tx), fill.campaign(tx, "other")
        late = fill.staged(tx, campaign, 300, tag=5.0)
        early = fill.staged(tx, other, 300, tag=1.0)
        urgent = fill.staged(tx, campaign, 1, priority=1)
        fill.staged(tx, campaign, 1, ready=False)
    with world.store.begin() as tx:
        assert tx.outbox.restage("flow") == 601
        assert tx.outbox.restage("nothing") == 0
    with world.store.begin() as tx:
        entries = tx.outbox.take(10)
    assert [(each.queue, each.kind) for each in entries] == [("flow", "batch")] * 2
    listed = [each for entry in entries for each in entry.body["experiments"]]
    assert [each["id"] for each in listed] == [each.id for each in [*urgent, *early, *late]]
    assert [len(entry.body["experiments"]) for entry in entries] == [500, 101]
    assert set(entries[0].body) == {"batch", "campaign", "model_version", "data_revision", "experiments"}
    assert listed[1] == {
        "id": early[0].id,
        "code": early[0].code,
        "campaign": "other",
        "priority": 0,
        "parameters": {"tau": 0.5},
    }


def test_each_queue_knows_the_epoch_it_was_filled_in(world: World) -> None:
    with world.store.begin() as tx:
        assert tx.outbox.epochs() == {}
        tx.outbox.set_epoch("flow", "a")
        tx.outbox.set_epoch("cfd", "a")
        tx.outbox.set_epoch("flow", "b")
    with world.store.begin() as tx:
        assert tx.outbox.epochs() == {"flow": "b", "cfd": "a"}
