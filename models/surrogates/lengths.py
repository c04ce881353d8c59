"""What is believed of a kernel's length scales before anything was measured.

Densities are those of the length scales themselves, as functions of their logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

#: Where all columns are numeric: a gamma distribution, likeliest at 0.2 times the square root of how many there are. That is
#: the mode of the log-normal prior of Hvarfner et al. (arXiv 2402.02229); with its heavy tail a few rows make most columns
#: seem not to matter, and what lies at the far ends of the others seem worth a look (ADR 22).
SHAPE = 3.0
#: Theirs: center for a single column, and spread. It stays that of numeric columns beside those of categories.
NUMERIC_PRIOR = (math.sqrt(2), math.sqrt(3))
#: Log-normal (center, spread), of the columns of a category parameter that belong together: no category is taken to
#: behave like another before it was tried.
CATEGORY_PRIOR = (1.2, 0.4)
#: Log-normal, of every length scale where every parameter is one of some values, with categories among them: they are long
#: at first, about as with the Gamma(2, 0.2) of Shields et al. (Nature 590, 89-96, 2021), so that a few results already say
#: which ligands and which solvents are good, whatever they were tried with. 96 % of the campaigns on their direct arylation
#: found 99 % yield; with NUMERIC_PRIOR 92 %.
LISTED_PRIOR = (2.6, 1.0)


class LengthPrior(Protocol):
    """Of all length scales of a kernel together."""

    def __call__(self, logs: Tensor) -> tuple[Tensor, Tensor]:
        """The log density at these logarithms (lengths,), differentiable, and its slope along them."""

    @property
    def mode(self) -> list[float]:
        """The logarithms of the likeliest length scales, where a search begins."""


def usual(groups: Sequence[int], listed: bool, like: Tensor) -> LengthPrior:
    """Where all length scales are expected to matter. `groups` and `listed` as in `likelihood.Task`; `like` has the device."""
    count = max(groups) + 1
    together = [count > 1 and groups.count(each) > 1 for each in range(count)]
    center, spread = NUMERIC_PRIOR
    center += 0.5 * math.log(len(groups) if count == 1 else count)
    if not listed and not any(together):
        return Gamma((SHAPE - 1) / math.exp(center - spread**2), count)
    own = LISTED_PRIOR if listed else CATEGORY_PRIOR
    found = [own if listed or each else (center, spread) for each in together]
    centers, spreads = torch.tensor(found, dtype=torch.double, device=like.device).T
    return LogNormal(centers, spreads)


@dataclass(frozen=True)
class Gamma:
    """Of so many length scales, each for itself."""

    rate: float
    count: int

    def __call__(self, logs: Tensor) -> tuple[Tensor, Tensor]:
        fall = self.rate * logs.exp()
        constant = SHAPE * math.log(self.rate) - math.lgamma(SHAPE)
        return (constant + (SHAPE - 1) * logs - fall).sum(), SHAPE - 1 - fall

    @property
    def mode(self) -> list[float]:
        return [math.log((SHAPE - 1) / self.rate)] * self.count


@dataclass(frozen=True, eq=False)
class LogNormal:
    """Each length scale for itself; center and spread (lengths,)."""

    center: Tensor
    spread: Tensor

    def __call__(self, logs: Tensor) -> tuple[Tensor, Tensor]:
        slope = -1 - (logs - self.center) / self.spread.square()
        return log_normal(logs, self.center, self.spread).sum(), slope

    @property
    def mode(self) -> list[float]:
        return (self.center - self.spread.square()).tolist()


@dataclass(frozen=True, eq=False)
class Sparse:
    """Few of them matter (SAAS, Eriksson and Jankowiak, arXiv 2103.00349): tau / length^2 is half-Cauchy, and a smaller
    tau means fewer. A search begins where it would if all were expected to."""

    tau: float
    otherwise: LengthPrior

    def __call__(self, logs: Tensor) -> tuple[Tensor, Tensor]:
        square = (self.tau * (-2 * logs).exp()).square()
        return (math.log(2 / math.pi) - (1 + square).log()).sum(), 4 * square / (1 + square)

    @property
    def mode(self) -> list[float]:
        return self.otherwise.mode


def log_normal(logarithm: Tensor, center: Tensor | float, spread: Tensor | float) -> Tensor:
    """The log density of a log-normal value."""
    width = torch.as_tensor(spread)
    standard = (logarithm - center) / width
    return -logarithm - width.log() - 0.5 * math.log(2 * math.pi) - 0.5 * standard.square()
