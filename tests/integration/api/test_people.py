"""What people and scripts ask for: every endpoint at least once, on a real Postgres."""

from __future__ import annotations

import csv
import hashlib
import io
import uuid
from typing import Any

import pytest
from api import PROBLEM, Client, Lab, numbered, result

from services.bootstrap import Context

pytestmark = pytest.mark.anyio


async def test_queues(client: Client) -> None:
    policy = {"lease_seconds": 30, "on_lost": "requeue", "max_attempts": 2, "people": True}
    made = await client.ok("PUT", "/queues/cfd", policy)
    assert made == {"name": "cfd", **policy, "state": "active", "reason": ""}
    assert await client.ok("GET", "/queues/cfd") == made
    assert (await client.ok("GET", "/queues"))["items"] == [made]
    for verb, state in (("pause", "paused"), ("drain", "draining"), ("resume", "active")):
        turned = await client.ok("POST", f"/queues/cfd/{verb}", {"reason": "why"})
        assert turned["state"] == state and turned["reason"] == ("" if verb == "resume" else "why")
    await client.refused(404, "not_found", "POST", "/queues/cdf/pause", {})
    await client.refused(422, "invalid", "PUT", "/queues/cfd", {"lease_seconds": 0})


async def test_a_draining_queue_takes_nothing_new(lab: Lab) -> None:
    await lab.stage(1)
    await lab.client.ok("POST", f"/queues/{lab.queue}/drain", {"reason": "moving"})
    body = {"key": "k", "items": [{"parameters": {"tau": 1, "solvent": "water"}}]}
    await lab.client.refused(409, "conflict", "POST", f"/campaigns/{lab.campaign}/experiments", body)
    assert len(await lab.claim()) == 1


async def test_campaigns(client: Client, lab: Lab) -> None:
    shown = await client.ok("GET", "/campaigns/lab")
    assert set(shown) >= {
        "name",
        "state",
        "reason",
        "owner",
        "queue",
        "problem",
        "problem_version",
        "strategy",
        "strategy_version",
        "weight",
        "seed",
        "data_revision",
        "model_version",
        "counts",
        "best",
        "created_at",
        "finished_at",
    }
    assert (shown["owner"], shown["best"], shown["counts"]) == ("local", None, {})
    assert (await client.ok("GET", "/campaigns"))["items"] == [shown]
    assert (await client.ok("GET", "/campaigns?state=paused"))["items"] == []
    await lab.stage(1, 2)
    for verb, state in (("pause", "paused"), ("resume", "active")):
        assert (await client.ok("POST", f"/campaigns/lab/{verb}", {"reason": "why"}))["state"] == state
        assert len(await lab.claim()) == (verb == "resume")
    changed = {"strategy": {"method": "caller", "depth": 9}, "reason": "more"}
    shown = await client.ok("PUT", "/campaigns/lab/strategy", changed)
    assert (shown["strategy"]["depth"], shown["strategy_version"]) == (9, 2)
    assert (await client.ok("GET", "/campaigns/lab/models"))["items"] == []
    done = await client.ok("POST", "/campaigns/lab/finish", {"reason": "enough"})
    assert (done["state"], done["reason"]) == ("finished", "enough") and done["finished_at"]
    assert done["counts"] == {"leased": 1, "cancelled": 1}
    await client.refused(409, "conflict", "PUT", "/campaigns/lab/strategy", changed)


async def test_the_best_follows_the_results(context: Context, client: Client, lab: Lab) -> None:
    one, two, three = await lab.stage(1, 2, 3)
    for experiment, value in ((one, 0.4), (two, 0.9), (three, 0.6)):
        await lab.report(experiment, outputs={"yield": value, "purity": 1})
    await numbered(context)
    best = (await client.ok("GET", "/campaigns/lab"))["best"]
    assert (best["experiment"], best["score"], best["parameters"]["tau"]) == (two, 0.9, 2)
    (sent,) = (await client.ok("GET", f"/experiments/{two}"))["results"]
    amended = {"id": str(uuid.uuid4()), "outputs": {"yield": 0.1}, "reason": "integrated again"}
    assert (await client.ok("POST", f"/results/{sent['id']}/amend", amended))["verdict"] == "accepted"
    assert (await client.ok("POST", f"/results/{sent['id']}/amend", amended))["verdict"] == "duplicate"
    await numbered(context)
    assert (await client.ok("GET", "/campaigns/lab"))["best"]["experiment"] == three
    (sent,) = (await client.ok("GET", f"/experiments/{three}"))["results"]
    withdrawn = {"id": str(uuid.uuid4()), "reason": "wrong vial"}
    await client.ok("POST", f"/results/{sent['id']}/withdraw", withdrawn)
    await numbered(context)
    assert (await client.ok("GET", "/campaigns/lab"))["best"]["experiment"] == one
    await client.refused(404, "not_found", "POST", f"/results/{uuid.uuid4()}/withdraw", withdrawn)


