"""Who may do what: tokens, scopes, foreign web pages, and addresses that would be open to everybody."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from api import PROBLEM, Client, Lab, context_for, in_process, result, settings_for

from labqueue.errors import DeniedError
from services.api.server import check_bind
from services.bootstrap import Context
from services.flow.tokens import issue

pytestmark = pytest.mark.anyio


def as_(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def token(context: Context, *scopes: str, name: str = "somebody", days: float | None = None) -> str:
    return issue(context.store, context.ids, name, scopes, days, "person:admin")[1]


@pytest.fixture
async def guarded(context: Context) -> AsyncIterator[dict[str, Client]]:
    """One server with two labs, and clients with different tokens."""
    texts = {
        "admin": token(context, "admin"),
        "robot": token(context, "queue:mine-queue", name="hplc-2"),
        "owner": token(context, "campaign:mine", name="anna"),
    }
    async with in_process(context, headers=as_(texts["admin"])) as admin:
        clients = {"admin": admin}
        await Lab.make(admin, "mine")
        await Lab.make(admin, "theirs")
        for name in ("robot", "owner"):
            clients[name] = Client(
                transport=admin._transport, base_url=admin.base_url, headers=as_(texts[name])
            )
        clients["nobody"] = Client(transport=admin._transport, base_url=admin.base_url)
        yield clients


async def test_loopback_needs_no_token_until_there_is_one(client: Client) -> None:
    made = await client.ok("POST", "/tokens", {"name": "hplc-2", "scopes": ["admin"], "days": 1})
    answer = await client.get("/queues")
    assert (answer.status_code, answer.json()["code"]) == (401, "denied")
    assert answer.headers["www-authenticate"] == "Bearer" and "LABQUEUE_TOKEN" in answer.json()["detail"]
    (shown,) = (await client.ok("GET", "/tokens", headers=as_(made["token"])))["items"]
    assert shown["name"] == "hplc-2" and made["token"] not in json.dumps(shown) and shown["expires_at"]
    gone = await client.delete(f"/tokens/{made['id']}", headers=as_(made["token"]))
    assert gone.status_code == 204
    await client.refused(401, "denied", "GET", "/tokens", headers=as_(made["token"]))
    await client.ok("GET", "/queues")  # none that works is left: as before the first one


async def test_wrong_tokens(guarded: dict[str, Client], context: Context) -> None:
    old = token(context, "admin", days=1e-9)
    for text in ("", "x", "lq_" + "a" * 43, old):
        await guarded["nobody"].refused(401, "denied", "GET", "/queues", headers=as_(text))
    await guarded["nobody"].refused(401, "denied", "GET", "/queues", headers={"Authorization": "Basic eDp4"})
    assert "expired" in (await guarded["nobody"].get("/queues", headers=as_(old))).json()["detail"]


async def test_an_adapter_may_work_for_its_queue_only(guarded: dict[str, Client]) -> None:
    admin, robot = guarded["admin"], guarded["robot"]
    mine, theirs = Lab(admin, "mine"), Lab(admin, "theirs")
    (own,), (foreign,) = await mine.stage(1), await theirs.stage(1)
    held, other = await Lab(robot, "mine").begin(), await theirs.begin()
    await robot.refused(403, "denied", "POST", "/queues/theirs-queue/claims", theirs.claiming())
    items = [{"lease": held["lease"]}, {"lease": other["lease"]}, {"lease": "x"}]
    said = (await robot.ok("POST", "/attempts/start", {"items": items}))["items"]
    assert [each["code"] for each in said] == [None, "denied", "lease_lost"]
    await robot.refused(403, "denied", "POST", f"/attempts/{other['lease']}/fail", {"reason": "sabotage"})
    beat = {"instrument": "i", "adapter": "a", "leases": [other["lease"]]}
    await robot.refused(403, "denied", "POST", "/attempts/heartbeat", beat)
    sent = [result(own, lease=held["lease"]), result(foreign), result(10**9)]
    told = (await robot.ok("POST", "/results", {"items": sent}))["items"]
    assert [each["code"] for each in told] == [None, "denied", "denied"]
    body = {"id": str(uuid.uuid4()), "outputs": {"yield": 1, "purity": 1}}
    await robot.refused(403, "denied", "POST", f"/experiments/{foreign}/results", body)
    assert await theirs.state(foreign) == "leased" and await mine.state(own) == "completed"
    (shown,) = (await robot.ok("GET", f"/experiments/{own}"))["results"]
    assert shown["actor"] == "token:hplc-2"
    await robot.refused(403, "denied", "GET", f"/experiments/{foreign}")


FORBIDDEN: list[tuple[str, str, str, Any]] = [
    ("robot", "PUT", "/queues/mine-queue", {}),
    ("robot", "POST", "/queues/mine-queue/pause", {}),
    ("robot", "POST", "/campaigns/mine/experiments", {"key": "k", "items": [{}]}),
    ("robot", "POST", "/campaigns/mine/finish", {}),
    ("robot", "GET", "/campaigns/theirs", None),
    ("robot", "GET", "/campaigns/mine/files", None),
    ("robot", "PUT", "/campaigns/mine/files/a", {}),
    ("robot", "GET", "/campaigns/mine/files/a", None),
    ("robot", "POST", "/experiments/1/cancel", {}),
    ("robot", "PATCH", "/experiments/1", {"priority": 1}),
    ("robot", "POST", "/experiments/1/dismiss", {"reason": "seen"}),
    ("owner", "POST", "/experiments/2/dismiss", {"reason": "seen"}),
    ("owner", "POST", f"/results/{uuid.UUID(int=1)}/dismiss", {"reason": "seen"}),
    ("robot", "POST", "/campaigns/mine/predict", {"points": [{}]}),
    ("robot", "POST", "/campaigns/mine/train", {}),
    ("robot", "GET", "/tokens", None),
    ("robot", "POST", "/tokens", {"name": "x", "scopes": ["admin"]}),
    ("robot", "GET", "/webhooks", None),
    ("robot", "GET", "/queues/theirs-queue/batches", None),
    ("owner", "POST", "/tokens", {"name": "x", "scopes": ["admin"]}),
    ("owner", "POST", "/webhooks", {"url": "https://x"}),
    ("owner", "POST", "/queues/mine-queue/claims", {"instrument": "i", "adapter": "a", "key": "k"}),
    ("owner", "POST", "/campaigns", {"name": "new", "queue": "mine-queue", "problem": PROBLEM}),
    ("owner", "PUT", "/campaigns/theirs/strategy", {"strategy": {}}),
    ("owner", "POST", "/campaigns/theirs/experiments", {"key": "k", "items": [{}]}),
    ("owner", "GET", "/campaigns/theirs/results", None),
    ("owner", "GET", "/campaigns/theirs/experiments?format=csv", None),
    ("owner", "GET", "/campaigns/theirs/models", None),
    ("owner", "GET", "/campaigns/theirs/files", None),
    ("owner", "PUT", "/campaigns/theirs/files/a/b", {}),
    ("owner", "DELETE", "/campaigns/theirs/files/a", None),
    ("owner", "POST", "/campaigns/theirs/results", {"items": [{}]}),
    ("owner", "POST", "/experiments/2/decide", {"decision": "give_up"}),
    ("owner", "PUT", "/instruments/mine-robot", {"failure_limit": 9}),
    ("owner", "POST", "/instruments/mine-robot/clear", {}),
]


@pytest.mark.parametrize(("who", "method", "path", "body"), FORBIDDEN)
async def test_what_a_scope_does_not_allow(
    guarded: dict[str, Client], who: str, method: str, path: str, body: Any
) -> None:
    await Lab(guarded["admin"], "mine").stage(1)
    await Lab(guarded["admin"], "theirs").stage(1)
    await Lab(guarded["admin"], "mine").claimed(min=5, max=5)
    answer = await guarded[who].refused(403, "denied", method, path, body)
    assert "scope" in answer["detail"]
    await guarded["nobody"].refused(401, "denied", method, path, body)


async def test_people_of_a_campaign_steer_it(guarded: dict[str, Client]) -> None:
    owner = guarded["owner"]
    lab = Lab(owner, "mine")
    (experiment,) = await lab.stage(1)
    assert (await lab.report(experiment))["verdict"] == "accepted"
    (sent,) = (await owner.ok("GET", "/campaigns/mine/results"))["items"]
    body = {"id": str(uuid.uuid4()), "outputs": {"yield": 1}, "reason": "again"}
    assert (await owner.ok("POST", f"/results/{sent['id']}/amend", body))["verdict"] == "accepted"
    assert (await owner.ok("POST", "/campaigns/mine/finish", {"reason": "x"}))["state"] == "finished"
    await guarded["robot"].refused(
        403, "denied", "POST", f"/results/{sent['id']}/withdraw", {"id": str(uuid.uuid4())}
    )


async def test_lists_show_what_the_caller_may_see(guarded: dict[str, Client]) -> None:
    admin, robot, owner = guarded["admin"], guarded["robot"], guarded["owner"]
    for name in ("mine", "theirs"):
        await Lab(admin, name).stage(1)
        await Lab(admin, name).claimed()
    admin.app.state.server.hub.changed()  # type: ignore[attr-defined]
    everything: list[Any] = []
    while len([each for each in everything if each["type"] == "experiment.claimed"]) < 2:
        everything = (await admin.ok("GET", "/events"))["items"]
    for who, campaigns, queues in ((admin, 2, 2), (robot, 1, 1), (owner, 1, 0)):
        assert len((await who.ok("GET", "/campaigns"))["items"]) == campaigns
        assert len((await who.ok("GET", "/queues"))["items"]) == queues
        assert len((await who.ok("GET", "/instruments"))["items"]) == queues
        status = await who.ok("GET", "/status")
        assert (len(status["campaigns"]), len(status["queues"])) == (campaigns, queues)
    seen = (await owner.ok("GET", "/events"))["items"]
    assert seen and {each["campaign"] for each in seen} == {"mine"}
    seen = (await robot.ok("GET", "/events"))["items"]
    assert seen and {each["queue"] for each in seen} == {"mine-queue"}


async def test_foreign_web_pages_change_nothing(client: Client, lab: Lab) -> None:
    for origin in ("https://evil.example", "null", "http://localhost:9999"):
        await client.refused(
            403, "denied", "POST", f"/queues/{lab.queue}/pause", {}, headers={"Origin": origin}
        )
    await client.ok("POST", f"/queues/{lab.queue}/pause", {}, headers={"Origin": "http://localhost"})


async def test_foreign_names_do_not_reach_a_server_without_tokens(client: Client, context: Context) -> None:
    await client.refused(403, "denied", "GET", "http://evil.example/api/v1/queues")
    for name in ("127.0.0.1:8000", "[::1]:8000", "localhost", "lab.localhost:80"):
        await client.ok("GET", f"http://{name}/api/v1/queues")
    text = token(context, "admin")
    client.app.state.server.access.forget()  # type: ignore[attr-defined]
    await client.ok("GET", "http://labqueue.example/api/v1/queues", headers=as_(text))


async def test_every_answer_has_security_headers(client: Client) -> None:
    for path in ("/queues", "/nothing", "http://localhost/app", "http://localhost/livez"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers


async def test_a_browser_shows_the_token_as_a_password(guarded: dict[str, Client]) -> None:
    nobody, admin = guarded["nobody"], guarded["admin"]
    answer = await nobody.get("http://localhost/app")
    assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Basic")
    text = admin.headers["authorization"].removeprefix("Bearer ")
    shown = {"Authorization": "Basic " + base64.b64encode(f"anna:{text}".encode()).decode()}
    assert (await nobody.get("http://localhost/app", headers=shown)).status_code == 200
    # Only for looking: a browser would send it along with any request.
    await nobody.refused(401, "denied", "POST", "/queues/q/pause", {}, headers=shown)
    for path in ("livez", "readyz"):
        assert (await nobody.get(f"http://localhost/{path}")).status_code == 200
    assert (await nobody.get("http://localhost/metrics")).status_code == 401


async def test_it_does_not_bind_elsewhere_without_tokens(postgres_url: str, home: Path) -> None:
    with context_for(settings_for(postgres_url, home, LABQUEUE_HOST="0.0.0.0")) as open_:
        with pytest.raises(DeniedError, match="token create"):
            check_bind(open_)
        async with in_process(open_) as client:
            await client.refused(401, "denied", "GET", "/queues")
        text = token(open_, "admin")
        check_bind(open_)
        async with in_process(open_) as client:
            await client.ok("GET", "/queues", headers=as_(text))
    with context_for(settings_for(postgres_url, home, LABQUEUE_HOST="::1")) as closed:
        check_bind(closed)
