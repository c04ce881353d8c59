"""The audit log: what was decided, each entry chained to the one before it."""

from __future__ import annotations

import hashlib
import json
from functools import partial

from alchemist_lab import POINTS, Program
from at_once import at_once

from models.domain import records as r
from services.bootstrap import Context
from services.fronts.alchemist.sessions import audit


def test_decisions_and_events_are_entries_with_their_hash(program: Program) -> None:
    program.begin()
    program.ok("POST", "experiments", {"inputs": POINTS[0], "output": 0.5})
    said = program.ok("POST", "audit/lock", {"lock_type": "data", "notes": "screening"})
    assert said["success"] is True and said["message"] == "Data decision locked successfully"
    entry = said["entry"]
    assert entry["entry_type"] == "data_locked" and entry["notes"] == "screening"
    assert entry["parameters"]["n_experiments"] == 1 and len(entry["parameters"]["data_hash"]) == 16
    text = json.dumps(entry["parameters"], sort_keys=True)
    assert entry["hash"] == hashlib.sha256(text.encode()).hexdigest()[:16]
    again = program.ok("POST", "audit/lock", {"lock_type": "data"})["entry"]["parameters"]
    assert again == entry["parameters"]
    program.ok("POST", "experiments", {"inputs": POINTS[1], "output": 0.7})
    other = program.ok("POST", "audit/lock", {"lock_type": "data"})["entry"]["parameters"]
    assert other["data_hash"] != again["data_hash"]
    chosen = {"strategy": "EI", "parameters": {"xi": 0.01}, "suggestions": [{"temperature": 50.0}]}
    made = program.ok("POST", "audit/lock", {"lock_type": "acquisition", **chosen})["entry"]
    assert {name: made["parameters"][name] for name in chosen} == chosen and made["parameters"][
        "iteration"
    ] == 2
    event = program.ok(
        "POST", "audit/event", {"entry_type": "run.begun", "parameters": {"n": 1e22, "t": 1.0}}
    )
    assert set(event) == {"entry"} and event["entry"]["parameters"]["n"] == 1e22
    listed = program.ok("GET", "audit?entry_type=data_locked")
    assert listed["n_entries"] == 3 and {each["entry_type"] for each in listed["entries"]} == {"data_locked"}
    assert program.ok("GET", "audit?entry_type=nothing") == {"entries": [], "n_entries": 0}


def test_what_is_no_decision_is_refused(program: Program) -> None:
    program.begin()
    assert "No trained model" in program.refused(400, "POST", "audit/lock", {"lock_type": "model"})["detail"]
    program.refused(400, "POST", "audit/lock", {"lock_type": "acquisition", "strategy": "EI"})
    program.refused(422, "POST", "audit/lock", {"lock_type": "other"})
    program.refused(422, "POST", "audit/event", {"entry_type": ""})
    program.refused(422, "POST", "audit/event", {"entry_type": "a" * 65})
    program.refused(422, "POST", "audit/event", {"entry_type": "a", "notes": "n" * 2001})
    assert program.ok("GET", "audit")["n_entries"] == 0


def test_the_chain_names_what_was_changed(context: Context, program: Program) -> None:
    program.begin()
    for place in range(4):
        program.ok("POST", "audit/event", {"entry_type": "x", "parameters": {"n": 1e22 * place, "m": -0.0}})
    entries = program.ok("GET", "audit")["entries"]
    assert entries[0]["previous"] == "" and len({each["previous"] for each in entries}) == 4
    assert "Each of the 4 entries follows the one before" in _verdict(program)
    with context.store.begin() as tx:
        second = tx.documents.all(audit.AUDIT, program.session)[1]
        body = {**second.body, "notes": "changed"}
        tx.documents.put([r.Document(second.kind, second.parent, second.name, body)])
    assert "entry 3 does not follow" in _verdict(program)
    with context.store.begin() as tx:
        tx.documents.put([second])
        tx.documents.remove(second.kind, second.parent, "000000003")
    assert "its end" in _verdict(program)


def test_entries_of_many_at_once_are_one_chain(program: Program) -> None:
    program.begin()

    def add(number: int) -> int:
        return program.ask("POST", "audit/event", {"entry_type": f"x{number}"}).status_code

    assert at_once(*(partial(add, number) for number in range(8))) == [200] * 8
    assert program.ok("GET", "audit")["n_entries"] == 8
    assert "Each of the 8 entries" in _verdict(program)


def test_the_log_is_a_text_in_which_nothing_is_markup(program: Program) -> None:
    program.begin(name="coupling | <script>")
    program.ok("POST", "experiments", {"inputs": POINTS[0], "output": 0.5, "reason": "first | *try*"})
    program.ok(
        "POST", "audit/event", {"entry_type": "begun", "parameters": {"a": [1]}, "notes": "# no heading"}
    )
    answer = program.ask("GET", "audit/export")
    assert answer.headers["content-type"].startswith("text/markdown")
    assert answer.headers["content-disposition"] == f"attachment; filename=audit_log_{program.session}.md"
    lines = answer.text.splitlines()
    assert lines[0] == "# Optimization Audit Trail"
    assert "- **Name**: coupling \\| &lt;script>" in lines
    assert "- **temperature** (real): [20.0, 120.0] C" in lines
    assert "| Iteration | Reason | temperature | stirring | catalyst | Output |" in lines
    assert "| 0 | first \\| \\*try\\* | 30.0 | 200 | Pt | 0.5 |" in lines
    assert "- **Notes**: \\# no heading" in lines


def test_changes_of_the_model_are_listed(program: Program) -> None:
    program.begin()
    change = {"component": "model", "old": {}, "new": {"kernel": "RBF"}, "iteration": 0}
    program.ok("POST", "audit/event", {"entry_type": "config_changed", "parameters": change})
    found = program.ok("GET", "audit/config-changes")["changes"]
    assert [{**each, "timestamp": ""} for each in found] == [{**change, "timestamp": ""}]


def _verdict(program: Program) -> str:
    """The last line of the log as a text."""
    return program.ask("GET", "audit/export").text.strip().splitlines()[-1]
