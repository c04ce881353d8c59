"""Active learning on a pool: asking where the model is unsure teaches it more than asking by chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pool_files import files_in, pool_of

from labqueue.problem import Problem
from labqueue.strategy import Strategy
from models.surrogates import fitting, learner
from models.surrogates.pools import PoolSpace
from models.surrogates.surrogate import Surrogate
from models.surrogates.values import Observation, Snapshot

ROWS, INITIAL, BATCH = 400, 8, 4
Numbers = NDArray[np.float64]


class Case:
    """A pool of points in the plane with the truth about each of them."""

    def __init__(self, folder: Path, x: Numbers, y: Numbers, truth: Numbers, output: dict[str, Any]) -> None:
        self.truth, self.files = truth, files_in(folder)
        pool = pool_of(folder, {"x": x.tolist(), "y": y.tolist()})
        goal = {"output": output["name"], "goal": "learn"}
        body = {"pool": pool.to_json(), "outputs": [output], "objectives": [goal]}
        self.problem = Problem.from_json(body)
        self.space = PoolSpace.of(pool, self.files)

    def models(self, acquisition: str, seed: int, rounds: int) -> list[Surrogate]:
        """The model after the initial design and after each round of a few rows more."""
        strategy = Strategy.from_json({"acquisition": acquisition, "initial": INITIAL})
        (name,) = self.problem.output_names
        rows: list[Observation] = []
        found = []
        for number in range(rounds + 1):
            snapshot = Snapshot(
                self.problem,
                strategy,
                seed,
                number,
                tuple(rows),
                designed=min(len(rows), INITIAL),
                count=BATCH if rows else INITIAL,
            )
            chosen = learner.suggest(snapshot, files=self.files).candidates
            places = self.space.places([each.parameters for each in chosen])
            rows += [
                Observation(each.parameters, {name: float(self.truth[place])})
                for each, place in zip(chosen, places, strict=True)
            ]
            state = fitting.fit(self.problem, strategy, rows, files=self.files).state
            found.append(fitting.restore(self.problem, strategy, self.space, rows, state))
        assert len({row.parameters["row"] for row in rows}) == len(rows) == INITIAL + rounds * BATCH
        return found

    @property
    def every(self) -> Numbers:
        return self.space.features(np.arange(ROWS))


def moons(folder: Path, seed: int) -> Case:
    """Two half circles that reach into each other; the label says which of them."""
    generator = np.random.default_rng(seed)
    angle, side = generator.random(ROWS) * np.pi, (np.arange(ROWS) % 2).astype(np.float64)
    x = np.where(side, 1 - np.cos(angle), np.cos(angle)) + 0.15 * generator.standard_normal(ROWS)
    y = np.where(side, 0.5 - np.sin(angle), np.sin(angle)) + 0.15 * generator.standard_normal(ROWS)
    return Case(folder, x, y, side, {"name": "side", "classes": ["upper", "lower"]})


def crowd(folder: Path, seed: int) -> Case:
    """Most rows stand close together, a few all around: chance asks about the same thing again and again."""
    generator = np.random.default_rng(seed)
    wide = np.arange(ROWS) % 8 == 0
    x, y = (
        np.where(wide, generator.uniform(-3, 3, ROWS), 0.3 * generator.standard_normal(ROWS))
        for _ in range(2)
    )
    return Case(folder, x, y, np.sin(1.5 * x) + np.cos(2 * y), {"name": "height"})


def test_labels_are_learnt_from_fewer_rows(tmp_path: Path) -> None:
    """The mean accuracy over the rounds, three campaigns each."""

    def accuracy(acquisition: str) -> float:
        found = []
        for seed in range(3):
            case = moons(tmp_path, seed)
            for model in case.models(acquisition, seed, 4)[1:]:
                told = model.probabilities("side", case.every).argmax(axis=1)
                found.append(float((told == case.truth).mean()))
        return float(np.mean(found))

    unsure, chance = accuracy("uncertainty"), accuracy("random")
    assert unsure > 0.93 and unsure > chance + 0.01, (unsure, chance)


def test_a_surface_is_learnt_from_fewer_rows(tmp_path: Path) -> None:
    """The error at the end, two campaigns each."""

    def error(acquisition: str) -> float:
        found = []
        for seed in range(2):
            case = crowd(tmp_path, seed)
            means, _ = case.models(acquisition, seed, 6)[-1].predict(case.every)
            found.append(float(np.sqrt(((means[:, 0] - case.truth) ** 2).mean())))
        return float(np.mean(found))

    unsure, chance = error("uncertainty"), error("random")
    assert unsure < 0.5 * chance, (unsure, chance)
