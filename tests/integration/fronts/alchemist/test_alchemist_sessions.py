"""Sessions, as ALchemist's programs make, read, steer and remove them."""

from __future__ import annotations

from typing import Any

from alchemist_lab import POINTS, Program
from lab import until


def test_a_session_is_made_described_and_found(program: Program) -> None:
    about = {"name": "coupling", "description": "a yield", "tags": ["Pd"], "author": "A. Chemist"}
    made = program.ok("POST", "/sessions", {**about, "ttl_hours": 24})
    assert set(made) == {"session_id", "created_at", "expires_at"} and made["expires_at"] is None
    program.session = made["session_id"]
    whole = program.ok("GET", f"/sessions/{program.session}")
    assert whole["metadata"] == {**about, "last_modified": whole["metadata"]["last_modified"]}
    assert whole["target_columns"] == ["Output"] and whole["model"] is None
    assert whole["search_space"] == {
        "n_variables": 0, "variables": [], "categorical_variables": [], "discrete_variables": [],
    }  # fmt: skip
    assert whole["data"]["n_experiments"] == 0 and whole["data"]["has_data"] is False
    assert program.ok("PATCH", "metadata", {"name": "renamed", "tags": None})["tags"] == ["Pd"]
    assert program.ok("GET", "metadata")["name"] == "renamed"
    assert program.ok("POST", "save") == {"message": "Session persisted to server storage"}
    refused = program.refused(404, "GET", "/sessions/nobody/state")
    assert refused["error_type"] == "SessionNotFoundError"
    assert program.refused(422, "POST", "/sessions", {"name": 5})["error_type"] == "ValidationError"
    program.refused(422, "POST", "/sessions", {"name": "a" * 2000})


def test_a_session_without_a_name_has_their_name(program: Program) -> None:
    program.begin()
    assert program.ok("GET", "metadata")["name"] == "Untitled Session"
    listed = program.ok("GET", "/sessions")
    assert listed["count"] == 1 and listed["sessions"][0]["session_id"] == program.session
    assert listed["sessions"][0]["n_variables"] == 3


def test_what_a_session_measured_is_told(program: Program) -> None:
    program.begin()
    for place, point in enumerate(POINTS[:3]):
        program.ok("POST", "experiments", {"inputs": point, "output": float(place)})
    whole = program.ok("GET", f"/sessions/{program.session}")
    assert whole["search_space"]["n_variables"] == 3
    assert whole["search_space"]["categorical_variables"] == ["catalyst"]
    assert whole["data"]["n_experiments"] == 3 and whole["data"]["has_data"] is True
    stats = whole["data"]["target_stats"]
    assert (stats["min"], stats["max"], stats["mean"]) == (0.0, 2.0, 1.0)
    state = program.ok("GET", "state")
    assert (state["n_variables"], state["n_experiments"], state["model_trained"]) == (3, 3, False)
    assert set(state) == {
        "session_id", "n_variables", "n_experiments", "model_trained", "model_backend", "last_suggestion",
        "last_acquisition_value", "last_goal",
    }  # fmt: skip


def test_a_removed_session_is_gone_and_its_data_are_not(program: Program) -> None:
    program.begin()
    program.ok("POST", "experiments", {"inputs": POINTS[0], "output": 0.5})
    program.ok("POST", "experiments/staged", {"inputs": POINTS[1]})
    assert program.ask("DELETE", f"/sessions/{program.session}").status_code == 204
    for path in ("state", "variables", "metadata", "audit", "lock", "control", "export"):
        program.refused(404, "GET", path)
    program.refused(404, "DELETE", f"/sessions/{program.session}")
    assert program.ok("GET", "/sessions")["count"] == 0
    campaign = program.ok("GET", f"/campaigns/{program.session}")
    assert campaign["state"] == "finished" and "deleted" in campaign["reason"]
    experiments = program.ok("GET", f"/campaigns/{program.session}/experiments")["items"]
    assert sorted(each["state"] for each in experiments) == ["cancelled", "completed"]


