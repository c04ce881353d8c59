"""Definitions as text, and the line on which each field of one stands: JSON, or YAML where PyYAML is installed.

A field is named as errors name it: `problem.parameters[2].low`.
"""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import FieldError

#: Beyond so many fields, and so long a name, no line is kept: that of what they are inside of is told.
_FIELD_LIMIT, _NAME_LIMIT = 200_000, 500

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_MERGE = "tag:yaml.org,2002:merge"


class TextError(ValueError):
    """Why a text cannot be read, with its line where that is known."""


@dataclass(frozen=True)
class Lines:
    """Where each field stands. `inside`: where errors may leave out that a field is inside of it."""

    by_field: Mapping[str, int] = field(default_factory=dict)
    inside: tuple[str, ...] = ("problem",)

    def of(self, name: str) -> int | None:
        """The line of a field, counted from 1; of what it is missing from where it is not there itself."""
        while name:
            for prefix in ("", *(f"{each}." for each in self.inside)):
                found = self.by_field.get(prefix + name)
                if found is not None:
                    return found
            name = _outer(name)
        return self.by_field.get("")

    def place(self, path: str, error: FieldError) -> FieldError:
        """The same error with `path:line: ` before its field."""
        line = self.of(error.field)
        where = path if line is None else f"{path}:{line}"
        return FieldError(f"{where}: {error.field}", error.message, error.value, error.allowed, error.hint)


def read_json(text: str) -> tuple[Any, Lines]:
    """Raises TextError."""
    try:
        document = json.loads(text, parse_constant=no_number, object_pairs_hook=once)
    except TwiceError as error:
        raise TextError(_twice(error.key, _second(text, error.key))) from None
    except json.JSONDecodeError as error:
        raise TextError(f"line {error.lineno}: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise TextError(str(error)) from None
    return document, Lines(dict(_json_fields(text)))


def read_yaml(text: str) -> tuple[Any, Lines]:
    """Raises TextError, and ImportError where PyYAML is not installed."""
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        twice = _yaml_twice(node)
        if twice is not None:
            raise TextError(_twice(twice.value, twice.start_mark.line + 1))
        document = yaml.safe_load(text)
    except TextError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f"line {mark.line + 1}: "
        raise TextError(f"{where}{getattr(error, 'problem', None) or error}") from None
    found: dict[str, int] = {}
    for name, line in _yaml_fields(node):
        found.setdefault(name, line)
    return document, Lines(found)


def _outer(name: str) -> str:
    """What a field is inside of: `a[2].b` is in `a[2]`, that in `a`, and that in nothing."""
    cut = max(name.rfind("."), name.rfind("["))
    return name[:cut] if cut > 0 else ""


def no_number(text: str) -> Any:
    """For `json.loads`: refuses NaN and Infinity, which are no JSON."""
    raise ValueError(f"{text} is no number in JSON")


class TwiceError(ValueError):
    """`key` stands in one object more than once."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key[:_NAME_LIMIT]} is given more than once in one object")
        self.key = key


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `json.loads`: an object of these fields. Raises TwiceError: of two equal ones json would keep the last in
    silence."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise TwiceError(again(pairs)[0])
    return found


def again(pairs: Sequence[tuple[str, Any]]) -> list[str]:
    """The keys that are there more than once."""
    return [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]


def _twice(key: str, line: int | None) -> str:
    where = "" if line is None else f"line {line}: "
    return f"{where}{key[:_NAME_LIMIT]} is given a second time here; keep one of the two"


def _second(text: str, key: str) -> int | None:
    """The line of the first field with this last name that is there for the second time."""
    seen: set[str] = set()
    for name, line in _json_fields(text):
        if name in seen and (name == key or name.endswith(f".{key}")):
            return line
        seen.add(name)
    return None


def _yaml_twice(root: Any) -> Any:
    """The node of a key that its mapping has already; None where each is there once. Merged in is not given."""
    waiting, looked = [root], set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in looked:
            continue
        looked.add(id(node))
        if node.id == "sequence":
            waiting.extend(reversed(node.value))
        elif node.id == "mapping":
            seen = set()
            for key, _ in node.value:
                sign = (key.tag, key.value) if key.id == "scalar" else (key.tag, id(key))
                if sign in seen and key.tag != _MERGE:
                    return key
                seen.add(sign)
            waiting.extend(part for _, part in reversed(node.value))
    return None


def _json_fields(text: str) -> Iterator[tuple[str, int]]:
    """Every field of a text that is valid JSON, with its line."""
    line, at = 1, 0
    inside: list[
        tuple[str, int]
    ] = []  # of each open object or list: its name, and how far it is (-1: an object)
    name, key = "", False  # of what comes next; whether a key comes next
    for token in _TOKEN.finditer(text):
        line += text.count("\n", at, token.start())
        at, sign = token.start(), token.group()
        if sign in "}]":
            inside.pop()
            key = False
        elif sign == ",":
            outer, number = inside[-1]
            key = number < 0
            if not key:
                inside[-1] = outer, number + 1
                name = f"{outer}[{number + 1}]"
        elif key:
            outer = inside[-1][0]
            name, key = _inner(outer, json.loads(sign)), False
            yield name, line
        elif sign != ":":
            if not inside or inside[-1][1] >= 0:  # of a key the line is known: its own
                yield name, line
            if sign == "{":
                inside.append((name, -1))
                key = True
            elif sign == "[":
                inside.append((name, 0))
                name = f"{name}[0]"


def _yaml_fields(root: Any) -> Iterator[tuple[str, int]]:
    """Fields below a YAML node, with their lines, the outer ones first and what is merged in after what is written
    there. Aliases can make a short text an endless document: `_FIELD_LIMIT` nodes are looked at."""
    waiting: deque[tuple[str, Any, int | None]] = deque([("", root, None)])
    for _ in range(_FIELD_LIMIT):
        if not waiting:
            return
        name, node, line = waiting.popleft()
        if node is None or len(name) > _NAME_LIMIT:
            continue
        yield name, node.start_mark.line + 1 if line is None else line
        if node.id == "sequence":
            waiting.extend((f"{name}[{number}]", part, None) for number, part in enumerate(node.value))
        elif node.id == "mapping":
            for key, part in node.value:
                if key.tag != _MERGE:
                    waiting.append((_inner(name, key.value), part, key.start_mark.line + 1))
                else:
                    merged = part.value if part.id == "sequence" else [part]
                    waiting.extend((name, each, None) for each in merged)


def _inner(outer: str, key: Any) -> str:
    return f"{outer}.{key}" if outer else str(key)
