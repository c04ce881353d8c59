"""In memory: files of campaigns, and keys of bytes that belong to none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from fake_rows import Port

from models.domain import records as r


class FakeFiles(Port):
    def get(self, campaign_id: int, name: str) -> r.File | None:
        return self.rows.files.get((campaign_id, name))

    def of_campaign(self, campaign_id: int) -> list[r.File]:
        found = [each for each in self.rows.files.values() if each.campaign_id == campaign_id]
        return sorted(found, key=lambda each: each.name)

    def count(self, campaign_id: int) -> int:
        return len(self.of_campaign(campaign_id))

    def put(self, file: r.File) -> r.File:
        now, old = self.clock.now(), self.get(file.campaign_id, file.name)
        made = replace(
            file,
            revision=self.rows.next("files"),
            changed_at=now if old else file.changed_at or now,
            created_at=old.created_at if old else file.created_at or now,
        )
        self.rows.files[file.campaign_id, file.name] = made
        return made

    def remove(self, campaign_id: int, name: str) -> None:
        self.rows.files.pop((campaign_id, name), None)

    def loosen(self, keys: Sequence[str]) -> None:
        self.rows.loose.update(dict.fromkeys(keys, self.clock.now()))

    def hold(self, key: str) -> bool:
        return self.rows.loose.pop(key, None) is not None

    def loose(self, before: datetime, limit: int) -> list[str]:
        found = sorted((since, key) for key, since in self.rows.loose.items() if since < before)
        return [key for _, key in found[:limit]]

    def forget(self, keys: Sequence[str]) -> None:
        for each in keys:
            self.rows.loose.pop(each, None)
