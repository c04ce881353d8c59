"""Sessions, as ALchemist's programs make and read them."""

from __future__ import annotations

from alchemist_lab import Program


def test_a_session_is_made_and_found(program: Program) -> None:
    made = program.ok("POST", "/sessions", {"name": "coupling", "ttl_hours": 24})
    assert set(made) == {"session_id", "created_at", "expires_at"} and made["expires_at"] is None
    program.session = made["session_id"]
    assert program.ok("GET", "state")["n_variables"] == 0
    refused = program.refused(404, "GET", "/sessions/nobody/state")
    assert refused["error_type"] == "SessionNotFoundError"
    assert program.refused(422, "POST", "/sessions", {"name": 5})["error_type"] == "ValidationError"
