"""In memory: jobs, models, seats of learners, suggestions, inquiries, tokens, artifacts, documents, webhooks and signs
of life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from fake_rows import Port, plain, stored

from models.domain import records as r


class FakeJobs(Port):
    def lock(self, campaign_id: int, kind: str) -> r.Job:
        return self.rows.jobs.setdefault((campaign_id, kind), r.Job(campaign_id, kind))

    def get(self, campaign_id: int, kind: str) -> r.Job:
        return self.rows.jobs.get((campaign_id, kind), r.Job(campaign_id, kind))

    def save(self, job: r.Job, *, lease_seconds: float | None = None, issued: bool = False) -> r.Job:
        now = self.clock.now()
        saved = stored(
            job,
            "work",
            deadline=job.deadline if lease_seconds is None else now + timedelta(seconds=lease_seconds),
            issued_at=now if issued else job.issued_at,
        )
        self.rows.jobs[job.campaign_id, job.kind] = saved
        return saved

    def renew(self, job: r.Job, lease_seconds: float) -> bool:
        old = self.rows.jobs.get((job.campaign_id, job.kind))
        if old is None or old.fence != job.fence or old.holder != job.holder or not old.holder:
            return False
        deadline = self.clock.now() + timedelta(seconds=lease_seconds)
        self.rows.jobs[job.campaign_id, job.kind] = replace(old, deadline=deadline)
        return True


class FakeModels(Port):
    def latest(self, campaign_id: int, learner: str = "", *, state: bool = True) -> r.Model | None:
        versions = [
            version
            for (owner, version), each in self.rows.models.items()
            if owner == campaign_id and each.learner == learner
        ]
        found = self.get(campaign_id, max(versions)) if versions else None
        return found if found is None or state else replace(found, state=b"")

    def get(self, campaign_id: int, version: int) -> r.Model | None:
        return self.rows.models.get((campaign_id, version))

    def add(self, model: r.Model) -> None:
        key = (model.campaign_id, model.version)
        if key in self.rows.models:
            raise self.rows.conflict(f"Model {model.version} of this campaign exists already.")
        at = model.created_at or self.clock.now()
        self.rows.models[key] = stored(model, "metrics", "versions", created_at=at)
        self.rows.campaigns[model.campaign_id] = replace(
            self.rows.campaigns[model.campaign_id],
            model_version=model.version,
            model_revision=model.data_revision,
            model_accepted=model.accepted,
        )

    def all(self, campaign_id: int) -> list[r.Model]:
        return [
            replace(model, state=b"")
            for (owner, _), model in sorted(self.rows.models.items())
            if owner == campaign_id
        ]

    def recent(self, campaign_id: int, limit: int) -> list[r.Model]:
        return self.all(campaign_id)[::-1][:limit]


class FakeSeats(Port):
    def get(self, campaign_id: int) -> r.Seat | None:
        return self.rows.seats.get(campaign_id)

    def lock(self, campaign_id: int) -> r.Seat:
        return self.rows.seats.setdefault(campaign_id, r.Seat(campaign_id))

    def save(self, seat: r.Seat, *, seen: bool = False, failed: bool = False) -> None:
        now = self.clock.now()
        self.rows.seats[seat.campaign_id] = stored(
            seat,
            "versions",
            seen_at=now if seen else seat.seen_at,
            failed_at=now if failed else seat.failed_at,
        )


class FakeSuggestions(Port):
    def add(self, suggestion: r.Suggestion) -> r.Suggestion:
        key = (suggestion.campaign_id, suggestion.number)
        if key in {(each.campaign_id, each.number) for each in self.rows.suggestions.values()}:
            raise self.rows.conflict(f"Suggestion {suggestion.number} of this campaign exists already.")
        id = self.rows.next("suggestions")
        at = suggestion.created_at or self.clock.now()
        fields = ("snapshot", "candidates", "effort", "versions")
        self.rows.suggestions[id] = stored(suggestion, *fields, id=id, created_at=at)
        return self.rows.suggestions[id]

    def get(self, id: int) -> r.Suggestion | None:
        return self.rows.suggestions.get(id)

    def recent(self, campaign_id: int, limit: int) -> list[r.Suggestion]:
        mine = [each for each in self.rows.suggestions.values() if each.campaign_id == campaign_id]
        newest = sorted(mine, key=lambda each: -each.number)[:limit]
        return [replace(each, snapshot=_without_points(each.snapshot), candidates=[]) for each in newest]


def _without_points(snapshot: r.Json) -> r.Json:
    return {name: each for name, each in snapshot.items() if name not in ("pending", "staged")}


class FakeInquiries(Port):
    def add(self, inquiry: r.Inquiry, *, seconds: float) -> r.Inquiry:
        if inquiry.id in self.rows.inquiries:
            raise self.rows.conflict(f"The inquiry {inquiry.id} exists already.")
        now = self.clock.now()
        deadline = now + timedelta(seconds=seconds)
        self.rows.inquiries[inquiry.id] = stored(
            inquiry, "request", "answer", created_at=now, deadline=deadline
        )
        return self.rows.inquiries[inquiry.id]

    def get(self, id: UUID) -> r.Inquiry | None:
        return self.rows.inquiries.get(id)

    def lock(self, id: UUID) -> r.Inquiry | None:
        return self.get(id)

    def save(self, inquiry: r.Inquiry, *, issued: bool = False) -> None:
        old = self.rows.inquiries[inquiry.id]
        self.rows.inquiries[inquiry.id] = replace(
            old,
            state=inquiry.state,
            answer=plain(inquiry.answer),
            message=inquiry.message,
            fence=inquiry.fence,
            deadline=inquiry.deadline,
            issued_at=self.clock.now() if issued else inquiry.issued_at,
        )

    def due(self) -> list[r.Inquiry]:
        now = self.clock.now()
        return [
            each
            for each in self.rows.inquiries.values()
            if each.state == "open"
            or (each.state == "running" and each.deadline is not None and each.deadline < now)
        ]

    def forget(self, before: datetime, limit: int) -> int:
        gone = [
            id
            for id, each in self.rows.inquiries.items()
            if each.state not in ("open", "running") and each.deadline is not None and each.deadline < before
        ][:limit]
        for id in gone:
            del self.rows.inquiries[id]
        return len(gone)


class FakeTokens(Port):
    def add(self, token: r.Token) -> None:
        if self.by_prefix(token.prefix) or token.id in self.rows.tokens:
            raise self.rows.conflict("This token exists already.")
        self.rows.tokens[token.id] = replace(token, created_at=token.created_at or self.clock.now())

    def by_prefix(self, prefix: str) -> r.Token | None:
        return next((each for each in self.rows.tokens.values() if each.prefix == prefix), None)

    def all(self) -> list[r.Token]:
        return list(self.rows.tokens.values())

    def revoke(self, id: UUID) -> bool:
        token = self.rows.tokens.get(id)
        if token is None or token.revoked_at is not None:
            return False
        self.rows.tokens[id] = replace(token, revoked_at=self.clock.now())
        return True

    def any(self) -> bool:
        now = self.clock.now()
        return any(
            each.revoked_at is None and (each.expires_at is None or each.expires_at > now)
            for each in self.rows.tokens.values()
        )

    def forget(self, before: datetime, limit: int) -> int:
        gone = [
            id
            for id, each in self.rows.tokens.items()
            if any(end is not None and end < before for end in (each.expires_at, each.revoked_at))
        ][:limit]
        for id in gone:
            del self.rows.tokens[id]
        return len(gone)


class FakeArtifacts(Port):
    def get(self, sha256: str) -> r.Artifact | None:
        return self.rows.artifacts.get(sha256)

    def add(self, artifact: r.Artifact) -> None:
        at = artifact.created_at or self.clock.now()
        self.rows.artifacts.setdefault(artifact.sha256, replace(artifact, created_at=at))


class FakeDocuments(Port):
    def get(self, kind: str, parent: str, name: str) -> r.Document | None:
        return self.rows.documents.get((kind, parent, name))

    lock = get

    def put(self, documents: Sequence[r.Document]) -> None:
        now = self.clock.now()
        for each in documents:
            key = (each.kind, each.parent, each.name)
            if key in self.rows.documents:
                self.rows.documents[key] = replace(self.rows.documents[key], body=each.body, changed_at=now)
            else:
                self.add(each)

    def add(self, document: r.Document) -> bool:
        key = (document.kind, document.parent, document.name)
        if key in self.rows.documents:
            return False
        now = self.clock.now()
        self.rows.documents[key] = replace(
            document,
            id=self.rows.next("documents"),
            changed_at=document.changed_at or now,
            created_at=document.created_at or now,
        )
        return True

    def remove(self, kind: str, parent: str, name: str) -> bool:
        return self.rows.documents.pop((kind, parent, name), None) is not None

    def clear(self, kind: str, parent: str) -> int:
        gone = [key for key in self.rows.documents if key[:2] == (kind, parent)]
        for key in gone:
            del self.rows.documents[key]
        return len(gone)

    def all(self, kind: str, parent: str | None = None) -> list[r.Document]:
        found = [
            each
            for each in self.rows.documents.values()
            if each.kind == kind and parent in (None, each.parent)
        ]
        return sorted(found, key=lambda each: each.id)


class FakeWebhooks(Port):
    def add(self, webhook: r.Webhook) -> None:
        if webhook.id in self.rows.webhooks:
            raise self.rows.conflict(f"The webhook {webhook.id} exists already.")
        self.rows.webhooks[webhook.id] = replace(webhook, created_at=webhook.created_at or self.clock.now())

    def all(self) -> list[r.Webhook]:
        return list(self.rows.webhooks.values())

    def lock(self, id: UUID) -> r.Webhook | None:
        return self.rows.webhooks.get(id)

    def save(self, webhook: r.Webhook) -> None:
        old = self.rows.webhooks[webhook.id]
        self.rows.webhooks[webhook.id] = replace(webhook, created_at=old.created_at)

    def remove(self, id: UUID) -> bool:
        return self.rows.webhooks.pop(id, None) is not None


class FakeLiveness(Port):
    def stamp(self) -> float:
        before, now = self.rows.stamps.get(1), self.clock.now()
        self.rows.stamps[1] = now
        return 0.0 if before is None else max(0.0, (now - before).total_seconds())

    def age(self) -> float | None:
        before = self.rows.stamps.get(1)
        return None if before is None else max(0.0, (self.clock.now() - before).total_seconds())

    def lead(self, name: str, holder: str, seconds: float) -> bool:
        now = self.clock.now()
        held = self.rows.leases.get(name)
        if held is not None and held[0] != holder and held[1] >= now:
            return False
        self.rows.leases[name] = (holder, now + timedelta(seconds=seconds))
        return True

    def beat(self, kind: str, holder: str, info: Mapping[str, Any]) -> None:
        self.rows.workers[kind, holder] = (self.clock.now(), plain(dict(info)))

    def leave(self, kind: str, holder: str) -> None:
        self.rows.workers.pop((kind, holder), None)

    def workers(self) -> list[tuple[str, str, float, Mapping[str, Any]]]:
        now = self.clock.now()
        found = []
        for (kind, holder), (at, info) in sorted(self.rows.workers.items()):
            age = (now - at).total_seconds()
            if age <= 86_400:
                found.append((kind, holder, age, info))
        return found
