"""Attempts, their leases, instruments and claims."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from store_world import Filler, World

from labqueue.errors import ConflictError
from labqueue.states import State
from models.domain import records as r
from services.ports import Transaction


def _started(world: World, fill: Filler, many: int = 1) -> list[r.Attempt]:
    with world.store.begin() as tx:
        staged = fill.staged(tx, fill.campaign(tx), many)
        return tx.attempts.add([fill.attempt(each) for each in staged])


def test_a_lease_runs_from_the_database_time(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        before = tx.now()
        staged = fill.staged(tx, fill.campaign(tx))[0]
        attempt = tx.attempts.add([fill.attempt(staged, lease_seconds=90.0)])[0]
        assert tx.attempts.add([]) == []
    with world.store.begin() as tx:
        assert tx.attempts.get([attempt.id, fill.uuid()]) == [attempt]
        assert tx.attempts.lock([attempt.id]) == [attempt]
        assert tx.attempts.of_experiment(staged.id) == [attempt]
        assert attempt.claimed_at is not None and attempt.deadline is not None
        assert before <= attempt.claimed_at <= tx.now()
        assert attempt.deadline - attempt.claimed_at == timedelta(seconds=90)


@pytest.mark.parametrize("many", [1, 3])
def test_saving_an_attempt_leaves_its_deadline(world: World, fill: Filler, many: int) -> None:
    attempts = _started(world, fill, many)
    with world.store.begin() as tx:
        ended = [
            replace(
                each,
                adapter="home.2",
                state="ended",
                end="lost",
                reason="silent",
                counts=True,
                probing=True,
                silent=True,
                run_ref="SEQ-1",
            )
            for each in attempts
        ]
        tx.attempts.save([replace(each, deadline=None, claimed_at=None, instrument="x") for each in ended])
        tx.attempts.save([])
    with world.store.begin() as tx:
        found = tx.attempts.get([each.id for each in ended])
        order = sorted(ended, key=lambda each: each.id)
        assert [replace(each, ended_at=None) for each in found] == order
        assert all(each.ended_at is not None for each in found)


@pytest.mark.parametrize("many", [1, 3])
def test_start_and_end_are_stamped_when_the_state_first_says_so(
    world: World, fill: Filler, many: int
) -> None:
    attempts = _started(world, fill, many)
    with world.store.begin() as tx:
        tx.attempts.save([replace(each, state="started") for each in attempts])
    ids = [each.id for each in attempts]
    with world.store.begin() as tx:
        started = tx.attempts.get(ids)
        assert all(each.started_at is not None and each.ended_at is None for each in started)
        tx.attempts.save([replace(each, run_ref="SEQ-1", started_at=None) for each in started])
    with world.store.begin() as tx:
        assert tx.attempts.get(ids) == [replace(each, run_ref="SEQ-1") for each in started]
        tx.attempts.save([replace(each, state="ended", end="completed") for each in started])
    with world.store.begin() as tx:
        for before, after in zip(started, tx.attempts.get(ids), strict=True):
            assert after.started_at == before.started_at
            assert after.ended_at is not None and before.started_at is not None
            assert after.ended_at >= before.started_at


def test_an_experiment_has_one_attempt_of_each_number(world: World, fill: Filler) -> None:
    attempt = _started(world, fill)[0]
    with pytest.raises(ConflictError), world.store.begin() as tx:
        tx.attempts.add([replace(attempt, id=fill.uuid())])


def test_a_renewal_gives_live_leases_of_a_right_fence_a_full_lease(world: World, fill: Filler) -> None:
    live, ended, other, stale = _started(world, fill, 4)
    with world.store.begin() as tx:
        tx.attempts.save([replace(ended, state="ended", end="not_needed")])
        wished = tx.experiments.lock([live.experiment_id])[0]
        tx.experiments.save([replace(wished, cancel_wished=True)])
    world.advance(30)
    unknown = fill.uuid()
    asked = [(stale.id, 2), (unknown, 1), (live.id, 1), (ended.id, 1), (other.id, 2**70)]
    with world.store.begin() as tx:
        answers = {each.attempt: each for each in tx.attempts.renew(asked, "hplc-2")}
        assert [each for each, _ in asked] == list(answers)
        now = tx.now()
    assert answers[unknown] == r.Renewal(unknown, found=False)
    renewed = answers[live.id]
    assert (renewed.found, renewed.live, renewed.cancel_wished, renewed.silent) == (True, True, True, False)
    assert renewed.deadline is not None and renewed.deadline - now > timedelta(seconds=50)
    gone = answers[ended.id]
    assert (gone.found, gone.live, gone.end) == (True, False, "not_needed")
    for wrong in (stale, other):
        answer = answers[wrong.id]
        assert (answer.found, answer.live) == (True, False)
        assert answer.deadline is not None and answer.deadline - now < timedelta(seconds=40)
    with world.store.begin() as tx:
        assert tx.attempts.get([live.id])[0].deadline == renewed.deadline
        assert tx.instruments.get("another instrument") is None
        assert tx.attempts.renew([(live.id, 1)], "another instrument")[0].live is False
        assert tx.attempts.renew([], "hplc-2") == []


def test_a_silent_lease_is_renewed_and_said_to_have_been_silent(world: World, fill: Filler) -> None:
    attempt = _started(world, fill)[0]
    with world.store.begin() as tx:
        tx.attempts.save([replace(attempt, state="started", silent=True)])
    with world.store.begin() as tx:
        answer = tx.attempts.renew([(attempt.id, 1)], "hplc-2")[0]
        assert (answer.live, answer.silent) == (True, True)


def test_a_renewal_tells_that_the_instrument_was_seen(world: World) -> None:
    with world.store.begin() as tx:
        tx.instruments.lock("hplc-2")
    with world.store.begin() as tx:
        tx.attempts.renew([], "hplc-2")
    with world.store.begin() as tx:
        seen = tx.instruments.get("hplc-2")
        assert seen is not None and seen.last_seen is not None


def test_overdue_are_the_live_ones_past_their_deadline_that_nobody_has_marked(
    world: World, fill: Filler
) -> None:
    late, silent, ended = _started(world, fill, 3)
    with world.store.begin() as tx:
        tx.attempts.save([replace(silent, silent=True), replace(ended, state="ended", end="failed")])
        assert tx.attempts.overdue(10) == []
    world.advance(61)
    with world.store.begin() as tx:
        assert [each.id for each in tx.attempts.overdue(10)] == [late.id]
        assert tx.attempts.overdue(0) == []
        live = [each.id for each in tx.attempts.live_of("hplc-2")]
        assert sorted(live) == sorted([late.id, silent.id])
        assert tx.attempts.live_of("other") == []


def test_our_own_downtime_moves_every_live_deadline(world: World, fill: Filler) -> None:
    live, ended = _started(world, fill, 2)
    with world.store.begin() as tx:
        tx.attempts.save([replace(ended, state="ended", end="failed")])
        assert tx.attempts.extend_live(100.0) == 1
    with world.store.begin() as tx:
        found = {each.id: each for each in tx.attempts.get([live.id, ended.id])}
    assert live.deadline is not None
    assert found[live.id].deadline == live.deadline + timedelta(seconds=160)
    assert found[ended.id].deadline == ended.deadline


def test_an_instrument_is_created_when_it_is_first_locked(world: World) -> None:
    with world.store.begin() as tx:
        assert tx.instruments.get("hplc-2") is None
        assert tx.instruments.lock("hplc-2") == r.Instrument("hplc-2")
    changed = r.Instrument("hplc-2", "flow", "home.1", "paused", "leak", 7, 2, 5)
    with world.store.begin() as tx:
        tx.instruments.save(changed)
        assert tx.instruments.lock("hplc-2") == changed
        tx.instruments.lock("balance-1")
        assert [each.name for each in tx.instruments.all()] == ["balance-1", "hplc-2"]
    with world.store.begin() as tx:
        tx.instruments.save(replace(changed, adapter="home.2"), seen=True)
        seen = tx.instruments.get("hplc-2")
        assert seen is not None and seen.last_seen is not None
        assert abs((tx.now() - seen.last_seen).total_seconds()) < 60
        assert seen == replace(changed, adapter="home.2", last_seen=seen.last_seen)
    with world.store.begin() as tx:
        tx.instruments.save(replace(seen, state="active"))
        assert tx.instruments.get("hplc-2") == replace(seen, state="active")


def test_a_claim_key_is_used_once(world: World, fill: Filler) -> None:
    claim = r.Claim("home.1-1", "hplc-2", "hash", (fill.uuid(), fill.uuid()))
    with world.store.begin() as tx:
        tx.claims.add(claim)
    with world.store.begin() as tx:
        assert tx.claims.get("home.1-1") == claim
        assert tx.claims.get("home.1-2") is None
    with pytest.raises(ConflictError), world.store.begin() as tx:
        tx.claims.add(replace(claim, request_hash="other"))


def test_durations_are_those_of_the_last_completed_runs(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign, other = fill.campaign(tx), fill.campaign(tx, "other")
        done = fill.staged(tx, campaign, 5)
        tx.attempts.add([fill.attempt(each) for each in done])
        foreign = fill.staged(tx, other)[0]
        tx.attempts.add([fill.attempt(foreign)])
    for each, end in zip(done, ["completed", "completed", "failed", "partial", None], strict=True):
        world.advance(100)
        with world.store.begin() as tx:
            if end is not None:
                (attempt,) = tx.attempts.of_experiment(each.id)
                tx.attempts.save([replace(attempt, state="ended", end=end)])
                state = State.FAILED if end == "failed" else State.COMPLETED
                tx.experiments.save([replace(each, state=state)])
    with world.store.begin() as tx:
        found = tx.attempts.durations(campaign.id, 10)
        assert found == pytest.approx([400, 200, 100], abs=20), "newest first"
        assert tx.attempts.durations(campaign.id, 1) == found[:1]
        assert tx.attempts.durations(other.id, 10) == []


def test_who_serves_a_queue_was_seen_lately_and_may_claim(world: World, fill: Filler) -> None:
    def served(tx: Transaction, name: str, **changes: Any) -> None:
        tx.instruments.save(replace(tx.instruments.lock(name), queue="flow", **changes), seen=True)

    with world.store.begin() as tx:
        served(tx, "silent")
        tx.instruments.lock("never claimed")
    world.advance(100)
    with world.store.begin() as tx:
        staged = fill.staged(tx, fill.campaign(tx), 3)
        served(tx, "plates", asks=96)
        served(tx, "hplc-2")
        served(tx, "paused", state="paused", reason="leaks")
        served(tx, "blocked", blocked_by=staged[0].id)
        served(tx, "elsewhere")
        tx.instruments.save(replace(tx.instruments.lock("elsewhere"), queue="cfd"))
        tx.attempts.add([fill.attempt(each) for each in staged])
        (ended,) = tx.attempts.of_experiment(staged[0].id)
        tx.attempts.save([replace(ended, state="ended", end="completed")])
    with world.store.begin() as tx:
        assert tx.instruments.serving("flow", 60) == [r.Serving("hplc-2", 2, 1), r.Serving("plates", 0, 96)]
        assert [each.instrument for each in tx.instruments.serving("flow", 1000)] == [
            "hplc-2",
            "plates",
            "silent",
        ]
        assert tx.instruments.serving("nobody's", 60) == []


def test_the_newest_attempt_of_each_experiment(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        staged = fill.staged(tx, fill.campaign(tx), 3)
        tx.attempts.add([fill.attempt(each) for each in staged[:2]])
        second = tx.attempts.add([fill.attempt(staged[0], number=2, fence=2)])[0]
    with world.store.begin() as tx:
        found = tx.attempts.newest([each.id for each in reversed(staged)])
        assert [each.experiment_id for each in found] == [staged[0].id, staged[1].id]
        assert (found[0], found[1].number) == (second, 1)
        assert tx.attempts.newest([]) == []
