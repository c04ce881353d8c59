"""Learners over HTTP: what they are given, how they wait, what they may answer, and who may be one."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from api import Client, in_process, numbered, served

from services.bootstrap import Context
from services.flow.tokens import issue

pytestmark = pytest.mark.anyio
PROBLEM = {
    "parameters": [
        {"name": "x", "kind": "continuous", "low": 0, "high": 1000},
        {"name": "solvent", "kind": "categorical", "categories": ["water", "ethanol"]},
        {"name": "humidity", "kind": "context", "low": 0, "high": 100},
    ],
    "outputs": [{"name": "y"}, {"name": "phase", "classes": ["clear", "cloudy"]}],
    "objectives": [{"output": "y"}],
}
LEARNER = "/campaigns/own/learner"


class Pupil:
    def __init__(self, client: Client, holder: str = "p1") -> None:
        self.client, self.holder = client, holder
        self._count = 0

    async def ask(self, **more: Any) -> Any:
        return await self.client.ok("POST", f"{LEARNER}/work", {"holder": self.holder, **more})

    async def work(self, kind: str, **more: Any) -> Any:
        answer = await self.ask(**more)
        assert answer["work"] is not None, answer
        assert answer["work"]["kind"] == kind
        return answer["work"]

    def point(self) -> dict[str, Any]:
        self._count += 1
        return {"x": float(self._count), "solvent": "water"}

    async def answer(self, work: Any, **more: Any) -> Any:
        return await self.client.ok("POST", self.path(work), {"holder": self.holder, **more})

    async def suggest(self, work: Any) -> Any:
        return await self.answer(
            work, candidates=[{"parameters": self.point()} for _ in range(work["count"])]
        )

    def path(self, work: Any, verb: str = "answer") -> str:
        return f"{LEARNER}/work/{work['lease']}/{verb}"


async def create(client: Client, **strategy: Any) -> None:
    await client.ok("PUT", "/queues/q", {})
    wish = {"method": "learner", "learner": "own", "initial": 0, "depth": 2, "fallback": "design", **strategy}
    await client.ok("POST", "/campaigns", {"name": "own", "queue": "q", "problem": PROBLEM, "strategy": wish})


@pytest.fixture
async def pupil(client: Client) -> AsyncIterator[Pupil]:
    await create(client)
    yield Pupil(client)


async def measure(client: Client, **more: Any) -> None:
    body = {"instrument": "robot", "adapter": "robot.1", "key": str(uuid.uuid4())}
    [one] = (await client.ok("POST", "/queues/q/claims", body))["experiments"]
    await client.ok("POST", f"/attempts/{one['lease']}/start", {})
    outputs = {"y": 0.5, "phase": "cloudy"}
    result = {"id": str(uuid.uuid4()), "experiment": one["experiment"], "outputs": outputs, **more}
    [item] = (await client.ok("POST", "/results", {"items": [result]}))["items"]
    assert item["verdict"] == "accepted", item


async def test_what_a_learner_is_given(pupil: Pupil, context: Context) -> None:
    client = pupil.client
    work = await pupil.work("suggest", versions={"own": "2"})
    assert work["learner"] == "own" and work["count"] == 2 and work["rows"] == 0
    assert work["problem"]["parameters"][1]["categories"] == ["water", "ethanol"]
    assert 0 <= work["seed"] < 2**31 and work["ends_at"] and work["state"] is None
    staged = (await pupil.suggest(work))["experiments"]
    assert len(staged) == 2
    assert (await pupil.ask()) == {"work": None, "reason": "Nothing is due."}
    await measure(client, actual={"x": 1.5, "humidity": 40.0}, noise={"y": 0.1})
    await numbered(context)
    lesson = await pupil.work("train")
    assert lesson["rows"] == 1
    [row] = (await client.ok("GET", f"{LEARNER}/rows?revision={lesson['data_revision']}"))["rows"]
    assert row == {
        "experiment": staged[0],
        "outcome": "measured",
        "planned": {"x": 1.0, "solvent": "water"},
        "parameters": {"x": 1.5, "solvent": "water", "humidity": 40.0},
        "outputs": {"y": 0.5, "phase": "cloudy"},
        "noise": {"y": 0.1},
        "replicates": {},
    }
    assert (await client.ok("GET", f"{LEARNER}/rows?revision=0"))["rows"] == []
    state = bytes(range(256))
    kept = await pupil.answer(lesson, state=base64.b64encode(state).decode(), metrics={"rmse": {"y": 0.1}})
    assert kept == {"version": 1, "experiments": []}
    work = await pupil.work("suggest")
    assert work["state"]["version"] == 1 and work["pending"] == []
    answer = await client.get(f"{LEARNER}/state?version=1")
    assert answer.content == state and answer.headers["content-type"] == "application/octet-stream"
    await client.refused(404, "not_found", "GET", f"{LEARNER}/state?version=2")


async def test_rows_that_are_known_do_not_come_again(pupil: Pupil, context: Context) -> None:
    client = pupil.client
    await pupil.suggest(await pupil.work("suggest"))
    await measure(client)
    await numbered(context)
    first = await client.ok("GET", f"{LEARNER}/rows", params={"revision": 10**9})
    assert first["whole"] is True and len(first["rows"]) == 1 and first["gone"] == []
    await measure(client)
    await numbered(context)
    asked = {"revision": 10**9, "since": first["mark"]}
    second = await client.ok("GET", f"{LEARNER}/rows", params=asked)
    [new] = second["rows"]
    assert second["whole"] is False and new["experiment"] != first["rows"][0]["experiment"]
    assert new["outputs"] == {"y": 0.5, "phase": "cloudy"}, "labels as they are called"
    [result] = (await client.ok("GET", f"/experiments/{new['experiment']}"))["results"]
    body = {"id": str(uuid.uuid4()), "reason": "the valve stood open"}
    await client.ok("POST", f"/results/{result['id']}/withdraw", body)
    await numbered(context)
    third = await client.ok("GET", f"{LEARNER}/rows", params={**asked, "since": second["mark"]})
    assert (third["whole"], third["rows"], third["gone"]) == (False, [], [new["experiment"]])
    other = await client.ok("GET", f"{LEARNER}/rows", params={**asked, "since": "something else"})
    assert other == {**first, "mark": third["mark"]}
    await client.refused(422, "invalid", "GET", f"{LEARNER}/rows?revision=1&since={'1' * 101}")


async def test_a_gain_is_judged_and_kept(pupil: Pupil) -> None:
    client = pupil.client
    work = await pupil.work("suggest")
    body = {"holder": "p1", "candidates": [{"parameters": pupil.point()}] * 2, "gain": -1}
    found = await client.refused(422, "invalid", "POST", pupil.path(work), body)
    assert found["errors"][0]["field"] == "gain" and "0 or more" in found["errors"][0]["message"]
    points = [{"parameters": pupil.point()} for _ in range(2)]
    await pupil.answer(await pupil.work("suggest"), candidates=points, gain=0.125)


async def test_work_that_is_waited_for_comes_when_something_happens(pupil: Pupil) -> None:
    await pupil.suggest(await pupil.work("suggest"))
    waiting = asyncio.create_task(pupil.ask(wait=60.0))
    await asyncio.sleep(0)
    await measure(pupil.client)
    async with asyncio.timeout(30.0):  # long before its own time is over
        answer = await waiting
    assert answer["work"]["kind"] in ("train", "suggest")


async def test_a_learner_that_went_away_while_it_waited_holds_nothing(context: Context) -> None:
    with served(context) as url:
        host, port = url.removeprefix("http://").split(":")
        async with Client(base_url=f"{url}/api/v1", timeout=60) as client:
            await create(client)
            first, second = Pupil(client, "p1"), Pupil(client, "p2")
            await first.suggest(await first.work("suggest"))
            body = json.dumps({"holder": "p1", "wait": 60.0}).encode()
            head = (
                f"POST /api/v1{LEARNER}/work HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            before = last_seen(url)
            with socket.create_connection((host, int(port))) as gone:
                gone.sendall(head.encode() + body)
                await asyncio.to_thread(until, lambda: last_seen(url) != before)
            await measure(client)
            await client.ok("POST", f"{LEARNER}/leave", {"holder": "p1"})
            found = await second.ask(wait=30.0)
            assert found["work"] is not None, "nobody holds it"


def last_seen(url: str) -> str:
    return str(httpx.get(f"{url}/api/v1/campaigns/own").json()["learner"]["last_seen"])


def until(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline


async def test_every_fault_of_an_answer_is_named_and_shown_at_the_campaign(pupil: Pupil) -> None:
    work = await pupil.work("suggest")
    candidates = [
        {"parameters": {"x": 2000, "solvent": "watr"}},
        {"parameters": {"x": "a", "solvent": "water"}},
    ]
    found = await pupil.client.refused(
        422, "invalid", "POST", pupil.path(work), {"holder": "p1", "candidates": candidates}
    )
    assert [each["field"] for each in found["errors"]] == [
        "candidates[0].x",
        "candidates[0].solvent",
        "candidates[1].x",
    ]
    learner = (await pupil.client.ok("GET", "/campaigns/own"))["learner"]
    assert learner["failures"] == 1 and "is outside 0 to 1000" in learner["error"]
    assert learner["asked"] and learner["live"] and learner["instead"] == ""
    attention = (await pupil.client.ok("GET", "/status"))["attention"]
    assert any("is outside 0 to 1000" in each["what"] for each in attention)


@pytest.mark.parametrize(
    ("raw", "status", "why"),
    [
        (b'{"holder": "p1", "candidates": [{"parameters": {"x": NaN}}]}', 400, "no NaN"),
        (b'{"holder": "p1", "candidates": [', 400, "no JSON"),
        (b'{"candidates": []}', 422, "holder"),
        (b'{"holder": "p1", "candidates": "x"}', 422, "must be a list"),
        (b'{"holder": "p1", "candidates": [' + b" " * (1024 * 1024) + b"]}", 413, "over the limit"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_a_failure_too(
    pupil: Pupil, raw: bytes, status: int, why: str
) -> None:
    work = await pupil.work("suggest")
    answer = await pupil.client.post(pupil.path(work), content=raw)
    assert answer.status_code == status, answer.text
    learner = (await pupil.client.ok("GET", "/campaigns/own"))["learner"]
    assert learner["failures"] == 1 and why in learner["error"], learner
    again = await pupil.work("suggest")
    assert again["lease"] != work["lease"]


async def test_state_that_is_no_base64_is_refused(pupil: Pupil, context: Context) -> None:
    await pupil.suggest(await pupil.work("suggest"))
    await measure(pupil.client)
    await numbered(context)
    work = await pupil.work("train")
    await pupil.client.refused(422, "invalid", "POST", pupil.path(work), {"holder": "p1", "state": "???"})
    models = (await pupil.client.ok("GET", "/campaigns/own/models"))["items"]
    assert models == []


async def test_a_lease_that_is_another_ones_is_409(pupil: Pupil) -> None:
    client, work = pupil.client, await pupil.work("suggest")
    await client.ok("POST", pupil.path(work, "renew"), {})
    await client.ok("POST", pupil.path(work, "release"), {})
    for verb, body in (
        ("renew", {}),
        ("fail", {"reason": "x"}),
        ("answer", {"holder": "p1", "candidates": []}),
        ("release", {}),
    ):
        await client.refused(409, "lease_lost", "POST", pupil.path(work, verb), body)
    await client.refused(422, "invalid", "POST", f"{LEARNER}/work/nothing/renew", {})
    assert (await client.ok("GET", "/campaigns/own"))["counts"] == {}


async def test_a_failure_is_kept_with_its_reason(pupil: Pupil) -> None:
    work = await pupil.work("suggest")
    await pupil.client.ok("POST", pupil.path(work, "fail"), {"reason": "ValueError: singular"})
    learner = (await pupil.client.ok("GET", "/campaigns/own"))["learner"]
    assert (learner["failures"], learner["error"]) == (1, "ValueError: singular")


async def test_a_failed_training_is_told_until_one_succeeds(pupil: Pupil, context: Context) -> None:
    client = pupil.client

    async def error() -> Any:
        return (await client.ok("GET", "/campaigns/own"))["learner"]["error"]

    await pupil.suggest(await pupil.work("suggest"))
    for _ in range(2):
        await measure(client)
        await numbered(context)
        work = await pupil.work("train")
        await client.ok("POST", pupil.path(work, "fail"), {"reason": "RuntimeError: no descent"})
        work = await pupil.work("suggest")
        assert await error() == "training: RuntimeError: no descent"
        await pupil.suggest(work)
        assert await error() == "training: RuntimeError: no descent", "suggesting goes on, training does not"
    await measure(client)
    await numbered(context)
    work = await pupil.work("train")
    assert await error() == "training: RuntimeError: no descent", "it has not succeeded yet"
    await pupil.answer(work, state=base64.b64encode(b"state").decode())
    assert await error() == ""


async def test_unknown_campaigns_names_and_fields_are_told(pupil: Pupil) -> None:
    client = pupil.client
    await client.refused(404, "not_found", "POST", "/campaigns/onw/learner/work", {"holder": "p"})
    await client.refused(409, "conflict", "POST", f"{LEARNER}/work", {"holder": "p", "learner": "other"})
    found = await client.refused(422, "invalid", "POST", f"{LEARNER}/work", {"holder": "p", "wiat": 1})
    assert found["errors"][0]["hint"] == "Did you mean wait?"


async def test_only_the_campaigns_own_token_teaches_it(context: Context) -> None:
    async with in_process(context) as open_client:
        await create(open_client)
        for scope in ("admin", "campaign:own", "campaign:other", "queue:q"):
            _, secret = issue(context.store, context.ids, scope, [scope], None, "person:admin")
            headers = {"Authorization": f"Bearer {secret}"}
            allowed = scope in ("admin", "campaign:own")
            for method, path, body in (
                ("POST", f"{LEARNER}/work", {"holder": "p1"}),
                ("GET", f"{LEARNER}/rows?revision=1", None),
                ("GET", f"{LEARNER}/state?version=1", None),
                ("POST", f"{LEARNER}/work/suggest.1/renew", {}),
                ("POST", f"{LEARNER}/work/suggest.1/answer", {"holder": "p1", "candidates": []}),
                ("POST", f"{LEARNER}/work/suggest.1/fail", {"reason": ""}),
                ("POST", f"{LEARNER}/work/suggest.1/release", {}),
                ("POST", f"{LEARNER}/leave", {"holder": "p1"}),
            ):
                answer = await open_client.request(method, path, json=body, headers=headers)
                assert (answer.status_code == 403) is not allowed, (scope, path, answer.text)


async def test_ten_thousand_rows(pupil: Pupil, context: Context) -> None:
    client, count = pupil.client, 10_000
    for start in range(0, count, 500):
        items = [
            {
                "id": str(uuid.uuid4()),
                "parameters": {"x": number / 10, "solvent": "ethanol"},
                "outputs": {"y": float(number), "phase": "clear"},
            }
            for number in range(start, start + 500)
        ]
        await client.ok("POST", "/campaigns/own/results", {"items": items})
    await numbered(context)
    await pupil.suggest(await pupil.work("suggest"))
    work = await pupil.work("train")
    assert work["rows"] == count
    rows = (await client.ok("GET", f"{LEARNER}/rows?revision={work['data_revision']}"))["rows"]
    assert len(rows) == count and rows[-1]["outputs"] == {"y": count - 1.0, "phase": "clear"}