async def test_experiments_by_pages(client: Client, lab: Lab) -> None:
    ids = await lab.stage(*range(5))
    seen, path = [], "/campaigns/lab/experiments?limit=2"
    page = await client.ok("GET", path)
    while page["next"]:
        seen += page["items"]
        page = await client.ok("GET", f"{path}&cursor={page['next']}")
    seen += page["items"]
    assert [each["id"] for each in seen] == ids
    await lab.claim()
    assert [
        each["id"] for each in (await client.ok("GET", "/campaigns/lab/experiments?state=leased"))["items"]
    ] == ids[:1]


async def test_results_by_pages_and_csv(client: Client, lab: Lab) -> None:
    ids = await lab.stage(1, 2, 3)
    for each in ids:
        await lab.report(each, comment='=HYPERLINK("http://evil")', actual={"tau": 1.5})
    first = await client.ok("GET", "/campaigns/lab/results?limit=2")
    second = await client.ok("GET", f"/campaigns/lab/results?limit=2&cursor={first['next']}")
    assert [each["experiment"] for each in first["items"] + second["items"]] == ids
    answer = await client.get("/campaigns/lab/results?format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["experiment"]) for row in rows] == ids
    assert rows[0]["comment"] == '\'=HYPERLINK("http://evil")'
    assert (float(rows[0]["tau"]), float(rows[0]["yield"]), rows[0]["verdict"]) == (1.5, 0.5, "accepted")
    rows = list(csv.DictReader(io.StringIO((await client.get("/campaigns/lab/experiments?format=csv")).text)))
    assert [row["code"] for row in rows] == ["lab-1", "lab-2", "lab-3"]


async def test_an_experiment_with_its_history(context: Context, client: Client, lab: Lab) -> None:
    await lab.stage(1)
    held = await lab.begin()
    note = {"items": [{"lease": held["lease"], "text": "injecting", "run_ref": "SEQ-1"}]}
    await client.ok("POST", "/attempts/note", note)
    await lab.report(held["code"], held["lease"])
    await numbered(context)
    shown = await client.ok("GET", f"/experiments/{held['code']}")
    assert shown["state"] == "completed" and shown["outputs"] == {"yield": 0.5, "purity": 0.9}
    (attempt,) = shown["attempts"]
    assert (attempt["run_ref"], attempt["notes"], attempt["ended"]) == ("SEQ-1", ["injecting"], "completed")
    assert [each["verdict"] for each in shown["results"]] == ["accepted"]
    assert "experiment.staged" in [each["type"] for each in shown["events"]]
    assert held["lease"] not in str(shown)


async def test_propose_approve_and_reject(client: Client, lab: Lab) -> None:
    row = {"parameters": {"tau": 1, "solvent": "water"}}
    staged = await client.ok(
        "POST", "/campaigns/lab/experiments", {"key": "k", "items": [row, row], "propose": True}
    )
    one, two = staged["experiments"]
    assert one["state"] == "proposed" and await lab.claim() == []
    assert (await client.ok("POST", f"/experiments/{one['id']}/approve", {}))["approved_by"] == "person:local"
    assert (await client.ok("POST", f"/experiments/{two['code']}/reject", {"reason": "no"}))[
        "state"
    ] == "cancelled"
    await client.refused(409, "conflict", "POST", f"/experiments/{two['id']}/approve", {})
    assert [each["experiment"] for each in await lab.claim()] == [one["id"]]


async def test_priorities_and_pins(client: Client, lab: Lab) -> None:
    _, second = await lab.stage(1, 2)
    shown = await client.ok("PATCH", f"/experiments/{second}", {"priority": 5, "pinned": True})
    assert (shown["priority"], shown["pinned"]) == (5, True)
    assert [each["experiment"] for each in await lab.claim()] == [second]
    await client.refused(409, "conflict", "PATCH", f"/experiments/{second}", {"priority": 6})
    await client.refused(422, "invalid", "PATCH", f"/experiments/{second}", {"priority": 10**6})


async def hold(lab: Lab) -> int:
    (experiment,) = await lab.stage(1)
    held = await lab.begin()
    assert (await lab.report(experiment, held["lease"], outputs={"yeild": 1}))["verdict"] == "held"
    return experiment


async def test_decisions(client: Client, lab: Lab) -> None:
    path = "/experiments/{}/decide"
    one, two, three = await hold(lab), await hold(lab), await hold(lab)
    again = await client.ok("POST", path.format(one), {"decision": "run_again", "reason": "typing error"})
    assert again["state"] == "staged"
    await client.refused(422, "invalid", "POST", path.format(two), {"decision": "complete"})
    bad = {"decision": "complete", "result": {"id": "x", "outputs": {}}}
    assert (await client.refused(422, "invalid", "POST", path.format(two), bad))["errors"][0][
        "field"
    ] == "result.id"
    good = {"id": str(uuid.uuid4()), "outputs": {"yield": 1, "purity": 1}}
    done = await client.ok(
        "POST", path.format(two), {"decision": "complete", "reason": "read off", "result": good}
    )
    assert done["state"] == "completed" and done["outputs"]["yield"] == 1
    given_up = await client.ok("POST", path.format(three), {"decision": "give_up", "reason": "broken vial"})
    assert given_up["state"] == "failed"
    assert (await client.ok("POST", f"/experiments/{three}/replay", {"reason": "new vial"}))[
        "state"
    ] == "staged"
    await client.refused(409, "conflict", "POST", path.format(three), {"decision": "run_again"})


async def test_cancelling(client: Client, lab: Lab) -> None:
    one, two = await lab.stage(1, 2)
    held = await lab.begin()
    assert (await client.ok("POST", f"/experiments/{one}/cancel", {"reason": "x"}))["cancel_wished"] is True
    assert (await client.ok("POST", f"/experiments/{two}/cancel", {"reason": "x"}))["state"] == "cancelled"
    item = {"items": [{"lease": held["lease"], "reason": "stopped"}]}
    assert (await client.ok("POST", "/attempts/cancelled", item))["items"][0]["ok"]
    assert await lab.state(one) == "cancelled"


async def test_results_of_runs_elsewhere(client: Client, lab: Lab) -> None:
    def item(tau: Any) -> dict[str, Any]:
        body = result(0, parameters={"tau": tau, "solvent": "water"})
        del body["experiment"]
        return body

    items = [item(1), item("hot"), item(2), {"id": "x"}, item(11)]
    answer = (await client.ok("POST", "/campaigns/lab/results", {"items": items}))["items"]
    assert [each["verdict"] for each in answer] == ["accepted", "held", "accepted", "refused", "accepted"]
    assert answer[1]["errors"][0]["field"] == "tau"
    assert "tau is outside" in answer[4]["message"] and not answer[0]["message"]
    assert (await client.ok("POST", "/campaigns/lab/results", {"items": items[:1]}))["items"][0][
        "verdict"
    ] == "duplicate"
    assert (await client.ok("GET", "/campaigns/lab"))["counts"] == {"completed": 3}


async def test_opaque_items(client: Client) -> None:
    problem = {"opaque": True, "outputs": [{"name": "y"}], "objectives": [{"output": "y"}]}
    lab = await Lab.make(client, "opaque", problem)
    body = {"key": "k", "items": [{"payload": {"recipe": [1, {"a": None}]}, "priority": 1, "pinned": True}]}
    await client.ok("POST", "/campaigns/opaque/experiments", body)
    (got,) = await lab.claim()
    assert got["payload"] == {"recipe": [1, {"a": None}]} and got["parameters"] == {}
    assert (await client.get("/campaigns/opaque/experiments?format=csv")).text.count("recipe") == 1


async def test_use_by_dates_need_a_zone(client: Client, lab: Lab) -> None:
    row = {"parameters": {"tau": 1, "solvent": "water"}, "expires_at": "2100-01-01T00:00:00"}
    answer = await client.refused(
        422, "invalid", "POST", "/campaigns/lab/experiments", {"key": "k", "items": [row]}
    )
    assert answer["errors"][0]["field"] == "items[0].expires_at" and "zone" in answer["errors"][0]["message"]
    row["expires_at"] += "+02:00"
    await client.ok("POST", "/campaigns/lab/experiments", {"key": "k", "items": [row]})
    (shown,) = (await client.ok("GET", "/campaigns/lab/experiments"))["items"]
    assert shown["expires_at"] == "2099-12-31T22:00:00Z"


async def test_instruments(client: Client, lab: Lab) -> None:
    await client.refused(404, "not_found", "GET", "/instruments/lab-robot")
    await lab.claimed()
    path = "/instruments/lab-robot"
    shown = await client.ok("GET", path)
    assert (shown["live"], shown["state"], shown["queue"]) == (True, "active", lab.queue)
    assert (await client.ok("GET", "/instruments"))["items"] == [shown]
    assert (await client.ok("PUT", path, {"failure_limit": 1}))["failure_limit"] == 1
    assert (await client.ok("POST", f"{path}/pause", {"reason": "column"}))["reason"] == "column"
    assert "column" in (await lab.claimed())["reason"]
    assert (await client.ok("POST", f"{path}/clear", {}))["state"] == "active"
    await lab.stage(1)
    held = await lab.begin()
    await client.ok("POST", f"/attempts/{held['lease']}/fail", {"reason": "no vacuum"})
    assert "no vacuum" in (await client.ok("GET", path))["reason"]


async def test_inquiries_without_a_worker(client: Client, lab: Lab) -> None:
    asked = await client.ok(
        "POST", "/campaigns/lab/predict", {"points": [{"tau": 1, "solvent": "water"}], "wait": 0}
    )
    assert asked["state"] == "open" and asked["answer"] is None
    assert await client.ok("GET", f"/inquiries/{asked['id']}?wait=0.05") == asked
    asked = await client.ok("POST", "/campaigns/lab/suggest", {"count": 2, "wait": 0})
    assert asked["request"] == {"count": 2}
    other = {"strategy": {"method": "design"}, "problem": {"objectives": [{"output": "purity"}]}, "seed": 3}
    asked = await client.ok("POST", "/campaigns/lab/suggest", {"count": 200, "wait": 0, **other})
    kept = asked["request"]
    assert (kept["count"], kept["seed"], kept["strategy"]["method"]) == (200, 3, "design")
    assert [each["output"] for each in kept["problem"]["objectives"]] == ["purity"]
    wrong = {"count": 200, "strategy": {"beta": "much"}, "wait": 0}
    answer = await client.refused(422, "invalid", "POST", "/campaigns/lab/suggest", wrong)
    assert {each["field"] for each in answer["errors"]} == {"strategy.beta"}
    answer = await client.refused(
        422, "invalid", "POST", "/campaigns/lab/predict", {"points": [{"tau": 99}], "wait": 0}
    )
    assert {each["field"] for each in answer["errors"]} == {"points[0].tau", "points[0].solvent"}
    path = "/campaigns/lab/train"
    answer = await client.refused(409, "conflict", "POST", path, {"wait": 0})
    assert "A model needs 3 results; there are 0." in answer["detail"]
    await client.refused(422, "invalid", "POST", path, {"seconds": 0})


async def test_events_by_pages(client: Client, lab: Lab) -> None:
    (experiment,) = await lab.stage(1)
    client.app.state.server.hub.changed()  # type: ignore[attr-defined]
    found: list[Any] = []
    while not any(each["type"] == "experiment.staged" for each in found):
        found = (await client.ok("GET", "/events"))["items"]
    assert [each["number"] for each in found] == list(range(1, len(found) + 1))
    assert (found[-1]["campaign"], found[-1]["experiment"]) == ("lab", experiment)
    first = await client.ok("GET", "/events?limit=1")
    second = await client.ok("GET", f"/events?limit=1&cursor={first['next']}")
    assert [*first["items"], *second["items"]] == found[:2]
    assert (await client.ok("GET", "/events?after=2"))["items"] == found[2:]
    mine = (await client.ok("GET", "/events?experiment=lab-1&campaign=lab"))["items"]
    assert [each["type"] for each in mine] == ["experiment.staged"]
    await client.refused(404, "not_found", "GET", "/events?campaign=bal")


async def test_artifacts(client: Client) -> None:
    body = b"chromatogram"
    digest = hashlib.sha256(body).hexdigest()
    path = f"/artifacts/{digest}"
    assert (await client.head(path)).status_code == 404
    for status in (201, 200):
        answer = await client.put(path, content=body)
        assert answer.status_code == status and answer.json() == {"sha256": digest, "size": len(body)}
    assert (await client.get(path)).content == body
    head = await client.head(path)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(body)), b"")
    assert (await client.put(path, content=b"damaged")).status_code == 422
    assert (await client.put("/artifacts/short", content=body)).status_code == 422
    await client.refused(404, "not_found", "GET", f"/artifacts/{'0' * 64}")


