"""docs/strategies.md: every field, word and rule of a strategy is explained, and its examples can be used."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from labqueue.strategy import ACQUISITIONS, DESIGNS, METRICS, PENDING, SURROGATES, Plateau, Strategy

PAGE = (Path(__file__).parents[3] / "docs" / "strategies.md").read_text()
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


def test_every_field_and_rule_and_word_is_explained() -> None:
    usual = Strategy().to_json()
    rules = [name for name in usual["stop"] if name != "when"]
    words = [*usual, *rules, *usual["design"], *Plateau().to_json()]
    words += [*DESIGNS, *SURROGATES, *ACQUISITIONS, *PENDING, *METRICS]
    missing = [word for word in words if f"`{word}`" not in PAGE and f'"{word}"' not in PAGE]
    assert missing == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_strategy(example: str) -> None:
    Strategy.from_json(json.loads(example))


def test_the_defaults_are_those_of_the_code() -> None:
    usual = Strategy().to_json()
    for field, shown in re.findall(r"^\| `(\w+)` \| (\S+) \| ", PAGE, re.MULTILINE):
        default = usual[field]
        if field == "design":
            default = default["kind"]
        if field == "acquisition":
            default = default[0]["acquisition"]
        known = {None: "none", False: "false", "": "none"}.get(default, default)  # type: ignore[call-overload]
        assert shown.strip("`") == (f"{known:g}" if isinstance(known, float) else str(known)), field
