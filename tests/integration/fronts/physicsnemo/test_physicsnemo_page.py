"""The strategies of PhysicsNeMo's documentation, word by word, which its own driver refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import torch
from labqueue_physicsnemo import Driver, DriverConfig, StrategiesConfig, TrainingConfig, stand_in
from physicsnemo_programs import ROOT
from torch import nn
from whole import Whole

PAGE = ROOT.parent / "shared" / "seeds" / "physicsnemo-active-learning.txt"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documentation page is not here")

# The page as text has lost its indentation: the depth of each line.
QUERY = "0000111222122211222122223332222222223444444452222322332"
LABEL = (
    "000001111122221222222222222222221222122222222222222223333333"
    "433456665555554455434554434544333454455544431221122"
)


def code(first: str, depths: str) -> str:
    """The lines of the page that begin with this one, with their depth."""
    lines = PAGE.read_text().splitlines()
    start = lines.index(first)
    return "\n".join("    " * int(depth) + line for depth, line in zip(depths, lines[start:], strict=False))


@pytest.fixture
def classes() -> Iterator[dict[str, Any]]:
    before = set(sys.modules)
    stand_in()
    found: dict[str, Any] = {}
    exec(code("from physicsnemo.active_learning.protocols import QueryStrategy, AbstractQueue", QUERY), found)  # noqa: S102 - the page's own words
    exec(code("import subprocess", LABEL), found)  # noqa: S102
    yield found
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "physicsnemo":
            del sys.modules[name]


class Rows(list[Any]):
    """A pool."""


class Logits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layer(points)
        return found


class PassOn:
    def label(self, queue_to_label: Any, serialize_queue: Any) -> None:
        while not queue_to_label.empty():
            serialize_queue.put(queue_to_label.get())


def test_the_uncertainty_query_of_the_page(lab: Whole, tmp_path: Path, classes: dict[str, Any]) -> None:
    torch.manual_seed(3)
    pool = Rows(torch.randn(40, 2))
    strategy = classes["UncertaintyQueryStrategy"](max_samples=5, batch_size=16)
    train = Rows()
    driver = Driver(
        DriverConfig(
            4, max_active_learning_steps=1, run_id="page-query", root_log_dir=tmp_path, skip_training=True
        ),
        Logits(),
        StrategiesConfig([strategy], Queue, PassOn(), unlabeled_datapool=pool),
        TrainingConfig(train, 1),
    )
    driver()
    chances = torch.softmax(driver.learner(torch.stack(list(pool))), dim=-1)
    entropy = -(chances * torch.log(chances + 1e-10)).sum(dim=-1)
    expected = entropy.topk(5).indices
    assert [each.tolist() for each in train] == [pool[int(place)].tolist() for place in expected]
    log = (tmp_path / "page-query" / "page-query.log").read_text()
    assert "Queried 5 samples for labeling" in log
    [first, *_] = lab.client.experiments("physicsnemo-page-query")
    assert first["payload"]["strategy"] == "UncertaintyQueryStrategy" and first["payload"]["step"] == 0
    assert first["payload"]["arguments"] == {"max_samples": 5}


SOLVER = """#!{python}
import json, pathlib, sys
given = json.load(open(sys.argv[2]))
log = pathlib.Path({log!r})
tries = log.read_text().split().count(str(given["x"])) if log.exists() else 0
with log.open("a") as file:
    file.write(str(given["x"]) + "\\n")
if given["x"] == 3 or given["x"] == 5 and not tries:
    sys.exit("diverged")
if given["x"] == 6 and not tries:
    sys.exit(0)  # no output
json.dump({{"pressure": given["x"] * 10, "velocity": [given["x"], 0.5]}}, open(sys.argv[4], "w"))
"""


class All:
    def __init__(self) -> None:
        self.max_samples = 8

    def sample(self, query_queue: Any) -> None:
        for x in range(8):
            query_queue.put({"x": x, "mesh": "fine"})


def test_the_external_solver_of_the_page(lab: Whole, tmp_path: Path, classes: dict[str, Any]) -> None:
    """It counts its directories from 0 in each call and takes any output that lies there for its own."""
    solver, tries = tmp_path / "solver", tmp_path / "tries"
    solver.write_text(SOLVER.format(python=sys.executable, log=str(tries)))
    solver.chmod(0o755)
    strategy = classes["CFDSolverLabelStrategy"](str(solver), tmp_path / "work")
    train = Rows()
    driver = Driver(
        DriverConfig(
            4, max_active_learning_steps=1, run_id="page-label", root_log_dir=tmp_path, skip_training=True
        ),
        Logits(),
        StrategiesConfig([All()], Queue, strategy),
        TrainingConfig(train, 1),
    )
    driver()
    assert train == [
        {"x": x, "mesh": "fine", "pressure": x * 10, "velocity": [x, 0.5]} for x in (0, 1, 2, 4, 5, 6, 7)
    ]
    [(number, reason)] = driver.given_up.items()
    assert "put nothing back" in reason and lab.client.experiment(number)["payload"]["item"] != 0
    assert tries.read_text().split().count("3") == 3 and tries.read_text().split().count("5") == 2
    assert strategy.working_dir == tmp_path / "work" and list(strategy.working_dir.iterdir()) == []
    inputs = (tmp_path / "page-label" / "labeling").rglob("input.json")
    assert sorted(json.loads(each.read_text())["x"] for each in inputs) == [
        0,
        1,
        2,
        3,
        3,
        3,
        4,
        5,
        5,
        6,
        6,
        7,
    ]
