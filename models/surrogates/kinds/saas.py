"""Exact processes with a sparse prior, for many columns of which few matter (MAP-SAAS).

One process for each of several strengths of the prior (Eriksson and Jankowiak, arXiv 2103.00349; several MAP fits
instead of sampling as in BoTorch's EnsembleMapSaasSingleTaskGP), blended with equal shares.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from botorch.models.gp_regression import SingleTaskGP
from gpytorch.kernels import MaternKernel, ScaleKernel

from models.surrogates import gp
from models.surrogates.blend import Blend
from models.surrogates.data import Data, tensor
from models.surrogates.gp import Hyper
from models.surrogates.likelihood import MATERN
from models.surrogates.values import LearningError
from models.surrogates.warps import candidates, refreshed

from .kind import Fit, Foretold, Part

#: Strengths: the middles of four equally likely parts of a half-Cauchy distribution of scale 0.1.
_TAUS = tuple(0.1 * math.tan(math.pi / 2 * share) for share in (0.125, 0.375, 0.625, 0.875))


@dataclass(frozen=True)
class Sparse:
    hypers: tuple[Hyper, ...]

    def to_json(self) -> dict[str, Any]:
        return {"members": [each.to_json() for each in self.hypers]}

    def describe(self) -> dict[str, Any]:
        lengths = np.exp(np.log([each.lengthscales for each in self.hypers]).mean(axis=0))
        return {
            "warp": self.hypers[0].warp.kind,
            "kernel": MATERN,
            "lengthscales": [float(each) for each in lengths],
            "noise": float(np.mean([each.noise for each in self.hypers])),
        }

    def part(self, data: Data, device: str) -> Part:
        return Part(Blend(_batch(data, self.hypers, device)), self.hypers[0].warp)

    def foretell(self, data: Data, seed: int, device: str) -> Foretold:
        each = [gp.build(data, hyper, device).leave_one_out() for hyper in self.hypers]
        means, variances = (np.array(list(values)) for values in zip(*each, strict=True))
        return Foretold.of(
            data, self.hypers[0].warp, means.mean(axis=0), variances.mean(axis=0) + means.var(axis=0)
        )


def fit(data: Data, warm: Fit | None, seed: int, device: str) -> Sparse:
    if isinstance(warm, Sparse):
        warp = refreshed(warm.hypers[0].warp, data.values)
        found = [
            gp.fit(data, warp, MATERN, hyper, device, tau)
            for hyper, tau in zip(warm.hypers, _TAUS, strict=True)
        ]
    else:
        firsts = [gp.fit(data, warp, MATERN, None, device, _TAUS[1]) for warp in candidates(data.values)]
        first = max(firsts, key=lambda each: -math.inf if each is None else each.evidence)
        if first is None:
            raise LearningError("The model could not be fitted to these rows.")
        found = [
            first if tau == _TAUS[1] else gp.fit(data, first.warp, MATERN, None, device, tau) for tau in _TAUS
        ]
    hypers = tuple(each for each in found if each is not None)
    if len(hypers) < len(_TAUS):
        raise LearningError("The model could not be fitted to these rows.")
    return Sparse(hypers)


def read(body: Mapping[str, Any], width: int, classes: int) -> Sparse:
    hypers = tuple(Hyper.from_json(each, width) for each in body["members"])
    if len(hypers) != len(_TAUS) or any(each.warp != hypers[0].warp for each in hypers):
        raise LearningError("The model state holds numbers that no fit gives.")
    return Sparse(hypers)


def _batch(data: Data, hypers: tuple[Hyper, ...], device: str) -> SingleTaskGP:
    """One process a member, in one batch."""
    count, dimensions = len(hypers), data.inputs.shape[1]
    shape = torch.Size([count])
    base = MaternKernel(2.5, ard_num_dims=dimensions, batch_shape=shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # BoTorch asks for inputs within [0, 1]: actual values may differ
        model = SingleTaskGP(
            tensor(data.inputs, device).expand(count, -1, -1),
            tensor(hypers[0].warp.forward(data.values)[:, None], device).expand(count, -1, -1),
            train_Yvar=tensor(np.stack([gp.noise_of(data, each) for each in hypers])[..., None], device),
            covar_module=ScaleKernel(base, batch_shape=shape),
            outcome_transform=None,
        )
    model = model.to(device=device, dtype=torch.double)
    base.lengthscale = _column([each.lengthscales for each in hypers])[:, None, :]
    model.covar_module.outputscale = _column([each.outputscale for each in hypers])
    model.mean_module.constant.data.copy_(_column([each.mean for each in hypers]))
    model.eval()
    return model


def _column(values: Any) -> torch.Tensor:
    return torch.as_tensor(np.array(values, dtype=np.float64))
