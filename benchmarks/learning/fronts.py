"""Finds the greatest hypervolumes of the problems with two aims, as kept in `problems.py`, by brute force.

Random points; rounds in which every point of the front so far has a child around it, ever closer, and one in the direction
of its neighbour; then points of the front are polished, each as good as it can be in the first aim without losing in the
second; last come rounds of close children, which fill the gaps. The numbers kept are the greatest of three starts.

The reactor's front was first found by gradients at fixed levels of e_factor: all of it has the highest concentration, so
that only the other three parameters are searched here.

    python -m benchmarks.learning.fronts [PROBLEM ...]      # some minutes for snar
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.optimize import minimize

from .problems import make
from .quality import hypervolume, nondominated
from .vocabulary import Problem, Real

_FIXED = {"snar": {"conc_dfnb": 0.5}}
_FIRST = 4000
_ROUNDS, _FILLING = 60, 60
_PARENTS = 800
_POLISHED = 200
_WIDE, _NARROW = 0.1, 1e-4  # of each range: how far a child is from its parent, at first and at the end


class Search:
    """Points of the unit cube and their values, less being better; only those that no other beats are kept."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem = problem
        self._rng = np.random.default_rng(seed)
        self._fixed = _FIXED.get(problem.name, {})
        self._axes = [
            each for each in problem.parameters if isinstance(each, Real) and each.name not in self._fixed
        ]
        self.worst = np.array([aim.sign * float(aim.reference or 0.0) for aim in problem.aims])
        self.rows = np.empty((0, len(self._axes)))
        self.values = np.empty((0, 2))
        self.add(self._rng.random((_FIRST, len(self._axes))))

    def measure(self, row: np.ndarray) -> np.ndarray:
        point = {
            axis.name: axis.low + float(x) * (axis.high - axis.low)
            for axis, x in zip(self._axes, np.clip(row, 0, 1), strict=True)
        }
        outputs = self._problem.measure({**point, **self._fixed})
        return np.array([aim.sign * outputs[aim.output] for aim in self._problem.aims])

    def add(self, rows: np.ndarray) -> None:
        rows = np.vstack([self.rows, np.clip(rows, 0, 1)])
        values = np.vstack([self.values, [self.measure(row) for row in rows[len(self.rows) :]]])
        keep = nondominated(values)
        inside = (values[keep] < self.worst).all(axis=1)
        keep = keep[inside] if inside.any() else keep
        self.rows, self.values = rows[keep], values[keep]

    def some(self, most: int) -> np.ndarray:
        """Places evenly along the front."""
        return np.unique(np.linspace(0, len(self.rows) - 1, min(len(self.rows), most)).astype(int))

    def breed(self, reach: float) -> None:
        parents = self.rows[self.some(_PARENTS)]
        around = parents + reach * self._rng.standard_normal(parents.shape)
        steps = self._rng.standard_normal((len(parents), 1))
        along = parents + steps * (np.roll(parents, 1, axis=0) - parents)
        along += 0.1 * reach * self._rng.standard_normal(parents.shape)
        self.add(np.vstack([around, along]))

    def polish(self) -> None:
        scale = np.ptp(self.values, axis=0)
        found = []
        for place in self.some(_POLISHED):
            level = self.values[place, 1]
            kept = {"type": "ineq", "fun": lambda row, level=level: (level - self.measure(row)[1]) / scale[1]}
            answer = minimize(
                lambda row: self.measure(row)[0] / scale[0],
                self.rows[place],
                method="SLSQP",
                bounds=[(0, 1)] * len(self._axes),
                constraints=[kept],
                options={"maxiter": 30, "eps": 1e-6},
            )
            found.append(answer.x)
        self.add(np.array(found))


def greatest(problem: Problem, seed: int) -> float:
    """The hypervolume of the best front found from this start."""
    search = Search(problem, seed)
    for reach in np.geomspace(_WIDE, _NARROW, _ROUNDS):
        search.breed(reach)
    search.polish()
    for _ in range(_FILLING):
        search.breed(_NARROW)
    return hypervolume(search.values.tolist(), search.worst.tolist())


if __name__ == "__main__":
    for name in sys.argv[1:] or ("branin_currin", "dtlz2", "snar"):
        for seed in range(3):
            print(f"{name}, start {seed}: {greatest(make(name, 0), seed):.6f}", flush=True)
