"""Claims and heartbeats as long polls: woken by what they wait for, and by nothing else for long."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from api import Client, Lab, context_for, in_process, served, settings_for

from models.domain.leasing import read_lease
from services.bootstrap import Context
from services.flow.recover import reap, stamp_alive

pytestmark = pytest.mark.anyio

LONG = 50.0


async def eventually(condition: Any, what: str, seconds: float = 60.0) -> None:
    """There is no signal for it: looks until it is so."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
    assert condition(), what


def hub(client: Client) -> Any:
    return client.app.state.server.hub  # type: ignore[attr-defined]


async def waiting(client: Client, count: int) -> None:
    await eventually(lambda: len(hub(client).waiters) == count, f"{count} wait")


async def test_a_claim_waits_for_staging(lab: Lab) -> None:
    asked = asyncio.create_task(lab.claim(wait=LONG))
    await waiting(lab.client, 1)
    (experiment,) = await lab.stage(1)
    async with asyncio.timeout(LONG / 2):
        (got,) = await asked
    assert got["experiment"] == experiment
    await waiting(lab.client, 0)


async def test_as_many_are_woken_as_were_staged(client: Client, lab: Lab) -> None:
    asked = [
        asyncio.create_task(lab.claimed(wait=LONG, instrument=f"i{each}", adapter=f"i{each}.1"))
        for each in range(5)
    ]
    await waiting(client, 5)
    await lab.stage(1, 2)
    async with asyncio.timeout(LONG / 2):
        done, pending = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 2:
            more, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            done |= more
    assert sorted(len(each.result()["experiments"]) for each in done) == [1, 1]
    await waiting(client, 3)
    for each in pending:
        each.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    await waiting(client, 0)


async def test_a_claim_waits_for_what_comes_back(lab: Lab) -> None:
    (experiment,) = await lab.stage(1)
    (held,) = await lab.claim()
    asked = asyncio.create_task(lab.claim(wait=LONG, instrument="other", adapter="other.1"))
    await waiting(lab.client, 1)
    await lab.client.ok("POST", f"/attempts/{held['lease']}/release", {"reason": "shutting down"})
    async with asyncio.timeout(LONG / 2):
        (got,) = await asked
    assert (got["experiment"], got["attempt_number"]) == (experiment, 2)


async def test_a_claim_waits_for_several(lab: Lab) -> None:
    asked = asyncio.create_task(lab.claim(wait=LONG, min=3, max=10))
    await waiting(lab.client, 1)
    first = await lab.stage(1, 2)
    second = await lab.stage(3, 4)
    async with asyncio.timeout(LONG / 2):
        got = await asked
    assert [each["experiment"] for each in got] == [*first, *second]


async def test_a_crowd_does_not_keep_single_ones_waiting(client: Client, lab: Lab) -> None:
    plate = asyncio.create_task(lab.claim(wait=LONG, min=10, max=10, instrument="plate", adapter="plate.1"))
    await waiting(client, 1)
    single = asyncio.create_task(lab.claim(wait=LONG))
    await waiting(client, 2)
    await lab.stage(1)
    async with asyncio.timeout(LONG / 2):
        assert len(await single) == 1
    plate.cancel()
    await asyncio.gather(plate, return_exceptions=True)


async def test_few_are_taken_after_a_while(lab: Lab) -> None:
    asked = asyncio.create_task(lab.claim(wait=LONG, min=5, max=10, within=0.2))
    await waiting(lab.client, 1)
    await lab.stage(1)
    async with asyncio.timeout(LONG / 2):
        assert len(await asked) == 1


async def test_a_resumed_queue_wakes_its_claims(lab: Lab) -> None:
    await lab.stage(1)
    await lab.client.ok("POST", f"/queues/{lab.queue}/pause", {"reason": "new pump"})
    assert "new pump" in (await lab.claimed())["reason"]
    asked = asyncio.create_task(lab.claim(wait=LONG))
    await waiting(lab.client, 1)
    await lab.client.ok("POST", f"/queues/{lab.queue}/resume", {})
    async with asyncio.timeout(LONG / 2):
        assert len(await asked) == 1


async def test_a_pause_is_told_before_the_wait_is_over(lab: Lab) -> None:
    await lab.client.ok("POST", f"/queues/{lab.queue}/pause", {"reason": "new pump"})
    async with asyncio.timeout(LONG / 2):
        assert "new pump" in (await lab.claimed(wait=LONG))["reason"]


async def test_claims_by_id_do_not_wait_for_what_is_gone(lab: Lab) -> None:
    (experiment,) = await lab.stage(1)
    await lab.claim()
    async with asyncio.timeout(LONG / 2):
        answer = await lab.claimed(wait=LONG, experiments=[experiment], instrument="other", adapter="other.1")
    assert answer["experiments"] == [] and answer["reason"]


