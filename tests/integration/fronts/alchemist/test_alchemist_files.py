"""Session files: those that ALchemist 0.4.0 wrote come in and go out again without loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from alchemist_lab import POINTS, Program

DATA = Path(__file__).parent / "data"
FILES = sorted(each.stem for each in DATA.glob("*.json"))
#: What is another one in a new session, or is when something was written.
OWN = ("session_id", "last_modified")


def _file(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    return found


def _load(
    program: Program, content: Any, status: int = 201, path: str = "/sessions/import"
) -> dict[str, Any]:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    answer = program.ask("POST", path, files={"file": ("session.json", raw, "application/json")})
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    program.session = found.get("session_id", program.session)
    return found


def _lost(before: Any, after: Any, place: str = "") -> list[str]:
    """Where `after` lacks something of `before`, or has it otherwise. None and nothing are the same."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for name, value in before.items():
            if value is not None or after.get(name) is not None:
                found += _lost(value, after.get(name), f"{place}.{name}")
        return found
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [each for spot, (old, new) in pairs for each in _lost(old, new, f"{place}[{spot}]")]
    return [] if before == after else [f"{place}: {before!r} became {after!r}"]


@pytest.mark.parametrize("path", ["/sessions/import", "/sessions/upload"])
@pytest.mark.parametrize("name", FILES)
def test_a_file_of_theirs_survives(program: Program, name: str, path: str) -> None:
    before = _file(name)
    made = _load(program, before, path=path)
    assert set(made) == {"session_id", "created_at", "expires_at"}
    after = program.ok("GET", "export")
    for each in OWN:
        before["metadata"].pop(each)
    for item in before["staged_experiments"]:
        if item["status"] == "running":
            # Whoever ran it runs it elsewhere: here it waits again.
            item.update(status="pending", started_at=None)
    assert _lost(before, after) == []
    assert set(after) == set(before)


def test_what_comes_in_is_a_session_like_any_other(program: Program) -> None:
    _load(program, _file("screen"))
    assert program.ok("GET", "metadata")["name"] == "Coupling screen"
    assert [each["name"] for each in program.ok("GET", "variables")["variables"]][:2] == [
        "temperature",
        "stirring",
    ]
    assert program.ok("GET", "constraints")["n_constraints"] == 2
    rows = program.ok("GET", "experiments")["experiments"]
    assert [each["Output"] for each in rows] == [0.05, 0.15000000000000002, 0.25, 0.77]
    assert program.ok("GET", "state")["n_experiments"] == 4
    names = [each["ProvenanceId"] for each in _file("screen")["experiments"]["data"]]
    assert [each["ProvenanceId"] for each in rows] == names
    assert program.ok("GET", f"experiments/provenance/{names[3]}")["output"] == 0.77
    queue = program.ok("GET", "experiments/queue")
    assert [each["status"] for each in queue["items"]] == ["done", "failed", "pending", "pending", "pending"]
    assert (queue["n_done"], queue["n_failed"], queue["n_pending"]) == (1, 1, 3)
    assert queue["items"][1]["error"] == "pump stopped"
    staged = program.ok("GET", "experiments/staged")
    assert staged["n_staged"] == 3 and staged["reasons"] == [None, "qEI", None]
    assert program.ok("GET", "control")["requested"] == "pause"
    assert program.ok("GET", "objective-metadata")["metadata"] == {"Output": {"label": "Yield", "unit": "%"}}
    assert program.ok("GET", "audit")["n_entries"] == 10
    # The audit goes on from the last entry of the file.
    program.ok("POST", "audit/event", {"entry_type": "moved"})
    assert program.ok("GET", "audit")["entries"][-1]["previous"]
    program.ok("POST", "experiments/staged/complete", {"outputs": [1.0, 2.0, 3.0]})
    after = program.ok("GET", "export")
    assert [each["Output"] for each in after["experiments"]["data"][4:]] == [1.0, 2.0, 3.0]
    assert len(after["provenance"]) == len(after["experiments"]["data"]) == 7
    statuses = [each["status"] for each in after["staged_experiments"]]
    assert statuses == ["done", "failed", "done", "done", "done"]
    assert [each["dataset_ref"] for each in after["staged_experiments"]] == [3, None, 4, 5, 6]


def test_two_sessions_of_one_file_are_two(program: Program) -> None:
    first = _load(program, _file("screen"))["session_id"]
    second = _load(program, _file("screen"))["session_id"]
    assert first != second
    for each in (first, second):
        program.session = each
        assert program.ok("GET", "state")["n_experiments"] == 4


def test_several_targets_come_back_as_several(program: Program) -> None:
    _load(program, _file("targets"))
    rows = program.ok("GET", "experiments")["experiments"]
    assert [(each["purity"], each["cost"]) for each in rows][1] == (0.1, 4.7)


