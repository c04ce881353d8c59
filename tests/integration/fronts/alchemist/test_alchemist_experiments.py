"""The dataset: rows added one by one, in batches and from tables; what is said of them."""

from __future__ import annotations

from typing import Any

import pytest
from alchemist_lab import POINTS, Another, Program

E = "experiments"
OBSERVED = {"name": "humidity", "type": "real", "min": 0.0, "max": 100.0, "role": "observed"}


def upload(program: Program, text: str, path: str = "upload", status: int = 200, **query: Any) -> Any:
    files = {"file": ("table.csv", text.encode(), "text/csv")}
    answer = program.http.post(f"/sessions/{program.session}/{E}/{path}", files=files, params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_rows_are_added_and_shown(program: Program) -> None:
    program.begin()
    added = program.ok("POST", E, {"inputs": POINTS[0], "output": 1.0})
    assert added == {
        "message": "Experiment added successfully",
        "n_experiments": 1,
        "model_trained": False,
        "training_metrics": None,
    }
    more = [
        {"inputs": POINTS[1], "output": 2, "iteration": 9, "reason": "EI"},
        {"inputs": POINTS[2], "output": 3.0, "iteration": 2},
        {"inputs": POINTS[3], "output": 4.0, "noise": 0.3},
    ]
    assert program.ok("POST", f"{E}/batch", {"experiments": more})["message"] == (
        "Added 3 experiments successfully"
    )
    rows = program.ok("GET", E)["experiments"]
    assert [each["Iteration"] for each in rows] == [0, 9, 2, 10]
    assert [each["Reason"] for each in rows] == ["Manual", "EI", "Manual", "Manual"]
    assert [each["Noise"] for each in rows] == [None, None, None, 0.3]
    assert {name: rows[1][name] for name in POINTS[1]} == POINTS[1]
    assert program.ok("GET", f"{E}/summary") == {
        "n_experiments": 4,
        "has_data": True,
        "has_noise": True,
        "target_stats": {"min": 1.0, "max": 4.0, "mean": 2.5, "std": pytest.approx(1.2909944)},
        "feature_names": ["temperature", "stirring", "catalyst"],
    }
    records = program.ok("GET", f"{E}/provenance")
    assert records["n_records"] == 4 and [each["id"] for each in records["records"]] == [
        each["ProvenanceId"] for each in rows
    ]
    assert records["records"][0]["suggested"] is None
    assert set(records["records"][0]["delta"].values()) == {"no-suggestion"}
    assert program.ok("GET", "experiments/queue")["items"] == []


def test_an_empty_dataset(program: Program) -> None:
    program.session = program.ok("POST", "/sessions")["session_id"]
    assert program.ok("GET", E) == {"experiments": [], "n_experiments": 0}
    assert program.ok("GET", f"{E}/summary")["has_noise"] is None
    assert program.ok("GET", f"{E}/provenance") == {"records": [], "n_records": 0}
    for path, body in (
        (E, {"inputs": {}, "output": 1}),
        (f"{E}/record-batch", {"entries": [{"inputs": {}, "output": 1}]}),
    ):
        assert program.refused(400, "POST", path, body)["error_type"] == "NoVariablesError"


def test_what_cannot_be_a_row_is_refused_and_batches_are_whole(program: Program) -> None:
    program.begin()
    for inputs, words in (
        ({"temperature": 30.0}, "Missing search space variables in inputs: {'stirring', 'catalyst'}"),
        ({**POINTS[0], "zz": 1}, "Unknown input key(s) ['zz']"),
        ({**POINTS[0], "catalyst": "Au"}, "declared values"),
        ({**POINTS[0], "temperature": "hot"}, "temperature"),
    ):
        refused = program.refused(400, "POST", E, {"inputs": inputs, "output": 1.0})
        assert words in refused["detail"] and refused["error_type"] == "ValueError"
        batch = {"experiments": [{"inputs": POINTS[0], "output": 1.0}, {"inputs": inputs, "output": 1.0}]}
        assert "experiment 2" in program.refused(400, "POST", f"{E}/batch", batch)["detail"]
    assert (
        "non-negative"
        in program.refused(400, "POST", E, {"inputs": POINTS[0], "output": 1, "noise": -1})["detail"]
    )
    assert program.refused(422, "POST", E, {"inputs": POINTS[0]})["error_type"] == "ValidationError"
    assert program.refused(422, "POST", E, {"inputs": POINTS[0], "output": "abc"})
    text = '{"inputs": {"temperature": 30, "stirring": 200, "catalyst": "Pt"}, "output": NaN}'
    answer = program.http.post(f"/sessions/{program.session}/{E}", content=text)
    assert (answer.status_code, answer.json()["error_type"]) == (400, "ValueError")
    assert program.ok("GET", E)["n_experiments"] == 0


def test_what_was_measured_out_of_bounds_counts_where_it_was_measured(program: Program) -> None:
    program.begin()
    inputs = {"temperature": 140.5, "stirring": 950, "catalyst": "Pt"}
    program.ok("POST", E, {"inputs": inputs, "output": 1.0})
    assert {name: program.ok("GET", E)["experiments"][0][name] for name in inputs} == inputs


def test_a_key_makes_a_request_that_is_sent_again_one(program: Program) -> None:
    program.begin()
    body, key = {"inputs": POINTS[0], "output": 1.0}, {"Idempotency-Key": "run-1"}
    for _ in range(2):
        assert program.ok("POST", E, body, headers=key)["n_experiments"] == 1
    assert "run-1" in program.refused(409, "POST", E, {**body, "output": 2.0}, headers=key)["detail"]
    assert program.ok("POST", E, body)["n_experiments"] == 2
    entries = program.ok("GET", "audit?entry_type=experiment_completed")["entries"]
    assert len(entries) == 2


def test_several_targets_are_measured_together(program: Program) -> None:
    program.begin()
    table = "temperature,stirring,catalyst,yield,cost\n30,200,Pt,0.5,10\n"
    upload(program, table, target_columns="yield,cost")
    refused = program.refused(400, "POST", E, {"inputs": POINTS[1], "output": 1.0})
    assert "['cost']" in refused["detail"]
    output = {"yield": 0.6, "cost": 11.0}
    program.ok("POST", E, {"inputs": POINTS[1], "output": output, "noise": {"yield": 0.01}})
    ids = program.ok("POST", "experiments/staged/batch", {"experiments": POINTS[2:4]})["ids"]
    done = program.ok("POST", f"experiments/queue/{ids[0]}/complete", {"outputs": [0.7, 12.0]})
    assert done["output"] == {"yield": 0.7, "cost": 12.0}
    program.ok("POST", "experiments/staged/complete", {"outputs": [{"yield": 0.8, "cost": 13.0}]})
    rows = program.ok("GET", E)["experiments"]
    assert [(each["yield"], each["cost"]) for each in rows] == [(0.5, 10), (0.6, 11), (0.7, 12), (0.8, 13)]
    assert rows[1]["Noise"] == 0.01 and "Output" not in rows[0]


def test_observed_variables_come_with_the_result(program: Program) -> None:
    program.begin({"name": "x", "type": "real", "min": 0.0, "max": 10.0}, OBSERVED)
    refused = program.refused(400, "POST", E, {"inputs": {"x": 1.0}, "output": 1.0})
    assert "humidity" in refused["detail"]
    program.ok("POST", E, {"inputs": {"x": 1.0, "humidity": 40.0}, "output": 1.0})
    early, late = (
        program.ok("POST", "experiments/staged/batch", {"experiments": [each]})["ids"][0]
        for each in ({"x": 2.0, "humidity": 50.0}, {"x": 3.0})
    )
    program.ok("POST", f"experiments/queue/{early}/complete", {"outputs": [2.0]})
    assert (
        "humidity"
        in program.refused(409, "POST", f"experiments/queue/{late}/complete", {"outputs": [3]})["detail"]
    )
    actual = {"x": 3.5, "humidity": 60.0}
    program.ok("POST", f"experiments/queue/{late}/complete", {"outputs": [3.0], "actual_inputs": actual})
    rows = program.ok("GET", E)["experiments"]
    assert [(each["x"], each["humidity"]) for each in rows] == [(1, 40), (2, 50), (3.5, 60)]


def test_a_batch_of_items_and_other_runs(program: Program) -> None:
    program.begin()
    ids = program.ok("POST", "experiments/staged/batch", {"experiments": POINTS[:2], "reason": "EI"})["ids"]
    entries = [
        {"item_id": ids[0], "inputs": {**POINTS[0], "temperature": 31.0}, "output": 1.0, "reason": "seen"},
        {"inputs": POINTS[3], "output": 2.0, "iteration": 5},
        {"item_id": ids[1], "inputs": POINTS[1], "output": 3.0},
    ]
    path, key = f"{E}/record-batch", {"Idempotency-Key": "dialog-1"}
    done = program.ok("POST", path, {"entries": entries}, headers=key)
    assert done == {
        "message": "Recorded 3 results",
        "n_added": 3,
        "n_experiments": 3,
        "completed_item_ids": ids,
        "model_trained": False,
        "training_metrics": None,
    }
    assert program.ok("POST", path, {"entries": entries}, headers=key) == done
    rows = {each["Output"]: each for each in program.ok("GET", E)["experiments"]}
    assert rows[1.0]["temperature"] == 31.0
    assert [rows[value]["Reason"] for value in (1.0, 2.0, 3.0)] == ["seen", "Manual", "EI"]
    refused = program.refused(409, "POST", path, {"entries": entries})
    assert (
        refused["detail"].startswith("Nothing was recorded. entry 1: queue item")
        and "done" in refused["detail"]
    )
    assert program.ok("POST", path, {"entries": entries[::2]})["n_added"] == 2
    assert program.ok("GET", E)["n_experiments"] == 3


def test_a_batch_is_recorded_as_a_whole(program: Program) -> None:
    program.begin()
    ids = program.ok("POST", "experiments/staged/batch", {"experiments": POINTS[:2]})["ids"]
    path, good = f"{E}/record-batch", {"item_id": ids[0], "inputs": POINTS[0], "output": 1.0}
    for status, other, words in (
        (409, {**good}, "entry 2: queue item"),
        (409, {**good, "item_id": "nope"}, "entry 2: unknown queue item nope"),
        (400, {"inputs": {"temperature": 1}, "output": 1}, "entry 2: Missing"),
        (400, {"inputs": {**POINTS[0], "catalyst": "Au"}, "output": 1}, "entry 2: Variable 'catalyst'"),
    ):
        refused = program.refused(status, "POST", path, {"entries": [good, other]})
        assert words in refused["detail"] and set(refused) == {"detail"}
    assert program.refused(422, "POST", path, {"entries": []})["error_type"] == "ValidationError"
    assert program.ok("GET", E)["n_experiments"] == 0
    assert program.ok("GET", "experiments/staged")["n_staged"] == 2


def test_a_table_is_looked_at_before_it_is_taken(program: Program) -> None:
    program.begin()
    header = "temperature,stirring,catalyst"
    assert upload(program, f"{header},yield,cost,Noise\n30,200,Pt,1,2,0.1\n", "preview") == {
        "columns": ["temperature", "stirring", "catalyst", "yield", "cost", "Noise"],
        "available_targets": ["temperature", "stirring", "catalyst", "yield", "cost"],
        "has_output": False,
        "recommended_target": "yield",
        "n_rows": 1,
    }
    found = upload(program, f"{header},Output\n30,200,Pt,1\n", "preview")
    assert found["has_output"] is True and found["recommended_target"] is None
    assert upload(program, "", "preview", 400)["error_type"] == "ValueError"
    program.refused(422, "POST", f"{E}/preview")
    assert program.ok("GET", E)["n_experiments"] == 0


def test_a_table_adds_what_is_not_there_yet(program: Program) -> None:
    program.begin()
    program.ok("POST", E, {"inputs": POINTS[0], "output": 1.0})
    header = "temperature,stirring,catalyst,Output,Noise,Iteration,Reason,operator\n"
    rows = "30,200,Pt,1,,,,\n40,250,Pd,2,0.1,3,EI,anna\n40,250,Pd,2,0.1,3,EI,anna\n140,250,Ni,3,0.1,,,\n"
    for _ in range(2):
        assert upload(program, header + rows) == {
            "message": "Loaded 4 experiments successfully",
            "n_experiments": 4,
        }
    found = program.ok("GET", E)["experiments"]
    assert [each["Output"] for each in found] == [1, 2, 2, 3]
    assert [each["Iteration"] for each in found] == [0, 3, 3, 0]
    assert [each["Reason"] for each in found] == ["Manual", "EI", "EI", "Initial Design"]
    assert found[1]["operator"] == "anna" and found[3]["temperature"] == 140
    for text, words in (
        ("temperature,stirring,Output\n30,200,1\n", "line 2: Missing search space variables"),
        ("temperature,stirring,catalyst,Output\n30,200,Au,1\n", "declared values"),
        ("temperature,stirring,catalyst,Output\n30,200,Pt,\n", "has no value"),
        ("temperature,stirring,catalyst,Output\n30,200,Pt,zz\n", "no number"),
        (
            "temperature,stirring,catalyst,yield\n30,200,Pt,1\n",
            "Target column(s) ['Output'] not found in CSV",
        ),
    ):
        assert words in upload(program, text, "upload", 400)["detail"]
    assert program.ok("GET", E)["n_experiments"] == 4


def test_a_locked_session_is_changed_by_nobody_else(program: Program, url: str, another: Another) -> None:
    session = program.begin()
    ids = program.ok("POST", "experiments/staged/batch", {"experiments": POINTS[:2]})["ids"]
    program.ok("POST", "lock", {"locked_by": "anna", "client_id": "c"})
    stranger = another(url, session, "stranger")
    item = f"experiments/queue/{ids[0]}"
    row = {"inputs": POINTS[0], "output": 1.0}
    for method, path, body in (
        ("POST", E, row),
        ("POST", f"{E}/batch", {"experiments": [row]}),
        ("POST", f"{E}/record-batch", {"entries": [row]}),
        ("POST", f"{E}/staged", {"inputs": POINTS[2]}),
        ("DELETE", f"{E}/staged", None),
        ("POST", f"{E}/staged/complete", {"outputs": [1.0, 2.0]}),
        ("POST", f"{E}/queue", {"items": [{"inputs": POINTS[2]}]}),
        ("POST", f"{E}/queue/purge", None),
        ("POST", f"{item}/start", None),
        ("POST", f"{item}/complete", {"outputs": [1.0]}),
        ("POST", f"{item}/fail", {"error": "x"}),
        ("DELETE", item, None),
    ):
        assert "locked by anna" in stranger.refused(409, method, path, body)["detail"], path
    assert program.ok("GET", f"{E}/queue")["n_pending"] == 2
    assert program.ok("POST", f"{item}/complete", {"outputs": [1.0]})["status"] == "done"