async def test_the_same_key_finds_its_leases(lab: Lab) -> None:
    await lab.stage(1, 2, 3)
    body = lab.claiming(max=2)
    path = f"/queues/{lab.queue}/claims"
    first = await lab.client.ok("POST", path, body)
    again = await lab.client.ok("POST", path, {**body, "wait": 1})
    assert [each["lease"] for each in again["experiments"]] == [
        each["lease"] for each in first["experiments"]
    ]
    await lab.client.refused(409, "key_reused", "POST", path, {**body, "max": 3})


async def test_a_waiting_claim_hears_that_it_was_taken_over(lab: Lab) -> None:
    asked = asyncio.create_task(
        lab.client.post(f"/queues/{lab.queue}/claims", json=lab.claiming(wait=LONG, adapter="old.1"))
    )
    await waiting(lab.client, 1)
    await lab.claimed(adapter="new.1", take_over=True)
    await lab.stage(1)
    async with asyncio.timeout(LONG / 2):
        answer = await asked
    assert (answer.status_code, answer.json()["code"]) == (409, "instrument_taken")
    assert len(await lab.claim(adapter="new.1")) == 1


async def test_another_process_wakes_through_redis(context: Context, lab: Lab) -> None:
    """Two applications on the same servers: what one stages, a claim that waits at the other gets."""
    with context_for(context.settings) as other:
        async with in_process(other) as second:
            elsewhere = Lab(second, "lab")
            asked = asyncio.create_task(elsewhere.claim(wait=LONG))
            await waiting(second, 1)
            await eventually(lambda: context_of(second).subscriber.connected, "it listens")
            (experiment,) = await lab.stage(1)
            async with asyncio.timeout(LONG / 2):
                (got,) = await asked
            assert got["experiment"] == experiment


async def test_without_redis_it_takes_a_moment(postgres_url: str, home: Path) -> None:
    with (
        context_for(settings_for(postgres_url, home)) as alone,
        context_for(settings_for(postgres_url, home)) as other,
    ):
        async with in_process(alone) as first, in_process(other) as second:
            lab = await Lab.make(first)
            asked = asyncio.create_task(Lab(second, "lab").claim(wait=LONG))
            await waiting(second, 1)
            await lab.stage(1)
            async with asyncio.timeout(LONG / 2):
                assert len(await asked) == 1


async def test_a_thousand_wait_without_threads_or_connections(client: Client, lab: Lab) -> None:
    before = threading.active_count()
    asked = [
        asyncio.create_task(lab.claimed(wait=LONG, instrument=f"i{each}", adapter=f"i{each}.1"))
        for each in range(1000)
    ]
    await waiting(client, 1000)
    assert threading.active_count() <= before + client_threads(client)
    with context_of(client).store.session() as session:
        connections = session.value(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND backend_type = 'client backend'"
        )
    assert connections <= context_of(client).settings.db_pool_size
    await lab.stage(*range(10))
    done: set[Any] = set()
    async with asyncio.timeout(LONG / 2):
        pending = set(asked)
        while len(done) < 10:
            more, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            done |= more
    assert all(len(each.result()["experiments"]) == 1 for each in done)
    hub(client).close()
    rest = await asyncio.gather(*pending)
    assert all(each["experiments"] == [] and each["reason"] for each in rest)


async def test_a_client_that_leaves_is_forgotten(context: Context) -> None:
    with served(context) as url:
        async with Client(base_url=f"{url}/api/v1", timeout=60) as client:
            lab = await Lab.make(client)
            asked = asyncio.create_task(
                client.post(f"/queues/{lab.queue}/claims", json=lab.claiming(wait=LONG))
            )
            await gauge(client, url, 'labqueue_waiting{kind="claim"} 1.0')
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            await gauge(client, url, 'labqueue_waiting{kind="claim"} 0.0')
            (experiment,) = await lab.stage(1)
            (got,) = await lab.claim(wait=LONG, instrument="other", adapter="other.1")
            assert got["experiment"] == experiment


async def test_long_polls_end_when_the_server_stops(context: Context) -> None:
    client = Client(timeout=60)
    with served(context) as url:
        client.base_url = httpx.URL(f"{url}/api/v1")
        lab = await Lab.make(client)
        await lab.stage(1)
        held = await lab.begin()
        asked = asyncio.create_task(lab.claimed(wait=LONG, instrument="other", adapter="other.1"))
        body = {"instrument": lab.instrument, "adapter": "a.1", "leases": [held["lease"]], "wait": LONG}
        beat = asyncio.create_task(client.ok("POST", "/attempts/heartbeat", body))
        await gauge(client, url, 'labqueue_waiting{kind="claim"} 1.0')
    async with asyncio.timeout(LONG / 2):
        assert (await asked)["experiments"] == []
        assert (await beat)["items"][0]["state"] == "live"
    await client.aclose()


