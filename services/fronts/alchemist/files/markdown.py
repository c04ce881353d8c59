"""The audit log as a text for people: the session, its search space, its data, and every entry in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.api.answers import dumps
from services.fronts.alchemist.sessions import lifetime
from services.fronts.alchemist.sessions.session import OBSERVED, Session, Variable


def document(
    session: Session,
    table: Sequence[Mapping[str, Any]],
    entries: Sequence[Mapping[str, Any]],
    verdict: str,
) -> str:
    """Markdown. What programs and people gave is shown as text, never as markup. `verdict`: is the log as it was
    written?"""
    about = lifetime.metadata(session)
    lines = ["# Optimization Audit Trail", "", "## Session Metadata", ""]
    shown = {
        "Name": about["name"],
        "Created At": about["created_at"],
        "Last Modified": about["last_modified"],
        "Author": about["author"],
        "Description": about["description"],
        "Tags": ", ".join(about["tags"]),
    }
    lines += [f"- **{name}**: {_text(value)}" for name, value in shown.items() if value]
    lines += ["", "## Search Space Definition", ""]
    lines += [f"- **{_text(each.name)}** {_range(each)}" for each in session.variables]
    for each in session.constraints:
        sum_ = " + ".join(f"{weight:g} {_text(name)}" for name, weight in each.coefficients.items())
        sign = "=" if each.type == "equality" else "<="
        lines.append(f"- {_text(each.name)}: {sum_} {sign} {each.rhs:g}")
    lines += ["", "## Experimental Data", "", *_table(session, table), "", "## Entries", ""]
    for place, entry in enumerate(entries, 1):
        lines += _entry(place, entry)
    lines += ["## Integrity", "", verdict, ""]
    return "\n".join(lines)


def _range(variable: Variable) -> str:
    unit = f" {_text(variable.unit)}" if variable.unit else ""
    role = ", observed" if variable.role == OBSERVED else ""
    values: Iterable[Any] = variable.categories or variable.allowed_values
    if values:
        return f"({variable.type}{role}): {{{', '.join(_text(each) for each in values)}}}{unit}"
    ends = "" if variable.min is None else f": [{variable.min}, {variable.max}]"
    return f"({variable.type}{role}){ends}{unit}"


def _table(session: Session, table: Sequence[Mapping[str, Any]]) -> list[str]:
    if not table:
        return ["None so far."]
    names = [each.name for each in session.variables] + list(session.targets)
    noise = ["Noise"] if any(each.get("Noise") is not None for each in table) else []
    columns = ["Iteration", "Reason", *names, *noise]
    head = ["| " + " | ".join(_text(each) for each in columns) + " |", "|" + "---|" * len(columns)]
    return head + ["| " + " | ".join(_text(row.get(each, "")) for each in columns) + " |" for row in table]


def _entry(place: int, entry: Mapping[str, Any]) -> list[str]:
    lines = [f"### {place}. {_text(entry['entry_type'])}", ""]
    lines += [f"- **Timestamp**: {entry['timestamp']}", f"- **Hash**: `{entry['hash']}`"]
    lines += [f"- **{_text(name)}**: {_text(value)}" for name, value in entry["parameters"].items()]
    if entry["notes"]:
        lines.append(f"- **Notes**: {_text(entry['notes'])}")
    return [*lines, ""]


def _text(value: Any) -> str:
    """On one line, its markup and its angle brackets made harmless."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else dumps(value)
    text = " ".join(text.split()).replace("\\", "\\\\").replace("<", "&lt;")
    for each in "|*_`[]#":
        text = text.replace(each, f"\\{each}")
    return text