def test_what_cannot_be_had_is_kept_or_refused_and_says_why(program: Program) -> None:
    body = _file("narrowed")
    body["experiments"]["data"].append({**body["experiments"]["data"][0], "Output": None})
    body["search_space"]["constraints"].append(
        {"type": "inequality", "coefficients": {"gone": 1.0}, "rhs": 2.0, "name": "old"}
    )
    body["staged_experiments"].append({"x1": 1e6, "x2": 0.5, "kind": "a", "_reason": "far"})
    body["staged_experiments"].append({"x1": 1.0, "x2": 0.5, "kind": "a", "_reason": "near"})
    body["something_new"] = {"kept": [1, 2]}
    _load(program, body)
    after = program.ok("GET", "export")
    assert after["experiments"]["data"][-1]["Output"] is None and after["experiments"]["n_total"] == 7
    assert after["search_space"]["constraints"][-1]["name"] == "old"
    assert after["something_new"] == {"kept": [1, 2]}
    assert program.ok("GET", "experiments/staged")["reasons"] == ["near"]
    far = next(each for each in after["staged_experiments"] if each["reason"] == "far")
    assert far["status"] == "failed" and "x1" in far["error"]


def test_older_files_and_infinities_are_read(program: Program) -> None:
    body = _file("targets")
    del body["experiments"]["target_columns"]
    body["audit_log"] = [
        {"timestamp": "2025-01-01T00:00:00", "entry_type": "old", "parameters": {}, "hash": "1"}
    ]
    text = json.dumps(body).replace('"n_total": 4', '"n_total": NaN')
    _load(program, text.encode())
    after = program.ok("GET", "export")
    assert after["experiments"]["target_columns"] == ["purity", "cost"]
    assert [each["entry_type"] for each in after["audit_log"]["entries"]] == ["old"]


def test_rows_that_fit_no_variable_any_more_are_kept(program: Program) -> None:
    body = _file("narrowed")
    variables = body["search_space"]["variables"]
    variables[2]["values"] = ["a"]
    variables.append({"name": "lot", "type": "categorical", "values": [1, 2], "role": "observed"})
    for place, row in enumerate(body["experiments"]["data"]):
        row["lot"] = 1 + place % 2
    body["experiments"]["data"][0]["weight"] = 10**400
    _load(program, body)
    assert program.ok("GET", "state")["n_experiments"] == 3
    after = program.ok("GET", "export")["experiments"]
    assert after["n_total"] == 6
    found = sorted((each["kind"], each["x1"], str(each["lot"])) for each in after["data"])
    assert found == [
        ("a", 0.0, "1"), ("a", 3.0, "1"), ("a", 6.0, "1"), ("b", 1.5, "2"), ("b", 4.5, "2"), ("b", 7.5, "2"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        b"no json",
        b"[" * 100_000,
        b"\xff\xfe",
        [],
        {"search_space": {"variables": [{"name": "x", "type": "real", "min": 5, "max": 1}]}},
        {"search_space": 5},
        {"metadata": []},
        {"experiments": {"data": [5]}},
        {"search_space": {"variables": [{"name": "x", "type": "real", "min": 0, "max": 1}] * 2}},
    ],
)
def test_what_is_no_session_is_refused_whole(program: Program, content: Any) -> None:
    refused = _load(program, content, 400)
    assert refused["detail"].startswith("Failed to import session. The file may be invalid or corrupted.")
    assert program.ok("GET", "/sessions") == {"sessions": [], "count": 0}


def test_a_file_is_named_as_its_session(program: Program) -> None:
    program.begin(name="../My run; 1")
    answer = program.ask("GET", "download")
    assert answer.headers["content-disposition"] == "attachment; filename=My_run_1.json"
    assert (
        program.ask("GET", "export")
        .headers["content-disposition"]
        .endswith(f"session_{program.session}.json")
    )
    assert program.refused(422, "POST", "/sessions/import", {})["error_type"] == "ValidationError"


def test_a_deleted_session_is_recovered_with_all_that_it_had(program: Program) -> None:
    first = program.begin(name="lost")
    program.ok("POST", "backup")
    program.ok("POST", "experiments", {"inputs": POINTS[0], "output": 0.5, "noise": 0.02, "iteration": 3})
    program.ok("POST", "experiments/staged", {"inputs": POINTS[1]})
    program.ok("DELETE", f"/sessions/{first}")
    program.refused(404, "GET", "state")
    listed = program.ok("GET", "/recovery/list")
    assert listed["count"] == 1 and listed["recoveries"][0]["session_id"] == first
    assert listed["recoveries"][0]["session_name"] == "lost" and listed["recoveries"][0]["n_variables"] == 3
    program.session = program.ok("POST", f"/recovery/{first}/restore")["session_id"]
    row = program.ok("GET", "experiments")["experiments"][0]
    assert (row["Output"], row["Noise"], row["Iteration"]) == (0.5, 0.02, 3)
    assert program.ok("GET", "experiments/staged")["experiments"] == [POINTS[1]]
    assert program.ok("GET", "/recovery/list")["recoveries"][0]["session_id"] == program.session
    program.refused(404, "POST", f"/recovery/{first}/restore")
    assert program.ok("DELETE", "backup") == {"message": "Recovery backup cleared", "deleted": True}
    assert program.ok("DELETE", "backup")["deleted"] is False
    program.ok("POST", "backup")
    program.ok("DELETE", "/recovery/cleanup?max_age_hours=1")
    assert program.ok("GET", "/recovery/list")["count"] == 1
    program.ok("DELETE", "/recovery/cleanup?max_age_hours=0")
    assert program.ok("GET", "/recovery/list") == {"recoveries": [], "count": 0}