async def test_webhooks(client: Client, lab: Lab) -> None:
    body = {"url": "https://lab.example/hook", "types": ["experiment.completed"], "campaign": "lab"}
    made = await client.ok("POST", "/webhooks", body)
    assert made["secret"] and made["campaign"] == "lab"
    (shown,) = (await client.ok("GET", "/webhooks"))["items"]
    assert "secret" not in shown and shown["id"] == made["id"]
    answer = await client.delete(f"/webhooks/{made['id']}")
    assert answer.status_code == 204
    await client.refused(404, "not_found", "DELETE", f"/webhooks/{made['id']}")
    await client.refused(422, "invalid", "POST", "/webhooks", {"url": "ftp://x"})


async def test_status_begins_with_what_needs_a_person(client: Client, lab: Lab) -> None:
    experiment = await hold(lab)
    await client.ok("POST", f"/queues/{lab.queue}/pause", {"reason": "pump"})
    await client.ok("POST", "/campaigns/lab/pause", {"reason": "weekend"})
    shown = await client.ok("GET", "/status")
    titles = [each["title"] for each in shown["attention"]]
    assert titles == ["lab-1 is held", "lab is paused", "queue lab-queue is paused"]
    assert "labqueue decide lab-1" in shown["attention"][0]["do"]
    assert shown["attention"][0]["link"] == f"/api/v1/experiments/{experiment}"
    assert shown["queues"][0]["counts"] == {"held": 1}
    assert {each["name"] for each in shown["instruments"]} == {"lab-robot"} and shown["version"]


