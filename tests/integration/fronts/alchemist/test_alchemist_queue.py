"""The work queue: items claimed, completed, failed, deleted by their ids."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from alchemist_lab import POINTS, Program

import labqueue
from services.bootstrap import Context
from services.flow.recover import reap

Q = "experiments/queue"
FIELDS = {
    "id", "inputs", "reason", "status", "output", "noise", "error", "dataset_ref", "staged_at", "started_at",
    "completed_at", "plot",
}  # fmt: skip


def stage(program: Program, count: int = 3) -> list[str]:
    body = {"items": [{"inputs": each, "reason": "EI"} for each in POINTS[:count]]}
    return [each["id"] for each in program.ok("POST", Q, body)["items"]]


def test_an_item_lives_from_pending_to_done(program: Program) -> None:
    program.begin()
    first = stage(program)[0]
    item = program.ok("GET", f"{Q}/{first}")
    assert set(item) == FIELDS
    assert (item["status"], item["inputs"], item["reason"]) == ("pending", POINTS[0], "EI")
    running = program.ok("POST", f"{Q}/{first}/start")
    assert running["status"] == "running" and datetime.fromisoformat(running["started_at"])
    assert program.refused(409, "POST", f"{Q}/{first}/start")["detail"] == (
        f"Cannot start item {first} in status 'running'"
    )
    assert "only pending items may be deleted" in program.refused(409, "DELETE", f"{Q}/{first}")["detail"]
    done = program.ok("POST", f"{Q}/{first}/complete", {"outputs": [0.5], "noise": [0.1], "iteration": 7})
    assert (done["status"], done["output"], done["noise"], done["dataset_ref"]) == ("done", 0.5, 0.1, 0)
    assert done["started_at"] == running["started_at"] and done["completed_at"] and done["error"] is None
    assert program.ok("GET", f"{Q}/{first}") == done
    listed = program.ok("GET", Q)
    assert {name: listed[name] for name in listed if name != "items"} == {
        "n_pending": 2,
        "n_running": 0,
        "n_done": 1,
        "n_failed": 0,
    }
    assert [each["id"] for each in program.ok("GET", f"{Q}?status=done")["items"]] == [first]
    bogus = program.ok("GET", f"{Q}?status=bogus")
    assert bogus["items"] == [] and bogus["n_pending"] == 2
    row = program.ok("GET", "experiments")["experiments"][0]
    assert row == {
        **POINTS[0],
        "Output": 0.5,
        "Noise": 0.1,
        "Iteration": 7,
        "Reason": "EI",
        "ProvenanceId": first,
    }


def test_the_same_result_again_is_one_and_another_is_kept(program: Program) -> None:
    program.begin()
    first = stage(program)[0]
    done = program.ok("POST", f"{Q}/{first}/complete", {"outputs": [0.5]})
    assert program.ok("POST", f"{Q}/{first}/complete", {"outputs": [0.5]}) == done
    refused = program.refused(409, "POST", f"{Q}/{first}/complete", {"outputs": [0.75]})
    assert refused["detail"] == f"Cannot complete item {first} in status 'done'"
    assert [each["Output"] for each in program.ok("GET", "experiments")["experiments"]] == [0.5]
    kept = program.ok("GET", "experiments/unpaired")["unpaired"][0]
    assert (kept["outputs"], kept["item_id"]) == ([0.75], first)


def test_what_cannot_be_done_is_refused(program: Program) -> None:
    program.begin()
    first = stage(program)[0]
    strange = "0f8d2a53-6a0e-4c1c-9f0e-7f0b8a1c2d35"
    for path, body in (("start", None), ("complete", {"outputs": [1]}), ("fail", {"error": "x"})):
        for id in (strange, "zz"):
            refused = program.refused(404, "POST", f"{Q}/{id}/{path}", body)
            assert refused["detail"] == f"Unknown queue item: {id}"
    program.refused(404, "GET", f"{Q}/zz")
    program.refused(404, "DELETE", f"{Q}/zz")
    complete = f"{Q}/{first}/complete"
    assert (
        "exactly one output value, got 2"
        in program.refused(400, "POST", complete, {"outputs": [1, 2]})["detail"]
    )
    assert "got 0" in program.refused(400, "POST", complete, {"outputs": []})["detail"]
    assert "noise" in program.refused(400, "POST", complete, {"outputs": [1], "noise": [1, 2]})["detail"]
    for text in ('{"outputs": [NaN]}', '{"outputs": [1e999]}'):
        answer = program.http.post(f"/sessions/{program.session}/{complete}", content=text)
        assert answer.status_code == 409 and set(answer.json()) == {"detail"}
    short = {"outputs": [1], "actual_inputs": {"temperature": 31.0}}
    assert "Missing search space variables" in program.refused(409, "POST", complete, short)["detail"]
    assert program.refused(422, "POST", f"{Q}/{first}/fail", {})["error_type"] == "ValidationError"
    refused = program.refused(
        400, "POST", Q, {"items": [{"inputs": {"temperature": 1}}, {"inputs": POINTS[0]}]}
    )
    assert refused["detail"].startswith("Nothing was staged. item 1: Missing") and set(refused) == {"detail"}
    refused = program.refused(400, "POST", Q, {"items": [{"inputs": {**POINTS[0], "temperature": 900}}]})
    assert refused["detail"].startswith("Nothing was staged. item 1: temperature")
    label = {"outputs": [1], "expected_objective_label": {"Output": "conversion"}}
    assert program.refused(409, "POST", complete, label)["detail"] == (
        "Objective label mismatch for 'Output': expected 'conversion', session has 'None'"
    )
    assert program.ok("POST", complete, {**label, "force": True})["status"] == "done"


def test_a_failed_item_stays_failed(program: Program) -> None:
    program.begin()
    ids = stage(program)
    program.ok("POST", f"{Q}/{ids[0]}/start")
    for each in ids[:2]:
        failed = program.ok("POST", f"{Q}/{each}/fail", {"error": "pump stalled"})
        assert (failed["status"], failed["error"], failed["output"]) == ("failed", "pump stalled", None)
        assert failed["completed_at"]
        program.refused(409, "POST", f"{Q}/{each}/start")
        program.refused(409, "POST", f"{Q}/{each}/fail", {"error": "pump stalled"})
        program.refused(409, "POST", f"{Q}/{each}/complete", {"outputs": [1.0]})
    # Three in a row pause no instrument: whoever says so is not the holder.
    program.ok("POST", f"{Q}/{ids[2]}/fail", {"error": "x"})
    more = program.ok("POST", Q, {"items": [{"inputs": POINTS[3]}]})
    assert (more["n_failed"], more["n_pending"]) == (3, 1)
    assert program.ok("POST", f"{Q}/{more['items'][3]['id']}/start")["status"] == "running"


def test_deleting_and_purging_hide_items(program: Program) -> None:
    program.begin()
    ids = stage(program)
    listed = program.ok("DELETE", f"{Q}/{ids[0]}")
    assert [each["id"] for each in listed["items"]] == ids[1:] and listed["n_pending"] == 2
    program.refused(404, "GET", f"{Q}/{ids[0]}")
    program.refused(404, "DELETE", f"{Q}/{ids[0]}")
    program.ok("POST", f"{Q}/{ids[1]}/complete", {"outputs": [1.0]})
    assert program.ok("POST", f"{Q}/purge") == {"message": "Terminal items purged", "n_purged": 1}
    assert program.ok("POST", f"{Q}/purge")["n_purged"] == 0
    program.refused(404, "GET", f"{Q}/{ids[1]}")
    program.refused(404, "POST", f"{Q}/{ids[1]}/complete", {"outputs": [1.0]})
    program.ok("POST", f"{Q}/{ids[2]}/complete", {"outputs": [2.0]})
    listed = program.ok("GET", Q)
    assert [each["id"] for each in listed["items"]] == ids[2:] and listed["n_done"] == 1
    assert program.ok("GET", "experiments")["n_experiments"] == 2


def test_what_was_run_otherwise_is_told_from_what_was_suggested(program: Program) -> None:
    program.begin()
    first = stage(program, 1)[0]
    actual = {**POINTS[0], "temperature": 30.5, "catalyst": "Pd"}
    done = program.ok("POST", f"{Q}/{first}/complete", {"outputs": [0.5], "actual_inputs": actual})
    assert done["inputs"] == POINTS[0]
    row = program.ok("GET", "experiments")["experiments"][0]
    assert (row["temperature"], row["catalyst"]) == (30.5, "Pd")
    record = program.ok("GET", f"experiments/provenance/{first}")
    assert record["suggested"] == POINTS[0] and record["actual"] == actual
    assert record["delta"] == {"temperature": 0.5, "stirring": 0, "catalyst": "Pt\u2192Pd"}
    assert (record["strategy"], record["output"], record["iteration"]) == ("EI", 0.5, 0)
    program.refused(404, "GET", "experiments/provenance/zz")
    entry = program.ok("GET", "audit?entry_type=experiment_completed")["entries"][-1]
    assert entry["parameters"]["id"] == first and entry["parameters"]["actual"] == actual


def test_an_orphaned_item_is_pending_again_and_its_late_result_counts(
    program: Program, context: Context
) -> None:
    program.begin()
    first = stage(program, 1)[0]
    for _ in range(3):
        program.ok("POST", f"{Q}/{first}/start")
        with context.store.session() as session:
            session.run("UPDATE attempts SET deadline = deadline - interval '7 hours' WHERE state <> 'ended'")
        assert len(reap(context.store)) == 1
    found = program.ok("GET", f"{Q}/{first}")
    assert found["status"] == "failed" and "silent" in found["error"]
    assert program.ok("POST", f"{Q}/{first}/complete", {"outputs": [0.25]})["status"] == "done"
    assert program.ok("GET", "experiments")["experiments"][0]["Output"] == 0.25


def test_a_native_client_and_a_program_share_the_queue(program: Program, url: str, tmp_path: Path) -> None:
    session = program.begin()
    ids = stage(program)
    measured: list[dict[str, Any]] = []

    def measure(experiment: labqueue.Experiment) -> dict[str, float]:
        seen = {each["id"]: each["status"] for each in program.ok("GET", Q)["items"]}
        assert seen[ids[len(measured)]] == "running"
        measured.append(dict(experiment.parameters))
        return {"Output": experiment.parameters["temperature"] / 100}

    labqueue.serve(measure, queue=session, instrument="hplc-2", url=url, limit=2, spool=tmp_path)
    assert measured == POINTS[:2]
    found = program.ok("GET", Q)
    assert [each["status"] for each in found["items"]] == ["done", "done", "pending"]
    assert found["items"][1]["output"] == POINTS[1]["temperature"] / 100 and found["items"][1]["started_at"]
    rows = program.ok("GET", "experiments")["experiments"]
    assert [each["Reason"] for each in rows] == ["EI", "EI"]
