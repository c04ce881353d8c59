"""What an experiment costs, at rows of the cube: the strategy's expression over parameters in lab units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from labqueue.problem import Problem
from labqueue.problem.expression import PLAIN, Operation, evaluate, parse

from .columns import Line
from .data import Space
from .encoding import Encoding
from .pools import PoolSpace

#: Costs below this share of the usual one (an expression that reaches 0, or less) count as that.
_LEAST = 1e-3
_SAMPLE = 64


def _function(of: Callable[[Tensor], Tensor]) -> Operation:
    return lambda each: of(torch.as_tensor(each, dtype=torch.double))


def _extreme(of: Callable[[Tensor, Tensor], Tensor]) -> Operation:
    return lambda one, other: of(_tensor(one), _tensor(other))


def _tensor(value: Any) -> Tensor:
    return torch.as_tensor(value, dtype=torch.double)


#: On tensors and plain numbers.
_TENSORS: Mapping[str, Operation] = {
    **PLAIN,
    "/": lambda one, other: _tensor(one) / other,
    "^": lambda one, other: _tensor(one) ** other,
    "sqrt": _function(torch.sqrt),
    "exp": _function(torch.exp),
    "log": _function(torch.log),
    "log10": _function(torch.log10),
    "min": _extreme(torch.minimum),
    "max": _extreme(torch.maximum),
}


class Cost:
    """`text`: the strategy's cost. Raises ExpressionError where it is none."""

    def __init__(self, text: str, problem: Problem, space: Space) -> None:
        self._node = parse(text)
        self._problem = problem
        self._space = space
        rows = np.random.default_rng(0).random((_SAMPLE, space.width))
        usual = self._of(torch.as_tensor(rows)).abs()
        usual = usual[usual.isfinite()]
        self._least = _LEAST * (float(usual.median()) if len(usual) else 1.0) or 1.0

    def log(self, rows: Tensor) -> Tensor:
        """(rows, columns) -> (rows,); differentiable. What is no real number costs endlessly much."""
        cost = self._of(rows)
        return torch.where(cost.isnan(), torch.inf, cost.clamp_min(self._least).log())

    def _of(self, rows: Tensor) -> Tensor:
        amounts = {name: rows.new_zeros(len(rows)) for name in self._node.names}
        found = (
            _pool_amounts(self._space, self._problem, rows)
            if isinstance(self._space, PoolSpace)
            else _amounts(self._space, rows)
        )
        amounts.update({name: found[name] for name in self._node.names if name in found})
        cost: Tensor = _tensor(evaluate(self._node, amounts, _TENSORS)).to(rows)
        return cost.expand(len(rows))


def _amounts(space: Any, rows: Tensor) -> dict[str, Tensor]:
    """What each number counts as; exact values, with the slopes of those that vary smoothly."""
    assert isinstance(space, Encoding), "parameters, where there is no pool"
    plain = rows.detach().cpu().numpy()
    exact = space.amounts(plain)
    found = {name: rows.new_tensor(values) for name, values in exact.items()}
    for parameter, columns, where in zip(space.problem.parameters, space.columns, space.slices, strict=True):
        if isinstance(columns, Line) and where.start in space.smooth:
            column = rows[:, where.start]
            _, slopes = columns.unscale(np.clip(plain[:, where.start], 0.0, 1.0))
            slope = rows.new_tensor(slopes) * (found[parameter.name] != 0)
            found[parameter.name] = found[parameter.name] + slope * (column - column.detach())
    return found


def _pool_amounts(space: PoolSpace, problem: Problem, rows: Tensor) -> dict[str, Tensor]:
    assert problem.pool is not None, "a pool's space"
    return {
        name: each.low + rows[:, each.start] * (each.high - each.low)
        for name, each in zip(problem.pool.columns, space.columns, strict=True)
        if not each.categories
    }
