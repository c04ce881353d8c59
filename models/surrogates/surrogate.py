"""A model of every output that the score is made of, conditioned on the rows; answers in lab units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from botorch.models.gp_regression import SingleTaskGP
from botorch.models.model_list_gp_regression import ModelListGP
from torch import Tensor

from labqueue.problem import Problem

from . import gp
from .encoding import Array, Encoding
from .state import State
from .values import SCORE, LearningError, Observation

#: Nodes of the Gauss-Hermite rule that carries a mean and a spread through a warp.
_NODES = 32


@dataclass(frozen=True)
class Surrogate:
    """models: one process an output, in standardised units, in the order of `outputs`."""

    problem: Problem
    encoding: Encoding
    outputs: tuple[str, ...]
    hypers: tuple[gp.Hyper, ...]
    models: tuple[SingleTaskGP, ...]
    device: str

    @property
    def joint(self) -> ModelListGP:
        return ModelListGP(*self.models)

    def score(self, samples: Tensor) -> Tensor:
        """Scores from joint samples (..., outputs) in standardised units; differentiable."""
        total = torch.zeros_like(samples[..., 0])
        for objective in self.problem.objectives:
            place = self.outputs.index(objective.output)
            lab = self.hypers[place].warp.back(samples[..., place])
            total = total + objective.sign * objective.weight * lab
        return total

    def expect(self, inputs: Array) -> list[dict[str, tuple[float, float]]]:
        """Mean and standard deviation of each output and of the score at rows of the cube, noise aside."""
        tensor = self.tensor(inputs)
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        shares = weights / weights.sum()
        found: dict[str, tuple[Array, Array]] = {}
        for name, hyper, model in zip(self.outputs, self.hypers, self.models, strict=True):
            with torch.no_grad():
                posterior = model.posterior(tensor)
                mean, spread = posterior.mean.squeeze(-1), posterior.variance.clamp_min(0).sqrt().squeeze(-1)
                steps = torch.as_tensor(nodes, dtype=torch.double, device=self.device)
                lab = hyper.warp.back(mean + steps[:, None] * spread).cpu().numpy()
            middle = shares @ lab
            found[name] = middle, np.sqrt(np.maximum(shares @ (lab - middle) ** 2, 0.0))
        total, variance = np.zeros(len(inputs)), np.zeros(len(inputs))
        for objective in self.problem.objectives:
            middle, spread_of = found[objective.output]
            total += objective.sign * objective.weight * middle
            variance += (objective.weight * spread_of) ** 2
        found[SCORE] = total, np.sqrt(variance)
        return [
            {name: (float(means[row]), float(spreads[row])) for name, (means, spreads) in found.items()}
            for row in range(len(inputs))
        ]

    def tensor(self, inputs: Array) -> Tensor:
        return torch.as_tensor(inputs, dtype=torch.double, device=self.device)


def datasets(problem: Problem, encoding: Encoding, rows: Sequence[Observation]) -> dict[str, gp.Data]:
    """For each output of the objectives, the measured rows that have it. Raises LearningError below two."""
    noise = {output.name: output.noise for output in problem.outputs}
    found = {}
    for name in dict.fromkeys(objective.output for objective in problem.objectives):
        have = [
            row
            for row in rows
            if row.outcome == "measured" and math.isfinite(row.outputs.get(name, math.nan))
        ]
        if len(have) < 2:
            raise LearningError(f"fewer than 2 results with {name} are in")
        values = np.array([float(row.outputs[name]) for row in have])
        found[name] = gp.Data(encoding.encode([row.parameters for row in have]), values, noise[name])
    if not found:
        raise LearningError("the problem has no objective")
    return found


def condition(
    problem: Problem, encoding: Encoding, data: Mapping[str, gp.Data], state: State, device: str
) -> Surrogate:
    """The stored hyperparameters on all rows, also those that the fit had not seen. Raises LearningError."""
    names = tuple(data)
    hypers = tuple(state.outputs[name] for name in names)
    models = tuple(gp.build(data[name], hyper, device) for name, hyper in zip(names, hypers, strict=True))
    return Surrogate(problem, encoding, names, hypers, models, device)
