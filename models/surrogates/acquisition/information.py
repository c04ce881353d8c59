"""What would be learnt: for problems where nothing is to be best, or for a share of the candidates.

Each is the log of a number that is greater the more there is to learn; several outputs add up. Points in flight are
taken to come out as expected; of labels, which cannot be taken to come out somehow, near points share what there is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .situation import Situation

_LEAST = 1e-12
#: The reach of a point in flight among labels, in columns of the cube and for one of them.
_REACH = 0.1

_Amount = Callable[[Tensor], Tensor]


def uncertainty(situation: Situation) -> Any:
    """The standard deviation (of standardised outputs; of labels, the chance that the likeliest is wrong)."""
    return _learning(situation, lambda variance, _: variance.sqrt(), lambda draws: 1 - _mean(draws).amax(-1))


def entropy(situation: Situation) -> Any:
    """Of a number the information that its measurement gives about the function, in nats; of labels the entropy of
    what is expected."""
    return _learning(
        situation,
        lambda variance, noise: 0.5 * torch.log1p(variance / max(noise, _LEAST_NOISE)),
        lambda draws: _entropy(_mean(draws)),
    )


def disagreement(situation: Situation) -> Any:
    """How far draws of the model are apart: of a number their variance, of labels their mutual information with the
    label (BALD: Houlsby et al., arXiv 1112.5745)."""
    return _learning(
        situation,
        lambda variance, _: variance,
        lambda draws: (_entropy(_mean(draws)) - _entropy(draws).mean(0)).clamp_min(0),
    )


#: A solver has no noise; the information of its outputs would be without bound.
_LEAST_NOISE = 1e-4


def _learning(
    situation: Situation, of_number: Callable[[Tensor, float], Tensor], of_labels: _Amount
) -> Callable[[Tensor], Tensor]:
    surrogate = situation.surrogate
    members = list(situation.settled.models) if surrogate.outputs else []
    noises = [noise_of(each) for each in surrogate.joint.models] if surrogate.outputs else []
    labels = list(surrogate.labels.values())
    pending = situation.pending

    def worth(inputs: Tensor) -> Tensor:
        total = inputs.new_zeros(inputs.shape[0])
        for member, noise in zip(members, noises, strict=True):
            variance = member.posterior(inputs).distribution.variance.reshape(-1).clamp_min(_LEAST)
            total = total + of_number(variance, noise)
        if labels:
            share = _share(inputs, pending)
            for each in labels:
                total = total + share * of_labels(each.draws(inputs.squeeze(-2))).clamp_min(0)
        return total.clamp_min(_LEAST).log()

    return worth


def noise_of(model: Any) -> float:
    """The variance of a measurement, standardised units; 0 of a kind that finds none."""
    noise = getattr(getattr(model, "likelihood", None), "noise", None)
    return 0.0 if noise is None else float(noise.mean())


def _share(inputs: Tensor, pending: Tensor) -> Tensor:
    """(batch,): 1 far from everything in flight, 0 at such a point."""
    if not len(pending):
        return inputs.new_ones(inputs.shape[0])
    gap = (inputs - pending).square().sum(-1).min(-1).values
    reach = _REACH * math.sqrt(inputs.shape[-1])
    share: Tensor = -torch.expm1(-gap / reach**2)
    return share


def _mean(draws: Tensor) -> Tensor:
    return draws.mean(0)


def _entropy(shares: Tensor) -> Tensor:
    amount: Tensor = -torch.special.xlogy(shares, shares).sum(-1)
    return amount
