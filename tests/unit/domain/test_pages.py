"""What the pages on words and invariants promise is there."""

from __future__ import annotations

import re
from pathlib import Path

from labqueue.states import Outcome, Verdict

ROOT = Path(__file__).parents[3]
INVARIANTS = (ROOT / "docs" / "invariants.md").read_text()
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()


def sections() -> dict[int, list[tuple[str, str]]]:
    """Each invariant's tests, as (file, name)."""
    parts = re.split(r"^## (\d+)\. ", INVARIANTS, flags=re.MULTILINE)[1:]
    return {
        int(number): re.findall(r"^- `([^`:]+)::(\w+)`$", text, re.MULTILINE)
        for number, text in zip(parts[::2], parts[1::2], strict=True)
    }


def test_each_of_the_fourteen_has_a_test() -> None:
    assert list(sections()) == list(range(1, 15))
    assert all(sections().values())


def test_each_test_that_is_named_exists() -> None:
    missing = [
        f"{file}::{name}"
        for tests in sections().values()
        for file, name in tests
        if not re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
    ]
    assert missing == []


def test_every_verdict_and_outcome_is_explained() -> None:
    assert all(f"`{word}`" in GLOSSARY for word in (*Verdict, *Outcome))
