"""A deep ensemble: small networks that began differently and saw different rows (Lakshminarayanan et al., NeurIPS 2017,
with a fixed random network added to each, which keeps members apart where no rows are: Osband et al., NeurIPS 2018).

All are trained together. Each leaves a quarter of the rows out, so that every row is foretold by some that never saw it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.surrogates import hurry
from models.surrogates.blend import Spread
from models.surrogates.data import Data, tensor
from models.surrogates.encoding import Array
from models.surrogates.packing import pack, unpack
from models.surrogates.values import LearningError
from models.surrogates.warps import Warp, candidates

from .folds import by_strangers, unseen
from .kind import Fit, Foretold, Labels, Part

_MEMBERS = 8
#: Units of a layer; fewer where the columns are very many, so that what is kept stays small.
_HIDDEN, _HIDDEN_WIDE, _WIDE = 64, 32, 1_000
_STEPS, _RATE, _DECAY = 400, 1e-2, 1e-4
_STEPS_WARM = 150
#: More rows than this are drawn from, so many at each step.
_BATCH = 2_048
#: The weight of the fixed random network.
_PRIOR = 0.5
_LEAST_NOISE = 1e-4


@dataclass(frozen=True)
class Networks:
    """weights: of each layer (members, inputs + 1, outputs), the last row is the bias; `prior` likewise.

    warp   of a number; None with classes
    noise  variance of a measurement in standardised units, from rows that were held out
    """

    weights: tuple[Array, ...]
    prior: tuple[Array, ...]
    classes: int
    warp: Warp | None
    noise: float

    def to_json(self) -> dict[str, Any]:
        return {
            "weights": [pack(each) for each in self.weights],
            "prior": [pack(each) for each in self.prior],
            "warp": None if self.warp is None else self.warp.to_json(),
            "noise": self.noise,
        }

    def describe(self) -> dict[str, Any]:
        return {"members": _MEMBERS, "warp": "classes" if self.warp is None else self.warp.kind}

    def part(self, data: Data, device: str) -> Part | Labels:
        weights, prior = (_tensors(each, device) for each in (self.weights, self.prior))

        def members(inputs: Tensor) -> Tensor:
            return _forward(weights, prior, inputs)

        if self.warp is None:
            return Votes(members)
        return Part(Spread(lambda inputs: members(inputs).squeeze(-1), self.noise), self.warp)

    def foretell(self, data: Data, seed: int, device: str) -> Foretold | Array:
        mean, spread = _strangers(self, data, device)
        if self.warp is None:
            return mean
        return Foretold.of(data, self.warp, mean[:, 0], spread + self.noise)


@dataclass(frozen=True)
class Votes:
    members: Any
    smooth: bool = True

    def draws(self, inputs: Tensor) -> Tensor:
        return torch.softmax(self.members(inputs), dim=-1)


def fit(data: Data, warm: Fit | None, seed: int, device: str) -> Networks:
    warp = None if data.classes else candidates(data.values)[0]
    made = _train(data, warp, warm if isinstance(warm, Networks) else None, seed, device)
    if warp is None:
        return made
    mean, spread = _strangers(made, data, device)
    error = float(np.mean((warp.forward(data.values) - mean[:, 0]) ** 2 - spread))
    return replace(made, noise=max(error, _LEAST_NOISE))


def read(body: Mapping[str, Any], width: int, classes: int) -> Networks:
    shapes = _shapes(width, classes)
    weights, prior = (
        tuple(unpack(each, shape) for each, shape in zip(body[name], shapes, strict=True))
        for name in ("weights", "prior")
    )
    warp = None if classes else Warp.from_json(body["warp"])
    noise = float(body["noise"])
    if not math.isfinite(noise) or noise < 0:
        raise LearningError("The model state holds numbers that no fit gives.")
    return Networks(weights, prior, classes, warp, noise)


def _strangers(made: Networks, data: Data, device: str) -> tuple[Array, Array]:
    """Each row as the members that left it out see it, (rows, outputs); and the variance over all members."""
    weights, prior = (_tensors(each, device) for each in (made.weights, made.prior))
    with torch.no_grad():
        found = _forward(weights, prior, tensor(data.inputs, device))
        if made.warp is None:
            found = torch.softmax(found, dim=-1)
    values = found.cpu().numpy()
    return by_strangers(values, unseen(_MEMBERS, data.inputs)), values[..., 0].var(axis=0)


def _shapes(width: int, classes: int) -> list[tuple[int, int, int]]:
    hidden = _HIDDEN if width <= _WIDE else _HIDDEN_WIDE
    sizes = (width, hidden, hidden, classes or 1)
    return [(_MEMBERS, sizes[layer] + 1, sizes[layer + 1]) for layer in range(3)]


def _drawn(width: int, classes: int, generator: np.random.Generator) -> tuple[Array, ...]:
    return tuple(
        generator.standard_normal(shape) * math.sqrt(2 / (shape[1] - 1)) for shape in _shapes(width, classes)
    )


def _tensors(layers: tuple[Array, ...], device: str) -> list[Tensor]:
    return [tensor(each, device) for each in layers]


def _forward(weights: list[Tensor], prior: list[Tensor], inputs: Tensor) -> Tensor:
    """(..., columns) -> (members, ..., outputs)."""
    rows = 2 * inputs.reshape(1, -1, inputs.shape[-1]).expand(_MEMBERS, -1, -1) - 1
    found = _network(weights, rows) + _PRIOR * _network(prior, rows).to(rows)
    return found.reshape(_MEMBERS, *inputs.shape[:-1], found.shape[-1])


def _network(layers: list[Tensor], rows: Tensor) -> Tensor:
    for place, layer in enumerate(layers):
        rows = torch.baddbmm(layer[:, -1:, :], rows, layer[:, :-1, :])
        if place < len(layers) - 1:
            rows = torch.nn.functional.silu(rows)
    return rows


def _train(data: Data, warp: Warp | None, warm: Networks | None, seed: int, device: str) -> Networks:
    generator = np.random.default_rng(seed)
    width = data.inputs.shape[1]
    drawn, prior = (_drawn(width, data.classes, generator) for _ in range(2))
    if warm is not None:
        drawn, prior = warm.weights, warm.prior
    weights = [each.requires_grad_(True) for each in _tensors(drawn, device)]
    fixed = _tensors(prior, device)
    inputs = tensor(data.inputs, device)
    shares = tensor(1.0 - unseen(_MEMBERS, data.inputs), device)
    values = data.values if warp is None else warp.forward(data.values)
    targets = tensor(values, device)
    optimizer = torch.optim.AdamW(weights, lr=_RATE, weight_decay=_DECAY)
    steps = _STEPS if warm is None else _STEPS_WARM
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        places = np.arange(len(data))
        if len(data) > _BATCH:
            places = generator.choice(places, _BATCH, replace=False)
        optimizer.zero_grad()
        found = _forward(weights, fixed, inputs[places])
        loss = (shares[:, places] * _loss(found, targets[places], data.classes)).mean(-1).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if hurry.spent():
            break
    trained = tuple(each.detach().cpu().numpy() for each in weights)
    if not all(np.isfinite(each).all() for each in trained):
        raise LearningError("The model could not be fitted to these rows.")
    return Networks(trained, prior, data.classes, warp, _LEAST_NOISE)


def _loss(found: Tensor, targets: Tensor, classes: int) -> Tensor:
    """(members, rows)."""
    if not classes:
        return (found.squeeze(-1) - targets).square()
    flat = torch.nn.functional.cross_entropy(
        found.reshape(-1, classes), targets.long().repeat(len(found)), reduction="none"
    )
    return flat.reshape(found.shape[:2])
