"""Priors of length scales, against those of torch."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Gamma, HalfCauchy, LogNormal

from models.surrogates import lengths
from models.surrogates.lengths import LengthPrior, Sparse, usual

LIKE = torch.zeros(1, dtype=torch.double)
PRIORS = {
    "numbers": usual((0, 1, 2), False, LIKE),
    "beside a category": usual((0, 1, 1, 1), False, LIKE),
    "listed": usual((0, 1, 1, 2), True, LIKE),
    "all together": usual((0,) * 400, False, LIKE),
    "few matter": Sparse(0.1, usual((0, 1, 2), False, LIKE)),
}


@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)
def test_a_prior_knows_its_slope(prior: LengthPrior) -> None:
    logs = torch.linspace(-1.0, 1.5, len(prior.mode), dtype=torch.double).requires_grad_()
    value, slope = prior(logs)
    (found,) = torch.autograd.grad(value, logs)
    assert slope.tolist() == pytest.approx(found.tolist(), rel=1e-12)


@pytest.mark.parametrize("name", [each for each in PRIORS if each != "few matter"])
def test_a_search_begins_where_length_scales_are_likeliest(name: str) -> None:
    prior = PRIORS[name]
    at = torch.tensor(prior.mode, dtype=torch.double).exp().requires_grad_()
    (slope,) = torch.autograd.grad(prior(at.log())[0], at)
    assert slope.tolist() == pytest.approx([0.0] * len(slope), abs=1e-9)


def test_numbers_are_gamma_distributed_around_a_mode_that_grows_with_their_number() -> None:
    for columns in (1, 6, 50):
        mode = math.exp(math.sqrt(2) - 3) * math.sqrt(columns)
        own = Gamma(torch.tensor(3.0).double(), torch.tensor(2.0 / mode).double())
        logs = torch.full((columns,), 0.3).double()
        expected = columns * float(own.log_prob(logs[0].exp()))  # type: ignore[no-untyped-call]
        assert float(usual(range(columns), False, LIKE)(logs)[0]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("beside a category", [(math.sqrt(2) + 0.5 * math.log(2), math.sqrt(3)), lengths.CATEGORY_PRIOR]),
        ("listed", [lengths.LISTED_PRIOR] * 3),
    ],
)
def test_where_there_are_categories_they_are_log_normal(
    name: str, expected: list[tuple[float, float]]
) -> None:
    logs = torch.tensor([0.1, 0.7, -0.4], dtype=torch.double)[: len(expected)]
    own = [LogNormal(*map(torch.tensor, each)) for each in expected]
    told = sum(float(each.log_prob(at.exp())) for each, at in zip(own, logs, strict=True))  # type: ignore[no-untyped-call]
    assert float(PRIORS[name](logs)[0]) == pytest.approx(told, rel=1e-5)


def test_where_few_matter_an_inverse_square_is_half_cauchy() -> None:
    logs = torch.tensor([0.1, 0.7, -0.4], dtype=torch.double)
    own = HalfCauchy(torch.tensor(1.0).double())
    expected = own.log_prob(0.1 * (-2 * logs).exp()).sum()  # type: ignore[no-untyped-call]
    assert float(PRIORS["few matter"](logs)[0]) == pytest.approx(float(expected))
