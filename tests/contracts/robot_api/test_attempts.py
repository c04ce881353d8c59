"""Runs under way, and leases that end: every server of the robots' half of the HTTP contract."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from robot_bench import Bench, Server, result


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