async def test_the_actor_stands_in_the_history(client: Client, lab: Lab) -> None:
    await client.ok("PUT", "/queues/x", {}, headers={"X-Labqueue-Actor": "Jürgen".encode()})
    client.app.state.server.hub.changed()  # type: ignore[attr-defined]
    actors: set[str] = set()
    while "person:Jürgen" not in actors:
        actors = {each["actor"] for each in (await client.ok("GET", "/events"))["items"]}
    await client.refused(422, "invalid", "GET", "/queues", headers={"X-Labqueue-Actor": "a" * 101})
    problem = {**PROBLEM}
    body = {"name": "hers", "queue": "x", "problem": problem, "strategy": {"method": "caller"}}
    made = await client.ok("POST", "/campaigns", body, headers={"X-Labqueue-Actor": "anna"})
    assert made["owner"] == "anna"


async def test_what_somebody_has_seen_needs_nobody_any_more(
    client: Client, lab: Lab, context: Context
) -> None:
    async def titles() -> list[str]:
        return [each["title"] for each in (await client.ok("GET", "/status"))["attention"]]

    one, two = await hold(lab), await hold(lab)
    for each in (one, two):
        await client.ok("POST", f"/experiments/{each}/decide", {"decision": "give_up", "reason": "broken"})
    assert "2 experiments of lab given up" in await titles()
    seen = await client.ok("POST", f"/experiments/lab-{one}/dismiss", {"reason": "the vial was cracked"})
    assert seen["state"] == "failed" and seen["dismissed_at"]
    await numbered(context)
    last = (await client.ok("GET", f"/experiments/{one}"))["events"][-1]
    assert (last["type"], last["actor"]) == ("experiment.dismissed", "person:local")
    assert "1 experiment of lab given up" in await titles()
    await client.ok("POST", f"/experiments/{two}/dismiss", {"reason": "this one, too"})
    assert not any("given up" in each for each in await titles())
    await client.ok("POST", f"/experiments/{one}/replay", {"reason": "a new vial"})
    assert (await client.ok("GET", f"/experiments/{one}"))["dismissed_at"] is None
    await client.refused(409, "conflict", "POST", f"/experiments/{one}/dismiss", {"reason": "too early"})
    missing = await client.refused(422, "invalid", "POST", f"/experiments/{two}/dismiss", {})
    assert missing["errors"][0]["field"] == "reason"


async def test_a_refused_result_is_seen_by_its_id(client: Client, lab: Lab, context: Context) -> None:
    sent = result(10**9)
    assert (await client.ok("POST", "/results", {"items": [sent]}))["items"][0]["verdict"] == "refused"
    assert len(context.store.views.unusable()) == 1  # type: ignore[attr-defined]
    path = f"/results/{sent['id']}/dismiss"
    await client.refused(422, "invalid", "POST", path, {"reason": " "})
    [shown] = (await client.ok("POST", path, {"reason": "sent by a test"}))["items"]
    assert (shown["id"], shown["verdict"], shown["experiment"]) == (sent["id"], "refused", None)
    assert context.store.views.unusable() == []  # type: ignore[attr-defined]
    assert (await client.ok("POST", path, {"reason": "twice is once"}))["items"] == [shown]
    await client.refused(404, "not_found", "POST", f"/results/{uuid.uuid4()}/dismiss", {"reason": "?"})
