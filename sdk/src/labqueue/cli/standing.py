"""What became of a result after it was recorded, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Kinds of results that are about another one.
ABOUT = {"amend": "correction of", "withdraw": "withdrawal of"}


def standing(result: Mapping[str, Any]) -> str:
    """Empty for a plain one that counts; else what it is about and why, and whether it counts itself."""
    parts = []
    kind = ABOUT.get(str(result.get("kind")))
    if kind is not None:
        parts.append(f"{kind} {result.get('amends')}: {result.get('message') or 'no reason given'}")
    word = result.get("standing")
    if word == "withdrawn":
        parts.append(word)
    elif word == "corrected":
        names = ", ".join(result.get("replaced") or ())
        parts.append(f"{word}: {names}" if names else word)
    return "; ".join(parts)


def outcome(result: Mapping[str, Any]) -> Any:
    """None of a withdrawal, which measured nothing."""
    return None if result.get("kind") == "withdraw" else result.get("outcome") or "measured"
