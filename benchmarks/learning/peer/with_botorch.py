"""A plain BoTorch loop: what its own tutorials do, refitted at each ask, with all pending points.

Independent SingleTaskGPs (MixedSingleTaskGP where there are names), one an output, on the unit cube with Standardize;
qLogNEI, or qLogNEHVI with the reference point; 10 restarts from 512 raw points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import GenericMCMultiOutputObjective
from botorch.acquisition.objective import GenericMCObjective
from botorch.fit import fit_gpytorch_mll
from botorch.models.gp_regression import SingleTaskGP
from botorch.models.gp_regression_mixed import MixedSingleTaskGP
from botorch.models.model_list_gp_regression import ModelListGP
from botorch.models.transforms.outcome import Standardize
from botorch.optim.optimize import optimize_acqf
from botorch.optim.optimize_mixed import optimize_acqf_mixed_alternating
from gpytorch.mlls import ExactMarginalLogLikelihood, SumMarginalLogLikelihood
from torch import Tensor

from benchmarks.learning.vocabulary import Names, Parameter, Point, Value, Whole

from .side import WithTables

_RESTARTS, _RAW = 10, 512


class BoTorch(WithTables):
    packages = ("botorch", "gpytorch", "torch")

    def choose(self, run: int) -> Point:
        torch.manual_seed(1000 * self.seed + run)
        measured = self._encoded([point for point, _ in self.measured])
        pending = self._encoded(list(self.pending.values())) if self.pending else None
        worth = self._worth(self._fitted(measured), measured, pending)
        row = self._optimized(worth).detach().numpy().ravel()
        return {
            each.name: _decoded(each, float(x)) for each, x in zip(self.problem.parameters, row, strict=True)
        }

    def _encoded(self, points: Sequence[Point]) -> Tensor:
        rows = [[_encoded(each, point[each.name]) for each in self.problem.parameters] for point in points]
        return torch.tensor(rows, dtype=torch.double)

    def _fitted(self, inputs: Tensor) -> ModelListGP:
        names = [place for place, each in enumerate(self.problem.parameters) if isinstance(each, Names)]
        models = []
        for output in self.problem.outputs:
            values = torch.tensor([[outputs[output]] for _, outputs in self.measured], dtype=torch.double)
            models.append(
                MixedSingleTaskGP(inputs, values, cat_dims=names, outcome_transform=Standardize(1))
                if names
                else SingleTaskGP(inputs, values, outcome_transform=Standardize(1))
            )
        model = ModelListGP(*models)
        if len(models) == 1:
            fit_gpytorch_mll(ExactMarginalLogLikelihood(models[0].likelihood, models[0]))
        else:
            fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
        return model

    def _worth(self, model: ModelListGP, measured: Tensor, pending: Tensor | None) -> AcquisitionFunction:
        aims = self.problem.aims
        signs = torch.tensor([-aim.sign for aim in aims], dtype=torch.double)  # BoTorch maximizes
        limits = [_limit(len(aims) + place, most) for place, (_, most) in enumerate(self.problem.limits)]
        if len(aims) == 1:
            return qLogNoisyExpectedImprovement(
                model,
                measured,
                objective=GenericMCObjective(_first(float(signs[0]))),
                constraints=limits or None,
                X_pending=pending,
                prune_baseline=True,
            )
        worst = torch.tensor([aim.reference for aim in aims], dtype=torch.double)
        return qLogNoisyExpectedHypervolumeImprovement(
            model,
            (signs * worst).tolist(),
            measured,
            objective=GenericMCMultiOutputObjective(_firsts(signs)),
            constraints=limits or None,
            X_pending=pending,
            prune_baseline=True,
        )

    def _optimized(self, worth: AcquisitionFunction) -> Tensor:
        parameters = self.problem.parameters
        box = torch.tensor([_encoded_range(each) for each in parameters], dtype=torch.double).T
        if self.problem.boxed:
            return optimize_acqf(worth, box, q=1, num_restarts=_RESTARTS, raw_samples=_RAW)[0]
        wholes = {place: _steps(each) for place, each in enumerate(parameters) if isinstance(each, Whole)}
        names = {
            place: [float(number) for number in range(len(each.values))]
            for place, each in enumerate(parameters)
            if isinstance(each, Names)
        }
        found, _ = optimize_acqf_mixed_alternating(
            worth, box, discrete_dims=wholes, cat_dims=names, num_restarts=_RESTARTS, raw_samples=_RAW
        )
        return found


def _first(sign: float) -> Callable[..., Tensor]:
    def objective(samples: Tensor, X: Tensor | None = None) -> Tensor:
        return sign * samples[..., 0]

    return objective


def _firsts(signs: Tensor) -> Callable[..., Tensor]:
    def objective(samples: Tensor, X: Tensor | None = None) -> Tensor:
        return signs * samples[..., : len(signs)]

    return objective


def _limit(column: int, most: float) -> Callable[[Tensor], Tensor]:
    return lambda samples: samples[..., column] - most


def _encoded_range(parameter: Parameter) -> tuple[float, float]:
    return (0.0, float(len(parameter.values) - 1)) if isinstance(parameter, Names) else (0.0, 1.0)


def _encoded(parameter: Parameter, value: Value) -> float:
    if isinstance(parameter, Names):
        return float(parameter.values.index(str(value)))
    return (float(value) - parameter.low) / (parameter.high - parameter.low)


def _decoded(parameter: Parameter, x: float) -> Value:
    if isinstance(parameter, Names):
        return parameter.values[round(x)]
    return parameter.low + x * (parameter.high - parameter.low)


def _steps(parameter: Whole) -> list[float]:
    return [float(x) for x in np.linspace(0, 1, parameter.high - parameter.low + 1)]
