"""The grammar of arithmetic: what it means, what it refuses, and that no text harms who reads it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labqueue.problem import Expression
from labqueue.problem.expression import FUNCTIONS, PLAIN, ExpressionError, evaluate, parse, parse_rule
from models.space.operations import ARRAYS, margins, scale

VALUES: dict[str, float] = {"x": 3.0, "y": -2.0, "zwei": 2.0, "a b": 5.0, "max": 7.0, "μ_1": 0.5, "e": 4.0}


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("10 - 4 - 3", 3.0),
        ("8 / 4 / 2", 1.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("2 ** 3", 8.0),
        ("-x ^ 2", -9.0),
        ("(-x) ^ 2", 9.0),
        ("2 ^ -1", 0.5),
        ("--x", 3.0),
        ("+x - -y", 1.0),
        (".5 + 1. + 1e2 + 1.5E-1", 101.65),
        ("x * `a b`", 15.0),
        ("max + 1", 8.0),
        ("max(max, x)", 7.0),
        ("min(x, y) + sqrt(zwei ^ 4) + abs(y)", 4.0),
        ("exp(log(x)) + log10(100)", 5.0),
        ("μ_1 * 2", 1.0),
        ("2 * e", 8.0),
        (" x\n+\t1 ", 4.0),
    ],
)
def test_what_a_text_means(text: str, right: float) -> None:
    assert evaluate(parse(text), VALUES) == pytest.approx(right)


def test_names_come_once_and_in_order() -> None:
    assert parse("`b c` + a * sqrt(a) / `b c`").names == ("b c", "a")


@pytest.mark.parametrize(("text", "sign"), [("x<=1", "<="), ("x >= 1", ">="), ("x<1", "<"), ("1>x", ">")])
def test_a_rule_has_two_sides(text: str, sign: str) -> None:
    left, comparison, right = parse_rule(text)
    assert comparison == sign and {*left.names, *right.names} == {"x"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "needs a number, a parameter or an opening bracket; the text ends before it"),
        ("1 +", "the text ends before it"),
        ("(1 + 2", "needs a closing bracket"),
        ("1 + 2)", "must end here; found ')' at letter 6"),
        ("2 x", "must end here; found 'x' at letter 3"),
        ("2e", "must end here"),
        ("x == 1", "must end here; found '==' at letter 3"),
        ("x != 1", "cannot be read from '!= 1' on"),
        ("__import__('os')", "cannot be read from"),
        ("x; y", "cannot be read from '; y'"),
        ("`never ended", "cannot be read from"),
        ("``", "cannot be read from"),
        ("sin(x)", "knows no function sin; there are sqrt"),
        ("x(1)", "knows no function x"),
        ("max(1)", "gives max 1 values; it takes 2"),
        ("sqrt(1, 2)", "gives sqrt 2 values; it takes 1"),
        ("sqrt()", "needs a number"),
        ("1e999", "has a number that is too large: 1e999"),
        ("9" * 400, "too large"),
        ("(" * 60 + "1" + ")" * 60, "nested deeper than 50 levels"),
        ("-" * 60 + "1", "nested deeper than 50 levels"),
        ("^".join(["2"] * 60), "nested deeper than 50 levels"),
        ("+".join(["1"] * 200), "more than 100 operations that build on one another"),
        ("*".join(["1"] * 200), "more than 100 operations that build on one another"),
        ("x" * 10**6, "longer than 2000 letters"),
        ("(" * 10**6, "longer than 2000 letters"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["x", "x < 1 < 2", "x <= ", "<= 1", "x = 1"])
def test_a_rule_needs_one_comparison(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse_rule(text)


@pytest.mark.parametrize(("text", "sign"), [("x*z == 0.25", "=="), ("x*z=0.25", "=")])
def test_a_rule_is_no_equality(text: str, sign: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_rule(text)
    right = (
        f"must be an inequality (one of <= >= < >), not {sign}: equality is for constraints of kind linear"
    )
    assert str(caught.value) == right


def test_a_chain_within_the_limit_is_walked() -> None:
    assert evaluate(parse(" + ".join(["x"] * 101)), VALUES) == 303.0


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("9^9^9^9", math.inf),
        ("exp(10^6)", math.inf),
        ("1 / exp(10^6)", 0.0),
        ("1 / (x - 3)", math.inf),
        ("-1 / (x - 3)", -math.inf),
        ("0 ^ -1", math.inf),
        ("y ^ 99999", -math.inf),
        ("log(0)", -math.inf),
        ("(1 / (x - 3)) ^ -0.5", 0.0),
        ("0 / (x - 3)", math.nan),
        ("exp(10^6) - exp(10^6)", math.nan),
        ("sqrt(y)", math.nan),
        ("log(y)", math.nan),
        ("y ^ 0.5", math.nan),
        ("sqrt(y) ^ 0", math.nan),
        ("max(sqrt(y), 1)", math.nan),
    ],
)
def test_what_is_too_large_is_infinite_and_what_is_no_real_number_nan(text: str, right: float) -> None:
    assert evaluate(parse(text), VALUES) == pytest.approx(right, nan_ok=True)


SIZES = (
    0.0,
    1.0,
    0.5,
    2.0,
    3.0,
    1 / 3,
    709.0,
    710.0,
    745.0,
    1000.0,
    5e-324,
    1e-300,
    1e200,
    1.7e308,
    math.inf,
)
NUMBERS = [math.nan, *(sign * each for each in SIZES for sign in (1.0, -1.0))]


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_plain_numbers_and_arrays_are_reckoned_alike(name: str) -> None:
    """Overflow, poles and what is no number included, so that no expression holds for one and not for the other."""
    many = 2 if name in "+-*/^" or FUNCTIONS.get(name) == 2 else 1
    for values in itertools.product(NUMBERS, repeat=many):
        one = PLAIN[name](*values)
        with np.errstate(all="ignore"):
            other = float(ARRAYS[name](*(np.array([each]) for each in values))[0])
        assert one == pytest.approx(other, rel=1e-12, abs=0.0, nan_ok=True), (name, values)


@given(
    st.recursive(
        st.sampled_from(["a", "b", "1000", "0.5", "0"]),
        lambda part: st.one_of(
            st.tuples(part, st.sampled_from("+-*/^"), part).map(lambda each: f"({' '.join(each)})"),
            st.tuples(st.sampled_from(["exp", "log", "sqrt", "abs", "-"]), part).map(
                lambda each: f"{each[0]}({each[1]})"
            ),
            st.tuples(st.sampled_from(["min", "max"]), part, part).map(
                lambda each: f"{each[0]}({each[1]}, {each[2]})"
            ),
        ),
        max_leaves=8,
    ),
    st.sampled_from(["<=", ">="]),
    st.sampled_from([0.0, 1.0, -2.0, 40.0, 1000.0]),
    st.sampled_from([0.0, 0.25, -1.0, 800.0]),
)
def test_a_rule_holds_for_a_point_as_for_its_row(text: str, sign: str, a: float, b: float) -> None:
    try:
        rule = Expression.parse(f"{text} {sign} 0.4321 + a")
    except ExpressionError as error:
        assert "nested deeper" in str(error)
        return
    point = {"a": a, "b": b}
    gap = float(margins(rule, {name: np.array([value]) for name, value in point.items()})[0])
    size = float(scale(rule, {name: np.array([value]) for name, value in point.items()})[0])
    if abs(gap) > 1e-6 * size or math.isnan(gap):
        assert (rule.check(point) is None) is (gap > 0)


@given(st.text("xy12.()+-*/^ <>=,`e\\'\"[]{}\0", max_size=60))
def test_whatever_comes_is_read_or_refused(text: str) -> None:
    for read in (parse, parse_rule):
        try:
            read(text)
        except ExpressionError as error:
            assert str(error)


LEAVES = st.one_of(
    st.floats(0.1, 100).map(lambda value: (repr(value), value)), st.sampled_from([("x", 3.0), ("y", -2.0)])
)


@given(
    st.recursive(
        LEAVES,
        lambda part: st.one_of(
            st.tuples(part, st.sampled_from("+-*"), part).map(
                lambda each: (
                    f"({each[0][0]} {each[1]} {each[2][0]})",
                    {"+": float.__add__, "-": float.__sub__, "*": float.__mul__}[each[1]](
                        each[0][1], each[2][1]
                    ),
                )
            ),
            part.map(lambda each: (f"-({each[0]})", -each[1])),
            part.map(lambda each: (f"abs({each[0]})", abs(each[1]))),
        ),
        max_leaves=12,
    )
)
def test_any_expression_means_what_python_means(case: tuple[str, float]) -> None:
    text, right = case
    try:
        node = parse(text)
    except ExpressionError as error:
        assert "nested deeper" in str(error)
        return
    assert evaluate(node, VALUES) == pytest.approx(right)


def test_operations_are_the_callers() -> None:
    seen: list[str] = []

    def of(name: str) -> Any:
        return lambda *parts: (seen.append(name), f"{name}({', '.join(map(str, parts))})")[1]

    names = ("+", "-", "*", "/", "^", "negate", "sqrt", "exp", "log", "log10", "abs", "min", "max")
    said = evaluate(parse("-x + min(y, 2) ^ 2"), {"x": "x", "y": "y"}, {name: of(name) for name in names})
    assert said == "+(negate(x), ^(min(y, 2.0), 2.0))" and seen == ["negate", "min", "^", "+"]
