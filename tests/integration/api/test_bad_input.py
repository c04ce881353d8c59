"""Bad input gets a clear error, and loses nothing."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from api import PROBLEM, Client, Lab, context_for, in_process, result, settings_for

pytestmark = pytest.mark.anyio

GOOD = {"tau": 1, "solvent": "water"}


async def staged(lab: Lab, *rows: Any, **more: Any) -> Any:
    body = {"key": str(uuid.uuid4()), "items": [{"parameters": row} for row in rows], **more}
    return await lab.client.refused(422, "invalid", "POST", f"/campaigns/{lab.campaign}/experiments", body)


def errors(answer: Any) -> dict[str, Any]:
    return {each["field"]: each for each in answer["errors"]}


async def test_every_bad_row_is_named_and_nothing_is_staged(lab: Lab) -> None:
    answer = await staged(
        lab,
        GOOD,
        {"tua": 1, "solvent": "water"},
        {"tau": 11, "solvent": "water"},
        {"tau": "1", "solvent": "water"},
        {"tau": 1, "solvent": "watre"},
        "nothing",
    )
    found = errors(answer)
    assert found["items[1].tua"]["hint"] == "Did you mean tau?"
    assert "0 to 10 min" in found["items[2].tau"]["message"] and found["items[2].tau"]["value"] == 11
    assert "items[3].tau" in found and "items[5].parameters" in found
    assert (
        found["items[4].solvent"]["allowed"] == "water, ethanol"
        and "water" in found["items[4].solvent"]["hint"]
    )
    assert "5 of 6 rows" in answer["detail"]
    assert await lab.claim() == []


async def test_violated_constraints_are_named(client: Client) -> None:
    problem = {
        **PROBLEM,
        "parameters": [
            {"name": "a", "kind": "continuous", "low": 0, "high": 1},
            {"name": "b", "kind": "continuous", "low": 0, "high": 1},
        ],
        "constraints": [{"kind": "linear", "coefficients": {"a": 1, "b": 1}, "operator": "<=", "bound": 1}],
    }
    lab = await Lab.make(client, "mixture", problem)
    answer = await staged(lab, {"a": 0.7, "b": 0.7})
    assert "1 * a + 1 * b <= 1" in answer["errors"][0]["message"]


async def test_a_problem_without_a_feasible_point(client: Client, lab: Lab) -> None:
    constraint = {"kind": "linear", "coefficients": {"tau": 1}, "operator": ">=", "bound": 20}
    body = {"name": "no", "queue": lab.queue, "problem": {**PROBLEM, "constraints": [constraint]}}
    answer = await client.refused(
        422, "invalid", "POST", "/campaigns", {**body, "strategy": {"method": "caller"}}
    )
    assert "constraints" in errors(answer)["problem.constraints"]["field"]


async def test_a_problem_and_a_strategy_that_are_wrong_are_told_at_once(client: Client, lab: Lab) -> None:
    body = {
        "name": "no",
        "queue": lab.queue,
        "problem": {"parameters": [{"name": "a", "kind": "continous", "low": 1, "high": 0}], "outputs": []},
        "strategy": {"method": "bayesain", "deepth": 3},
    }
    found = errors(await client.refused(422, "invalid", "POST", "/campaigns", body))
    assert found["parameters[0].kind"]["hint"] == "Did you mean continuous?"
    assert found["strategy.deepth"]["hint"] == "Did you mean depth?"
    assert found["strategy.method"]["hint"] == "Did you mean bayesian?"


async def test_unknown_names_name_the_nearest(client: Client, lab: Lab) -> None:
    for method, path, body in (
        ("POST", f"/queues/{lab.queue}x/claims", lab.claiming()),
        ("GET", f"/queues/{lab.queue}x", None),
        ("GET", f"/campaigns/{lab.campaign}x", None),
        ("POST", f"/campaigns/{lab.campaign}x/experiments", {"key": "k", "items": [{"parameters": GOOD}]}),
        ("POST", "/campaigns", {"name": "n", "queue": "lab-quee", "problem": PROBLEM}),
    ):
        answer = await client.refused(404, "not_found", method, path, body)
        assert f"Did you mean {lab.campaign}" in json.dumps(answer)


async def test_unknown_fields_name_the_nearest(client: Client, lab: Lab) -> None:
    for path, body, field, hint in (
        (f"/queues/{lab.queue}/claims", {**lab.claiming(), "instrumnet": "x"}, "instrumnet", "instrument"),
        (
            "/campaigns/lab/experiments",
            {"key": "k", "items": [{"parametres": {}}]},
            "items[0].parametres",
            "parameters",
        ),
        ("/attempts/heartbeat", {"instrument": "i", "adaptr": "a"}, "adaptr", "adapter"),
    ):
        found = errors(await client.refused(422, "invalid", "POST", path, body))
        assert found[field]["hint"] == f"Did you mean {hint}?"
    answer = await client.refused(422, "invalid", "GET", "/campaigns/lab/experiments?stat=held")
    assert errors(answer)["stat"]["hint"] == "Did you mean state?"
    await client.ok("GET", "/events?after=0&limit=3")


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"max": "2"}, "max", "whole number"),
        ({"max": 1.5}, "max", "whole number"),
        ({"max": True}, "max", "whole number"),
        ({"max": 0}, "max", "at least 1"),
        ({"wait": 61}, "wait", "at most 60"),
        ({"wait": "5"}, "wait", "number"),
        ({"within": -1}, "within", "at least 0"),
        ({"instrument": ""}, "instrument", "at least 1 letters"),
        ({"instrument": 5}, "instrument", "text"),
        ({"key": None}, "key", "text"),
        ({"form": "lst"}, "form", "one of object, list"),
        ({"experiments": 5}, "experiments", "list"),
        ({"experiments": [0]}, "experiments[0]", "at least 1"),
        ({"take_over": "yes"}, "take_over", "true or false"),
        ({"instrument": "a\x00b"}, "instrument", "NUL"),
        ({"key": "\ud800"}, "key", "surrogate"),
    ],
)
async def test_wrong_types_and_bounds(lab: Lab, change: Any, field: str, message: str) -> None:
    body = json.dumps({**lab.claiming(), **change}).encode()
    answer = await lab.client.post(f"/queues/{lab.queue}/claims", content=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert message in errors(answer.json())[field]["message"]


async def test_whole_numbers_may_be_written_as_real_ones(lab: Lab) -> None:
    await lab.stage(1, 2)
    assert len(await lab.claim(max=2.0)) == 2


async def test_what_is_missing_is_named(lab: Lab) -> None:
    answer = await lab.client.refused(422, "invalid", "POST", f"/queues/{lab.queue}/claims", {})
    assert {each["field"] for each in answer["errors"]} == {"instrument", "adapter", "key"}
    assert all(each["message"] == "is missing." for each in answer["errors"])


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b'{"items": [{"outputs": {"yield": NaN}}]}', "items[0].outputs.yield"),
        (b'{"items": [1, -Infinity]}', "items[1]"),
        (b'{"items": [1e999]}', "items[0]"),
        (b'{"items": [' + b"9" * 400 + b"]}", "items[0]"),
    ],
)
async def test_numbers_that_json_does_not_have(client: Client, raw: bytes, place: str) -> None:
    answer = await client.post("/results", content=raw)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert [each["field"] for each in answer.json()["errors"]] == [place]


async def test_a_key_that_is_there_twice(client: Client) -> None:
    raw = b'{"items": [{"outputs": {"yield": 0.5, "purity": 99, "yield": 0.9}}]}'
    answer = await client.post("/results", content=raw)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "more than once" in errors(answer.json())["items[0].outputs.yield"]["message"]


@pytest.mark.parametrize(
    "raw",
    [b"{", b'{"items": [}', b"\xff\xfe\xfa", b"[" * 100_000, b'{"items": "\xff"}', b"nonsense", b'"\n"'],
)
async def test_what_is_no_json(client: Client, raw: bytes) -> None:
    answer = await client.post("/results", content=raw)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


@pytest.mark.parametrize("body", [[], "text", 5, None, True])
async def test_what_is_no_object(lab: Lab, body: Any) -> None:
    for path in (f"/queues/{lab.queue}/claims", "/results", "/campaigns", "/attempts/start"):
        answer = await lab.client.post(path, content=json.dumps(body).encode())
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), path


async def test_a_byte_order_mark_is_no_fault(lab: Lab) -> None:
    body = b"\xef\xbb\xbf" + json.dumps(lab.claiming()).encode()
    assert (await lab.client.post(f"/queues/{lab.queue}/claims", content=body)).status_code == 200


@pytest.fixture
async def small(postgres_url: str, home: Path) -> AsyncIterator[Client]:
    """A server that takes bodies of 2,000 bytes."""
    with context_for(settings_for(postgres_url, home, LABQUEUE_BODY_LIMIT="2000")) as context:
        async with in_process(context) as client:
            yield client


async def test_a_body_over_the_limit(small: Client) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b" " * 100

    for content in (b" " * 2001, parts()):
        answer = await small.post("/results", content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert "2,000" in answer.json()["detail"]
    assert (await small.post("/results", content=b" " * 2000)).status_code == 422


async def test_95_good_ones_are_recorded_whatever_the_96th_is(lab: Lab) -> None:
    ids = await lab.stage(*[1] * 96)
    items: list[Any] = [result(each) for each in ids[:95]]
    for bad, code, verdict in (
        ({"experiment": ids[95], "outputs": {}}, "invalid", "refused"),  # no id
        ({**result(ids[95]), "id": "seven"}, "invalid", "refused"),
        ({**result(ids[95]), "outpts": {}}, "invalid", "refused"),
        ({**result(ids[95]), "outcome": "fine"}, "invalid", "refused"),
        ("nonsense", "invalid", "refused"),
        (result(10**18), "not_found", "refused"),
        (result(10**30), "invalid", "refused"),
        (result("lab-1000"), "not_found", "refused"),
        (result(ids[95], outputs={"yeild": 0.5, "purity": 0.9}), None, "held"),
    ):
        sent = [*items[:50], bad, *items[50:]]
        answer = (await lab.client.ok("POST", "/results", {"items": sent}))["items"]
        others = answer[:50] + answer[51:]
        assert {each["verdict"] for each in others} <= {"accepted", "duplicate"}
        assert [each["id"] for each in others] == [each["id"] for each in items]
        assert (answer[50]["code"], answer[50]["verdict"]) == (code, verdict), bad
        assert answer[50]["message"]
    assert answer[50]["errors"][0]["field"] == "yield" and "yeild" in answer[50]["errors"][0]["hint"]
    shown = await lab.client.ok("GET", f"/experiments/{ids[95]}")
    assert shown["state"] == "held" and "yield" in shown["state_reason"]
    assert shown["results"][-1]["outputs"] == {"yeild": 0.5, "purity": 0.9}


@pytest.mark.parametrize(
    "outputs", [{"yield": "0.5", "purity": 1}, {"yield": None, "purity": 1}, {"yield": [1]}, {}]
)
async def test_unusable_outputs_are_kept_raw(lab: Lab, outputs: Any) -> None:
    (experiment,) = await lab.stage(1)
    held = await lab.begin()
    item = await lab.report(experiment, held["lease"], outputs=outputs)
    assert item["verdict"] == "held" and item["errors"]
    shown = await lab.client.ok("GET", f"/experiments/{experiment}")
    assert shown["state"] == "held" and shown["results"][0]["outputs"] == outputs


async def test_outputs_beyond_the_problem_are_kept_beside(lab: Lab) -> None:
    (experiment,) = await lab.stage(1)
    item = await lab.report(experiment, outputs={"yield": 0.5, "purity": 0.9, "colour": 3})
    assert item["verdict"] == "accepted" and "colour" in item["message"]
    assert (await lab.client.ok("GET", f"/experiments/{experiment}"))["results"][0]["extra"] == {"colour": 3}


async def test_a_stale_lease_changes_nothing(client: Client) -> None:
    lab = await Lab.make(client, on_lost="requeue")
    await lab.stage(1)
    (first,) = await lab.claim()
    await client.ok("POST", f"/attempts/{first['lease']}/release", {})
    (second,) = await lab.claim()
    for verb, body in (("start", {}), ("fail", {"reason": "x"}), ("release", {}), ("note", {"text": "x"})):
        await client.refused(409, "lease_lost", "POST", f"/attempts/{first['lease']}/{verb}", body)
    stale, live, nonsense, bad = (
        await client.ok(
            "POST",
            "/attempts/start",
            {"items": [{"lease": first["lease"]}, {"lease": second["lease"]}, {"lease": "x"}, {"lase": 1}]},
        )
    )["items"]
    assert (stale["ok"], stale["code"]) == (False, "lease_lost")
    assert live == {"lease": second["lease"], "ok": True, "code": None, "message": ""}
    assert (nonsense["ok"], nonsense["code"]) == (False, "lease_lost")
    assert (bad["ok"], bad["code"]) == (False, "invalid") and "Did you mean lease" in bad["message"]


async def test_a_reused_key_with_another_body(client: Client, lab: Lab) -> None:
    path = f"/campaigns/{lab.campaign}/experiments"
    body = {"key": "k", "items": [{"parameters": GOOD}]}
    first = await client.post(path, json=body)
    again = await client.post(path, json=body)
    assert (first.status_code, again.status_code) == (201, 200) and first.json() == again.json()
    await client.refused(409, "key_reused", "POST", path, {**body, "propose": True})
    (experiment,) = (each["id"] for each in first.json()["experiments"])
    sent = result(experiment)
    path = f"/experiments/{experiment}/results"
    alone = {key: value for key, value in sent.items() if key != "experiment"}
    assert (await client.ok("POST", path, alone))["verdict"] == "accepted"
    assert (await client.ok("POST", path, alone))["verdict"] == "duplicate"
    await client.refused(409, "key_reused", "POST", path, {**alone, "outputs": {"yield": 1, "purity": 1}})
    verdicts = [each["verdict"] for each in (await client.ok("GET", f"/experiments/{experiment}"))["results"]]
    assert verdicts == ["accepted", "refused"]
    campaign = {"name": "lab", "queue": lab.queue, "problem": PROBLEM, "strategy": {"method": "caller"}}
    assert (await client.post("/campaigns", json=campaign)).status_code == 200
    await client.refused(409, "key_reused", "POST", "/campaigns", {**campaign, "weight": 2})


async def test_paths_and_methods_that_are_not(client: Client) -> None:
    await client.refused(404, "not_found", "GET", "/nothing")
    await client.refused(404, "not_found", "GET", "http://localhost/nothing")
    answer = await client.request("DELETE", "/queues/q")
    assert answer.status_code == 405 and answer.headers["allow"]
    assert answer.headers["content-type"] == "application/problem+json"
    await client.refused(404, "not_found", "GET", "/experiments/0")
    await client.refused(404, "not_found", "GET", f"/experiments/{10**30}")
    await client.refused(422, "invalid", "GET", "/inquiries/seven")
    await client.refused(404, "not_found", "GET", f"/inquiries/{uuid.uuid4()}")
    await client.refused(422, "invalid", "GET", "/campaigns/x/experiments?limit=0")
    await client.refused(422, "invalid", "GET", "/campaigns/x/experiments?state=helt")


async def test_names_may_hold_any_printable_text(client: Client) -> None:
    name = "a/b %2F ?#[1] ümläut <script>"
    from urllib.parse import quote

    path = f"/queues/{quote(name, safe='')}"
    assert (await client.ok("PUT", path, {}))["name"] == name
    assert (await client.ok("GET", path))["name"] == name
    body = {"name": name, "queue": name, "problem": PROBLEM, "strategy": {"method": "caller"}}
    await client.ok("POST", "/campaigns", body)
    assert (await client.ok("GET", f"/campaigns/{quote(name, safe='')}"))["queue"] == name
    claim = {"instrument": name, "adapter": "a", "key": "k"}
    assert (await client.ok("POST", f"{path}/claims", claim))["experiments"] == []
    assert (await client.ok("GET", f"/instruments/{quote(name, safe='')}"))["name"] == name


async def test_a_defect_of_ours_shows_a_number_and_no_more(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("services.api.routes.queues.find_queue", broken)
    answer = await client.refused(500, "error", "GET", "/queues/q")
    assert "secret" not in json.dumps(answer) and "log as" in answer["detail"]
