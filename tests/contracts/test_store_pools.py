"""Pools and their rows, on the fake and on Postgres."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store_world import Filler, World

from labqueue.errors import ConflictError
from labqueue.states import Outcome, State
from models.domain import records as r
from services.ports import PoolRow, Transaction

COLUMNS = [
    {"name": "mass", "kind": "number", "low": 0.0, "high": 1.5, "mean": 0.5, "sd": 0.5},
    {"name": "solvent", "kind": "category", "categories": ["water", 'e"th,an\\ol']},
]
ROWS = [
    [PoolRow(0, "a", (0.1, "water")), PoolRow(1, "b", (1 / 3, 'e"th,an\\ol'))],
    [PoolRow(2, "\u00e4 {NULL}", (1.5, "water"))],
]


def pool(tx: Transaction, name: str = "library", sha256: str = "ab" * 32) -> r.Pool:
    tx.artifacts.add(r.Artifact(sha256, 100, "application/octet-stream", "anna"))
    return r.Pool(0, name, 0, sha256, 100, 3, COLUMNS, "anna")


def test_a_name_gets_versions_and_a_file_keeps_its_rows(world: World) -> None:
    with world.store.begin() as tx:
        first = tx.pools.add(pool(tx), ROWS)
        second = tx.pools.add(pool(tx, sha256="cd" * 32), [[PoolRow(0, "z", None)]])
        other = tx.pools.add(pool(tx, "again"), _never())
    with world.store.begin() as tx:
        assert (first.version, second.version, other.version) == (1, 2, 1)
        assert first.id and first.created_at is not None
        assert tx.pools.newest("library") == second and tx.pools.versions("library") == [first, second]
        assert tx.pools.newest("nothing") is None and tx.pools.versions("no\0name") == []
        assert tx.pools.of_file("ab" * 32) == first and tx.pools.of_file("ef" * 32) is None
        assert tx.pools.all() == [other, second]
        assert tx.pools.find("ab" * 32, ["b", "z", "\u00e4 {NULL}", "no\0row"]) == {
            each.key: each for each in (ROWS[0][1], ROWS[1][0])
        }
        assert tx.pools.find("cd" * 32, ["z", "a"]) == {"z": PoolRow(0, "z", None)}
        assert tx.pools.find("ef" * 32, ["z"]) == {}


def _never() -> list[list[PoolRow]]:
    class Unread(list[list[PoolRow]]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            raise AssertionError("the rows of this file are known")

    return Unread()


def test_an_id_that_is_there_twice_leaves_nothing(world: World) -> None:
    with pytest.raises(ConflictError), world.store.begin() as tx:
        tx.pools.add(pool(tx), [*ROWS, [PoolRow(3, "a", None)]])
    with world.store.begin() as tx:
        assert tx.pools.all() == [] and tx.pools.find("ab" * 32, ["a"]) == {}


def test_which_rows_a_campaign_took_and_which_it_ran_in_vain(world: World, fill: Filler) -> None:
    states = {
        "staged": (State.STAGED, None),
        "leased": (State.LEASED, None),
        "done": (State.COMPLETED, Outcome.MEASURED),
        "odd": (State.COMPLETED, Outcome.SUSPECT),
        "broken": (State.FAILED, None),
        "away": (State.CANCELLED, None),
        "late": (State.EXPIRED, None),
        "old": (State.SUPERSEDED, None),
    }
    with world.store.begin() as tx:
        mine, other = fill.campaign(tx), fill.campaign(tx, "other")
        for key, (state, outcome) in states.items():
            made = tx.experiments.add([fill.experiment(mine, row=key)])
            tx.experiments.save([replace(each, state=state, outcome=outcome) for each in made])
        tx.experiments.add([fill.experiment(other, row="away"), fill.experiment(mine, row=None)])
    with world.store.begin() as tx:
        asked = [*states, "never", "no\0row"]
        assert tx.pools.taken(mine.id, asked) == {"staged", "leased", "done", "odd", "broken"}
        assert tx.pools.taken(mine.id, ["done"]) == {"done"}
        assert tx.pools.taken(other.id, asked) == {"away"}
        assert tx.pools.spent(mine.id) == ["broken", "odd"] and tx.pools.spent(other.id) == []
