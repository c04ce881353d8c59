"""Outputs that are related are learnt together: a joint process where the evidence prefers it to separate ones.

Each output keeps the map that suits it when it is learnt alone. The joint process has one set of length scales, so
outputs that have nothing in common are better off apart: their own processes are among the views. A choice sees each
output as all rows tell it; that the outputs then also err together is left out, as with every other kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from models.surrogates import coregion, gp
from models.surrogates.coregion import Coregion
from models.surrogates.data import Data
from models.surrogates.encoding import Array
from models.surrogates.gp import Hyper
from models.surrogates.process import Conditioned
from models.surrogates.values import LearningError
from models.surrogates.warps import Warp, refreshed

from . import gp as exact
from .gp import APART, KEPT, Exact
from .kind import Fit, Foretold, Part

#: With more rows in all, kernels are compared on so many of them.
_COMPARED = 300
#: What is left of the first guess of the correlations, which is made of predictions and so too sure.
_TRUSTED = 0.8
#: A share of the variance.
_NOISY = 0.1

View = Hyper | Coregion


@dataclass(frozen=True)
class Multi:
    """How one output (`name`) is seen: by the joint process of `names` (in the problem's order), by its own, or, where
    the evidence leaves that open, by either; the likeliest first."""

    name: str
    names: tuple[str, ...]
    views: tuple[View, ...]

    @property
    def place(self) -> int:
        return self.names.index(self.name)

    def to_json(self) -> dict[str, Any]:
        views = [
            {("alone" if isinstance(each, Hyper) else "together"): each.to_json()} for each in self.views
        ]
        return {"name": self.name, "names": list(self.names), "views": views}

    def describe(self) -> dict[str, Any]:
        """`correlations`: of this output with each other one, 0 where they are not related."""
        first = self.views[0]
        others = [name for name in self.names if name != self.name]
        if isinstance(first, Hyper):
            return {**exact.describe(first), "correlations": dict.fromkeys(others, 0.0)}
        row = first.correlations[self.place]
        return {
            "warp": first.warps[self.place].kind,
            "kernel": first.kernel,
            "lengthscales": list(first.lengthscales),
            "noise": first.noises[self.place],
            "correlations": {name: float(row[self.names.index(name)]) for name in others},
        }

    def part(self, data: Data, device: str) -> Part:
        first, *others = (Part(self._process(each, data, device), self._warp(each)) for each in self.views)
        return replace(first, others=tuple(others))

    def foretell(self, data: Data, seed: int, device: str) -> Foretold:
        """Each row without it, but with every other row of this output and of the others."""
        first = self.views[0]
        return Foretold.of(data, self._warp(first), *self._process(first, data, device).leave_one_out())

    def _process(self, view: View, data: Data, device: str) -> Conditioned:
        if isinstance(view, Hyper):
            return gp.build(data, view, device)
        if data.name != self.name or tuple(data.together) != self.names:
            raise LearningError("The model state belongs to another problem.")
        return coregion.build(list(data.together.values()), view, self.place, device)

    def _warp(self, view: View) -> Warp:
        return view.warp if isinstance(view, Hyper) else view.warps[self.place]


def fit(data: Data, warm: Fit | None, seed: int, device: str) -> Multi:
    """Of one output, which costs as much as of all."""
    return together(data.together, {} if warm is None else {data.name: warm}, seed, device)[data.name]


def together(family: Mapping[str, Data], warm: Mapping[str, Fit], seed: int, device: str) -> dict[str, Multi]:
    """A fit of each output, by name. `warm`: earlier fits of the same outputs to fewer rows; with one of each, what the
    evidence had set aside is not looked at again. Raises LearningError, which names the output, where no fit
    succeeds."""
    names = tuple(family)
    earlier = {name: each for name, each in warm.items() if isinstance(each, Multi) and each.names == names}
    if set(earlier) == set(names):
        alone, joint = _onwards(family, earlier, seed, device)
        if not alone and not joint:
            alone, joint = _afresh(family, seed, device)
    else:
        alone, joint = _afresh(family, seed, device)
    return {name: Multi(name, names, _near(name, family, alone, joint)) for name in names}


def _afresh(family: Mapping[str, Data], seed: int, device: str) -> tuple[dict[str, Exact], list[Coregion]]:
    """Of each output alone, and of all together with either kernel."""
    alone = {name: _alone(name, each, None, seed, device) for name, each in family.items()}
    rows = list(family.values())
    if len(rows) == 1:
        return alone, []
    some = _some(rows, seed)
    starts = _starts(some, [each.hyper for each in alone.values()], device)
    found = [coregion.fit(some, kernel, starts, device) for kernel in some[0].kernels]
    joint = sorted((each for each in found if each is not None), key=lambda each: -_joint_weight(each, some))
    if some is not rows:
        onwards = [coregion.fit(rows, each.kernel, [each], device) for each in joint[:1]]
        joint = [each for each in onwards if each is not None]
    return alone, joint


def _onwards(
    family: Mapping[str, Data], earlier: Mapping[str, Multi], seed: int, device: str
) -> tuple[dict[str, Exact], list[Coregion]]:
    """From where earlier fits ended."""
    rows = list(family.values())
    kept = dict.fromkeys(
        view
        for each in earlier.values()
        for view in each.views
        if isinstance(view, Coregion) and view.kernel in rows[0].kernels
    )
    moved = []
    for view in kept:
        warps = tuple(refreshed(warp, each.values) for warp, each in zip(view.warps, rows, strict=True))
        moved.append(coregion.fit(rows, view.kernel, [replace(view, warps=warps)], device))
    joint = [each for each in moved if each is not None]
    own = {
        name: tuple(view for view in each.views if isinstance(view, Hyper)) for name, each in earlier.items()
    }
    if not all(own.values()):
        return {}, joint
    alone = {name: _alone(name, each, Exact(own[name]), seed, device) for name, each in family.items()}
    return alone, joint


def _alone(name: str, data: Data, warm: Exact | None, seed: int, device: str) -> Exact:
    try:
        return exact.fit(data, warm, seed, device)
    except LearningError as error:
        raise LearningError(f"{name}: {error}") from error


def _near(
    name: str, family: Mapping[str, Data], alone: Mapping[str, Exact], joint: Sequence[Coregion]
) -> tuple[View, ...]:
    """The views of one output that the evidence of all rows does not set far apart from the best, the best first."""
    rows = list(family.values())
    found: list[tuple[float, View]] = [(_joint_weight(each, rows), each) for each in joint]
    if alone:
        best = sum(_weight(each.hyper, family[other]) for other, each in alone.items())
        own = alone[name]
        found += [(best - own.hyper.evidence + each.evidence, each) for each in own.hypers]
    found.sort(key=lambda each: -each[0])
    return tuple(view for weight, view in found[:KEPT] if weight >= found[0][0] - APART)


# Evidence is a density of what was found, that of noise along its logarithm. Between models that differ in how much
# there is to find all of it is compared so: a unit is as wide for a small number as for a large one.


def _weight(hyper: Hyper, data: Data) -> float:
    return hyper.evidence + _logs(hyper.lengthscales, (hyper.outputscale,), data)


def _joint_weight(view: Coregion, rows: Sequence[Data]) -> float:
    return view.evidence + _logs(view.lengthscales, view.scales, rows[0])


def _logs(lengthscales: Sequence[float], scales: Sequence[float], data: Data) -> float:
    lengths = dict(zip(data.groups, lengthscales, strict=True)).values()
    return float(np.log([*lengths, *scales]).sum())


def _some(rows: list[Data], seed: int) -> list[Data]:
    """The same where there are few enough, else no more of each output's than its share."""
    if sum(map(len, rows)) <= _COMPARED:
        return rows
    generator, most = np.random.default_rng(seed), _COMPARED // len(rows)
    return [
        each if len(each) <= most else each.take(np.sort(generator.choice(len(each), most, replace=False)))
        for each in rows
    ]


def _starts(rows: Sequence[Data], alone: Sequence[Hyper], device: str) -> list[Coregion]:
    """From what was found of each output alone, related as far as its predictions are; and from there with noise: what
    looks like a steep response may be explained by the other outputs and chance."""
    guess = coregion.bonds_of(_guess(rows, alone, device))
    lengths = np.exp(np.mean([np.log(each.lengthscales) for each in alone], axis=0))
    start = Coregion(
        warps=tuple(each.warp for each in alone),
        kernel=alone[0].kernel,
        lengthscales=tuple(lengths.tolist()),
        scales=tuple(each.outputscale for each in alone),
        bonds=tuple(guess.tolist()),
        means=tuple(each.mean for each in alone),
        noises=tuple(each.noise for each in alone),
        evidence=0.0,
    )
    noisy = tuple(max(each, _NOISY) for each in start.noises)
    return [start, replace(start, noises=noisy)]


def _guess(rows: Sequence[Data], alone: Sequence[Hyper], device: str) -> Array:
    """The correlations (outputs, outputs) of what each output's own process says at the rows of all."""
    inputs = np.concatenate([each.inputs for each in rows])
    at = torch.as_tensor(inputs, dtype=torch.double, device=device)[:, None, :]
    with torch.no_grad():
        said = [
            gp.build(each, hyper, device).posterior(at).mean.flatten().cpu().numpy()
            for each, hyper in zip(rows, alone, strict=True)
        ]
    with np.errstate(invalid="ignore"):
        found: Array = _TRUSTED * np.nan_to_num(np.corrcoef(said))  # what says the same everywhere has none
    np.fill_diagonal(found, 1.0)
    return found


def read(body: Mapping[str, Any], width: int, classes: int) -> Multi:
    """As `Kind.read`."""
    names = tuple(str(each) for each in body["names"])
    views: list[View] = []
    for each in body["views"]:
        ((how, view),) = each.items()
        alone = how == "alone"
        views.append(Hyper.from_json(view, width) if alone else Coregion.from_json(view, width, len(names)))
    found = Multi(str(body["name"]), names, tuple(views))
    if found.name not in names or len(set(names)) < len(names) or not 0 < len(views) <= KEPT:
        raise LearningError("The model state holds numbers that no fit gives.")
    return found
