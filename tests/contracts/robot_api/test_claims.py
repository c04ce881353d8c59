"""How experiments are claimed, as every server of the robots' half of the HTTP contract does it."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any
from urllib.parse import quote

from robot_bench import Bench

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
