"""Experiments: what is staged comes back whole and in its stored order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from store_world import Filler, World

from labqueue.errors import ConflictError
from labqueue.states import Outcome, State
from models.domain import records as r


def test_an_experiment_comes_back_as_it_was_staged(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        plain = fill.experiment(campaign)
        full = fill.experiment(
            campaign,
            priority=-3,
            tag=0.1 + 0.2,
            origin="suggester",
            reason="looks good; 80 °C",
            planned={"tau": 0.1, "solvent": "THF", "n": 3},
            batch=fill.uuid(),
            suggestion_id=7,
            model_version=2,
            known=11,
            expected={"yield": {"mean": 0.25, "sd": 0.5}},
            pinned=True,
            approved_by="ben",
            ready=False,
            expires_at=tx.now(),
            outstanding=("purity",),
            staged_at=tx.now(),
        )
        opaque = fill.experiment(campaign, planned=None, payload={"plate": [1, {"a": None}]}, row="A1")
        added = tx.experiments.add([plain, full, opaque])
    ids = [each.id for each in added]
    assert ids == sorted(set(ids))
    for before, after in zip([plain, full, opaque], added, strict=True):
        assert after == replace(before, id=after.id, created_at=after.created_at)
        assert after.created_at is not None
    with world.store.begin() as tx:
        assert tx.experiments.get([*reversed(ids), ids[0], 999_999, 10**30, -1]) == added
        assert tx.experiments.by_code([full.code, "no such", "nul\0"]) == [added[1]]
        assert tx.experiments.lock(list(reversed(ids))) == added
        assert tx.experiments.get([]) == []
        assert tx.experiments.add([]) == []


def test_one_experiment_alone_is_the_same_as_one_of_many(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        alone = tx.experiments.add([fill.experiment(campaign, expected={"y": {"mean": 1.5, "sd": 0.5}})])
        changed = replace(alone[0], state=State.LEASED, fence=1, attempt=fill.uuid(), outstanding=("purity",))
        tx.experiments.save([changed])
        assert tx.experiments.get([alone[0].id]) == [changed]
        assert alone[0].id > 0


@pytest.mark.parametrize("many", [1, 3])
def test_saving_writes_what_may_change_and_nothing_else(world: World, fill: Filler, many: int) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        staged = fill.staged(tx, campaign, many)
        attempt = fill.uuid()
        saved = [
            replace(
                each,
                state=State.HELD,
                priority=5,
                tag=1.25,
                reason="moved",
                model_version=3,
                known=4,
                expected={"yield": {"mean": 0.5, "sd": 0.25}},
                pinned=True,
                approved_by="ben",
                ready=False,
                expires_at=tx.now(),
                attempt=attempt,
                attempts=2,
                counted=1,
                fence=2,
                cancel_wished=True,
                held_reason="what became of it?",
                outcome=Outcome.SUSPECT,
                outstanding=("purity", "colour"),
                staleness=9,
                staged_at=None,
                finished_at=tx.now(),
            )
            for each in staged
        ]
        tx.experiments.save(
            [
                replace(each, planned={"tau": 9.0}, origin="design", queue="other", code="other")
                for each in saved
            ]
        )
        tx.experiments.save([])
    with world.store.begin() as tx:
        assert tx.experiments.get([each.id for each in staged]) == saved


def test_codes_and_numbers_are_given_once(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        first = fill.staged(tx, campaign)[0]
    for same in (replace(first, number=99), replace(first, code="other-1")):
        with pytest.raises(ConflictError), world.store.begin() as tx:
            tx.experiments.add([same])


def test_claims_take_by_priority_then_tag_then_id(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        low = fill.staged(tx, campaign, 1, tag=1.0, priority=-1)[0]
        second = fill.staged(tx, campaign, 1, tag=2.0)[0]
        first = fill.staged(tx, campaign, 1, tag=0.5)[0]
        third = fill.staged(tx, campaign, 1, tag=2.0)[0]
        high = fill.staged(tx, campaign, 1, tag=9.0, priority=1)[0]
        fill.staged(tx, campaign, 1, tag=0.0, ready=False)
        fill.staged(tx, campaign, 1, tag=0.0, state=State.PROPOSED)
        other = fill.campaign(tx, "other", queue="cfd")
        fill.staged(tx, other, 1, tag=0.0)
    with world.store.begin() as tx:
        assert tx.experiments.pick("flow", 10) == [high, first, second, third, low]
        assert tx.experiments.pick("flow", 2) == [high, first]
        assert tx.experiments.pick("nothing", 2) == []
        assert tx.experiments.head_tag("flow") == 9.0
        assert tx.experiments.head_tag("nothing") is None
        assert tx.experiments.pick_these("flow", [low.id, third.id, 999, 10**30]) == [third, low]
        assert tx.experiments.pick_these("cfd", [low.id]) == []


def test_what_is_claimable_is_counted_up_to_a_limit(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        fill.staged(tx, campaign, 1)
    world.advance(100)
    with world.store.begin() as tx:
        fill.staged(tx, campaign, 2)
    with world.store.begin() as tx:
        count, waited = tx.experiments.claimable("flow", 10)
        assert count == 3
        assert 100 <= waited < 160
        assert tx.experiments.claimable("flow", 2)[0] == 2
        assert tx.experiments.claimable("nothing", 2) == (0, 0.0)


def test_a_campaign_is_listed_by_states(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        staged = fill.staged(tx, campaign, 2)
        held = fill.staged(tx, campaign, 1, state=State.HELD)
        done = fill.staged(tx, campaign, 1, state=State.COMPLETED)
        other = fill.campaign(tx, "other")
        fill.staged(tx, other, 1)
    with world.store.begin() as tx:
        experiments = tx.experiments
        assert experiments.of_campaign(campaign.id, [State.STAGED, State.COMPLETED]) == [*staged, *done]
        assert experiments.of_campaign(campaign.id, [State.STAGED, State.COMPLETED], 1) == staged[:1]
        assert experiments.lock_of_campaign(campaign.id, [State.HELD, State.STAGED]) == [*staged, *held]
        assert experiments.unfinished(campaign.id) == [*staged, *held]
        assert experiments.counts(campaign.id) == {State.STAGED: 2, State.HELD: 1, State.COMPLETED: 1}
        assert experiments.counts(999) == {}
        assert experiments.at_least(campaign.id, (State.STAGED, State.HELD), 10) == 3
        assert experiments.at_least(campaign.id, (State.STAGED, State.HELD), 2) == 2
        assert experiments.at_least(campaign.id, (State.PROPOSED,), 2) == 0


def test_only_unclaimed_unpinned_suggestions_can_be_replaced(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        free = fill.staged(tx, campaign, 2, origin="suggester")
        free += fill.staged(tx, campaign, 1, origin="suggester", state=State.PROPOSED)
        fill.staged(tx, campaign, 1, origin="suggester", pinned=True)
        fill.staged(tx, campaign, 1, origin="suggester", approved_by="ben")
        fill.staged(tx, campaign, 1, origin="suggester", state=State.LEASED)
        fill.staged(tx, campaign, 1, origin="design")
        fill.staged(tx, campaign, 1, origin="person")
    with world.store.begin() as tx:
        assert tx.experiments.lock_replaceable(campaign.id) == free


def test_the_design_remembers_what_was_drawn_whatever_became_of_it(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        fill.staged(tx, campaign, 2, origin="design")
        fill.staged(tx, campaign, 1, origin="design", state=State.CANCELLED)
        fill.staged(tx, campaign, 1, origin="suggester")
        assert tx.experiments.drawn(campaign.id) == 3


def test_pausing_takes_what_is_in_flight_out_of_the_order_and_back_to_its_place(
    world: World, fill: Filler
) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        staged = fill.staged(tx, campaign, 2)
        leased = fill.staged(tx, campaign, 1, state=State.LEASED)[0]
        done = fill.staged(tx, campaign, 1, state=State.COMPLETED)[0]
        tx.experiments.set_ready(campaign.id, False)
    with world.store.begin() as tx:
        assert tx.experiments.pick("flow", 10) == []
        assert [each.ready for each in tx.experiments.get([leased.id, done.id])] == [False, True]
        tx.experiments.set_ready(campaign.id, True)
        assert tx.experiments.pick("flow", 10) == staged


def test_what_is_past_its_use_by_date_unclaimed_is_found(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        soon = tx.now() + timedelta(seconds=30)
        late = fill.staged(tx, campaign, 2, expires_at=soon)
        proposed = fill.staged(tx, campaign, 1, expires_at=soon, state=State.PROPOSED)
        fill.staged(tx, campaign, 1, expires_at=soon, state=State.LEASED)
        fill.staged(tx, campaign, 1, expires_at=soon + timedelta(hours=1))
        fill.staged(tx, campaign, 1)
        assert tx.experiments.lock_expired(10) == []
    world.advance(60)
    with world.store.begin() as tx:
        found = [each.id for each in tx.experiments.lock_expired(10)]
        assert found == [each.id for each in [*late, *proposed]]
        assert len(tx.experiments.lock_expired(1)) == 1


def test_attempts_lead_to_their_experiments(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        staged = fill.staged(tx, campaign, 3)
        attempts = tx.attempts.add([fill.attempt(each) for each in reversed(staged[1:])])
    with world.store.begin() as tx:
        wanted = [*(each.id for each in attempts), fill.uuid()]
        assert tx.experiments.lock_of_attempts(wanted) == staged[1:]
        assert tx.experiments.lock_of_attempts([]) == []


def test_a_staging_key_is_used_once_per_campaign(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        other = fill.campaign(tx, "other")
        batch = r.StagedBatch(fill.uuid(), campaign.id, "monday", "hash", (1, 2, 3))
        tx.batches.add(batch)
        tx.batches.add(replace(batch, id=fill.uuid(), campaign_id=other.id, experiments=()))
    with world.store.begin() as tx:
        assert tx.batches.get(campaign.id, "monday") == batch
        assert tx.batches.get(campaign.id, "tuesday") is None
    with pytest.raises(ConflictError), world.store.begin() as tx:
        tx.batches.add(replace(batch, id=fill.uuid()))


def test_a_parameter_is_introduced_where_nobody_had_named_it(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign, other = fill.campaign(tx), fill.campaign(tx, "other")
        plain = fill.staged(tx, campaign, planned={"tau": 0.5})[0]
        named = fill.staged(tx, campaign, planned={"tau": 0.5, "gas": "air"})[0]
        opaque = fill.staged(tx, campaign, planned=None, payload={"x": 1})[0]
        stranger = fill.staged(tx, other, planned={"tau": 0.5})[0]
        tx.experiments.introduce(campaign.id, "gas", 'argon "5.0"')
    with world.store.begin() as tx:
        found = tx.experiments.get([plain.id, named.id, opaque.id, stranger.id])
    assert [each.planned for each in found] == [
        {"tau": 0.5, "gas": 'argon "5.0"'},
        {"tau": 0.5, "gas": "air"},
        None,
        {"tau": 0.5},
    ]


def test_how_many_have_run(world: World, fill: Filler) -> None:
    with world.store.begin() as tx:
        campaign = fill.campaign(tx)
        rows = [fill.experiment(campaign, number=number, code=f"snar-{number}") for number in range(1, 7)]
        staged = tx.experiments.add(rows)
        tx.campaigns.save(replace(campaign, next_number=7))
        states = [
            State.STAGED,
            State.STAGED,
            State.COMPLETED,
            State.PARTIAL,
            State.COMPLETED,
            State.CANCELLED,
        ]
        tx.experiments.save([replace(each, state=state) for each, state in zip(staged, states, strict=True)])
        assert tx.experiments.ran(campaign.id) == 3
    with world.store.begin() as tx:
        assert tx.experiments.ran(campaign.id) == 3
        assert tx.experiments.ran(fill.campaign(tx, "other").id) == 0
