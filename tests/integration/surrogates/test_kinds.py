"""Every kind of model shows the same face: it learns, it is kept as plain JSON, and nothing makes it say NaN."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from botorch.posteriors.gpytorch import GPyTorchPosterior
from sklearn.datasets import make_moons

from models.surrogates import metrology
from models.surrogates.data import Data, tensor
from models.surrogates.encoding import Array
from models.surrogates.kinds.kind import Fit, Foretold, Part
from models.surrogates.kinds.registry import KINDS, kind_for
from models.surrogates.state import LIMIT
from models.surrogates.surrogate import Joint

OF_CLASSES = ("variational", "ensemble", "forest")
SMOOTH = tuple(each for each in KINDS if each != "forest")


def known(rows: int, columns: int = 3, seed: int = 0) -> Data:
    """A function of the first two columns."""
    inputs = np.random.default_rng(seed).random((rows, columns))
    return Data.of(inputs, 20 + 3 * np.sin(4 * inputs[:, 0]) + 4 * inputs[:, 1] ** 2)


def moons(rows: int, seed: int) -> Data:
    inputs, labels = make_moons(rows, noise=0.1, random_state=seed)
    return Data.of((inputs + np.array([1, 0.5])) / [3, 1.5], labels.astype(float), classes=2)


def told(fitted: Fit, data: Data, inputs: Array) -> tuple[Array, Array]:
    """Mean in lab units and standard deviation in standardised ones."""
    part = fitted.part(data, "cpu")
    assert isinstance(part, Part)
    with torch.no_grad():
        posterior = part.model.posterior(tensor(inputs, "cpu")[:, None, :])
        lab = part.warp.back(posterior.mean.flatten())
    return lab.numpy(), posterior.variance.flatten().sqrt().numpy()


def probabilities(fitted: Fit, data: Data, inputs: Array) -> Array:
    part = fitted.part(data, "cpu")
    assert not isinstance(part, Part)
    with torch.no_grad():
        return part.draws(tensor(inputs, "cpu")).mean(0).numpy()


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_learns_more_than_the_mean_and_restores_to_the_same_predictions(name: str) -> None:
    data, others = known(60), known(200, seed=1)
    fitted = KINDS[name].fit(data, None, 3, "cpu")
    mean, spread = told(fitted, data, others.inputs)
    error = np.sqrt(np.mean((mean - others.values) ** 2))
    assert error < 0.55 * others.values.std(), "far better than the mean"
    assert (spread >= 0).all()
    body = json.loads(json.dumps(fitted.to_json(), allow_nan=False))
    again = told(KINDS[name].read(body, 3, 0), data, others.inputs)
    assert again[0] == pytest.approx(mean, abs=1e-5) and again[1] == pytest.approx(spread, abs=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_equal_rows_and_seeds_give_equal_fits(name: str) -> None:
    data = known(20)
    with torch.random.fork_rng():
        bodies = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            bodies.append(KINDS[name].fit(data, None, 5, "cpu").to_json())
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("name", KINDS)
def test_a_later_fit_may_start_from_an_earlier_one(name: str) -> None:
    first = KINDS[name].fit(known(60), None, 0, "cpu")
    data, others = known(66), known(100, seed=1)
    mean, _ = told(KINDS[name].fit(data, first, 0, "cpu"), data, others.inputs)
    assert np.sqrt(np.mean((mean - others.values) ** 2)) < 0.55 * others.values.std()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "data",
    [
        known(2),
        Data.of(known(9).inputs, np.full(9, 7.0)),
        Data.of(np.repeat(known(3).inputs, 4, axis=0), np.repeat(known(3).values, 4)),
        Data.of(np.full((6, 3), 0.5), np.arange(6.0)),
        Data.of(known(12).inputs, np.append(known(11).values, 1e9)),
        Data.of(3 * known(12).inputs - 1, 1e-12 * known(12).values),
        Data.of(known(9).inputs, known(9).values, noise=0.0),
    ],
    ids=["two rows", "constant", "duplicates", "one point", "an outlier", "outside the cube", "no noise"],
)
def test_nothing_makes_a_model_say_nan(name: str, data: Data) -> None:
    fitted = KINDS[name].fit(data, None, 0, "cpu")
    mean, spread = told(fitted, data, np.vstack([data.inputs, known(5, seed=2).inputs]))
    assert np.isfinite(mean).all() and np.isfinite(spread).all()
    foretold = fitted.foretell(data, 0, "cpu")
    assert isinstance(foretold, Foretold)
    figures = metrology.of_numbers(foretold, data)
    assert all(each is None or np.isfinite(each) for each in figures.values()), figures
    json.dumps({**figures, **fitted.describe()}, allow_nan=False)


@pytest.mark.parametrize("name", KINDS)
def test_the_posterior_is_a_joint_gaussian_that_can_be_sampled(name: str) -> None:
    data = known(15)
    part = KINDS[name].fit(data, None, 0, "cpu").part(data, "cpu")
    assert isinstance(part, Part) and part.smooth is (name in SMOOTH)
    inputs = tensor(known(12, seed=3).inputs, "cpu").reshape(4, 3, 3)
    inputs = torch.cat([inputs, inputs[:, :1]], dim=1)
    posterior = Joint(part.model, part.model).posterior(inputs)
    assert isinstance(posterior, GPyTorchPosterior)
    samples = posterior.rsample(torch.Size([256])).detach()
    assert samples.shape == (256, 4, 4, 2)
    assert samples.mean(0).numpy() == pytest.approx(posterior.mean.detach().numpy(), abs=0.35)
    assert (samples[:, :, 0] - samples[:, :, 3]).abs().max() < 0.05, "the same point has the same value"


@pytest.mark.parametrize(
    "name", SMOOTH
)  # whole trees follow the noise: there it is part of their disagreement
def test_each_kind_finds_the_noise_of_a_measurement(name: str) -> None:
    data = known(120)
    noisy = replace(data, values=data.values + np.random.default_rng(5).normal(0, 1.0, 120))
    part = KINDS[name].fit(noisy, None, 0, "cpu").part(noisy, "cpu")
    assert isinstance(part, Part)
    variance = float(part.model.likelihood.noise.mean())
    assert np.sqrt(variance) * noisy.values.std() == pytest.approx(1.0, rel=0.35)


@pytest.mark.parametrize("name", SMOOTH)
def test_the_posterior_can_be_climbed(name: str) -> None:
    data = known(20)
    part = KINDS[name].fit(data, None, 0, "cpu").part(data, "cpu")
    assert isinstance(part, Part)
    inputs = torch.full((2, 1, 3), 0.4, dtype=torch.double, requires_grad=True)
    posterior = part.model.posterior(inputs)
    (slope,) = torch.autograd.grad((posterior.mean + posterior.variance.sqrt()).sum(), inputs)
    assert torch.isfinite(slope).all() and slope[..., 1].abs().min() > 1e-3


def test_a_robust_model_sets_gross_errors_aside() -> None:
    data, others = known(60), known(200, seed=1)
    wrong = np.random.default_rng(1).choice(60, 6, replace=False)
    spoilt = replace(data, values=data.values + np.where(np.isin(np.arange(60), wrong), 40.0, 0.0))
    errors = {
        name: np.sqrt(np.mean((told(fitted, spoilt, others.inputs)[0] - others.values) ** 2))
        for name in ("gp", "robust")
        for fitted in [KINDS[name].fit(spoilt, None, 0, "cpu")]
    }
    assert errors["robust"] < 0.2 * errors["gp"] and errors["robust"] < 0.3
    first = KINDS["robust"].fit(spoilt, None, 0, "cpu")
    assert first.describe()["set_aside"] == 6
    values = np.concatenate([spoilt.values, others.values[:8], [-50]])
    more = Data.of(np.vstack([spoilt.inputs, others.inputs[:9]]), values)
    assert KINDS["robust"].fit(more, first, 0, "cpu").describe()["set_aside"] == 7, "a new one is found"


def test_a_robust_model_of_many_rows_sets_gross_errors_aside() -> None:
    data = known(260)
    wrong = np.arange(260) % 13 == 0
    found = KINDS["robust"].fit(replace(data, values=data.values - 30.0 * wrong), None, 0, "cpu")
    assert found.describe()["set_aside"] == wrong.sum()


def test_a_sparse_prior_finds_the_few_columns_that_matter() -> None:
    data, others = known(40, columns=40), known(300, columns=40, seed=1)
    fitted = KINDS[kind_for("auto", data)].fit(data, None, 0, "cpu")
    assert kind_for("auto", data) == "saas"
    mean, _ = told(fitted, data, others.inputs)
    assert np.corrcoef(mean, others.values)[0, 1] > 0.95
    assert set(np.argsort(fitted.describe()["lengthscales"])[:2]) == {0, 1}


@pytest.mark.parametrize("name", ["auto", "ensemble"])
def test_thousands_of_columns_can_be_learnt_and_kept(name: str) -> None:
    generator = np.random.default_rng(0)
    hidden = generator.random((70, 2))
    inputs = hidden @ generator.random((2, 3_000)) / 2 + generator.normal(0, 0.01, (70, 3_000))
    data = replace(Data.of(inputs, 5 * hidden[:, 0] - 3 * hidden[:, 1]), groups=(0,) * 3_000)
    kind = kind_for(name, data)
    fitted = KINDS[kind].fit(data.take(np.arange(50)), None, 0, "cpu")
    mean, _ = told(fitted, data.take(np.arange(50)), inputs[50:])
    assert np.corrcoef(mean, data.values[50:])[0, 1] > 0.9
    assert len(json.dumps(fitted.to_json())) < LIMIT


def test_thousands_of_rows_are_learnt_through_few_points() -> None:
    data, others = known(2_500), known(300, seed=1)
    noisy = replace(data, values=data.values + np.random.default_rng(2).normal(0, 0.5, 2_500))
    assert kind_for("auto", noisy) == "variational"
    fitted = KINDS["variational"].fit(noisy, None, 0, "cpu")
    mean, _ = told(fitted, noisy, others.inputs)
    assert np.sqrt(np.mean((mean - others.values) ** 2)) < 0.15
    quality = metrology.of_numbers(fitted.foretell(noisy, 0, "cpu"), noisy)  # type: ignore[arg-type]
    assert quality["rmse"] == pytest.approx(0.5, rel=0.1)
    assert quality["coverage95"] == pytest.approx(0.95, abs=0.02)


def test_with_all_rows_as_inducing_points_the_approximation_is_exact() -> None:
    data, others = known(40), known(50, seed=1)
    fitted = KINDS["variational"].fit(data, None, 0, "cpu")
    exact = KINDS["gp"].read({"fits": [fitted.hyper.to_json()]}, 3, 0)  # type: ignore[attr-defined]
    for mine, theirs in zip(told(fitted, data, others.inputs), told(exact, data, others.inputs), strict=True):
        assert mine == pytest.approx(theirs, abs=2e-3)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_two_moons_are_told_apart(name: str) -> None:
    data, others = moons(80, 1), moons(400, 2)
    fitted = KINDS[name].fit(data, None, 0, "cpu")
    found = probabilities(fitted, data, others.inputs)
    assert found.sum(axis=1) == pytest.approx(1.0)
    assert np.mean(found.argmax(axis=1) == others.values) > 0.9
    again = KINDS[name].read(json.loads(json.dumps(fitted.to_json(), allow_nan=False)), 2, 2)
    assert probabilities(again, data, others.inputs) == pytest.approx(found, abs=1e-4)
    figures = metrology.of_labels(fitted.foretell(data, 0, "cpu"), data)  # type: ignore[arg-type]
    assert figures["accuracy"] > 0.85 and figures["nll"] < 0.5


@pytest.mark.parametrize("name", OF_CLASSES)
def test_three_classes_of_which_one_was_never_seen(name: str) -> None:
    inputs = np.random.default_rng(3).random((60, 2))
    data = Data.of(inputs, np.where(inputs[:, 0] > 0.5, 2.0, 0.0), classes=3)
    found = probabilities(KINDS[name].fit(data, None, 0, "cpu"), data, np.array([[0.9, 0.5], [0.1, 0.5]]))
    assert found.shape == (2, 3) and found.argmax(axis=1).tolist() == [2, 0]
    assert found[:, 1].max() < 0.4
    one = replace(data, values=np.zeros(60))
    assert np.isfinite(probabilities(KINDS[name].fit(one, None, 0, "cpu"), one, inputs)).all()


@pytest.mark.parametrize("name", OF_CLASSES)
def test_draws_disagree_where_nothing_was_seen(name: str) -> None:
    data = moons(80, 1)
    part = KINDS[name].fit(data, None, 0, "cpu").part(data, "cpu")
    assert not isinstance(part, Part)
    with torch.no_grad():
        at = torch.tensor([[0.5, 0.5], data.inputs[0].tolist()], dtype=torch.double)
        draws = part.draws(at)
        assert torch.equal(draws, part.draws(at)), "the same at each call"
    assert draws.shape[1:] == (2, 2) and float(draws[:, 1, 0].std()) < float(draws[:, 0, 0].std())
