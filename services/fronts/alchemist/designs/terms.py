"""The terms of a model that a design is to estimate, and their columns.

A number is coded from -1 to 1; a category has a column for each label but the first.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.fronts.alchemist.refusals import VALUE, Refusal
from services.fronts.alchemist.sessions.session import DISCRETE

from .factors import Factor, Point

LINEAR, INTERACTION, QUADRATIC = "linear", "interaction", "quadratic"
INTERCEPT = "Intercept"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Term:
    """A product of variables, by name; none: the intercept."""

    name: str
    parts: tuple[str, ...] = ()


def of_model(factors: Sequence[Factor], model: str) -> list[Term]:
    """Squares only of what has a range: a short list need not have a middle."""
    names = [each.name for each in factors]
    found = [Term(INTERCEPT), *(Term(each, (each,)) for each in names)]
    if model in (INTERACTION, QUADRATIC):
        found += [Term("*".join(pair), pair) for pair in itertools.combinations(names, 2)]
    if model == QUADRATIC:
        wide = [each.name for each in factors if not each.categorical and each.type != DISCRETE]
        found += [Term(f"{each}^2", (each, each)) for each in wide]
    return found


def of_effects(factors: Sequence[Factor], effects: Sequence[str]) -> list[Term]:
    """`a`, `a*b`, `a**2`; the intercept is added. Raises Refusal (400)."""
    known = {each.name: each for each in factors}
    found: dict[tuple[str, ...], Term] = {(): Term(INTERCEPT)}
    for text in map(str.strip, effects):
        term = _term(text, known)
        found.setdefault(tuple(sorted(term.parts)), term)
    return list(found.values())


def chosen(factors: Sequence[Factor], model: str | None, effects: Sequence[str] | None) -> list[Term]:
    """Raises Refusal (400) where not exactly one of the two is named."""
    if model is not None and effects is not None:
        raise Refusal("Specify either 'model_type' or 'effects', not both.", VALUE)
    if effects is not None:
        return of_effects(factors, effects)
    if model is None:
        raise Refusal(
            "Specify either 'model_type' (linear, interaction or quadratic) or 'effects' (a list such as 'a', 'a*b', "
            "'a**2').",
            VALUE,
        )
    return of_model(factors, model)


def columns(terms: Sequence[Term], factors: Sequence[Factor], points: Sequence[Point]) -> list[Array]:
    """Of each term, (points, its columns)."""
    parts = {each.name: _columns(each, [point[each.name] for point in points]) for each in factors}
    found = []
    for term in terms:
        made = np.ones((len(points), 1))
        for name in term.parts:
            made = (made[:, :, None] * parts[name][:, None, :]).reshape(len(points), -1)
        found.append(made)
    return found


def width(terms: Sequence[Term], factors: Sequence[Factor]) -> int:
    """How many columns they have."""
    each_has = {each.name: len(each.choices) - 1 if each.categorical else 1 for each in factors}
    return sum(int(np.prod([each_has[name] for name in term.parts])) for term in terms)


def lost(model: str, factors: Sequence[Factor], whole: Sequence[Point], left: Sequence[Point]) -> list[str]:
    """The terms that the whole design can estimate and what is left of it cannot."""
    terms = of_model(factors, model)
    before = _estimable(columns(terms, factors, whole))
    after = _estimable(columns(terms, factors, left))
    return [each.name for each, was, now in zip(terms, before, after, strict=True) if was and not now]


def _estimable(blocks: Sequence[Array]) -> list[bool]:
    """Which terms are not made up of those before them."""
    found, taken, rank = [], np.zeros((len(blocks[0]), 0)), 0
    for block in blocks:
        taken = np.hstack([taken, block])
        now = int(np.linalg.matrix_rank(taken))
        found.append(now == rank + block.shape[1])
        rank = now
    return found


def _columns(factor: Factor, values: Sequence[Any]) -> Array:
    if factor.categorical:
        return np.array([[float(value == each) for each in factor.choices[1:]] for value in values])
    return np.array([[factor.code(value)] for value in values])


def _term(text: str, known: dict[str, Factor]) -> Term:
    if text in known:
        return Term(text, (text,))
    squared = text.removesuffix("**2").strip()
    if squared != text and squared in known:
        if known[squared].categorical:
            raise Refusal(
                f"Quadratic term '{text}' is not valid for categorical variable '{squared}': only numbers have squares.",
                VALUE,
            )
        return Term(f"{squared}^2", (squared, squared))
    parts = tuple(each.strip() for each in text.split("*"))
    for each in parts:
        if each not in known:
            raise Refusal(
                f"Unknown variable '{each[:100]}' in effect '{text[:100]}'. Available: {list(known)}", VALUE
            )
    return Term("*".join(parts), parts)
