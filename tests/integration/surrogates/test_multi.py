"""Outputs that are learnt together: the joint process is GPyTorch's, related outputs help each other, others do no harm."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import gpytorch
import numpy as np
import pytest
import torch
from surrogate_problems import HILL, hill, snapshot

from labqueue.problem import LEARN, MINIMIZE, Continuous, Objective, OutcomeConstraint, Output, Problem
from labqueue.strategy import MULTI_OUTPUT, Strategy
from models.surrogates import coregion, fitting, likelihood, state
from models.surrogates.coregion import Coregion, Family
from models.surrogates.data import Data, datasets, related, tensor
from models.surrogates.encoding import Array, Encoding
from models.surrogates.kinds import gp as exact
from models.surrogates.kinds import multi
from models.surrogates.kinds.kind import Fit, Part
from models.surrogates.kinds.multi import Multi
from models.surrogates.kinds.registry import kind_for
from models.surrogates.learner import suggest
from models.surrogates.likelihood import MATERN, RBF
from models.surrogates.surrogate import Surrogate
from models.surrogates.values import LearningError, Observation
from models.surrogates.warps import candidates

TOGETHER = Strategy(surrogate=MULTI_OUTPUT)
SPACE = (Continuous("x", 0, 1), Continuous("z", 0, 1))
OUTPUTS = (Output("cheap"), Output("dear", noise=0.02), Output("phase", classes=("a", "b")))
FRONT = Problem(SPACE, OUTPUTS, (Objective("cheap"), Objective("dear", MINIMIZE)), combine="pareto")
LIMITED = Problem(
    SPACE, OUTPUTS, (Objective("cheap"),), outcome_constraints=(OutcomeConstraint("dear", "<=", 2.0),)
)

Function = Callable[[Array], Array]


def drawn(seed: int, columns: tuple[int, ...] = (0, 1)) -> Function:
    """A smooth function of these columns with a spread of about 1."""
    generator = np.random.default_rng(seed)
    waves, shifts = generator.normal(0, 2.5, (40, len(columns))), generator.uniform(0, 2 * math.pi, 40)
    sizes = generator.normal(0, 1, 40) / math.sqrt(20)
    return lambda inputs: np.asarray(np.cos(inputs[:, columns] @ waves.T + shifts) @ sizes)


def measured(function: Function, count: int, seed: int, noise: float = 0.05) -> Data:
    generator = np.random.default_rng(seed)
    inputs = generator.random((count, 2))
    return Data.of(inputs, function(inputs) + generator.normal(0, noise, count))


def error(fitted: Fit, data: Data, truth: Function) -> float:
    """Root mean square on points that were not measured, in lab units."""
    inputs = np.random.default_rng(99).random((300, 2))
    part = fitted.part(data, "cpu")
    assert isinstance(part, Part)
    with torch.no_grad():
        mean = part.model.posterior(tensor(inputs, "cpu")[:, None]).mean.flatten()
    return float(np.sqrt(np.mean((part.warp.lab(mean.numpy()) - truth(inputs)) ** 2)))


def both(family: Mapping[str, Data], name: str, truth: Function) -> tuple[float, float]:
    """The error of an output learnt together, and alone."""
    data = related(family)
    found = multi.together(data, {}, 0, "cpu")[name]
    return error(found, data[name], truth), error(exact.fit(data[name], None, 0, "cpu"), data[name], truth)


# The process, of three outputs: the noise of the second is known, that of the third for some rows.

FAMILY = [measured(drawn(place), rows, place) for place, rows in enumerate((9, 6, 7))]
FAMILY[1] = replace(FAMILY[1], noise=np.full(6, 0.1))
FAMILY[2] = replace(FAMILY[2], noise=np.array([0.2, 0.3, *[math.nan] * 5]))


def hyper(kernel: str) -> Coregion:
    warps = tuple(candidates(each.values)[0] for each in FAMILY)
    bonds, noises = (0.8, -1.5, 0.4), (0.03, 0.5, 0.2)
    return Coregion(warps, kernel, (0.4, 0.9), (1.3, 0.7, 2.0), bonds, (0.1, -0.3, 0.5), noises, 0.0)


class Layers(gpytorch.models.ExactGP):
    """The same in GPyTorch's layers; inputs are pairs of (rows, columns) and the place of each row's output."""

    def __init__(self, rows: Family, given: Coregion) -> None:
        noise = torch.where(rows.task.unknown, torch.tensor(given.noises)[rows.of].double(), rows.task.noise)
        fixed = gpytorch.likelihoods.FixedNoiseGaussianLikelihood(noise)
        super().__init__((rows.task.inputs, rows.of[:, None]), rows.task.targets, fixed)
        self.means = torch.tensor(given.means).double()
        base = (
            gpytorch.kernels.RBFKernel(ard_num_dims=2)
            if given.kernel == RBF
            else gpytorch.kernels.MaternKernel(2.5, ard_num_dims=2)
        )
        self.base = base.double()
        self.base.lengthscale = torch.tensor([given.lengthscales])
        self.between = gpytorch.kernels.IndexKernel(num_tasks=3, rank=3).double()
        spreads = np.sqrt(given.scales)
        root = np.linalg.cholesky(given.correlations * np.outer(spreads, spreads))
        self.between.covar_factor.data = torch.as_tensor(root)
        self.between.var = torch.full((3,), 1e-14).double()

    def forward(self, inputs: torch.Tensor, of: torch.Tensor) -> Any:
        matrix = self.base(inputs).mul(self.between(of))
        return gpytorch.distributions.MultivariateNormal(self.means[of[..., 0]], matrix)


@pytest.mark.parametrize("kernel", [RBF, MATERN])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_mean_and_covariance_are_those_of_the_layers(kernel: str, place: int) -> None:
    given = hyper(kernel)
    rows = Family.make(FAMILY, given.warps, kernel, "cpu")
    layers = Layers(rows, given).eval()
    model = coregion.build(FAMILY, given, place, "cpu")
    inputs = torch.as_tensor(np.random.default_rng(5).random((8, 2)))
    with torch.no_grad(), gpytorch.settings.fast_computations(False, False, False):
        theirs = layers(inputs, torch.full((8, 1), place))
        wide = torch.cat([inputs[:3].expand(5, 3, 2), inputs[3:, None]], dim=1)
        for mine, at in (
            (model.moments(inputs), [*range(8)]),
            *((tuple(e[k] for e in model.moments(wide)), [0, 1, 2, 3 + k]) for k in range(5)),
        ):
            assert mine[0].numpy() == pytest.approx(theirs.mean[at].numpy(), abs=1e-6)
            assert mine[1].numpy() == pytest.approx(theirs.covariance_matrix[at][:, at].numpy(), abs=1e-6)


@pytest.mark.parametrize("kernel", [RBF, MATERN])
def test_the_density_follows_the_layers_and_its_slope_is_right(kernel: str) -> None:
    rows = Family.make(FAMILY, hyper(kernel).warps, kernel, "cpu")
    one = hyper(kernel)
    other = replace(one, means=(0.4, 0.0, -1.0))  # no prior tells these two apart
    densities = []
    for given in (one, other):
        layers = Layers(rows, given)
        with torch.no_grad(), gpytorch.settings.fast_computations(False, False, False):
            theirs = layers.likelihood(layers(*layers.train_inputs)).log_prob(rows.task.targets)
        found = rows.density(torch.as_tensor(rows.position(given)))
        assert found is not None
        densities.append((found[0], float(theirs)))
    assert densities[1][0] - densities[0][0] == pytest.approx(densities[1][1] - densities[0][1], abs=1e-6)
    position = torch.as_tensor(rows.position(one))
    found, step = rows.density(position), 1e-5
    assert found is not None
    for place, way in enumerate(torch.eye(len(position)).double()):
        ahead, behind = rows.density(position + step * way), rows.density(position - step * way)
        assert ahead is not None and behind is not None
        assert float(found[1][place]) == pytest.approx((ahead[0] - behind[0]) / (2 * step), abs=1e-4)


def test_outputs_that_are_not_related_have_the_density_of_their_own_processes() -> None:
    given = replace(hyper(RBF), bonds=(0.0,) * 3)
    rows = Family.make(FAMILY, given.warps, RBF, "cpu")
    found = rows.density(torch.as_tensor(rows.position(given)))
    total = 0.0
    for place, (data, warp) in enumerate(zip(FAMILY, given.warps, strict=True)):
        task = exact.gp.task(data, warp, RBF, "cpu")
        peak = likelihood.Peak(
            given.lengthscales, given.scales[place], given.noises[place], given.means[place], 0.0
        )
        own = likelihood.density_of(task)(torch.as_tensor(likelihood.position_of(task, peak)))
        assert own is not None
        total += own[0]
    counted = 2 * task.length_prior(torch.tensor(given.lengthscales).double().log())[0]
    correlations = np.random.default_rng(0).uniform(
        -1, 1, (200_000, 3)
    )  # how likely independence is: 1 / mean det
    a, b, c = correlations.T
    heights = 1 + 2 * a * b * c - a**2 - b**2 - c**2
    volume = 8 * np.mean(np.maximum(heights, 0))
    assert found is not None
    assert found[0] == pytest.approx(total - float(counted) - math.log(volume), abs=0.02)


def test_a_row_is_foretold_by_everything_else() -> None:
    data = related(dict(zip("abc", FAMILY, strict=True)))
    given = hyper(MATERN)
    foretold = Multi("b", ("a", "b", "c"), (given,)).foretell(data["b"], 0, "cpu")
    for place in range(6):
        less = [FAMILY[0], FAMILY[1].take(np.arange(6) != place), FAMILY[2]]
        mean, variance = coregion.build(less, given, 1, "cpu").moments(
            tensor(FAMILY[1].inputs[[place]], "cpu")
        )
        noise = (0.1 * given.warps[1].slope(FAMILY[1].values[place])) ** 2
        assert foretold.mean[place] == pytest.approx(float(mean), abs=1e-6)
        assert foretold.variance[place] == pytest.approx(float(variance) + noise, abs=1e-6)


# What it is good for.


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_output_measured_seldom_is_told_by_a_related_one(sign: float) -> None:
    shares = []
    for seed in range(4):
        main, rest = drawn(seed), drawn(50 + seed)

        def dear(inputs: Array, main: Function = main, rest: Function = rest) -> Array:
            return np.asarray(7 + sign * 3 * (0.97 * main(inputs) + 0.2 * rest(inputs)))

        family = {"cheap": measured(main, 25, seed), "dear": measured(dear, 6, 100 + seed)}
        joint, alone = both(family, "dear", dear)
        shares.append(joint / alone)
    assert np.exp(np.mean(np.log(shares))) < 0.6 and max(shares) < 1.05, shares


def test_an_output_measured_with_much_noise_is_told_by_a_related_one() -> None:
    shares = []
    for seed in range(4):
        main = drawn(seed)
        family = {"exact": measured(main, 30, seed, 0.02), "rough": measured(main, 30, 100 + seed, 0.5)}
        joint, alone = both(family, "rough", main)
        shares.append(joint / alone)
    assert max(shares) < 0.7, shares


@pytest.mark.parametrize("columns", [((0, 1), (0, 1)), ((0,), (1,))], ids=["alike", "other columns"])
def test_outputs_that_are_not_related_do_no_harm(columns: tuple[tuple[int, ...], ...]) -> None:
    shares = []
    for seed in range(4):
        one, other = drawn(seed, columns[0]), drawn(50 + seed, columns[1])
        family = {"one": measured(one, 20, seed), "other": measured(other, 20, 100 + seed)}
        shares.append(
            [joint / alone for joint, alone in (both(family, "one", one), both(family, "other", other))]
        )
    assert np.exp(np.mean(np.log(shares))) < 1.1, shares
    assert np.max(shares) < 2, shares


@pytest.mark.parametrize(
    "odd",
    [
        measured(drawn(3), 2, 3),
        Data.of(np.random.default_rng(0).random((9, 2)), np.full(9, 7.0)),
        Data.of(np.repeat(FAMILY[0].inputs, 2, axis=0), np.repeat(FAMILY[0].values, 2)),
        FAMILY[0],
        replace(FAMILY[0], noise=np.zeros(9)),
        Data.of(np.full((6, 2), 0.5), np.arange(6.0)),
        Data.of(FAMILY[0].inputs, np.append(FAMILY[0].values[:8], 1e9)),
        Data.of(3 * FAMILY[0].inputs - 1, 1e-12 * FAMILY[0].values),
    ],
    ids=["two rows", "constant", "twice", "the same", "no noise", "one point", "outlier", "outside"],
)
def test_nothing_makes_a_model_say_nan(odd: Data) -> None:
    data = related({"sound": FAMILY[0], "odd": odd})
    for name, fitted in multi.together(data, {}, 0, "cpu").items():
        part = fitted.part(data[name], "cpu")
        for each in (part, *part.others):
            with torch.no_grad():
                found = each.model.posterior(tensor(data[name].inputs, "cpu")).rsample(torch.Size([4]))
            assert found.isfinite().all()
        foretold = fitted.foretell(data[name], 0, "cpu")
        assert np.isfinite([foretold.mean, foretold.variance]).all()
        json.dumps([fitted.to_json(), fitted.describe()], allow_nan=False)


# In a problem.


def outputs(x: float, z: float) -> dict[str, float]:
    cheap = math.sin(3 * x) + z**2
    return {"cheap": cheap, "dear": 1 + 2 * cheap + 0.1 * x, "phase": float(x > z)}


def observed(count: int = 24, dear: int = 7) -> list[Observation]:
    """The dear output is there for the first rows only."""
    points = np.random.default_rng(3).random((count, 2)).tolist()
    found = [Observation({"x": x, "z": z}, outputs(x, z)) for x, z in points]
    late = [replace(each, outputs={"cheap": each.outputs["cheap"]}) for each in found[dear:]]
    return [*found[:dear], *late]


def restored(problem: Problem, rows: list[Observation], strategy: Strategy = TOGETHER) -> Surrogate:
    found = fitting.fit(problem, strategy, rows)
    return fitting.restore(problem, strategy, fitting.space_of(problem, rows), rows, found.state)


def test_numbers_are_learnt_together_once_and_labels_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = replace(LIMITED, objectives=(Objective("cheap"), Objective("phase", LEARN)))
    fits = []
    monkeypatch.setattr(coregion, "fit", lambda *given, fit=coregion.fit: fits.append(1) or fit(*given))
    found = fitting.fit(problem, TOGETHER, [*observed(), *observed(10, 10)])
    assert len(fits) == 2, "each kernel once"
    told = found.metrics["outputs"]
    assert {name: each["kind"] for name, each in told.items()} == {
        "cheap": MULTI_OUTPUT,
        "dear": MULTI_OUTPUT,
        "phase": "variational",
    }
    assert told["dear"]["correlations"]["cheap"] > 0.8
    assert told["cheap"]["correlations"] == {"dear": pytest.approx(told["dear"]["correlations"]["cheap"])}


def test_a_partial_row_teaches_the_output_that_is_outstanding() -> None:
    rows, inputs = observed(), np.random.default_rng(8).random((100, 2))
    truth = np.array([outputs(x, z)["dear"] for x, z in inputs.tolist()])
    errors = [
        np.sqrt(np.mean((found.predict(inputs)[0][:, found.outputs.index("dear")] - truth) ** 2))
        for found in (restored(FRONT, rows), restored(FRONT, rows, Strategy(surrogate="gp")))
    ]
    assert errors[0] < 0.5 * errors[1], errors


def test_what_comes_after_the_fit_teaches_the_other_output_too() -> None:
    rows = [each for each in observed(40) if float(each.parameters["x"]) < 0.6]
    kept, space = fitting.fit(FRONT, TOGETHER, rows).state, Encoding(FRONT)
    late = Observation({"x": 0.98, "z": 0.5}, {"cheap": outputs(0.98, 0.5)["cheap"]})
    at = space.encode([late.parameters])
    before, after = (
        fitting.restore(FRONT, TOGETHER, space, seen, kept).predict(at) for seen in (rows, [*rows, late])
    )
    assert after[1][0, 1] < 0.5 * before[1][0, 1]
    assert abs(after[0][0, 1] - outputs(0.98, 0.5)["dear"]) < 0.2


@pytest.mark.parametrize("problem", [FRONT, LIMITED], ids=["front", "constraint"])
def test_a_campaign_is_advised(problem: Problem) -> None:
    rows = tuple(observed())
    asked = snapshot(problem, rows, strategy=TOGETHER, count=2, pending=({"x": 0.5, "z": 0.5},))
    found = suggest(asked)
    assert len(found.candidates) == 2 and not any("No model" in each.reason for each in found.candidates)
    assert suggest(asked) == found, "the same snapshot, the same answer"
    for each in found.candidates:
        expected, spread = each.expected["dear"]
        truth = outputs(float(each.parameters["x"]), float(each.parameters["z"]))["dear"]
        assert abs(expected - truth) < 0.3 + 3 * spread
    if problem is LIMITED:
        best = max(each.expected["cheap"][0] for each in found.candidates)
        assert best == pytest.approx(0.5, abs=0.15), "as high as dear <= 2 allows"


def test_one_output_is_learnt_as_by_an_exact_process() -> None:
    points = [
        {"x": float(x), "y": float(10**y)}
        for x, y in np.random.default_rng(4).uniform((-5, -3), (10, 1), (20, 2))
    ]
    rows = [Observation(each, {"height": hill(each)}) for each in points]
    inputs = np.random.default_rng(1).random((50, 2))
    mine, theirs = (restored(HILL, rows, Strategy(surrogate=name)) for name in (MULTI_OUTPUT, "gp"))
    assert len(mine.views) == len(theirs.views)
    for one, other in zip(mine.views, theirs.views, strict=True):
        assert np.array_equal(one.predict(inputs), other.predict(inputs))


@pytest.mark.parametrize(("classes", "kind"), [(0, MULTI_OUTPUT), (2, "variational")])
def test_labels_keep_their_kind(classes: int, kind: str) -> None:
    assert kind_for(MULTI_OUTPUT, Data.of(np.zeros((5, 2)), np.zeros(5), classes=classes)) == kind


# State.


def test_what_was_written_is_read() -> None:
    kept = fitting.fit(FRONT, TOGETHER, observed()).state
    loaded = state.load(FRONT, 2, kept)
    assert state.dump(loaded) == kept
    assert any(isinstance(each, Coregion) for each in loaded.outputs["dear"].fit.views)  # type: ignore[attr-defined]


def change(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda fit: fit["views"][0]["together"].update(changes)


def dear_beside(other: str) -> Multi:
    """A fit of two outputs, by hand."""
    warps = hyper(RBF).warps[:2]
    two = replace(
        hyper(RBF), warps=warps, scales=(1.0, 2.0), bonds=(0.5,), means=(0.0, 0.1), noises=(0.1, 0.2)
    )
    return Multi("dear", (other, "dear"), (two,))


@pytest.mark.parametrize(
    "spoil",
    [
        change(bonds=[]),
        change(bonds=[math.nan]),
        change(bonds=[1e9]),
        change(scales=[1.0, -1.0]),
        change(scales=[1.0]),
        change(noises=[1.0, 0.0]),
        change(means=[0.0, 0.0, 0.0]),
        change(lengthscales=[1.0]),
        change(kernel="magic"),
        change(evidence=None),
        change(warps=[]),
        lambda fit: fit.update(views=[]),
        lambda fit: fit.update(views=fit["views"][:1] * 5),
        lambda fit: fit["views"].append({}),
        lambda fit: fit["views"].append({"elsewhere": {}}),
        lambda fit: fit.update(name="other"),
        lambda fit: fit.update(names=["dear", "dear"]),
        lambda fit: fit.update(names=7),
    ],
)
def test_what_no_fit_gives_is_refused(spoil: Callable[[dict[str, Any]], Any]) -> None:
    given = dear_beside("cheap")
    found = {name: state.Found(MULTI_OUTPUT, replace(given, name=name), 9) for name in ("cheap", "dear")}
    body = json.loads(state.dump(state.State(found, MULTI_OUTPUT)))
    assert state.load(FRONT, 2, json.dumps(body).encode()).outputs == found
    spoil(body["outputs"]["dear"]["fit"])
    with pytest.raises(LearningError):
        state.load(FRONT, 2, json.dumps(body).encode())


def test_the_state_of_other_outputs_is_refused() -> None:
    data = related(datasets(FRONT, Encoding(FRONT), observed()))
    given = dear_beside("spare")
    with pytest.raises(LearningError, match="another problem"):
        given.part(data["dear"], "cpu")
    body = json.loads(fitting.fit(FRONT, TOGETHER, observed()).state)
    body["asked"] = "gp"
    with pytest.raises(LearningError, match="another problem"):
        fitting.restore(FRONT, TOGETHER, Encoding(FRONT), observed(), json.dumps(body).encode())


def test_a_fit_goes_on_from_the_last_one_until_the_rows_have_grown() -> None:
    rows = observed(90, 60)
    first = fitting.fit(FRONT, TOGETHER, rows[:80])
    warm, afresh = (
        fitting.fit(FRONT, TOGETHER, rows[:90], first.state),
        fitting.fit(FRONT, TOGETHER, rows[:90]),
    )
    assert first.metrics["refit"] and not warm.metrics["refit"] and afresh.metrics["refit"]
    for name in ("cheap", "dear"):
        quality = [each.metrics["outputs"][name]["nll"] for each in (warm, afresh)]
        assert quality[0] == pytest.approx(quality[1], abs=0.1)
    assert fitting.fit(FRONT, TOGETHER, observed(90, 90), first.state).metrics["refit"], (
        "grown by more than a quarter"
    )
    assert fitting.fit(FRONT, Strategy(surrogate="gp"), rows[:90], first.state).metrics["refit"], (
        "another kind"
    )


def test_many_rows_are_compared_on_some_and_learnt_from_all() -> None:
    main = drawn(1)
    data = related({"one": measured(main, 260, 1, 0.2), "other": measured(lambda at: -main(at), 90, 2, 0.2)})
    found = multi.together(data, {}, 0, "cpu")["other"]
    assert isinstance(found.views[0], Coregion) and found.describe()["correlations"]["one"] < -0.9
    assert error(found, data["other"], lambda at: -main(at)) < 0.1
