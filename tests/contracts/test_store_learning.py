"""Jobs, models, suggestions, inquiries, tokens, artifacts, webhooks and signs of life."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from store_world import Filler, World

from labqueue.errors import ConflictError
from models.domain import records as r


def test_a_job_is_created_when_first_locked_and_keeps_its_lease(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        assert tx.jobs.get(campaign.id, "train") == r.Job(campaign.id, "train")
        job = tx.jobs.lock(campaign.id, "train")
        assert job == r.Job(campaign.id, "train")
        held = tx.jobs.save(replace(job, done=7, holder="w1", fence=1, revision=7), lease_seconds=60)
        assert held.deadline is not None and 50 < (held.deadline - tx.now()).total_seconds() < 70
        assert held == replace(job, done=7, holder="w1", fence=1, revision=7, deadline=held.deadline)
    with world.store.begin() as tx:
        assert tx.jobs.get(campaign.id, "train") == held
        assert tx.jobs.get(campaign.id, "suggest") == r.Job(campaign.id, "suggest")
        assert tx.jobs.lock(campaign.id, "train") == held
    world.advance(30)
    with world.store.begin() as tx:
        assert tx.jobs.renew(held, 60) is True
        assert tx.jobs.renew(replace(held, fence=0), 60) is False
        assert tx.jobs.renew(replace(held, holder="w2"), 60) is False
        renewed = tx.jobs.get(campaign.id, "train")
        assert renewed.deadline is not None and (renewed.deadline - tx.now()).total_seconds() > 50
        issued = tx.jobs.save(renewed, issued=True)
        assert issued.issued_at is not None
        done = tx.jobs.save(replace(issued, done=7, holder="", deadline=None, deaths=1, error="no memory"))
        assert done == replace(issued, done=7, holder="", deadline=None, deaths=1, error="no memory")
        assert tx.jobs.renew(done, 60) is False


def test_a_new_model_tells_its_campaign(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        assert tx.models.latest(campaign.id) is None
        model = r.Model(
            campaign.id, 1, 40, 12, 1, 12, b"\x00\xffstate", "ab", {"r2": 0.5}, "cpu", {"torch": "2"}, 1.5
        )
        tx.models.add(model)
        tx.models.add(replace(model, version=2, data_revision=50, accepted=15, state=b"2"))
    with world.store.begin() as tx:
        first, latest = tx.models.get(campaign.id, 1), tx.models.latest(campaign.id)
        assert first is not None and first.created_at is not None
        assert first == replace(model, created_at=first.created_at)
        assert latest is not None and (latest.version, latest.state) == (2, b"2")
        assert tx.models.get(campaign.id, 3) is None
        assert [(each.version, each.state) for each in tx.models.all(campaign.id)] == [(1, b""), (2, b"")]
        assert [(each.version, each.state) for each in tx.models.recent(campaign.id, 5)] == [
            (2, b""),
            (1, b""),
        ]
        assert [each.version for each in tx.models.recent(campaign.id, 1)] == [2]
        told = tx.campaigns.get("snar")
        assert told is not None
        assert (told.model_version, told.model_revision, told.model_accepted) == (2, 50, 15)
    with pytest.raises(ConflictError), world.store.begin() as tx:
        tx.models.add(model)


def test_models_of_a_learner_and_ours_stand_side_by_side(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        ours = r.Model(campaign.id, 1, 40, 12, 1, 12, b"ours", "ab", {}, "cpu", {}, 1.5)
        tx.models.add(ours)
        tx.models.add(replace(ours, version=2, state=b"theirs", learner="mine"))
    with world.store.begin() as tx:
        found = [tx.models.latest(campaign.id, name) for name in ("", "mine", "other")]
        assert [each and (each.version, each.state) for each in found] == [(1, b"ours"), (2, b"theirs"), None]
        light = tx.models.latest(campaign.id, "mine", state=False)
        assert light is not None and found[1] is not None and light == replace(found[1], state=b"")


def test_what_a_learner_was_asked_is_kept_with_its_job(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        job = tx.jobs.lock(campaign.id, "suggest")
        work = {"pending": [{"tau": 0.5}], "staged": [3], "text": "µ"}
        asked = tx.jobs.save(replace(job, learner="mine", work=work, taken_at=tx.now(), fence=1))
    with world.store.begin() as tx:
        assert tx.jobs.get(campaign.id, "suggest") == asked
        assert asked.work == work and asked.taken_at is not None
        assert tx.jobs.save(replace(asked, work=None, taken_at=None)).work is None


def test_a_seat_is_created_when_first_locked(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        assert tx.seats.get(campaign.id) is None
        seat = tx.seats.lock(campaign.id)
        assert seat == r.Seat(campaign.id)
        seat = replace(
            seat, name="mine", holder="p1", trains=False, failures=2, error="no", versions={"own": "1"}
        )
        tx.seats.save(seat, seen=True)
    with world.store.begin() as tx:
        seen = tx.seats.lock(campaign.id)
        assert seen.seen_at is not None and seen == replace(seat, seen_at=seen.seen_at)
    world.advance(30)
    with world.store.begin() as tx:
        seen = tx.seats.lock(campaign.id)
        assert seen.seen_at is not None and 25 < (tx.now() - seen.seen_at).total_seconds() < 35
        tx.seats.save(seen, failed=True)
        failed = tx.seats.get(campaign.id)
        assert failed is not None and failed.failed_at is not None and failed.seen_at == seen.seen_at
        assert failed.failed_at > seen.seen_at


def test_a_suggestion_number_is_used_once(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        suggestion = r.Suggestion(
            0,
            campaign.id,
            1,
            {"seed": 42, "pending": [{"tau": 0.5}], "staged": [{"tau": 0.25}]},
            "hash",
            [{"parameters": {"tau": 0.25}, "expected": {"y": [0.5, 0.125]}}],
            {"iterations": 50},
            "cpu",
            {"torch": "2"},
            40,
            2,
            0.5,
            asked=3,
            brought=1,
            in_flight=2,
            gain=0.25,
            instead="in place of the model",
        )
        added = tx.suggestions.add(suggestion)
        assert added.id > 0 and added.created_at is not None
    with world.store.begin() as tx:
        assert tx.suggestions.get(added.id) == added
        assert added == replace(suggestion, id=added.id, created_at=added.created_at)
        assert tx.suggestions.get(added.id + 1) is None
        light = replace(added, snapshot={"seed": 42}, candidates=[])
        assert tx.suggestions.recent(campaign.id, 5) == [light]
        later = tx.suggestions.add(replace(suggestion, number=2, gain=None))
        assert [each.id for each in tx.suggestions.recent(campaign.id, 5)] == [later.id, added.id]
        assert tx.suggestions.recent(campaign.id, 1)[0].gain is None
        assert tx.suggestions.recent(campaign.id + 1, 5) == []
    with pytest.raises(ConflictError), world.store.begin() as tx:
        tx.suggestions.add(replace(suggestion, snapshot={}))


def test_inquiries_are_due_while_open_or_when_their_worker_is_late(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        question = r.Inquiry(fill.uuid(), campaign.id, "predict", {"points": [{"tau": 1}]}, "anna")
        added = tx.inquiries.add(question, seconds=30)
        assert added.created_at is not None and added.deadline is not None
        assert added.deadline - added.created_at == timedelta(seconds=30)
        assert added == replace(question, created_at=added.created_at, deadline=added.deadline)
    with world.store.begin() as tx:
        assert tx.inquiries.get(added.id) == added
        assert tx.inquiries.get(fill.uuid()) is None
        assert tx.inquiries.lock(fill.uuid()) is None
        assert tx.inquiries.due() == [added]
        locked = tx.inquiries.lock(added.id)
        assert locked == added
        tx.inquiries.save(replace(added, state="running", fence=1), issued=True)
        assert tx.inquiries.due() == []
    world.advance(31)
    with world.store.begin() as tx:
        late = tx.inquiries.due()
        assert [each.id for each in late] == [added.id]
        assert late[0].issued_at is not None
        answered = replace(late[0], state="answered", answer={"mean": [0.5]}, message="done")
        tx.inquiries.save(answered)
        assert tx.inquiries.get(added.id) == answered
        assert tx.inquiries.due() == []


def test_tokens_work_until_they_are_revoked_or_expire(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        assert tx.tokens.any() is False
        soon = tx.now() + timedelta(seconds=30)
        lasting = r.Token(fill.uuid(), "robot", "lq_1", "hash", ("queue:flow", "admin"))
        short = r.Token(fill.uuid(), "guest", "lq_2", "hash", (), expires_at=soon)
        tx.tokens.add(lasting)
        tx.tokens.add(short)
    with world.store.begin() as tx:
        found = tx.tokens.by_prefix("lq_1")
        assert found is not None and found.created_at is not None
        assert found == replace(lasting, created_at=found.created_at)
        assert tx.tokens.by_prefix("lq_3") is None
        assert tx.tokens.by_prefix("\0") is None
        assert {each.name for each in tx.tokens.all()} == {"robot", "guest"}
        assert tx.tokens.revoke(lasting.id) is True
        assert tx.tokens.revoke(lasting.id) is False
        assert tx.tokens.revoke(fill.uuid()) is False
        revoked = tx.tokens.by_prefix("lq_1")
        assert revoked is not None and revoked.revoked_at is not None
        assert tx.tokens.any() is True
    world.advance(31)
    with world.store.begin() as tx:
        assert tx.tokens.any() is False
    with pytest.raises(ConflictError), world.store.begin() as tx:
        tx.tokens.add(replace(lasting, id=fill.uuid()))


def test_the_same_bytes_twice_are_one_artifact(world: World) -> None:
    with world.store.begin() as tx:
        tx.artifacts.add(r.Artifact("ab" * 32, 5_000_000_000, "text/csv", "anna"))
        tx.artifacts.add(r.Artifact("ab" * 32, 5_000_000_000, "text/plain", "ben"))
    with world.store.begin() as tx:
        kept = tx.artifacts.get("ab" * 32)
        assert kept is not None and kept.created_at is not None
        assert (kept.size, kept.media_type, kept.actor) == (5_000_000_000, "text/csv", "anna")
        assert tx.artifacts.get("cd" * 32) is None


def test_documents_are_put_replaced_listed_and_removed(world: World) -> None:
    one, two = r.Document("note", "a", "first", {"x": [1, None]}), r.Document("note", "a", "second", "text")
    with world.store.begin() as tx:
        tx.documents.put([one, two])
        assert tx.documents.add(r.Document("note", "b", "first", 3)) is True
        assert tx.documents.add(replace(one, body="other")) is False
        assert tx.documents.get("note", "a", "third") is None and tx.documents.all("memo") == []
    with world.store.begin() as tx:
        kept = tx.documents.get("note", "a", "first")
        assert kept is not None and kept.id > 0 and None not in (kept.created_at, kept.changed_at)
        assert kept == replace(one, id=kept.id, created_at=kept.created_at, changed_at=kept.changed_at)
        assert tx.documents.lock("note", "a", "first") == kept
        assert tx.documents.lock("note", "c", "first") is None
    world.advance(1.0)
    with world.store.begin() as tx:
        tx.documents.put([replace(one, body={"x": 2}), r.Document("note", "a", "third", [])])
    with world.store.begin() as tx:
        listed = tx.documents.all("note", "a")
        assert [each.name for each in listed] == ["first", "second", "third"], (
            "in the order of their first put"
        )
        assert [each.body for each in listed] == [{"x": 2}, "text", []]
        first = listed[0]
        assert first.changed_at is not None and first.created_at is not None
        assert (first.changed_at - first.created_at).total_seconds() >= 1.0
        assert [each.body for each in tx.documents.all("note")] == [{"x": 2}, "text", 3, []]
        assert tx.documents.remove("note", "a", "second") is True
        assert tx.documents.remove("note", "a", "second") is False
        assert tx.documents.clear("note", "a") == 2 and tx.documents.clear("note", "a") == 0
        assert [each.parent for each in tx.documents.all("note")] == ["b"]


def test_webhooks_are_kept_changed_and_removed(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        hook = r.Webhook(fill.uuid(), "https://lab/x", ("result.accepted",), campaign.id, "s", 5)
        tx.webhooks.add(hook)
    with world.store.begin() as tx:
        kept = tx.webhooks.all()
        assert kept == [replace(hook, created_at=kept[0].created_at)]
        changed = replace(kept[0], cursor=9, failures=2, retry_at=tx.now(), state="paused", types=())
        tx.webhooks.save(changed)
        assert tx.webhooks.lock(hook.id) == changed
        assert tx.webhooks.lock(fill.uuid()) is None
        assert tx.webhooks.remove(hook.id) is True
        assert tx.webhooks.remove(hook.id) is False
        assert tx.webhooks.all() == []


def test_stamps_tell_how_long_nobody_was_there(world: World) -> None:
    with world.store.begin() as tx:
        assert tx.liveness.age() is None
        assert tx.liveness.stamp() == 0.0
    world.advance(40)
    with world.store.begin() as tx:
        age = tx.liveness.age()
        assert age is not None and 40 <= age < 100
    with world.store.begin() as tx:
        assert 40 <= tx.liveness.stamp() < 100
    with world.store.begin() as tx:
        assert 0 <= tx.liveness.stamp() < 30


def test_one_leads_until_its_lease_ends(world: World) -> None:
    with world.store.begin() as tx:
        assert tx.liveness.lead("janitor", "a", 30) is True
        assert tx.liveness.lead("janitor", "b", 30) is False
        assert tx.liveness.lead("janitor", "a", 30) is True
        assert tx.liveness.lead("other", "b", 30) is True
    world.advance(31)
    with world.store.begin() as tx:
        assert tx.liveness.lead("janitor", "b", 30) is True
        assert tx.liveness.lead("janitor", "a", 30) is False


def test_a_worker_that_stopped_of_its_own_accord_is_listed_no_longer(world: World) -> None:
    with world.store.begin() as tx:
        tx.liveness.beat("worker", "a", {})
        tx.liveness.beat("worker", "b", {})
        tx.liveness.leave("worker", "a")
        tx.liveness.leave("worker", "nobody")
        assert [holder for _, holder, *_ in tx.liveness.workers()] == ["b"]


def test_workers_are_listed_by_their_last_beat_and_forgotten_after_a_day(world: World) -> None:
    with world.store.begin() as tx:
        tx.liveness.beat("trainer", "w1", {"device": "cpu"})
        tx.liveness.beat("janitor", "j1", {})
    world.advance(86_000)
    with world.store.begin() as tx:
        tx.liveness.beat("trainer", "w1", {"device": "cuda"})
        found = tx.liveness.workers()
        assert [(kind, holder, info) for kind, holder, _, info in found] == [
            ("janitor", "j1", {}),
            ("trainer", "w1", {"device": "cuda"}),
        ]
        assert found[0][2] >= 86_000 and found[1][2] < 1_000
    world.advance(1_000)
    with world.store.begin() as tx:
        assert [holder for _, holder, _, _ in tx.liveness.workers()] == ["w1"]
