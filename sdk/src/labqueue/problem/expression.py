"""A small grammar of arithmetic over parameter names: parsed here, never evaluated as code.

    rule     = sum ("<=" | ">=" | "<" | ">") sum
    sum      = product (("+" | "-") product)*
    product  = signed (("*" | "/") signed)*
    signed   = ("-" | "+") signed | power
    power    = atom (("^" | "**") signed)?           so -x ^ 2 is -(x ^ 2), and 2 ^ 3 ^ 2 is 2 ^ 9
    atom     = number | name | function "(" sum ("," sum)* ")" | "(" sum ")"
    name     = letters, digits and _, not starting with a digit; anything else in `backticks`

A parsed expression is a tree of `Node`s, so that models evaluate it over arrays and tensors with operations of
their own (`evaluate`), the same ones for all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

from labqueue.parse import SIZE_LIMIT

from . import plain

FUNCTIONS = {"sqrt": 1, "exp": 1, "log": 1, "log10": 1, "abs": 1, "min": 2, "max": 2}
COMPARISONS = ("<=", ">=", "<", ">")
LENGTH_LIMIT = 2000
DEPTH_LIMIT = 50
#: How many operations may build on one another, as in a + b + c + ...: a tree is walked with Python's own stack.
HEIGHT_LIMIT = 100

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|`(?P<quoted>[^`]+)`|(?P<name>[^\W\d]\w*)"
    r"|(?P<sign><=|>=|==|\*\*|[-+*/^(),<>=]))"
)


class ExpressionError(ValueError):
    """What is wrong with a text, and where."""


@dataclass(frozen=True)
class Node:
    """`kind`: number (value), name (text), or an operation (text) on its parts: + - * / ^ negate, a function."""

    kind: str
    text: str = ""
    value: float = 0.0
    parts: tuple[Node, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that it mentions, each once, in order."""
        mine = [self.text] if self.kind == "name" else []
        return tuple(dict.fromkeys([*mine, *(name for part in self.parts for name in part.names)]))


def parse(text: str) -> Node:
    """An arithmetic expression without a comparison. Raises ExpressionError."""
    parser = _Parser(text)
    node = parser.sum()
    parser.end()
    return _walkable(node)


def parse_rule(text: str) -> tuple[Node, str, Node]:
    """left, comparison, right. Raises ExpressionError."""
    parser = _Parser(text)
    left = parser.sum()
    sign = parser.take(*COMPARISONS)
    if not sign:
        equal = parser.take("==", "=")
        if equal:
            raise ExpressionError(
                f"must be an inequality (one of {' '.join(COMPARISONS)}), not {equal}: "
                "equality is for constraints of kind linear"
            )
        parser.fail(f"needs one of {' '.join(COMPARISONS)} between two expressions")
    right = parser.sum()
    parser.end()
    return _walkable(left), sign, _walkable(right)


def _walkable(node: Node) -> Node:
    layer: list[Node] = [node]
    for _ in range(HEIGHT_LIMIT + 1):
        layer = [part for each in layer for part in each.parts]
    if layer:
        raise ExpressionError(
            f"has more than {HEIGHT_LIMIT} operations that build on one another; group some in brackets"
        )
    return node


Operation = Callable[..., Any]

#: On plain numbers, by the rules of `plain`: infinite where a result is too large, nan where it is no real number.
PLAIN: Mapping[str, Operation] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": plain.divide,
    "^": plain.power,
    "negate": lambda a: -a,
    "sqrt": plain.root,
    "exp": plain.exponential,
    "log": plain.logarithm(math.log),
    "log10": plain.logarithm(math.log10),
    "abs": abs,
    "min": plain.least,
    "max": plain.greatest,
}


def evaluate(node: Node, values: Mapping[str, Any], operations: Mapping[str, Operation] = PLAIN) -> Any:
    """The expression's value where names have `values`: numbers, arrays or tensors, as `operations` takes them."""
    if node.kind == "number":
        return node.value
    if node.kind == "name":
        return values[node.text]
    return operations[node.text](*(evaluate(part, values, operations) for part in node.parts))


class _Parser:
    def __init__(self, text: str) -> None:
        if len(text) > LENGTH_LIMIT:
            raise ExpressionError(f"is longer than {LENGTH_LIMIT} letters")
        self._text = text
        self._tokens: list[tuple[str, str, int]] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                raise ExpressionError(f"cannot be read from {text[at:].strip()[:20]!r} on: {_ALLOWED}")
            kind = found.lastgroup or ""
            self._tokens.append((kind, found.group(kind), found.start(kind)))
            at = found.end()
        self._place = 0
        self._depth = 0

    def take(self, *signs: str) -> str:
        """The next token where it is one of these signs, else nothing."""
        if self._place < len(self._tokens):
            kind, text, _ = self._tokens[self._place]
            if kind == "sign" and text in signs:
                self._place += 1
                return text
        return ""

    def fail(self, message: str) -> None:
        if self._place < len(self._tokens):
            _, text, at = self._tokens[self._place]
            raise ExpressionError(f"{message}; found {text!r} at letter {at + 1}")
        raise ExpressionError(f"{message}; the text ends before it")

    def end(self) -> None:
        if self._place < len(self._tokens):
            self.fail("must end here")

    def sum(self) -> Node:
        node = self._product()
        while sign := self.take("+", "-"):
            node = Node("operation", sign, parts=(node, self._product()))
        return node

    def _product(self) -> Node:
        node = self._signed()
        while sign := self.take("*", "/"):
            node = Node("operation", sign, parts=(node, self._signed()))
        return node

    def _signed(self) -> Node:
        self._depth += 1
        if self._depth > DEPTH_LIMIT:
            raise ExpressionError(f"is nested deeper than {DEPTH_LIMIT} levels")
        sign = self.take("-", "+")
        node = self._signed() if sign else self._power()
        self._depth -= 1
        return Node("operation", "negate", parts=(node,)) if sign == "-" else node

    def _power(self) -> Node:
        node = self._atom()
        if self.take("^", "**"):
            return Node("operation", "^", parts=(node, self._signed()))
        return node

    def _atom(self) -> Node:
        if self.take("("):
            node = self.sum()
            if not self.take(")"):
                self.fail("needs a closing bracket")
            return node
        if self._place >= len(self._tokens) or self._tokens[self._place][0] == "sign":
            self.fail("needs a number, a parameter or an opening bracket")
        kind, text, _ = self._tokens[self._place]
        self._place += 1
        if kind == "number":
            value = float(text)
            if value > SIZE_LIMIT:
                raise ExpressionError(f"has a number that is too large: {text[:20]}")
            return Node("number", value=value)
        if kind == "name" and self.take("("):
            return self._call(text)
        return Node("name", text)

    def _call(self, name: str) -> Node:
        if name not in FUNCTIONS:
            raise ExpressionError(f"knows no function {name}; there are {', '.join(FUNCTIONS)}")
        parts = [self.sum()]
        while self.take(","):
            parts.append(self.sum())
        if not self.take(")"):
            self.fail("needs a closing bracket")
        if len(parts) != FUNCTIONS[name]:
            raise ExpressionError(f"gives {name} {len(parts)} values; it takes {FUNCTIONS[name]}")
        return Node("operation", name, parts=tuple(parts))


_ALLOWED = "numbers, parameter names (odd ones in `backticks`), + - * / ^ and brackets are arithmetic"
