"""Files of campaigns, and keys of bytes that belong to none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from store_world import Filler, World

from models.domain import records as r


def file(campaign: r.Campaign, name: str, key: str, **more: object) -> r.File:
    return replace(r.File(campaign.id, name, "aa" * 32, 7, key, "person:anna"), **more)  # type: ignore[arg-type]


def test_a_file_has_another_revision_with_every_change(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        first = tx.files.put(file(campaign, "state/latest.json", "1/a"))
        assert first.before is None and first.changed_at is not None
        assert tx.files.get(campaign.id, "state/latest.json") == first
        assert tx.files.get(campaign.id, "state") is None
    with world.store.begin() as tx:
        changed = replace(first, sha256="bb" * 32, size=0, key="1/b", actor="x", before=first.revision)
        second = tx.files.put(changed)
        assert tx.files.get(campaign.id, "state/latest.json") == second
    assert second.revision > first.revision and second.created_at == first.created_at
    assert replace(second, revision=0, changed_at=None) == replace(changed, revision=0, changed_at=None)
    with world.store.begin() as tx:
        tx.files.remove(campaign.id, "state/latest.json")
        tx.files.remove(campaign.id, "state/latest.json")
        assert tx.files.get(campaign.id, "state/latest.json") is None
        again = tx.files.put(file(campaign, "state/latest.json", "1/c"))
    assert again.revision > second.revision, "a revision never comes twice"


def test_files_are_their_campaigns_own(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        one, other = fill.campaign(tx), fill.campaign(tx, "other")
        for number, name in enumerate(["b", "a/b", "a", "a.b", "B"]):
            tx.files.put(file(one, name, f"1/{number}"))
        tx.files.put(file(other, "a", "2/0"))
        assert [each.name for each in tx.files.of_campaign(one.id)] == ["B", "a", "a.b", "a/b", "b"]
        assert (tx.files.count(one.id), tx.files.count(other.id)) == (5, 1)
        tx.files.remove(one.id, "a")
        assert (tx.files.count(one.id), tx.files.count(other.id)) == (4, 1)


def test_bytes_of_no_file(world: World) -> None:
    with world.store.begin() as tx:
        tx.files.loosen(["1/a", "1/b", "1/c"])
        tx.files.loosen([])
        assert tx.files.hold("1/b") and not tx.files.hold("1/b") and not tx.files.hold("1/z")
        now = tx.now()
        assert tx.files.loose(now - timedelta(hours=1), 10) == []
        later = now + timedelta(hours=1)
        assert sorted(tx.files.loose(later, 10)) == ["1/a", "1/c"] and len(tx.files.loose(later, 1)) == 1
        tx.files.forget(["1/a", "1/z"])
        assert tx.files.loose(later, 10) == ["1/c"]


def test_what_is_undone_is_loose_as_before(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        tx.files.loosen(["1/a"])
    with pytest.raises(ValueError, match="halfway"), world.store.begin() as tx:
        assert tx.files.hold("1/a")
        tx.files.put(file(campaign, "a", "1/a"))
        raise ValueError("halfway")
    with world.store.begin() as tx:
        assert tx.files.get(campaign.id, "a") is None and tx.files.hold("1/a")
