"""The lock of a session: one caller drives it, the others look on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

import pytest
from alchemist_lab import REAL, Program
from at_once import at_once
from lab import until

from models.domain import records as r
from services.bootstrap import Context
from services.fronts.alchemist.sessions.keeping import LOCK, text_of


@pytest.fixture
def page(url: str, program: Program) -> Iterator[Program]:
    """Another caller, who looks at the same session."""
    other = Program(url, "Mozilla/5.0")
    program.begin()
    other.session = program.session
    with other.http:
        yield other


def test_who_holds_the_lock_alone_changes_the_session(program: Program, page: Program) -> None:
    assert page.ok("GET", "lock") == {
        "locked": False,
        "locked_by": None,
        "locked_at": None,
        "lock_token": None,
    }
    held = program.ok("POST", "lock", {"locked_by": "controller", "client_id": "lab-3"})
    assert held["locked"] and held["lock_token"]
    assert page.ok("GET", "lock") == {**held, "lock_token": None}
    new = {"name": "late", "min": 0, "max": 1}
    changes = [
        ("POST", "variables", new),
        ("PUT", "variables/temperature", REAL),
        ("DELETE", "variables/temperature", None),
        (
            "POST",
            "constraints",
            {"constraint_type": "inequality", "coefficients": {"temperature": 1}, "rhs": 100},
        ),
        ("PATCH", "metadata", {"name": "mine"}),
        ("PUT", "objective-metadata", {"metadata": {"Output": {"label": "Yield"}}}),
        ("POST", "audit/event", {"entry_type": "x"}),
        ("POST", "audit/lock", {"lock_type": "data"}),
        ("DELETE", f"/sessions/{program.session}", None),
    ]
    for method, path, body in changes:
        refused = page.refused(409, method, path, body)
        assert refused["detail"].startswith("Session is locked by controller")
    # A person asks for a pause, whoever drives.
    page.ok("PUT", "control", {"requested": "pause"})
    program.ok("POST", "variables", new)
    page.ok("PATCH", "metadata", {"name": "with the token"}, headers={"X-Lock-Token": held["lock_token"]})
    page.ok("PATCH", f"metadata?lock_token={held['lock_token']}", {"name": "in the query"})
    page.refused(409, "PATCH", "metadata", {"name": "x"}, headers={"X-Lock-Token": "guessed"})
    assert page.ok("GET", "metadata")["name"] == "in the query"


def test_a_lock_is_not_stolen_and_its_holder_gets_it_again(program: Program, page: Program) -> None:
    first = program.ok("POST", "lock", {"locked_by": "controller"})
    assert page.refused(409, "POST", "lock", {"locked_by": "page"})["detail"].startswith(
        "Session is locked by"
    )
    # The same program again, whose answer was lost: the token that it did not see opens nothing any more.
    second = program.ok("POST", "lock", {"locked_by": "controller"})
    assert second["lock_token"] != first["lock_token"]
    program.refused(403, "DELETE", f"lock?lock_token={first['lock_token']}")
    # Another program of the same person on the same computer is another.
    program.refused(409, "POST", "lock", {"locked_by": "another"})
    assert program.ok("DELETE", f"lock?lock_token={second['lock_token']}")["locked"] is False
    assert page.ok("POST", "lock", {"locked_by": "page"})["locked_by"] == "page"


def test_a_lock_is_given_up_by_its_holder_or_broken_and_told(program: Program, page: Program) -> None:
    program.ok("POST", "lock", {"locked_by": "controller"})
    page.refused(403, "DELETE", "lock?lock_token=guessed")
    program.ok("DELETE", "lock")
    assert program.ok("GET", "audit")["n_entries"] == 0
    assert program.ok("DELETE", "lock")["locked"] is False
    program.refused(403, "DELETE", "lock?lock_token=guessed")
    program.ok("POST", "lock", {"locked_by": "controller"})
    # Without tokens everybody is an admin: the page's button works, and the audit says so.
    page.ok("DELETE", "lock")
    entry = program.ok("GET", "audit")["entries"][-1]
    assert entry["entry_type"] == "lock_broken" and entry["parameters"]["locked_by"] == "controller"

    def told() -> bool:
        events = program.ok("GET", "/events?limit=500")["items"]
        changes = [each["data"]["locked"] for each in events if each["type"] == "session.lock_changed"]
        return changes == [True, False, True, False]

    until(told, "each change is an event")


def test_only_an_admin_breaks_a_lock_where_there_are_tokens(program: Program, page: Program) -> None:
    program.ok("POST", "lock", {"locked_by": "controller"})
    admin = program.ok("POST", "/tokens", {"name": "admin", "scopes": ["admin"]})["token"]
    program.http.headers["Authorization"] = f"Bearer {admin}"
    scope = {"name": "owner", "scopes": [f"campaign:{program.session}"]}
    page.http.headers["Authorization"] = f"Bearer {program.ok('POST', '/tokens', scope)['token']}"
    page.refused(403, "DELETE", "lock")
    program.ok("DELETE", "lock")
    page.ok("POST", "lock", {"locked_by": "page"})


def _silent_for(context: Context, program: Program, **time: float) -> None:
    with context.store.begin() as tx:
        found = tx.documents.lock(LOCK, program.session, "")
        assert found is not None
        body = {**found.body, "renewed_at": text_of(tx.now() - timedelta(**time))}
        tx.documents.put([r.Document(LOCK, program.session, "", body)])


def test_a_lock_that_was_left_behind_ends(context: Context, program: Program, page: Program) -> None:
    held = program.ok("POST", "lock", {"locked_by": "controller"})
    _silent_for(context, program, hours=25)
    assert page.ok("GET", "lock") == {**dict.fromkeys(held), "locked": False}
    page.ok("PATCH", "metadata", {"name": "mine"})
    program.refused(403, "DELETE", f"lock?lock_token={held['lock_token']}")
    assert page.ok("POST", "lock", {"locked_by": "page"})["locked_by"] == "page"
    program.refused(409, "PATCH", "metadata", {"name": "late"})
    (entry,) = program.ok("GET", "audit")["entries"]
    assert entry["entry_type"] == "lock_expired" and entry["parameters"]["locked_by"] == "controller"


@pytest.mark.parametrize("shown", [True, False])
def test_a_lock_is_renewed_by_its_token_and_by_its_holders_changes(
    context: Context, program: Program, page: Program, shown: bool
) -> None:
    token = program.ok("POST", "lock", {"locked_by": "controller"})["lock_token"]
    for _ in range(2):
        _silent_for(context, program, hours=23)
        if shown:  # by whom and for what does not matter
            page.ok("GET", "variables", headers={"X-Lock-Token": token})
        else:
            program.ok("PATCH", "metadata", {"name": "held"})
        _fresh(context, program)
        page.refused(409, "PATCH", "metadata", {"name": "x"})
    _silent_for(context, program, hours=23)
    page.ok("GET", "variables", headers={"X-Lock-Token": "guessed"})
    with pytest.raises(AssertionError):
        _fresh(context, program)


def _fresh(context: Context, program: Program) -> None:
    """It was renewed just now."""
    with context.store.begin() as tx:
        found = tx.documents.get(LOCK, program.session, "")
        assert found is not None
        assert tx.now() - datetime.fromisoformat(found.body["renewed_at"]) < timedelta(hours=1)


def test_of_many_at_once_one_gets_the_lock(url: str, program: Program) -> None:
    program.begin()

    def take(number: int) -> int:
        one = Program(url, f"agent {number}")
        one.session = program.session
        with one.http:
            return one.ask("POST", "lock", {"locked_by": f"agent {number}"}).status_code

    answers = at_once(*(partial(take, number) for number in range(8)))
    assert sorted(answers) == [200] + [409] * 7
