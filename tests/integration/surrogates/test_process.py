"""The posterior written out against BoTorch's own layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.surrogates.likelihood import KERNELS, RBF
from models.surrogates.process import Beside, Process

GENERATOR = np.random.default_rng(11)
ROWS = torch.as_tensor(GENERATOR.random((30, 3)))
VALUES = torch.sin(5 * ROWS[:, 0]) + ROWS[:, 1] ** 2
NOISE = torch.as_tensor(GENERATOR.uniform(1e-4, 0.05, 30))


def process(kernel: str, noise: torch.Tensor = NOISE) -> Process:
    return Process(kernel, ROWS, VALUES, noise, (0.4, 0.9, 3.0), 1.3, 0.2)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", [(7, 3), (5, 1, 3), (5, 4, 3), (2, 3, 4, 3)])
def test_mean_and_covariance_are_those_of_the_layers(kernel: str, shape: tuple[int, ...]) -> None:
    given = process(kernel)
    inputs = torch.as_tensor(GENERATOR.random(shape))
    mine, theirs = given.posterior(inputs).distribution, given.layered.posterior(inputs).distribution
    assert mine.mean.numpy() == pytest.approx(theirs.mean.detach().numpy(), abs=1e-6)
    matrix = theirs.covariance_matrix.detach().numpy()
    assert mine.covariance_matrix.numpy() == pytest.approx(matrix, abs=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_a_batch_shares_changes_nothing_and_has_no_slope(kernel: str) -> None:
    given = process(kernel)
    shared, last = torch.as_tensor(GENERATOR.random((4, 3))), torch.as_tensor(GENERATOR.random((6, 1, 3)))
    inputs = torch.cat([shared.expand(6, 4, 3), last], dim=1)
    one = inputs.clone().requires_grad_(True)
    mean, covariance = given.moments(one)
    for place in range(6):
        alone = given.layered.posterior(inputs[place]).distribution
        assert mean[place].detach().numpy() == pytest.approx(alone.mean.detach().numpy(), abs=1e-6)
        matrix = alone.covariance_matrix.detach().numpy()
        assert covariance[place].detach().numpy() == pytest.approx(matrix, abs=1e-6)
    (mean[:, -1].sum() + covariance[:, -1, :].sum()).backward()
    assert one.grad is not None and (one.grad[:, :-1] == 0).all()
    other = inputs.clone().requires_grad_(True)
    theirs = given.layered.posterior(other).distribution
    (theirs.mean[:, -1].sum() + theirs.covariance_matrix[:, -1, :].sum()).backward()
    assert other.grad is not None
    assert one.grad[:, -1].numpy() == pytest.approx(other.grad[:, -1].numpy(), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shared", [False, True])
def test_beside_drawn_points_a_further_one_is_what_the_draws_leave_of_it(kernel: str, shared: bool) -> None:
    given = process(kernel)
    if shared:
        given.shares = torch.full((30, 1), 0.6, dtype=torch.double)
    points, rows = torch.as_tensor(GENERATOR.random((4, 3))), torch.as_tensor(GENERATOR.random((6, 3)))
    normal = torch.as_tensor(GENERATOR.standard_normal((5, 4)))
    beside = Beside(given, points, normal)
    mean, variance = beside.given(rows)
    for place, row in enumerate(rows):
        joint = given.posterior(torch.cat([points, row[None]])).distribution
        whole = joint.covariance_matrix
        gain = torch.linalg.solve(whole[:4, :4], whole[:4, 4])
        expected = joint.mean[4] + (beside.values - joint.mean[:4]) @ gain
        assert mean[:, place].numpy() == pytest.approx(expected.numpy(), abs=1e-6)
        assert float(variance[place]) == pytest.approx(float(whole[4, 4] - whole[:4, 4] @ gain), abs=1e-6)
    root = torch.linalg.cholesky(given.posterior(points).distribution.covariance_matrix)
    drawn = given.posterior(points).distribution.mean + normal @ root.T
    assert beside.values.numpy() == pytest.approx(drawn.numpy(), abs=1e-6)


def test_beside_no_points_there_is_what_is_known() -> None:
    given, row = process(RBF), torch.as_tensor(GENERATOR.random((1, 3)))
    mean, variance = Beside(given, row[:0], torch.zeros(2, 0, dtype=torch.double)).given(row)
    known = given.posterior(row).distribution
    assert mean[:, 0].numpy() == pytest.approx(known.mean.expand(2).numpy())
    assert float(variance) == pytest.approx(float(known.variance), abs=1e-7)


def test_rows_without_noise_that_lie_close_can_be_sampled() -> None:
    close = process(RBF, torch.full((30,), 1e-6, dtype=torch.double))
    inputs = torch.cat([ROWS, ROWS + 1e-7])
    samples = close.posterior(inputs).rsample(torch.Size([8]))
    assert samples.isfinite().all()
    assert (samples[:, :30, 0] - VALUES).abs().max() < 0.05
