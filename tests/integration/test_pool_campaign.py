"""A campaign on a pool with the real learner: from the table that people upload to the best of its rows."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from flow_lab import PERSON, Lab
from store_world import FakeWorld

from labqueue.errors import NotFoundError
from models.domain.csv_rows import csv_rows
from models.domain.pool_table import Table
from services.flow import inquire, pools, snapshots
from services.store.blobs import FsspecBlobs
from workers.learner import TorchLearner

ROWS = 600


def measured(x: float, y: float, kind: str) -> float:
    return math.sin(5 * x) - (y - 0.4) ** 2 + (0.5 if kind == "b" else 0.0)


@pytest.fixture
def blobs(tmp_path: Path) -> FsspecBlobs:
    """Somewhere else than on the learner's disk."""
    return FsspecBlobs(f"memory://{tmp_path.name}", tmp_path / "cache")


@pytest.fixture
def lab(blobs: FsspecBlobs) -> Lab:
    lab = Lab(FakeWorld())
    lab.learner = TorchLearner(lambda sha256: Path(blobs.path(sha256)))  # type: ignore[assignment]
    drawn = np.random.default_rng(1).random((ROWS, 2)).round(4)
    lines = [f"cmpd-{place},{x},{y},{'abc'[place % 3]}" for place, (x, y) in enumerate(drawn)]
    body = "\n".join(["name,x,y,kind", *lines]).encode()
    pools.upload(lab.store, blobs, "library", Table(lambda: csv_rows(io.BytesIO(body)), "name"), PERSON)
    return lab


def test_the_best_rows_are_found_among_all(lab: Lab, tmp_path: Path) -> None:
    problem = {"pool": "library", "outputs": [{"name": "yield"}], "objectives": [{"output": "yield"}]}
    strategy = {"initial": 6, "depth": 2, "mode": "ahead", "deadline": 600}
    campaign = lab.campaign(problem=problem, method="bayesian", stop={"budget": 18}, **strategy)
    run: dict[str, float] = {}
    for _ in range(30):
        lab.suggest(lab.known())
        claimed = lab.claim(max=1)
        if not claimed.assignments:
            break
        lease = claimed.assignments[0]
        point = lease.experiment.planned
        assert lease.experiment.row == point["row"] not in run
        assert set(point) == {"row", "x", "y", "kind"} and round(point["x"], 4) == point["x"]
        run[point["row"]] = measured(point["x"], point["y"], point["kind"])
        lab.report(lease.experiment.id, {"yield": run[point["row"]]}, lease=lease.lease)
        lab.number()
        lab.train(lab.known())
    assert len(run) == 18
    assert (tmp_path / "cache").is_dir(), "the file was fetched once"

    every = np.random.default_rng(1).random((ROWS, 2)).round(4)
    truth = sorted(measured(x, y, "abc"[place % 3]) for place, (x, y) in enumerate(every))
    assert max(run.values()) >= truth[-5], "one of the five best of 600 rows, in 18 runs"
    with lab.store.begin() as tx:
        suggestion = max(each.suggestion_id or 0 for each in tx.experiments.get(list(range(1, 30))))
        model = tx.models.latest(campaign.id)
    assert model is not None
    stored, now = snapshots.replay(lab.store, lab.learner, suggestion)
    assert stored == now


def test_a_pool_whose_file_is_lost_is_said_to_be(lab: Lab, tmp_path: Path) -> None:
    problem = {"pool": "library", "outputs": [{"name": "yield"}], "objectives": [{"output": "yield"}]}
    campaign = lab.campaign(problem=problem, method="bayesian")
    lab.learner = TorchLearner(_lost)  # type: ignore[assignment]
    assert lab.suggest(campaign) == []
    assert "no artifact" in lab.job(campaign, "suggest").error


def _lost(sha256: str) -> Path:
    raise NotFoundError(f"There is no artifact {sha256}.")


def test_what_the_model_expects_of_rows(lab: Lab) -> None:
    problem = {"pool": "library", "outputs": [{"name": "yield"}], "objectives": [{"output": "yield"}]}
    lab.campaign(problem=problem, method="bayesian", initial=8, depth=8)
    for experiment in lab.suggest(lab.known()):
        lease = lab.take()
        point = lease.experiment.planned
        lab.complete(lease, {"yield": measured(point["x"], point["y"], point["kind"])})
        assert experiment.origin == "design"
    lab.number()
    assert lab.train(lab.known()) == 1
    given = {"points": [{"row": "cmpd-1"}, {"row": "cmpd-2"}]}
    asked = inquire.ask(lab.store, lab.ids, "snar", "predict", given, PERSON)
    answered = inquire.answer(lab.store, lab.learner, asked.id)
    assert answered.state == "answered", answered.message
    assert len(answered.answer["predictions"]) == 2
