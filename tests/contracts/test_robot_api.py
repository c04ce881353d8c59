"""The robots' half of the HTTP contract, held by every server that claims to speak it.

`SERVERS` names them: each entry starts one server and gives its address and a way to end a lease as the
janitor would. Everything else goes over HTTP; each test makes a queue and a campaign of its own.
"""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from api import context_for, served, settings_for
from servers import Servers, short_folder

from labqueue.conformance import FakeServer
from models.domain.leasing import read_lease
from services.bootstrap import Context
from services.flow.recover import reap, stamp_alive


@dataclass(frozen=True)
class Server:
    """A running server: its address, and the janitor's hand."""

    url: str
    lose: Callable[[str], None]


@contextmanager
def fake_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with FakeServer() as fake:
        yield Server(fake.url, fake.lose)


@contextmanager
def real_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The API itself under uvicorn, on a real Postgres and a real Valkey."""
    servers: Servers = request.getfixturevalue("servers")
    home = short_folder()
    try:
        with (
            servers.database() as postgres_url,
            servers.redis_database() as redis_url,
            context_for(settings_for(postgres_url, home, redis_url)) as context,
            served(context) as url,
        ):
            yield Server(url, lambda lease: lose(context, lease))
    finally:
        shutil.rmtree(home, ignore_errors=True)


def lose(context: Context, lease: str) -> None:
    """Its deadline is over, and the janitor comes by."""
    attempt, _ = read_lease(lease)
    with context.store.session() as session:
        passed = "UPDATE attempts SET deadline = clock_timestamp() - interval '1 second' WHERE id = %s"
        assert session.run(passed, [attempt]) == 1
    stamp_alive(context.store)
    assert reap(context.store)


SERVERS: dict[str, Callable[[pytest.FixtureRequest], AbstractContextManager[Server]]] = {
    "fake": fake_server,
    "real": real_server,
}


@pytest.fixture(scope="module", params=sorted(SERVERS))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with SERVERS[request.param](request) as running:
        yield running


class Bench:
    """A queue, a campaign with two inputs and two outputs, and raw HTTP."""

    def __init__(self, server: Server, **policy: Any) -> None:
        self.server = server
        self.queue = f"q-{uuid.uuid4().hex[:8]}"
        self.campaign = f"c-{uuid.uuid4().hex[:8]}"
        self._keys = itertools.count(1)
        self.ok("PUT", f"/queues/{self.queue}", policy)
        self.ok(
            "POST",
            "/campaigns",
            {
                "name": self.campaign,
                "queue": self.queue,
                "problem": {
                    "parameters": [
                        {"name": "tau", "kind": "continuous", "low": 0, "high": 10, "unit": "min"},
                        {"name": "solvent", "kind": "categorical", "categories": ["water", "ethanol"]},
                    ],
                    "outputs": [{"name": "yield", "unit": "%"}, {"name": "purity"}],
                    "objectives": [{"output": "yield"}],
                },
                "strategy": {"method": "caller"},
            },
        )

    def call(self, method: str, path: str, body: Any = None, raw: bytes | None = None) -> tuple[int, Any]:
        parts = urlsplit(self.server.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=70)
        try:
            sent = raw if raw is not None else None if body is None else json.dumps(body).encode()
            connection.request(method, "/api/v1" + path, sent, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            kind = answer.headers.get("Content-Type", "")
            return answer.status, json.loads(content) if "json" in kind and content else content
        finally:
            connection.close()

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.call(method, path, body)
        assert 200 <= status < 300, (status, answer)
        return answer

    def refused(self, status: int, code: str, method: str, path: str, body: Any = None) -> Any:
        got, answer = self.call(method, path, body)
        assert (got, answer["code"]) == (status, code), answer
        assert answer["status"] == status and answer["detail"] and isinstance(answer["errors"], list)
        return answer

    def stage(self, *taus: float, **more: Any) -> list[int]:
        rows = [{"parameters": {"tau": tau, "solvent": "water"}, **more} for tau in taus]
        body = {"key": str(uuid.uuid4()), "items": rows}
        answer = self.ok("POST", f"/campaigns/{self.campaign}/experiments", body)
        return [each["id"] for each in answer["experiments"]]

    def claiming(self, **more: Any) -> dict[str, Any]:
        key = f"{self.queue}-{next(self._keys)}"
        return {"instrument": f"{self.queue}-i", "adapter": f"{self.queue}-a", "key": key, **more}

    def claim(self, **more: Any) -> list[Any]:
        claimed: list[Any] = self.claimed(**more)["experiments"]
        return claimed

    def claimed(self, **more: Any) -> Any:
        return self.ok("POST", f"/queues/{self.queue}/claims", self.claiming(**more))

    def claim_started(self, **more: Any) -> Any:
        (assignment,) = self.claim(**more)
        assert self.say("start", assignment)["ok"]
        return assignment

    def say(self, verb: str, assignment: Any, **more: Any) -> Any:
        lease = assignment if isinstance(assignment, str) else assignment["lease"]
        (item,) = self.ok("POST", f"/attempts/{verb}", {"items": [{"lease": lease, **more}]})["items"]
        assert item["lease"] == lease and set(item) >= {"ok", "code", "message"}
        return item

    def heartbeat(self, *leases: str, wait: float = 0) -> Any:
        who = {"instrument": f"{self.queue}-i", "adapter": f"{self.queue}-a"}
        return self.ok("POST", "/attempts/heartbeat", {**who, "leases": list(leases), "wait": wait})

    def report(self, assignment: Any, **more: Any) -> Any:
        return self.post(result(assignment["experiment"], lease=assignment["lease"], **more))[0]

    def post(self, *results: Any) -> list[Any]:
        items: list[Any] = self.ok("POST", "/results", {"items": list(results)})["items"]
        return items

    def state(self, experiment: int) -> str:
        return str(self.ok("GET", f"/experiments/{experiment}")["state"])


def result(experiment: Any, **more: Any) -> dict[str, Any]:
    outputs = {"yield": 0.5, "purity": 0.9}
    return {"id": str(uuid.uuid4()), "experiment": experiment, "outputs": outputs, **more}


@pytest.fixture
def bench(server: Server) -> Bench:
    return Bench(server)


# -- claims


#: Every field is always there, also when it says nothing.
FIELDS = {
    "lease",
    "attempt",
    "attempt_number",
    "experiment",
    "code",
    "campaign",
    "queue",
    "priority",
    "parameters",
    "payload",
    "outputs",
    "lease_seconds",
    "deadline",
    "heartbeat",
    "reason",
    "expected",
    "staged_at",
}


def test_an_assignment_has_every_field(bench: Bench) -> None:
    (experiment,) = bench.stage(1.5)
    claimed = bench.claimed()
    (assignment,) = claimed["experiments"]
    assert claimed["reason"] is None and claimed["probes"] == []
    assert set(assignment) >= FIELDS
    assert assignment["experiment"] == experiment and assignment["queue"] == bench.queue
    assert assignment["parameters"] == {"tau": 1.5, "solvent": "water"}
    assert assignment["outputs"] == [
        {"name": "yield", "unit": "%", "classes": []},
        {"name": "purity", "unit": "", "classes": []},
    ]
    assert assignment["attempt_number"] == 1 and assignment["heartbeat"] is True
    assert quote(assignment["lease"], safe="") == assignment["lease"]
    uuid.UUID(assignment["attempt"])


def test_parameters_as_a_list_have_fixed_types(bench: Bench) -> None:
    bench.stage(1.5)
    (assignment,) = bench.claim(form="list")
    by_name = {each["name"]: each for each in assignment["parameters"]}
    assert by_name["tau"]["value"] == 1.5 and by_name["tau"]["unit"] == "min"
    assert by_name["solvent"] == {"name": "solvent", "value": None, "text": "water", "unit": ""}
    assert all(isinstance(each["text"], str) for each in assignment["parameters"])


def test_the_same_key_returns_the_same_leases(bench: Bench) -> None:
    bench.stage(1, 2, 3)
    body, path = bench.claiming(max=2), f"/queues/{bench.queue}/claims"
    first = bench.ok("POST", path, body)["experiments"]
    assert len(first) == 2
    again = bench.ok("POST", path, body)["experiments"]
    assert [each["lease"] for each in again] == [each["lease"] for each in first]
    # Whoever asks again waits for nothing, and may be the next incarnation on the same journal.
    later = bench.ok("POST", path, {**body, "wait": 1, "take_over": True})["experiments"]
    assert [each["lease"] for each in later] == [each["lease"] for each in first]
    bench.refused(409, "key_reused", "POST", path, {**body, "max": 3})
    assert bench.say("release", first[0])["ok"]
    left = bench.ok("POST", path, body)["experiments"]
    assert [each["lease"] for each in left] == [first[1]["lease"]]


def test_an_unknown_queue_names_the_nearest(bench: Bench) -> None:
    path = f"/queues/{bench.queue}x/claims"
    assert bench.queue in json.dumps(bench.refused(404, "not_found", "POST", path, bench.claiming()))


def test_nothing_to_do_says_why(bench: Bench) -> None:
    empty = bench.claimed()
    assert empty["experiments"] == [] and empty["reason"]
    bench.stage(1)
    bench.ok("POST", f"/queues/{bench.queue}/pause", {"reason": "the pump leaks"})
    paused = bench.claimed()
    assert paused["experiments"] == [] and "the pump leaks" in paused["reason"]
    bench.ok("POST", f"/queues/{bench.queue}/resume", {})
    assert len(bench.claim()) == 1


def test_a_waiting_claim_is_answered_by_staging(bench: Bench) -> None:
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.extend(bench.claim(wait=50)), daemon=True)
    waiting.start()
    (experiment,) = bench.stage(4)
    waiting.join(40)
    assert [each["experiment"] for each in got] == [experiment]


def test_order_is_priority_then_staging(bench: Bench) -> None:
    first, second = bench.stage(1), bench.stage(2)
    urgent = bench.stage(3, priority=5)
    got = [each["experiment"] for each in bench.claim(max=10)]
    assert got == urgent + first + second


def test_a_minimum_is_waited_for(bench: Bench) -> None:
    bench.stage(1)
    assert bench.claim(max=3, min=2) == []
    bench.stage(2)
    assert len(bench.claim(max=3, min=2)) == 2
    bench.stage(3)
    assert len(bench.claim(max=3, min=2, within=0.05, wait=30)) == 1


def test_claims_by_id_take_only_these(bench: Bench) -> None:
    _, second = bench.stage(1, 2)
    assert [each["experiment"] for each in bench.claim(max=5, experiments=[second])] == [second]
    assert bench.claim(max=5, experiments=[second]) == []


def test_one_live_adapter_per_instrument(bench: Bench) -> None:
    bench.stage(1, 2)
    assert len(bench.claim()) == 1
    path = f"/queues/{bench.queue}/claims"
    other = bench.claiming(adapter="another")
    bench.refused(409, "instrument_taken", "POST", path, other)
    assert len(bench.ok("POST", path, {**other, "take_over": True})["experiments"]) == 1


# -- attempts


def test_start_is_idempotent_and_fenced(server: Server) -> None:
    bench = Bench(server, on_lost="requeue")
    bench.stage(1)
    (assignment,) = bench.claim()
    assert bench.say("start", assignment, run_ref="SEQ-1") == {
        "lease": assignment["lease"],
        "ok": True,
        "code": None,
        "message": "",
    }
    assert bench.say("start", assignment)["ok"]
    bench.server.lose(assignment["lease"])
    stale = bench.say("start", assignment)
    assert (stale["ok"], stale["code"]) == (False, "lease_lost") and stale["message"]
    bench.refused(409, "lease_lost", "POST", f"/attempts/{assignment['lease']}/start", {})
    assert bench.say("start", "no-such-lease")["code"] == "lease_lost"


def test_single_forms_answer_the_item(bench: Bench) -> None:
    bench.stage(1)
    (assignment,) = bench.claim()
    path = f"/attempts/{assignment['lease']}"
    assert bench.ok("POST", f"{path}/start", {})["ok"]
    assert bench.ok("POST", f"{path}/note", {"text": "injecting", "run_ref": "SEQ-2"})["ok"]
    bench.refused(409, "conflict", "POST", f"{path}/release", {})
    assert bench.ok("POST", f"{path}/fail", {"reason": "the pump stopped"})["ok"]


def test_a_heartbeat_renews_and_hears_a_cancellation_at_once(bench: Bench) -> None:
    bench.stage(1, 2)
    one, two = (bench.claim_started() for _ in range(2))
    calm = bench.heartbeat(one["lease"], two["lease"])
    assert [each["state"] for each in calm["items"]] == ["live", "live"]
    assert all(each["deadline"] >= one["deadline"] for each in calm["items"])
    heard: list[Any] = []

    def wait() -> None:
        heard.extend(bench.heartbeat(one["lease"], two["lease"], wait=50)["items"])

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    bench.ok("POST", f"/experiments/{two['experiment']}/cancel", {"reason": "a leak"})
    waiting.join(40)
    assert [each["state"] for each in heard] == ["live", "cancel"]
    assert "a leak" in heard[1]["message"]
    assert bench.say("cancelled", two, reason="stopped the pump")["ok"]
    assert bench.state(two["experiment"]) == "cancelled"
    assert bench.heartbeat(two["lease"])["items"][0]["state"] == "lost"


def test_a_heartbeat_hears_that_it_is_not_needed(bench: Bench) -> None:
    bench.stage(1)
    assignment = bench.claim_started()
    (other,) = bench.post(result(assignment["experiment"]))
    assert other["verdict"] == "accepted"
    assert bench.heartbeat(assignment["lease"], wait=50)["items"][0]["state"] == "not_needed"
    assert bench.report(assignment)["verdict"] == "replicate"


def test_an_unknown_lease_is_lost(bench: Bench) -> None:
    (item,) = bench.heartbeat("no-such-lease", wait=50)["items"]
    assert (item["state"], item["deadline"]) == ("lost", None)


def test_a_release_before_the_start_keeps_the_place_and_does_not_count(server: Server) -> None:
    bench = Bench(server, max_attempts=1)
    first, _ = bench.stage(1, 2)
    for _ in range(3):
        (assignment,) = bench.claim()
        assert assignment["experiment"] == first
        assert bench.say("release", assignment, reason="shutting down")["ok"]
    assert bench.say("start", bench.claim()[0])["ok"]


def test_failed_attempts_are_bounded(server: Server) -> None:
    bench = Bench(server, max_attempts=2)
    (experiment,) = bench.stage(1)
    for state in ("staged", "failed"):
        assignment = bench.claim_started()
        assert bench.say("fail", assignment, reason="no vacuum")["ok"]
        bench.say("fail", assignment, reason="no vacuum")  # a repeated message counts once
        assert bench.state(experiment) == state


def test_three_failed_runs_in_a_row_pause_the_instrument(bench: Bench) -> None:
    bench.stage(1, 2, 3, 4)
    for number in range(3):
        assignment = bench.claim_started()
        assert bench.say("fail", assignment, reason=f"no vacuum {number}")["ok"]
    paused = bench.claimed()
    assert paused["experiments"] == [] and "no vacuum" in paused["reason"]
    bench.ok("POST", f"/instruments/{bench.queue}-i/clear", {"reason": "new pump"})
    assert len(bench.claim()) == 1


# -- results


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


# -- lost leases


def test_what_was_never_started_goes_back(server: Server) -> None:
    bench = Bench(server, on_lost="hold")
    (experiment,) = bench.stage(1)
    (assignment,) = bench.claim()
    server.lose(assignment["lease"])
    assert [each["experiment"] for each in bench.claim()] == [experiment]


def test_hold_waits_for_a_person(server: Server) -> None:
    bench = Bench(server, on_lost="hold")
    experiment, _ = bench.stage(1, 2)
    assignment = bench.claim_started()
    server.lose(assignment["lease"])
    assert bench.state(experiment) == "held"
    assert bench.claim() == []
    bench.ok("POST", f"/instruments/{bench.queue}-i/clear", {"reason": "looked at it"})
    body = {"decision": "run_again", "reason": "it never moved"}
    bench.ok("POST", f"/experiments/{experiment}/decide", body)
    assert bench.heartbeat(assignment["lease"])["items"][0]["state"] == "lost"
    assert [each["experiment"] for each in bench.claim()] == [experiment]


def test_requeue_gives_up_after_its_attempts(server: Server) -> None:
    bench = Bench(server, on_lost="requeue", max_attempts=2)
    (experiment,) = bench.stage(1)
    for state in ("staged", "failed"):
        server.lose(bench.claim_started()["lease"])
        assert bench.state(experiment) == state


@pytest.mark.parametrize(
    ("answer", "lease", "state"),
    [
        ("running", "live", "leased"),
        ("done", "live", "leased"),
        ("never_ran", "lost", "staged"),
        ("unknown", None, "held"),  # it says no more, until somebody decides
    ],
)
def test_probe_asks_the_adapter(server: Server, answer: str, lease: str | None, state: str) -> None:
    bench = Bench(server, on_lost="probe")
    (experiment,) = bench.stage(1)
    assignment = bench.claim_started()
    bench.say("note", assignment, text="injecting", run_ref="SEQ-7")
    server.lose(assignment["lease"])
    (asked,) = bench.claimed(wait=50)["probes"]
    assert (asked["lease"], asked["attempt"]) == (assignment["lease"], assignment["attempt"])
    assert (asked["experiment"], asked["run_ref"]) == (experiment, "SEQ-7")
    assert asked["parameters"]["tau"] == 1 and asked["started_at"]
    assert bench.heartbeat()["probes"] == [asked]
    assert bench.say("probe", assignment, answer=answer)["ok"]
    if lease is not None:
        assert bench.heartbeat(assignment["lease"])["items"][0]["state"] == lease
    assert bench.heartbeat()["probes"] == []
    assert bench.state(experiment) == state
    assert bench.report(assignment)["verdict"] == "accepted"
    assert bench.state(experiment) == "completed"


# -- artifacts, bodies, staging, batches


def test_artifacts_go_by_their_digest(bench: Bench) -> None:
    content = b"chromatogram " + bench.queue.encode()
    path = f"/artifacts/{hashlib.sha256(content).hexdigest()}"
    assert bench.call("HEAD", path)[0] == 404
    assert [bench.call("PUT", path, raw=content)[0] for _ in range(2)] == [201, 200]
    assert bench.call("GET", path) == (200, content)
    assert bench.call("HEAD", path)[0] == 200
    assert bench.call("PUT", path, raw=b"damaged")[0] == 422


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
