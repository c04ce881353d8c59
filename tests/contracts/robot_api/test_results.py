"""Results, files, staging and what subscribers see: every server of the robots' half of the HTTP contract."""

from __future__ import annotations

import hashlib
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from robot_bench import Bench, Server, result


def test_the_same_result_twice_is_one(bench: Bench) -> None:
    (experiment,) = bench.stage(1)
    assignment = bench.claim_started()
    body = result(experiment, lease=assignment["lease"])
    (first,), (second,) = bench.post(body), bench.post(body)
    assert (first["verdict"], first["state"], first["code"]) == ("accepted", "completed", None)
    assert (second["verdict"], second["experiment"]) == ("duplicate", experiment)
    changed = {**body, "outputs": {"yield": 0.6, "purity": 0.9}}
    (third,) = bench.post(changed)
    assert (third["verdict"], third["code"]) == ("refused", "key_reused")
    path = f"/experiments/{experiment}/results"
    bench.refused(409, "key_reused", "POST", path, {k: v for k, v in changed.items() if k != "experiment"})
    assert bench.ok("GET", f"/experiments/{experiment}")["outputs"]["yield"] == 0.5


def test_results_are_judged_item_by_item(bench: Bench) -> None:
    one, two, three = bench.stage(1, 2, 3)
    items = bench.post(
        result(one),
        result(two, outputs={"yeild": 0.5, "purity": 0.9}),
        result(10**9),
        {"experiment": three, "outputs": {}},
        result(three, outputs={"yield": 0.5, "purity": 0.9, "colour": 3}),
    )
    verdicts = [each["verdict"] for each in items]
    assert verdicts == ["accepted", "held", "refused", "refused", "accepted"]
    assert items[1]["errors"][0]["field"] == "yield" and "yeild" in items[1]["errors"][0]["hint"]
    assert bench.state(two) == "held"
    assert items[2]["code"] == "not_found" and items[3]["code"] == "invalid"
    assert "colour" in items[4]["message"]
    bench.refused(404, "not_found", "POST", "/experiments/1000000000/results", {"id": "x", "outputs": {}})


def test_an_experiment_goes_by_its_code_too(bench: Bench) -> None:
    bench.stage(1)
    assignment = bench.claim_started()
    (item,) = bench.post(result(assignment["code"]))
    assert (item["verdict"], item["experiment"]) == ("accepted", assignment["experiment"])


def test_outputs_may_come_later(bench: Bench) -> None:
    (experiment,) = bench.stage(1)
    assignment = bench.claim_started()
    first = bench.report(assignment, outputs={"yield": 0.5}, outstanding=["purity"])
    assert (first["verdict"], first["state"]) == ("accepted", "partial")
    (second,) = bench.post(result(experiment, outputs={"purity": 0.8}, outstanding=["yield"]))
    assert (second["verdict"], second["state"]) == ("accepted", "completed")


@pytest.mark.parametrize("outcome", ["infeasible", "suspect"])
def test_an_outcome_without_outputs_completes(bench: Bench, outcome: str) -> None:
    bench.stage(1)
    assignment = bench.claim_started()
    item = bench.report(assignment, outcome=outcome, outputs={}, comment="it precipitated")
    assert (item["verdict"], item["state"]) == ("accepted", "completed")


def test_a_result_after_a_lost_lease_counts(server: Server) -> None:
    bench = Bench(server, on_lost="requeue")
    (experiment,) = bench.stage(1)
    assignment = bench.claim_started()
    server.lose(assignment["lease"])
    item = bench.report(assignment)
    assert (item["verdict"], item["state"]) == ("accepted", "completed")
    assert bench.claim() == []
    assert bench.state(experiment) == "completed"


def test_a_result_after_the_cancellation_counts(bench: Bench) -> None:
    (experiment,) = bench.stage(1)
    bench.ok("POST", f"/experiments/{experiment}/cancel", {"reason": "not wanted"})
    assert bench.state(experiment) == "cancelled"
    (item,) = bench.post(result(experiment))
    assert (item["verdict"], item["state"]) == ("accepted", "completed")


def test_artifacts_go_by_their_digest(bench: Bench) -> None:
    content = b"chromatogram " + bench.queue.encode()
    path = f"/artifacts/{hashlib.sha256(content).hexdigest()}"
    assert bench.call("HEAD", path)[0] == 404
    assert [bench.call("PUT", path, raw=content)[0] for _ in range(2)] == [201, 200]
    assert bench.call("GET", path) == (200, content)
    assert bench.call("HEAD", path)[0] == 200
    assert bench.call("PUT", path, raw=b"damaged")[0] == 422


def test_a_key_that_stands_twice_is_422_and_named(bench: Bench) -> None:
    status, answer = bench.call("POST", "/results", raw=b'{"items": [], "items": []}')
    assert (status, answer["code"]) == (422, "invalid")
    (error,) = answer["errors"]
    assert error["field"] == "items" and "more than once" in error["message"]


@pytest.mark.parametrize("raw", [b'{"items": [', b'{"items": NaN}', b'{"items": [Infinity]}'])
def test_what_is_no_json_is_400(bench: Bench, raw: bytes) -> None:
    status, answer = bench.call("POST", "/results", raw=raw)
    assert (status, answer["code"]) == (400, "invalid")


def test_an_unknown_field_names_the_nearest(bench: Bench) -> None:
    body = bench.claiming(instrumnet="hplc")
    answer = bench.refused(422, "invalid", "POST", f"/queues/{bench.queue}/claims", body)
    assert "instrument" in answer["errors"][0]["hint"]


def test_staging_is_all_or_nothing(bench: Bench) -> None:
    path = f"/campaigns/{bench.campaign}/experiments"
    good = {"parameters": {"tau": 1, "solvent": "water"}}
    bad = [{"parameters": {"tau": 11, "solvent": "water"}}, {"parameters": {"tua": 1, "solvent": "watre"}}]
    answer = bench.refused(422, "invalid", "POST", path, {"key": "k", "items": [good, *bad]})
    assert {each["field"] for each in answer["errors"]} >= {
        "items[1].tau",
        "items[2].tau",
        "items[2].solvent",
    }
    assert bench.claim() == []
    first = bench.ok("POST", path, {"key": "k", "items": [good]})
    assert bench.ok("POST", path, {"key": "k", "items": [good]}) == first
    bench.refused(409, "key_reused", "POST", path, {"key": "k", "items": [good, good]})
    assert len(bench.claim(max=10)) == 1


def test_subscribers_see_batches(bench: Bench) -> None:
    ids = bench.stage(1, 2)
    parts = urlsplit(bench.server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    connection.request(
        "GET", f"/api/v1/queues/{bench.queue}/batches", headers={"Accept": "text/event-stream"}
    )
    answer = connection.getresponse()
    seen: list[Any] = []
    expected = [ids]
    # A batch may come more than once, and later than its staging; but none may be missing.
    while expected:
        line = answer.readline().decode()
        assert line, "the stream ended"
        if line.startswith("data:") and '"experiments"' in line:
            seen.append(json.loads(line[5:]))
            if [each["id"] for each in seen[-1]["experiments"]] == expected[0]:
                del expected[0]
                expected += [bench.stage(3)] if len(ids) == 2 else []
                ids = ids[:1]
    connection.close()
    # What is published again after a loss may mix campaigns, and names none then.
    assert [each for each in seen if each["campaign"] not in (bench.campaign, None)] == []
    assert seen[0]["batch"] != seen[-1]["batch"] or seen[0]["batch"] is None