def test_the_control_record_has_two_halves(program: Program) -> None:
    program.begin()
    assert program.ok("GET", "control") == {
        "requested": "run", "requested_at": None, "requested_by": None, "reported": "idle", "reported_at": None,
        "reported_by": None, "detail": None,
    }  # fmt: skip
    program.refused(400, "PUT", "control", {})
    program.refused(400, "PUT", "control", {"requested": "run", "reported": "idle"})
    program.refused(422, "PUT", "control", {"requested": "stop"})
    asked = program.ok("PUT", "control", {"requested": "pause", "requested_by": "me"})
    assert asked["requested"] == "pause" and asked["requested_at"] and asked["reported"] == "idle"
    said = program.ok("PUT", "control", {"reported": "paused", "reported_by": "bot", "detail": "two left"})
    assert (said["requested_by"], said["reported_by"], said["detail"]) == ("me", "bot", "two left")
    # A report that changes nothing is no entry.
    program.ok("PUT", "control", {"reported": "paused", "reported_by": "bot"})
    kinds = [each["entry_type"] for each in program.ok("GET", "audit")["entries"]]
    assert kinds == ["control_requested", "control_reported"]

    def told() -> list[Any]:
        events = program.ok("GET", "/events?limit=500")["items"]
        changes = [each for each in events if each["type"] == "session.control_changed"]
        return changes if len(changes) == 3 else []

    first = until(told, "each writing is an event")[0]
    assert first["data"]["control"]["requested"] == "pause" and first["queue"] == program.session


def test_objectives_are_labelled_one_by_one(program: Program) -> None:
    program.begin()
    assert program.ok("GET", "objective-metadata") == {"metadata": {}}
    program.ok("PUT", "objective-metadata", {"metadata": {"Output": {"label": "Yield", "unit": "%"}}})
    program.ok("PUT", "objective-metadata", {"metadata": {"Other": {"label": "Cost"}}})
    again = program.ok("PUT", "objective-metadata", {"metadata": {"Output": {"unit": "g", "colour": "red"}}})
    assert again["metadata"] == {"Output": {"label": "Yield", "unit": "g"}, "Other": {"label": "Cost"}}
    program.ok("PUT", "objective-metadata", {"metadata": {"Output": {"unit": "g"}}})
    entries = program.ok("GET", "audit?entry_type=objective_label_changed")["entries"]
    assert len(entries) == 3 and entries[0]["parameters"]["old"] == {}


def test_no_language_model_is_asked(program: Program) -> None:
    program.begin()
    assert program.ok("GET", "/llm/config") == {"openai": None, "ollama": None, "edison": None}
    assert program.ok("GET", "/llm/ollama/models")["models"] == []
    program.refused(400, "GET", "/llm/ollama/models?base_url=ftp://x")
    program.refused(400, "POST", "/llm/config", {"openai": {"api_key": "secret"}})
    question = {"structuring_provider": {"provider": "openai", "model": "m"}, "system_context": "x"}
    answer = program.ask("POST", f"/llm/suggest-effects/{program.session}", question)
    assert (
        answer.headers["content-type"].startswith("text/event-stream") and '"status":"error"' in answer.text
    )
    program.refused(404, "POST", "/llm/suggest-effects/nobody", question)
    program.refused(422, "POST", f"/llm/suggest-effects/{program.session}", {})


def test_tokens_say_whose_session_it_is(url: str, program: Program) -> None:
    mine, other = program.begin(), program.begin()
    admin = _with(url, program.ok("POST", "/tokens", {"name": "admin", "scopes": ["admin"]})["token"])
    scope = {"name": "owner", "scopes": [f"campaign:{mine}"]}
    owner = _with(url, admin.ok("POST", "/tokens", scope)["token"])
    program.refused(401, "GET", f"/sessions/{mine}/state")
    assert owner.ok("GET", f"/sessions/{mine}/state")["n_variables"] == 3
    for method, path in [
        ("GET", f"/sessions/{other}/state"),
        ("GET", "/sessions"),
        ("POST", "/sessions"),
        ("GET", "/recovery/list"),
        ("POST", f"/recovery/{mine}/restore"),
        ("DELETE", "/recovery/cleanup"),
    ]:
        owner.refused(403, method, path, {})
    assert admin.ok("GET", "/sessions")["count"] == 2


def _with(url: str, token: str) -> Program:
    made = Program(url)
    made.http.headers["Authorization"] = f"Bearer {token}"
    return made


def test_programs_find_it_healthy(program: Program) -> None:
    answer = program.http.get(str(program.http.base_url).replace("/api/v1/", "/health"))
    assert answer.json() == {"status": "healthy", "service": "alchemist-api"}