async def test_a_heartbeat_hears_of_a_cancellation(client: Client, lab: Lab) -> None:
    await lab.stage(1, 2)
    one, two = await lab.begin(), await lab.begin()
    beat = asyncio.create_task(heartbeat(lab, one["lease"], two["lease"], wait=LONG))
    await eventually(lambda: hub(client).topics.watched(("instrument", lab.instrument)), "it waits")
    await client.ok("POST", f"/experiments/{two['code']}/cancel", {"reason": "a leak"})
    async with asyncio.timeout(LONG / 2):
        items = (await beat)["items"]
    assert [each["state"] for each in items] == ["live", "cancel"]
    assert "a leak" in items[1]["message"]
    assert not hub(client).topics.watched(("instrument", lab.instrument))


async def test_a_heartbeat_hears_that_it_is_not_needed(client: Client, lab: Lab) -> None:
    await lab.stage(1)
    held = await lab.begin()
    beat = asyncio.create_task(heartbeat(lab, held["lease"], wait=LONG))
    await eventually(lambda: hub(client).topics.watched(("instrument", lab.instrument)), "it waits")
    assert (await lab.report(held["experiment"]))["verdict"] == "accepted"
    async with asyncio.timeout(LONG / 2):
        assert (await beat)["items"][0]["state"] == "not_needed"


async def test_a_heartbeat_renews(lab: Lab) -> None:
    await lab.stage(1)
    held = await lab.begin()
    calm = await heartbeat(lab, held["lease"], wait=0.05)
    assert calm["items"][0]["state"] == "live" and calm["items"][0]["deadline"] > held["deadline"]
    assert calm["probes"] == []


async def test_a_waiting_claim_is_asked_about_a_silent_run(context: Context, client: Client) -> None:
    lab = await Lab.make(client, on_lost="probe")
    await lab.stage(1)
    held = await lab.begin()
    asked = asyncio.create_task(lab.claimed(wait=LONG))
    await waiting(client, 1)
    await asyncio.to_thread(fall_silent, context, held["lease"])
    hub(client).changed()
    async with asyncio.timeout(LONG / 2):
        (probe,) = (await asked)["probes"]
    assert (probe["lease"], probe["experiment"]) == (held["lease"], held["experiment"])
    # It was asked: the next claim waits as usual, and still says what is asked.
    again = await lab.claimed(wait=0.2)
    assert [each["lease"] for each in again["probes"]] == [held["lease"]]
    assert (await client.ok("POST", f"/attempts/{held['lease']}/probe", {"answer": "running"}))["ok"]
    assert (await heartbeat(lab, held["lease"]))["probes"] == []


async def heartbeat(lab: Lab, *leases: str, wait: float = 0) -> Any:
    body = {"instrument": lab.instrument, "adapter": f"{lab.instrument}.1", "leases": leases, "wait": wait}
    return await lab.client.ok("POST", "/attempts/heartbeat", body)


def fall_silent(context: Context, lease: str) -> None:
    with context.store.session() as session:
        passed = "UPDATE attempts SET deadline = clock_timestamp() - interval '1 second' WHERE id = %s"
        session.run(passed, [read_lease(lease)[0]])
    stamp_alive(context.store)
    assert reap(context.store)


def context_of(client: Client) -> Context:
    found: Context = client.app.state.server.context  # type: ignore[attr-defined]
    return found


def client_threads(client: Client) -> int:
    return context_of(client).settings.db_pool_size + 2


async def gauge(client: Client, url: str, line: str) -> None:
    async with asyncio.timeout(30):
        while line not in (await client.get(f"{url}/metrics")).text:
            await asyncio.sleep(0.02)


async def test_parameters_come_in_the_order_of_the_problem(client: Client) -> None:
    names = [
        "temperature",
        "tau",
        "equivalents",
    ]  # an order that neither their letters nor their lengths give
    problem = {
        "parameters": [{"name": name, "kind": "continuous", "low": 0, "high": 10} for name in names],
        "outputs": [{"name": "yield"}],
        "objectives": [{"output": "yield"}],
    }
    lab = await Lab.make(client, "ordered", problem)
    point = {"equivalents": 1.0, "tau": 2.0, "temperature": 3.0}
    body = {"key": "k", "items": [{"parameters": point}, {"parameters": point}]}
    await client.ok("POST", "/campaigns/ordered/experiments", body)
    (one,) = await lab.claim()
    assert list(one["parameters"]) == names
    (other,) = await lab.claim(form="list")
    assert [each["name"] for each in other["parameters"]] == names


async def test_a_waiting_adapter_asks_again_within_half_a_lease_and_is_seen_alive(client: Client) -> None:
    lab = await Lab.make(client, "short", lease_seconds=2)
    async with asyncio.timeout(LONG / 2):
        empty = await lab.claimed(wait=LONG)
    assert empty["experiments"] == [] and "nothing is staged" in empty["reason"]
