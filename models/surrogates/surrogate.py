"""A model of everything that is wanted of a problem, conditioned on the rows: the one face that chooses see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from botorch.models.gpytorch import ModelListGPyTorchModel
from torch import Tensor

from labqueue.problem import Problem

from .data import Space, tensor
from .encoding import Array
from .kinds.kind import Labels, Part

#: Nodes of the Gauss-Hermite rule that carries a mean and a spread through a warp.
_NODES = 32
_CHUNK = 8_192


class Joint(ModelListGPyTorchModel):
    """Independent models of one output each, of which not all are exact processes."""

    @property
    def batch_shape(self) -> torch.Size:
        return torch.Size()


@dataclass(frozen=True)
class Surrogate:
    """outputs: the modelled numbers, in the order of `parts`; labels: models of the class outputs by name.

    A problem may have either, or both. Inputs are rows of the cube.
    """

    problem: Problem
    space: Space
    outputs: tuple[str, ...]
    parts: tuple[Part, ...]
    labels: Mapping[str, Labels]
    device: str

    @cached_property
    def joint(self) -> ModelListGPyTorchModel:
        """BoTorch's model of all `outputs`, independent of each other, in standardised units, without the noise of a
        measurement; its posterior is a GPyTorchPosterior whatever the kinds."""
        return Joint(*(each.model for each in self.parts))

    @cached_property
    def views(self) -> tuple[Surrogate, ...]:
        """This one first, then as many others as it takes to see every output by each model that explains it nearly
        as well."""
        count = max((1 + len(each.others) for each in self.parts), default=1)
        every = [(each, *each.others) for each in self.parts]
        others = [tuple(each[number % len(each)] for each in every) for number in range(1, count)]
        return (self, *(replace(self, parts=each) for each in others))

    @property
    def smooth(self) -> bool:
        """Can everything be differentiated along the inputs?"""
        return all(each.smooth for each in self.parts) and all(each.smooth for each in self.labels.values())

    def lab(self, samples: Tensor) -> Tensor:
        """Standardised units (..., outputs) in lab units; differentiable."""
        columns = [part.warp.back(samples[..., place]) for place, part in enumerate(self.parts)]
        return torch.stack(columns, dim=-1)

    def predict(self, inputs: Array) -> tuple[Array, Array]:
        """Mean and standard deviation (rows, outputs) in lab units, without the noise of a measurement."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        shares = weights / weights.sum()
        steps = self.tensor(nodes)[:, None]
        means, spreads = np.zeros((2, len(inputs), len(self.parts)))
        for low in range(0, len(inputs), _CHUNK):
            rows = self.tensor(inputs[low : low + _CHUNK])[:, None, :]
            for place, part in enumerate(self.parts):
                with torch.no_grad():
                    found = part.model.posterior(rows)
                    middle = found.mean.reshape(-1)
                    spread = found.variance.reshape(-1).clamp_min(0).sqrt()
                    lab = part.warp.back(middle + steps * spread).cpu().numpy()
                mean = shares @ lab
                means[low : low + _CHUNK, place] = mean
                spreads[low : low + _CHUNK, place] = np.sqrt(np.maximum(shares @ (lab - mean) ** 2, 0.0))
        return means, spreads

    def probabilities(self, name: str, inputs: Array) -> Array:
        """Of the labels of a class output, (rows, classes)."""
        with torch.no_grad():
            parts = [
                self.labels[name].draws(self.tensor(inputs[low : low + _CHUNK])).mean(0)
                for low in range(0, len(inputs), _CHUNK)
            ]
        classes = len(self.problem.output(name).classes)
        return torch.cat(parts).cpu().numpy() if parts else np.zeros((0, classes))

    def tensor(self, inputs: Array) -> Tensor:
        return tensor(inputs, self.device)
