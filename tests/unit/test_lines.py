"""Where a field stands in a file: JSON and YAML, and what a person is told about a wrong one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from labqueue.cli.files import read_campaign
from labqueue.errors import FieldError, InvalidError
from labqueue.lines import Lines, TextError, read_json, read_yaml

JSON = """{
  "name": "a, {b}: \\"c\\"", "queue": "q",
  "problem": {
    "parameters": [
      {"name": "t", "kind": "continuous", "low": 0, "high": 1},
      {
        "name": "n",
        "kind": "integer", "low": [],
        "high": {}
      }
    ],
    "outputs": [{"name": "o"},
      {"name":
         "p"}]
  },
  "strategy": {"acquisition": [
    {"share": 0.5},
    {"share": 0.6}
  ]}
}"""
YAML = """# a comment
name: a
defaults: &range
  kind: continuous
  low: 0
  high: 1
problem:
  parameters:
    - {<<: *range, name: t}
    - <<: [*range]
      name: n
      high: 5

  outputs: [{name: o},
    {name: p}]
strategy:
  acquisition:
    - share: 0.5
    - acquisition: ucb
      share: 0.6
"""


@pytest.mark.parametrize(
    ("field", "in_json", "in_yaml"),
    [
        ("name", 2, 2),
        ("queue", 2, 2),
        ("problem", 3, 7),
        ("problem.parameters[0].low", 5, 5),
        ("parameters[0].low", 5, 5),
        ("parameters[1]", 6, 10),
        ("parameters[1].high", 9, 12),
        ("parameters[1].step", 6, 10),
        ("parameters[1].when.is", 6, 10),
        ("outputs[1].name", 13, 15),
        ("strategy.acquisition[1].share", 18, 20),
        ("strategy.acquisition", 16, 17),
        ("strategy.stop.budget", 16, 16),
        ("constraints", 1, 2),
    ],
)
def test_a_field_has_a_line(field: str, in_json: int, in_yaml: int) -> None:
    (_, first), (_, second) = read_json(JSON), read_yaml(YAML)
    if field == "queue":  # in JSON on a line of its own name; in YAML missing, so where the whole begins
        assert (first.of(field), second.of(field)) == (2, 2)
    else:
        assert (first.of(field), second.of(field)) == (in_json, in_yaml)


def test_the_document_is_what_a_plain_reader_reads() -> None:
    assert read_json(JSON)[0] == json.loads(JSON)
    assert read_yaml(YAML)[0] == yaml.safe_load(YAML)


def test_an_error_carries_file_line_and_field() -> None:
    _, lines = read_json(JSON)
    error = FieldError("parameters[1].low", "must be a finite number.", [], None, "")
    assert (
        str(lines.place("campaign.json", error))
        == "campaign.json:8: parameters[1].low: must be a finite number."
    )
    assert str(Lines().place("campaign.json", error)).startswith("campaign.json: parameters[1].low: ")


DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=6), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text("ab{[\"\\,: \n", max_size=4), inner, max_size=4)),
    max_leaves=20,
)  # fmt: skip


def fields(document: Any, name: str = "") -> dict[str, Any]:
    """Every field by name; of those with one name the last (names with dots can say the same)."""
    found = {name: document}
    if isinstance(document, dict):
        for key, value in document.items():
            found.update(fields(value, f"{name}.{key}" if name else key))
    if isinstance(document, list):
        for number, value in enumerate(document):
            found.update(fields(value, f"{name}[{number}]"))
    return found


@given(DOCUMENTS, st.sampled_from([None, 0, 2]))
def test_every_field_of_any_json_has_the_line_it_stands_on(document: Any, indent: int | None) -> None:
    text = json.dumps(document, indent=indent)
    read, lines = read_json(text)
    assert read == document
    assert set(lines.by_field) == set(fields(document))
    count = text.count("\n") + 1
    assert all(1 <= line <= count for line in lines.by_field.values())
    if indent is None:
        assert set(lines.by_field.values()) == {1}


def test_indented_json_has_each_key_on_its_own_line() -> None:
    document = {"a": 1, "b": {"c": [1, {"d": 2}], "e": "x\ny"}, "f": []}
    text = json.dumps(document, indent=1)
    _, lines = read_json(text)
    for name, line in lines.by_field.items():
        key = name.rpartition(".")[2]
        if key and "[" not in key:
            assert f'"{key}":' in text.splitlines()[line - 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1"),
        ('{"a": 1,\n "b" 2}', "line 2"),
        ('{"a": NaN}', "NaN is no number in JSON"),
        ("[" * 100_000, ""),
        ('{"a": 1}\n}', "line 2"),
    ],
)
def test_a_text_that_is_no_json_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(TextError) as caught:
        read_json(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text", ["a: [1,\n", "a: b: c\n", "\tb: 1", "a: !!python/object:os.system {}\n", "a: *b\n"]
)
def test_a_text_that_is_no_yaml_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(TextError, match="line "):
        read_yaml(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"low": 0,\n "low": 5}', "line 2: low is given a second time"),
        ('{"a.b": 1, "a": {"b": 2,\n"c": [{}, {"x": 1,\n\n"x": 1}]}}', "line 4: x is given a second time"),
    ],
)
def test_json_with_a_field_twice_is_refused(text: str, words: str) -> None:
    with pytest.raises(TextError, match=words):
        read_json(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("low: 0\nhigh: 1\nlow: 5\n", 3),
        ("a: {low: 0, low: 0}\n", 1),
        ("a:\n- b: 1\n  c: {}\n  'b': 2\n", 4),
    ],
)
def test_yaml_with_a_field_twice_is_refused(text: str, line: int) -> None:
    with pytest.raises(TextError, match=f"line {line}: (low|b) is given a second time"):
        read_yaml(text)


@pytest.mark.parametrize(("text", "line"), [(JSON, 13), (YAML, 15)])
def test_an_output_that_is_called_as_a_parameter_has_its_line(tmp_path: Path, text: str, line: int) -> None:
    name = "campaign.json" if text is JSON else "campaign.yaml"
    path = tmp_path / name
    path.write_text(text.replace('"p"', '"t"').replace("name: p", "name: t"))
    with pytest.raises(InvalidError) as caught:
        read_campaign(str(path))
    found = [each for each in caught.value.errors if "parameters[0] as well" in each.message]
    assert [each.field for each in found] == [f"{path}:{line}: outputs[1].name"]


def test_what_is_merged_in_may_be_said_again() -> None:
    text = "a: &a {low: 0, high: 1}\nb: {<<: *a, low: 2}\n"
    assert read_yaml(text)[0]["b"] == {"low": 2, "high": 1}


def test_aliases_that_grow_without_end_do_no_harm() -> None:
    bomb = "a0: &a0 [1, 1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    _, lines = read_yaml(bomb + "problem: {low: 1}\n")
    assert lines.of("a3[0]") == 3 and lines.of("problem.low") == 41
    _, lines = read_yaml("a: &a {<<: *a, low: 1}\nhigh: 2\n")
    assert lines.of("high") == 2
    looped, lines = read_yaml("a: &a [*a]\nlow: 3\n")
    assert looped["low"] == 3 and lines.of("a[0][0][0]") == 1


def test_a_campaigns_file_is_told_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "campaign.json"
    path.write_text(JSON, encoding="utf-8")
    with pytest.raises(InvalidError) as caught:
        read_campaign(str(path))
    said = [str(each) for each in caught.value.errors]
    assert f"{path}:8: parameters[1].low: must be a finite number." in said
    assert any(
        each.startswith(f"{path}:16: strategy.acquisition: has shares that sum to 1.1") for each in said
    )


def test_what_a_server_says_is_told_its_lines_too(tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(
        "name: a\nqueue: q\nproblem:\n  parameters: [{name: t, kind: continuous, low: 0, high: 1}]\n"
        "  outputs: [{name: o}]\nstrategy:\n  design:\n    kind: halton\n",
        encoding="utf-8",
    )
    file = read_campaign(str(path))
    said = file.placed(InvalidError("No.", errors=[FieldError("strategy.design.kind", "does not suit.")]))
    assert str(said) == f"No.\n  - {path}:8: strategy.design.kind: does not suit."
