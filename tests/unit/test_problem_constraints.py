"""Which points may be run: sums, mixtures, expressions and exclusions, read and judged."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from labqueue.errors import InvalidError
from labqueue.problem import Among, Excluded, Expression, Linear, Mixture, Problem, Within

PARAMETERS: list[dict[str, Any]] = [
    *({"name": name, "kind": "continuous", "low": 0, "high": 1} for name in "abc"),
    {"name": "far", "kind": "continuous", "low": 1, "high": 9},
    {"name": "n", "kind": "integer", "low": 1, "high": 9},
    {"name": "d", "kind": "discrete", "values": [0, 0.5, 1]},
    {"name": "s", "kind": "categorical", "categories": ["red", "green"]},
    {"name": "odd name", "kind": "continuous", "low": 0, "high": 1},
    {"name": "max", "kind": "continuous", "low": 0, "high": 1},
    {"name": "f", "kind": "fixed", "value": 2},
    {"name": "gas", "kind": "fixed", "value": "argon"},
    {"name": "h", "kind": "context", "low": 0, "high": 1},
]


def read(rule: dict[str, Any]) -> Any:
    (found,) = Problem.from_json(body(rule)).constraints
    return found


def body(*rules: Any) -> dict[str, Any]:
    return {"parameters": PARAMETERS, "outputs": [{"name": "o"}], "constraints": list(rules)}


@pytest.mark.parametrize(
    ("rule", "right", "text"),
    [
        (
            {"coefficients": {"n": 2, "a": 1}, "bound": 3},
            Linear((("a", 1.0), ("n", 2.0)), "<=", 3.0),  # in the problem's own order
            "1 * a + 2 * n <= 3",
        ),
        (
            {"kind": "linear", "coefficients": {"a": -1, "f": 1}, "operator": "==", "bound": 0},
            Linear((("a", -1.0), ("f", 1.0)), "==", 0.0),
            "-1 * a + 1 * f == 0",
        ),
        ({"kind": "mixture", "parameters": ["a", "b", "d"]}, Mixture(("a", "b", "d")), "a + b + d == 1"),
        (
            {"kind": "mixture", "parameters": ["a", "b", "c"], "total": 2, "at_most": 2, "least": 0.1},
            Mixture(("a", "b", "c"), 2.0, 2, 0.1),
            "a + b + c == 2, at most 2 of them not zero, each of those at least 0.1",
        ),
        (
            {"kind": "expression", "rule": "`odd name` * max <= f"},
            Expression.parse("`odd name` * max <= f"),
            "`odd name` * max <= f",
        ),
        (
            {"kind": "excluded", "combination": {"s": "red", "n": [1, 2], "a": {"low": 0.5}}},
            Excluded((("a", Within(0.5)), ("n", Among((1, 2))), ("s", Among(("red",))))),
            "never a is at least 0.5 and n is 1 or 2 and s is red",
        ),
        (
            {"kind": "excluded", "combination": {"far": {"low": 2, "high": 3}, "b": {"high": 0.1}}},
            Excluded((("b", Within(None, 0.1)), ("far", Within(2.0, 3.0)))),
            "never b is at most 0.1 and far is from 2 to 3",
        ),
    ],
)
def test_a_rule_is_read_said_and_comes_back_as_it_went_out(rule: Any, right: Any, text: str) -> None:
    assert read(rule) == right and str(right) == text
    assert read(json.loads(json.dumps(right.to_json()))) == right


@pytest.mark.parametrize(
    ("rule", "field", "words"),
    [
        ({"kind": "linaer"}, "kind", "must be one of linear"),
        ({"coefficients": {"s": 1}, "bound": 1}, "coefficients", "name s, no numeric parameter"),
        ({"coefficients": {"h": 1}, "bound": 1}, "coefficients", "name h, no numeric parameter"),
        ({"coefficients": {"gas": 1}, "bound": 1}, "coefficients", "name gas, no numeric parameter"),
        ({"coefficients": {}, "bound": 1}, "coefficients", "at least one parameter"),
        ({"coefficients": {"a": 1e300}, "bound": 1}, "coefficients.a", "within 1e+100 of 0"),
        ({"coefficients": {"a": 1}, "bound": -1e300}, "bound", "within 1e+100 of 0"),
        ({"kind": "expression", "rule": "a * 1e101 <= 1"}, "rule", "a number that is too large: 1e101"),
        ({"kind": "excluded", "combination": {"a": {"low": 1e300}}}, "combination.a.low", "within 1e+100"),
        ({"coefficients": {"a": 1}}, "bound", "is missing"),
        ({"coefficients": {"a": 1}, "bound": 1, "operator": "<"}, "operator", "must be one of"),
        ({"coefficients": {"a": "1"}, "bound": 1}, "coefficients.a", "finite number"),
        ({"coefficients": {"a": 1}, "bound": 1, "rule": "a < 1"}, "rule", "not known here"),
        ({"kind": "mixture", "parameters": []}, "parameters", "not empty"),
        ({"kind": "mixture", "parameters": ["a", "a"]}, "parameters", "the same entry twice"),
        ({"kind": "mixture", "parameters": ["a", "n"]}, "parameters", "name n, no continuous or discrete"),
        ({"kind": "mixture", "parameters": ["a", "far"], "at_most": 1}, "parameters", "must start at 0"),
        ({"kind": "mixture", "parameters": ["a", "b"], "total": 0}, "total", "must be positive"),
        ({"kind": "mixture", "parameters": ["a", "b"], "least": 1.5}, "least", "from 0 to the total (1)"),
        ({"kind": "mixture", "parameters": ["a", "b"], "at_most": 0}, "at_most", "at least 1"),
        ({"kind": "expression"}, "rule", "is missing"),
        ({"kind": "expression", "rule": 5}, "rule", "must be text"),
        ({"kind": "expression", "rule": "a + b"}, "rule", "needs one of <= >= < >"),
        ({"kind": "expression", "rule": "1 <= 2"}, "rule", "at least one parameter"),
        ({"kind": "expression", "rule": "s <= 1"}, "rule", "name s, no numeric parameter"),
        ({"kind": "expression", "rule": "odd name <= 1"}, "rule", "found 'name'"),
        ({"kind": "expression", "rule": "a" * 10**6 + " <= 1"}, "rule", "at most 2000 letters"),
        ({"kind": "excluded"}, "combination", "must be an object"),
        ({"kind": "excluded", "combination": {}}, "combination", "at least one parameter"),
        ({"kind": "excluded", "combination": {"f": 2}}, "combination", "name f, no parameter that is chosen"),
        ({"kind": "excluded", "combination": {"h": 1}}, "combination", "name h, no parameter that is chosen"),
        ({"kind": "excluded", "combination": {"s": "blue"}}, "combination.s", "is not one of red, green"),
        ({"kind": "excluded", "combination": {"s": {"low": 1}}}, "combination.s", "is not one of"),
        ({"kind": "excluded", "combination": {"s": []}}, "combination.s", "at least one value"),
        ({"kind": "excluded", "combination": {"n": "one"}}, "combination.n", "finite number"),
        ({"kind": "excluded", "combination": {"d": 0.7}}, "combination.d", "is not one of 0, 0.5, 1"),
        ({"kind": "excluded", "combination": {"a": {}}}, "combination.a", "must give low, high or both"),
        (
            {"kind": "excluded", "combination": {"a": {"low": 2, "high": 1}}},
            "combination.a.high",
            "at least low",
        ),
        ({"kind": "excluded", "combination": {"a": {"min": 2}}}, "combination.a.min", "not known here"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(rule: Any, field: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body(rule))
    found = [each for each in caught.value.errors if each.field == f"constraints[0].{field}"]
    assert found, [str(each) for each in caught.value.errors]
    assert any(words in each.message for each in found), [each.message for each in found]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"rule": "a * b <= 1"}, "a constraint with rule is of kind expression."),
        ({"rule": "a * b <= 1", "bound": 1}, "a constraint with rule is of kind expression."),
        ({"combination": {"s": "red"}}, "a constraint with combination is of kind excluded."),
        ({"parameters": ["a", "b"], "total": 1}, "a constraint with parameters is of kind mixture."),
        ({"at_most": 2}, "a constraint with at_most is of kind mixture."),
    ],
)
def test_a_kind_that_is_missing_is_told_by_the_fields_and_once(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body(rule))
    (only,) = caught.value.errors
    assert (only.field, only.message) == ("constraints[0].kind", f"is missing: {message}")


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "expression", "rule": "a" * 10**5 + " <= 1"},
        {"kind": "mixture", "parameters": ["a", "b"], "total": 1e300},
        {"kind": "mixture", "parameters": ["a", "b"], "total": "much", "least": 0.1},
        {"kind": "linear", "bound": 1},
        {"kind": "excluded"},
    ],
)
def test_one_mistake_is_one_fault(rule: dict[str, Any]) -> None:
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body(rule))
    assert len(caught.value.errors) == 1, [str(each) for each in caught.value.errors]


def test_a_mixture_of_amounts_that_have_no_value_is_refused() -> None:
    whole = body({"kind": "mixture", "parameters": ["d"]})
    whole["parameters"] = [{"name": "d", "kind": "discrete", "values": []}]
    with pytest.raises(InvalidError, match=r"parameters\[0\].values: must be a list of finite numbers"):
        Problem.from_json(whole)


@pytest.mark.parametrize("kind", ["nonlinear", "Non-linear", "equation"])
def test_other_words_for_an_expression_are_known(kind: str) -> None:
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body({"kind": kind, "rule": "a * b <= 1"}))
    (only,) = caught.value.errors
    assert only.field == "constraints[0].kind" and "is an expression: {kind: expression, rule:" in only.hint


@pytest.mark.parametrize(("operator", "good", "bad"), [("<=", 2.9, 3.1), (">=", 3.1, 2.9), ("==", 3.0, 3.1)])
def test_sums(operator: str, good: float, bad: float) -> None:
    rule = Linear((("x", 1.0),), operator, 3.0)
    assert rule.check({"x": good}) is None
    assert rule.check({"x": bad}) is not None


def test_a_sum_forgives_what_decimal_text_cannot_say() -> None:
    assert Linear((("a", 0.1), ("b", 0.2)), "==", 0.3).check({"a": 1.0, "b": 1.0}) is None


def test_what_is_not_there_counts_as_nothing() -> None:
    assert Linear((("a", 1.0), ("b", 1.0)), "==", 1.0).check({"a": 1.0}) is None
    assert Mixture(("a", "b"), at_most=1).check({"a": 1.0}) is None
    assert Expression.parse("a + b <= 1").check({"a": 1.0}) is None


@pytest.mark.parametrize(
    ("amounts", "good"),
    [
        ((0.5, 0.5, 0.0), True),
        ((1.0, 0.0, 0.0), True),
        ((0.9, 0.1, 0.0), True),
        ((0.95, 0.05, 0.0), False),  # below the least
        ((0.5, 0.4, 0.0), False),  # does not sum
        ((0.4, 0.3, 0.3), False),  # too many
        ((0.5, 0.5, 1e-12), True),  # nothing, as far as numbers go
    ],
)
def test_mixtures(amounts: tuple[float, ...], good: bool) -> None:
    rule = Mixture(("a", "b", "c"), 1.0, 2, 0.1)
    assert (rule.check(dict(zip("abc", amounts, strict=True))) is None) is good


@pytest.mark.parametrize(
    ("rule", "values", "good"),
    [
        ("a * b <= 0.5", {"a": 0.5, "b": 1.0}, True),
        ("a * b < 0.5", {"a": 0.5, "b": 1.0}, False),
        ("a * b >= 0.5", {"a": 0.5, "b": 0.9}, False),
        ("1 / a <= 5", {"a": 0.0}, False),
        ("sqrt(a - 1) <= 5", {"a": 0.0}, False),
        ("log(a) <= 5", {"a": 0.0}, False),
        ("exp(a * 10000) >= 0", {"a": 1.0}, False),
        ("1 / (1 + exp(20 * (a - 40))) <= 0.5", {"a": 120.0}, True),
        ("(a / (b - b)) ^ -0.5 <= 0.5", {"a": 1.0, "b": 2.0}, True),
        ("(a / (b - b)) ^ -0.5 <= 0.5", {"a": 0.0, "b": 2.0}, False),
        ("exp(a * 10000) - exp(a * 10000) <= 1", {"a": 1.0}, False),
        ("a * 1e100 ^ 4 >= 0", {"a": 1.0}, False),
        ("(a - 1) ^ 0.5 <= 1", {"a": 0.5}, False),
    ],
)
def test_expressions(rule: str, values: dict[str, float], good: bool) -> None:
    wrong = Expression.parse(rule).check(values)
    assert (wrong is None) is good
    if wrong is not None:
        json.dumps(wrong.to_json(), allow_nan=False)
        assert rule in wrong.message


def test_a_rule_that_holds_by_a_hair_holds() -> None:
    assert Expression.parse("a + b <= 0.3").check({"a": 0.1, "b": 0.2}) is None, "0.1 + 0.2 > 0.3 in binary"


@pytest.mark.parametrize(
    ("point", "good"),
    [
        ({"s": "red", "t": 80.0}, False),
        ({"s": "red", "t": 79.9}, True),
        ({"s": "green", "t": 80.0}, True),
        ({"s": "red"}, True),
        ({"t": 90.0}, True),
    ],
)
def test_exclusions_need_all_of_their_conditions(point: dict[str, Any], good: bool) -> None:
    rule = Excluded((("s", Among(("red",))), ("t", Within(80.0))))
    assert (rule.check(point) is None) is good


def test_a_fixed_parameter_counts_and_need_not_be_in_the_point() -> None:
    problem = Problem.from_json(body({"coefficients": {"a": 1, "f": 1}, "operator": "<=", "bound": 2.5}))
    point = {"a": 0.5, "b": 0, "c": 0, "far": 2, "n": 1, "d": 0, "s": "red", "odd name": 0, "max": 1}
    assert problem.check_point(point) == []
    (wrong,) = problem.check_point({**point, "a": 0.6})
    assert wrong.field == "parameters" and "1 * a + 1 * f <= 2.5" in wrong.message
    assert wrong.value == pytest.approx(2.6) and not math.isnan(wrong.value)
