"""What a search maximizes: an acquisition function, the chance that the point can be run, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from models.surrogates.cost import Cost
from models.surrogates.data import tensor
from models.surrogates.encoding import Array
from models.surrogates.feasible import Feasibility

#: Rows at a time, and never fewer where there are more: so the last digits of a value do not depend on the others.
CHUNK = 64
#: Functions whose gradient leads nowhere.
_FLAT = ("random",)


class Worth:
    """The log of the worth of single points; counts its calls.

    smooth  has it a gradient?  local  is a point near a good one likely to be good?
    """

    def __init__(
        self,
        name: str,
        function: Any,
        device: str,
        feasibility: Feasibility | None = None,
        cost: Cost | None = None,
        smooth: bool = True,
    ) -> None:
        self.name = name
        self.feasibility = feasibility
        self.local = name not in _FLAT
        self.smooth = smooth and self.local
        self._device = device
        self.evaluations = 0
        self._function: Callable[[Tensor], Tensor] = function
        self._cost = cost

    def __call__(self, inputs: Tensor) -> Tensor:
        """(batch, 1, columns) -> (batch,)."""
        self.evaluations += 1
        value = self._improvement(inputs)
        return value if self._cost is None else value - self._cost.log(inputs.squeeze(-2))

    def tensor(self, rows: Array) -> Tensor:
        return tensor(rows, self._device)

    def of(self, rows: Tensor, spent: Callable[[], bool] = lambda: False) -> Tensor:
        """(rows, columns) -> (rows,), on the CPU and without gradients; -inf where it is no number.

        `spent` is asked from the second chunk on: what was not valued when it says so is -inf as well.
        """
        if not len(rows):
            return torch.zeros(0, dtype=torch.double)
        parts = torch.split(rows, _sizes(len(rows)))
        with torch.no_grad():
            found = [self(parts[0][:, None, :])]
            for part in parts[1:]:
                if spent():
                    break
                found.append(self(part[:, None, :]))
        values = torch.full((len(rows),), -torch.inf, dtype=torch.double)
        known = torch.cat(found).cpu()
        values[: len(known)] = torch.where(known.isfinite(), known, -torch.inf)
        return values

    def improvement(self, row: Tensor) -> float:
        """The expected improvement at a row (1, columns) whatever it costs; 0 where it is no number."""
        with torch.no_grad():
            value = float(self._improvement(row[:, None, :]).exp())
        return value if 0 <= value < float("inf") else 0.0

    def _improvement(self, inputs: Tensor) -> Tensor:
        value = self._function(inputs)
        if self.feasibility is not None:
            value = value + self.feasibility.log_probability(inputs.squeeze(-2))
        return value


def _sizes(rows: int) -> list[int]:
    """Of the chunks."""
    whole = max(1, rows // CHUNK)
    return [CHUNK] * (whole - 1) + [rows - CHUNK * (whole - 1)]
