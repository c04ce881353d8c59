"""Pools in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from fake_rows import Port, plain, stored

from labqueue.states import Outcome, State
from models.domain import records as r
from services.ports import PoolRow


class FakePools(Port):
    def add(self, pool: r.Pool, rows: Iterable[Sequence[PoolRow]]) -> r.Pool:
        if self.of_file(pool.sha256) is None:
            kept: dict[str, PoolRow] = {}
            for row in (row for part in rows for row in part):
                if row.key in kept:
                    raise self.rows.conflict(f"The row {row.key} is there twice.")
                shown = None if row.shown is None else tuple(plain(list(row.shown)))
                kept[row.key] = replace(row, shown=shown)
            self.rows.pool_rows[pool.sha256] = kept
        id, version = self.rows.next("pools"), len(self.versions(pool.name)) + 1
        at = pool.created_at or self.clock.now()
        self.rows.pools[id] = stored(pool, "columns", id=id, version=version, created_at=at)
        return self.rows.pools[id]

    def newest(self, name: str) -> r.Pool | None:
        found = self.versions(name)
        return found[-1] if found else None

    def of_file(self, sha256: str) -> r.Pool | None:
        return next((each for each in self.rows.pools.values() if each.sha256 == sha256), None)

    def versions(self, name: str) -> list[r.Pool]:
        return [each for each in self.rows.pools.values() if each.name == name]

    def all(self) -> list[r.Pool]:
        newest = {each.name: each for each in self.rows.pools.values()}
        return [newest[name] for name in sorted(newest)]

    def find(self, sha256: str, keys: Sequence[str]) -> dict[str, PoolRow]:
        kept = self.rows.pool_rows.get(sha256, {})
        return {key: kept[key] for key in keys if key in kept}

    def taken(self, campaign_id: int, keys: Sequence[str]) -> set[str]:
        gone = (State.CANCELLED, State.SUPERSEDED, State.EXPIRED)
        mine = [each for each in self.rows.experiments.values() if each.campaign_id == campaign_id]
        return {each.row for each in mine if each.row in keys and each.row and each.state not in gone}

    def spent(self, campaign_id: int) -> list[str]:
        return sorted(
            {
                each.row
                for each in self.rows.experiments.values()
                if each.campaign_id == campaign_id
                and each.row is not None
                and (
                    each.state is State.FAILED
                    or (each.state is State.COMPLETED and each.outcome is Outcome.SUSPECT)
                )
            }
        )
