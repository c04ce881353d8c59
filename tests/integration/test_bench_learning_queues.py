"""Ways to feed instruments, on the simulated clock, and the tables made of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.learning import clock, lab, queues
from benchmarks.learning.vocabulary import Aim, Point, Problem, Real


def measure(point: Point) -> dict[str, float]:
    return {"y": (float(point["x"]) - 3.3) ** 2 + 0.1}


VALLEY = Problem("valley", (Real("x", 0.0, 10.0),), measure, (Aim("y"),), 14, 0.0)


@pytest.mark.parametrize("policy", lab.POLICIES)
def test_every_way_spends_the_budget_once(policy: str) -> None:
    story = lab.run(policy, VALLEY, 1)
    assert len(story.results) == len(story.stale) == VALLEY.budget
    assert [when for when, _ in story.results] == sorted(when for when, _ in story.results)
    assert len({outputs["y"] for _, outputs in story.results}) == VALLEY.budget
    assert story.waited >= 0 and story.claimed <= story.results[-1][0]
    improved = story.improved(VALLEY)
    assert improved[-1][2] < 0.2, "the model was asked"
    assert all(
        story.results[int(number) - 1][0] == pytest.approx(when, abs=1e-3) for when, number, _ in improved
    )


def test_what_is_free_waits_for_nobody_and_a_batch_for_the_slowest() -> None:
    free, claim, batches = (lab.run(each, VALLEY, 1) for each in (lab.FREE, lab.CLAIM, lab.BATCHES))
    assert free.waited == 0 and set(free.stale) == {0}
    assert claim.waited > 0
    assert batches.waited > claim.waited and set(batches.stale) == {0}
    slowest = max(clock.duration(1, worker, 0) for worker in range(4))
    assert batches.results[4][0] > slowest, "the fifth experiment begins when the first four are in"


def test_the_tables(tmp_path: Path) -> None:
    file = tmp_path / "queues.jsonl"
    regrets = {lab.FREE: 1.0, lab.BATCHES: 0.1, lab.FRESHEST: 1.0, "freshest, posterior": 10.0}
    rows = [
        queues.Fed(arm, "branin", seed, "s", "m", 5.0, 2.0, 50.0, [[1.0, 1, 100.0], [end, 9, regret]])
        for arm, regret in regrets.items()
        for seed in range(3)
        for end in [80.0 if arm == lab.BATCHES else 40.0]
    ]
    old = queues.Fed(lab.FREE, "branin", 9, "older", "m", 5.0, 2.0, 50.0, [[1.0, 1, 1e-9]])
    lines = [json.dumps(asdict(each)) for each in (old, *rows)]
    file.write_text("\n".join(lines) + "\n" + lines[0][:20], encoding="utf-8")
    found = {
        tuple(cell.strip() for cell in line.split("|")[2:-1])
        for line in queues.text(file).splitlines()
        if "branin" in line
    }
    assert ("batches", "5.0", "2.0", "0.1", "-1.00 [-1.00, -1.00]", "+2.00 [+2.00, +2.00]", "3") in found
    assert ("freshest", "5.0", "2.0", "1", "+0.00 [+0.00, +0.00]", "", "3") in found
    assert ("posterior", "10", "+1.00 [+1.00, +1.00]", "3") in found
    assert queues.text(tmp_path / "none.jsonl") == ""
