"""Problems of every kind for hypothesis, each with a point that it allows."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from labqueue.problem import Problem

Body = dict[str, Any]

_WORDS = ("red", "green", "blue", "grey", "black")


@st.composite
def parameters(draw: st.DrawFn, count: int) -> list[Body]:
    """`count` parameters called p0, p1, ...: any kind, some of them conditional on an earlier one."""
    found: list[Body] = []
    for place in range(count):
        body = draw(st.one_of(_continuous(), _integer(), _discrete(), _categorical(), _fixed(), _context()))
        body = {"name": f"p{place}", **body}
        parents = [each for each in found if each["kind"] in ("categorical", "discrete", "integer")]
        if parents and body["kind"] != "context" and draw(st.integers(0, 2)) == 0:
            parent = draw(st.sampled_from(parents))
            values = _values(parent)
            some = draw(st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True))
            body["when"] = {"parameter": parent["name"], "is": some}
        found.append(body)
    return found


def _continuous() -> st.SearchStrategy[Body]:
    plain = st.builds(
        lambda low, width, step: {
            "kind": "continuous",
            "low": low,
            "high": low + width,
            **({} if step is None else {"step": width / step}),
        },
        st.sampled_from([-10.0, 0.0, 0.5, 20.0, 1000.0]),
        st.sampled_from([0.01, 1.0, 7.0, 250.0]),
        st.sampled_from([None, None, 4, 10, 50]),
    )
    log = st.builds(
        lambda low, ratio: {"kind": "continuous", "low": low, "high": low * ratio, "log": True},
        st.sampled_from([1e-6, 0.1, 3.0]),
        st.sampled_from([10.0, 1e5]),
    )
    return st.one_of(plain, log)


def _integer() -> st.SearchStrategy[Body]:
    return st.builds(
        lambda low, width, log: {"kind": "integer", "low": low, "high": low + width, "log": log and low > 0},
        st.sampled_from([-3, 0, 1, 100]),
        st.sampled_from([1, 5, 60]),
        st.booleans(),
    )


def _discrete() -> st.SearchStrategy[Body]:
    values = st.lists(st.sampled_from([0.0, 0.1, 1.0, 2.0, 5.0, 30.0]), min_size=1, max_size=4, unique=True)
    return values.map(lambda each: {"kind": "discrete", "values": each})


@st.composite
def _categorical(draw: st.DrawFn) -> Body:
    names = list(_WORDS[: draw(st.integers(1, 5))])
    body: Body = {"kind": "categorical", "categories": names}
    if len(names) > 1 and draw(st.booleans()):
        body["unavailable"] = [draw(st.sampled_from(names))]
    how = draw(st.sampled_from(["names", "ordered", "described"]))
    if how == "ordered":
        body["ordered"] = True
    if how == "described":
        numbers = st.floats(-3, 3).map(lambda each: round(each, 2))
        body["descriptors"] = {name: {"a": draw(numbers), "b": draw(numbers)} for name in names}
    return body


def _fixed() -> st.SearchStrategy[Body]:
    return st.sampled_from([{"kind": "fixed", "value": 2.5}, {"kind": "fixed", "value": "argon"}])


def _context() -> st.SearchStrategy[Body]:
    return st.sampled_from(
        [{"kind": "context", "low": 0, "high": 50}, {"kind": "context", "categories": ["A", "B"]}]
    )


def _values(body: Body) -> list[Any]:
    if body["kind"] == "integer":
        return list(range(body["low"], min(body["high"], body["low"] + 5) + 1))
    return list(body["values"] if body["kind"] == "discrete" else body["categories"])


@st.composite
def problems(draw: st.DrawFn, expressions: bool = True) -> tuple[Problem, dict[str, Any]]:
    """A problem, and a point that keeps all its constraints; with expressions there is room around it."""
    bodies = draw(parameters(draw(st.integers(1, 6))))
    parts = draw(st.sampled_from([0, 0, 3, 4]))
    bodies += [{"name": f"m{place}", "kind": "continuous", "low": 0, "high": 1} for place in range(parts)]
    if not parts:
        bodies.append({"name": "last", "kind": "continuous", "low": 0, "high": 1})
    plain = Problem.from_json({"parameters": bodies, "outputs": [{"name": "o"}]})
    anchor = plain.normal(_anchor(draw, plain, parts))
    numbers = {name: value for name, value in anchor.items() if not isinstance(value, str)}
    rules: list[Body] = []
    if parts:
        some = [f"m{place}" for place in range(parts)]
        rules.append({"kind": "mixture", "parameters": some, **draw(_sparse())})
    for _ in range(draw(st.integers(0, 2))):
        rules.append(_linear(draw, plain, numbers, expressions))
    if expressions and draw(st.booleans()):
        rules.append(_expression(draw, plain, numbers))
    rules += _excluded(draw, plain, anchor)
    return Problem.from_json({**plain.to_json(), "constraints": rules}), anchor


def _anchor(draw: st.DrawFn, problem: Problem, parts: int) -> dict[str, Any]:
    point: dict[str, Any] = {}
    for each in problem.planned:
        body = each.to_json()
        if each.name.startswith("m"):
            continue
        if each.kind == "continuous":
            share = draw(st.floats(0, 1))
            point[each.name] = each.nearest(each.low + share * (each.high - each.low))  # type: ignore[union-attr]
        elif each.kind == "categorical":
            point[each.name] = draw(st.sampled_from(each.available))  # type: ignore[union-attr]
        elif each.kind != "fixed":
            point[each.name] = draw(st.sampled_from(_values(body)))
    amounts = [0.5, 0.3, 0.2][: min(parts, 2)] if parts else []
    if parts:
        amounts = [0.7, 0.3] + [0.0] * (parts - 2)
    return {**point, **{f"m{place}": amount for place, amount in enumerate(amounts)}}


def _sparse() -> st.SearchStrategy[Body]:
    return st.sampled_from([{}, {"at_most": 2}, {"at_most": 2, "least": 0.1}, {"least": 0.05}])


def _mentioned(draw: st.DrawFn, problem: Problem) -> list[str]:
    """Numbers, the conditional and the fixed ones among them."""
    named = [
        each.name
        for each in problem.planned
        if each.kind != "categorical" and not isinstance(getattr(each, "value", 0.0), str)
    ]
    return draw(st.lists(st.sampled_from(named), min_size=1, max_size=3, unique=True))


def _linear(draw: st.DrawFn, problem: Problem, numbers: dict[str, Any], room: bool) -> Body:
    """A sum that the point keeps, exactly or with some room."""
    factors = {name: draw(st.sampled_from([-2.0, 0.5, 1.0])) for name in _mentioned(draw, problem)}
    total = sum(factor * float(numbers.get(name, 0.0)) for name, factor in factors.items())
    operator = draw(st.sampled_from(["<=", ">="]))
    slack = (0.1 + 0.1 * abs(total)) * room * (1 if operator == "<=" else -1)
    return {"coefficients": factors, "operator": operator, "bound": total + slack}


def _expression(draw: st.DrawFn, problem: Problem, numbers: dict[str, Any]) -> Body:
    names = _mentioned(draw, problem)
    left = " + ".join(f"{place + 1} * {name}^2" for place, name in enumerate(names))
    total = sum((place + 1) * float(numbers.get(name, 0.0)) ** 2 for place, name in enumerate(names))
    return {"kind": "expression", "rule": f"{left} <= {total * 1.1 + 0.1!r}"}


def _excluded(draw: st.DrawFn, problem: Problem, anchor: dict[str, Any]) -> list[Body]:
    """At most one combination, which the point is not in."""
    chosen = [each for each in problem.planned if each.kind != "fixed" and not each.name.startswith("m")]
    if not chosen or draw(st.booleans()):
        return []
    combination: Body = {}
    for each in draw(
        st.lists(st.sampled_from(chosen), min_size=1, max_size=2, unique_by=lambda one: one.name)
    ):
        if each.kind == "categorical":
            combination[each.name] = [draw(st.sampled_from(each.categories))]  # type: ignore[union-attr]
        elif each.kind == "continuous":
            middle = (each.low + each.high) / 2  # type: ignore[union-attr]
            combination[each.name] = draw(st.sampled_from([{"low": middle}, {"high": middle}]))
        else:
            combination[each.name] = [draw(st.sampled_from(_values(each.to_json())))]
    body = {"kind": "excluded", "combination": combination}
    ruled = Problem.from_json({**problem.to_json(), "constraints": [body]})
    return [] if ruled.check_point(anchor) else [body]
