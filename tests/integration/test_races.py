"""What only happens when several do something in the same moment, on the real store."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
from at_once import at_once
from fake_learner import FakeLearner
from flow_lab import OUTPUTS, PERSON, PROBLEM, Lab, point
from store_world import PostgresWorld

from labqueue.errors import ConflictError
from labqueue.states import State
from services.bootstrap import SystemIds
from services.flow import (
    cancel,
    define,
    filing,
    recover,
    release,
    renew,
    report,
    review,
    stage,
    steer,
    suggest,
)
from services.flow.claim import ClaimRequest, claim
from services.flow.number import number

ROUNDS = 1000


@pytest.fixture
def lab(postgres_url: str) -> Iterator[Lab]:
    world = PostgresWorld(postgres_url)
    lab = Lab(world)
    lab.ids = SystemIds()
    yield lab
    world.store.close()


def claims(lab: Lab, instrument: str, most: int, key: str | None = None, **more: Any) -> Callable[[], Any]:
    request = ClaimRequest("bench", instrument, f"{instrument}.1", key or str(uuid4()), max=most, **more)
    return lambda: claim(lab.store, lab.ids, request)


def test_a_claim_and_a_superseding_never_both_get_an_experiment(lab: Lab) -> None:
    """1,000 candidates, each claimed and superseded in the same moment."""
    campaign = lab.campaign(method="bayesian", depth=20, initial=1)
    for row in range(3):
        lab.report(lab.stage([point(row)])[0].id, {"yield": row / 10, "purity": 1.0})
    number(lab.store)
    lab.train(campaign)
    luck = random.Random(1)
    fought, claimed, superseded = 0, 0, 0
    while fought < ROUNDS:
        candidates = [each.id for each in lab.suggest(campaign)]
        lab.report(lab.stage([point(luck.randrange(6000))])[0].id, {"yield": luck.random(), "purity": 1.0})
        number(lab.store)
        lab.train(campaign)
        wanted = luck.sample(candidates, len(candidates))

        def robot(wanted: Sequence[int] = wanted) -> list[int]:
            won = []
            for id in wanted:
                found = claim(
                    lab.store,
                    lab.ids,
                    ClaimRequest("bench", "robot", "robot.1", str(uuid4()), experiments=(id,)),
                )
                won += [each.experiment.id for each in found.assignments]
            return won

        def suggester() -> list[int]:
            return list(suggest.suggest(lab.store, lab.ids, FakeLearner(), campaign.id, "suggester-1"))

        won, new = at_once(robot, suggester)
        with lab.store.begin() as tx:
            states = {each.id: each.state for each in tx.experiments.get(candidates)}
            waiting = tx.experiments.of_campaign(campaign.id, (State.STAGED,))
        assert set(states) == set(candidates), "none is lost"
        assert {id for id, state in states.items() if state is State.LEASED} == set(won)
        gone = {id for id, state in states.items() if state is State.SUPERSEDED}
        assert gone | set(won) | {each.id for each in waiting} >= set(candidates)
        assert gone.isdisjoint(won)
        assert {each.id for each in waiting} >= set(new), "what was staged is there"
        fought += len(candidates)
        claimed += len(won)
        superseded += len(gone)
        for each in waiting:
            cancel.cancel(lab.store, each.id, "next round", PERSON)
        for each in won:
            lab.report(each, {}, outcome="suspect")
        number(lab.store)
    assert claimed and superseded, "it was a race"


def test_two_suggesters_at_once_stage_once(lab: Lab) -> None:
    campaign = lab.campaign(method="design", initial=100, depth=5)
    for turn in range(20):

        def suggester(holder: str) -> Callable[[], tuple[int, ...]]:
            return lambda: suggest.suggest(lab.store, lab.ids, FakeLearner(), campaign.id, holder)

        staged = at_once(*[suggester(f"suggester-{each}") for each in range(4)])
        assert sorted(len(each) for each in staged) == [0, 0, 0, 5], turn
        assert lab.states()[State.STAGED] == 5
        lab.claim(max=5)
    assert lab.known().next_suggestion == 21


def test_eight_claiming_threads_never_share(lab: Lab) -> None:
    lab.campaign()
    staged = {each.id for each in lab.stage(200)}

    def robot(name: str) -> Callable[[], list[int]]:
        def run() -> list[int]:
            mine: list[int] = []
            while found := claims(lab, name, 3)().assignments:
                mine += [each.experiment.id for each in found]
            return mine

        return run

    taken = at_once(*[robot(f"robot-{each}") for each in range(8)])
    every = [id for each in taken for id in each]
    assert len(every) == len(set(every)) and set(every) == staged
    assert sum(bool(each) for each in taken) > 1, "it was a race"


def test_the_same_claim_on_its_way_four_times_gets_one_set_of_leases(lab: Lab) -> None:
    lab.campaign()
    lab.stage(60)
    for turn in range(15):
        claimed = at_once(*[claims(lab, "robot", 3, f"key-{turn}") for _ in range(4)])
        assert len({tuple(each.lease for each in found.assignments) for found in claimed}) == 1
    assert lab.states() == {State.LEASED: 45, State.STAGED: 15}


def test_ten_times_the_same_result_by_four_threads_is_one(lab: Lab) -> None:
    lab.campaign()
    for each in lab.stage(10):
        given = filing.Report(uuid4(), each.id, outputs=OUTPUTS)

        def sender(given: filing.Report = given) -> list[str]:
            return [
                str(report.report(lab.store, lab.ids, [given], "adapter:hplc")[0].verdict) for _ in range(10)
            ]

        verdicts = Counter(verdict for one in at_once(*[sender] * 4) for verdict in one)
        assert verdicts == {"accepted": 1, "duplicate": 39}
        assert len(lab.results(each.id)) == 1


def test_four_different_results_of_one_experiment_have_one_winner(lab: Lab) -> None:
    lab.campaign()
    for each in lab.stage(15):

        def sender(value: float, id: int = each.id) -> Callable[[], Any]:
            given = filing.Report(uuid4(), id, outputs={"yield": value, "purity": value})
            return lambda: report.report(lab.store, lab.ids, [given], "adapter:hplc")[0]

        recorded = at_once(*[sender(float(value)) for value in range(4)])
        assert sorted(each.verdict for each in recorded) == ["accepted", *["replicate"] * 3]
        winner = next(place for place, each in enumerate(recorded) if each.verdict == "accepted")
        assert lab.values(each.id) == {"yield": float(winner), "purity": float(winner)}


def test_batches_of_results_in_opposite_order_do_not_wait_for_each_other(lab: Lab) -> None:
    lab.campaign()
    ids = [each.id for each in lab.stage(40)]

    def sender(order: Sequence[int]) -> Callable[[], Any]:
        given = [filing.Report(uuid4(), id, outputs=OUTPUTS) for id in order]
        return lambda: [each.verdict for each in report.report(lab.store, lab.ids, given, "adapter:hplc")]

    verdicts = at_once(sender(ids), sender(ids[::-1]), sender(random.Random(2).sample(ids, 40)))
    assert Counter(each for one in verdicts for each in one) == {"accepted": 40, "replicate": 80}


def test_the_same_batch_staged_by_four_threads_is_one(lab: Lab) -> None:
    lab.campaign()
    items = tuple(stage.StageItem(parameters=point(each)) for each in range(5))
    request = stage.StageRequest("snar", "monday", items)
    staged = at_once(*[lambda: stage.stage(lab.store, lab.ids, request, PERSON)] * 4)
    assert len({each.batch for each in staged}) == 1
    assert sorted(each.created for each in staged) == [False, False, False, True]
    assert lab.states() == {State.STAGED: 5}


def test_the_same_campaign_created_by_four_threads_is_one(lab: Lab) -> None:
    lab.queue()
    new = define.NewCampaign("twin", "bench", "ben", PROBLEM, {"method": "caller"}, seed=3)
    made = at_once(*[lambda: define.create_campaign(lab.store, lab.ids, new, PERSON)] * 4)
    assert len({campaign.id for campaign, _ in made}) == 1
    assert sorted(created for _, created in made) == [False, False, False, True]


def test_heartbeats_results_and_the_janitor_in_one_moment(lab: Lab) -> None:
    """Leases are lost, renewed, failed and completed at once: each run has one end, each result is kept."""
    lab.queue(on_lost="requeue", lease_seconds=1.0, max_attempts=1000)
    lab.campaign()
    names = [f"robot-{each}" for each in range(3)]
    for name in names:
        claims(lab, name, 1)()
        steer.set_failure_limit(lab.store, name, 1000, PERSON)
    ids = [each.id for each in lab.stage(60)]
    home = {name: threading.Event() for name in names}

    def janitor() -> int:
        lost = 0
        while not all(each.is_set() for each in home.values()):
            with lab.store.begin() as tx:
                tx.attempts.extend_live(-4.0)  # three seconds pass
            recover.stamp_alive(lab.store)
            lost += len(recover.reap(lab.store))
            number(lab.store)
        return lost

    def robot(name: str) -> Callable[[], int]:
        luck = random.Random(name)

        def work() -> int:
            done = 0
            while lab.states() != {State.COMPLETED: 60}:
                for each in claims(lab, name, 2)().assignments:
                    renew.start(lab.store, [renew.StartItem(each.lease)])
                    renew.heartbeat(lab.store, name, [each.lease])
                    if luck.random() < 0.1:
                        continue  # it forgets about it
                    if luck.random() < 0.3:
                        release.fail(lab.store, [release.EndItem(each.lease, "luck")])
                        continue
                    given = filing.Report(uuid4(), each.experiment.id, each.lease, outputs=OUTPUTS)
                    recorded = report.report(lab.store, lab.ids, [given], f"adapter:{name}")[0]
                    assert recorded.verdict in ("accepted", "replicate")
                    done += 1
            return done

        def run() -> int:
            try:
                return work()
            finally:
                home[name].set()

        return run

    lost, *done = at_once(janitor, *[robot(name) for name in names])
    assert lost, "what was forgotten was lost, and run again"
    for id in ids:
        assert lab.values(id) == OUTPUTS
        assert all(not each.live for each in lab.attempts(id))
        assert [each.verdict for each in lab.results(id)].count("accepted") == 1
    assert sum(len(lab.results(id)) for id in ids) == sum(done)
    numbers = [each.number for each in lab.events()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_finishing_and_claiming_in_one_moment(lab: Lab) -> None:
    """What is not leased when a campaign is finished is never run, also where it comes back in that moment."""
    for turn in range(15):
        name = f"campaign-{turn}"
        lab.campaign(name)
        lab.stage(6, campaign=name)
        held = lab.claim(max=3).assignments

        def gives_back(held: Sequence[Any] = held) -> Any:
            return release.release(lab.store, [release.EndItem(each.lease) for each in held])

        at_once(
            lambda name=name: steer.finish_campaign(lab.store, name, "", PERSON),
            gives_back,
            claims(lab, "nmr", 1),
        )
        assert lab.claim(max=9).assignments == (), turn
        states = lab.states(name)
        assert states.get(State.LEASED, 0) <= 1 and sum(states.values()) == 6
        for each in lab.running("nmr"):
            lab.report(each.experiment_id)


def test_a_decision_and_the_holders_return_in_one_moment(lab: Lab) -> None:
    """Either the person was first and the holder hears that it lost the lease, or the holder goes on."""
    lab.campaign()
    won: Counter[str] = Counter()
    for _ in range(20):
        experiment = lab.stage_one()
        held = lab.take(experiments=(experiment.id,))
        lab.lose(held)

        def decide(id: int = experiment.id) -> str:
            try:
                review.run_again(lab.store, id, "", PERSON)
            except ConflictError:
                return "too late"
            return "decided"

        def come_back(lease: str = held.lease) -> str:
            return lab.beat(lease).state

        decision, _ = at_once(decide, come_back)
        won[decision] += 1
        live = [each for each in lab.attempts(experiment.id) if each.live]
        if decision == "decided":
            assert lab.state(experiment.id) is State.STAGED and live == []
            assert lab.beat(held.lease).state == "lost"
        else:
            assert lab.state(experiment.id) is State.LEASED and len(live) == 1
            assert lab.beat(held.lease).state == "live"
        lab.report(experiment.id, lease=held.lease)
        steer.clear_instrument(lab.store, "hplc", "", PERSON)
    assert sum(won.values()) == 20


def test_two_changes_of_one_queue_in_the_same_moment_are_both_kept(lab: Lab) -> None:
    lab.queue()
    for seconds in range(1, 51):
        policy = define.QueuePolicy(lease_seconds=float(seconds))
        turn = steer.pause_queue if seconds % 2 else steer.resume_queue
        at_once(
            lambda policy=policy: define.put_queue(lab.store, "bench", policy, PERSON),
            lambda turn=turn: turn(lab.store, "bench", "", PERSON),
        )
        with lab.store.begin() as tx:
            queue = tx.queues.get("bench")
        assert queue is not None
        assert (queue.lease_seconds, queue.state) == (seconds, "paused" if seconds % 2 else "active")
