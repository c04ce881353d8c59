"""What a model expects at points: mean and standard deviation in lab units, of each output and of the score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from botorch.sampling.normal import SobolQMCNormalSampler

from labqueue.problem import DESIRABILITY, MAXIMIZE, MINIMIZE

from .encoding import Array
from .goals import Goals
from .surrogate import Surrogate
from .values import SCORE

Expected = dict[str, tuple[float, float]]

_SAMPLES = 256
_CHUNK = 1024


def expected(surrogate: Surrogate, goals: Goals, inputs: Array) -> list[Expected]:
    """For rows of the cube. A score is given where there is one (not of a front, nor where everything is to be
    learnt); of a class output, the chance of each label under `output=label`."""
    found: dict[str, tuple[Array, Array]] = {}
    if surrogate.outputs:
        means, spreads = surrogate.predict(inputs)
        found = {name: (means[:, place], spreads[:, place]) for place, name in enumerate(surrogate.outputs)}
    if goals.scored:
        found[SCORE] = _linear(goals, found) or _sampled(surrogate, goals, inputs)
    for name in surrogate.labels:
        shares = surrogate.probabilities(name, inputs)
        for place, label in enumerate(surrogate.problem.output(name).classes):
            chance = shares[:, place]
            found[f"{name}={label}"] = chance, np.sqrt(chance * (1 - chance))
    return [
        {name: (float(mean[row]), float(spread[row])) for name, (mean, spread) in found.items()}
        for row in range(len(inputs))
    ]


def _linear(goals: Goals, found: dict[str, tuple[Array, Array]]) -> tuple[Array, Array] | None:
    """Of a weighted sum of outputs as they are; None where the score is something else."""
    objectives = goals.problem.objectives
    names = [each.output for each in objectives]
    plain = goals.problem.combine != DESIRABILITY and all(
        each.goal in (MAXIMIZE, MINIMIZE) for each in objectives
    )
    if not plain or len(set(names)) < len(names):
        return None
    factors = [each.weight if each.goal == MAXIMIZE else -each.weight for each in objectives]
    mean = sum(factor * found[name][0] for factor, name in zip(factors, names, strict=True))
    variance = sum((factor * found[name][1]) ** 2 for factor, name in zip(factors, names, strict=True))
    return np.asarray(mean), np.sqrt(np.asarray(variance))


def _sampled(surrogate: Surrogate, goals: Goals, inputs: Array) -> tuple[Array, Array]:
    sampler = SobolQMCNormalSampler(torch.Size([_SAMPLES]), seed=0)
    parts: list[tuple[Array, Array]] = []
    for low in range(0, max(len(inputs), 1), _CHUNK):
        rows = surrogate.tensor(inputs[low : low + _CHUNK])[:, None, :]
        with torch.no_grad():
            scores = goals.score(surrogate.lab(sampler(surrogate.joint.posterior(rows)))).squeeze(-1)
        parts.append((scores.mean(0).cpu().numpy(), scores.std(0, correction=0).cpu().numpy()))
    return np.concatenate([mean for mean, _ in parts]), np.concatenate([spread for _, spread in parts])


def chances(surrogate: Surrogate, goals: Goals, inputs: Array) -> list[Sequence[float]]:
    """For each row the chance to keep each outcome constraint, in the problem's order."""
    limits = goals.problem.outcome_constraints
    if not limits:
        return [()] * len(inputs)
    sampler = SobolQMCNormalSampler(torch.Size([_SAMPLES]), seed=0)
    rows = surrogate.tensor(inputs)[:, None, :]
    with torch.no_grad():
        lab = surrogate.lab(sampler(surrogate.joint.posterior(rows)))
        kept = [(goals.slack(lab, each) >= 0).double().mean(0).squeeze(-1) for each in limits]
    return [tuple(float(each[row]) for each in kept) for row in range(len(inputs))]
