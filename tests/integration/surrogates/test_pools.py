"""A pool's rows as a learner sees them: found by id, spread over for a start, searched for the best."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pool_files import files_in, pool_of

from labqueue.problem import Pool, Problem
from labqueue.strategy import Strategy
from models.domain import pool_file
from models.surrogates import learner, pool_search, pools
from models.surrogates.pools import PoolSpace
from models.surrogates.values import LearningError, Observation, Snapshot, Suggestion

COLORS = ["red", "green", "blue"]


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    drawn = np.random.default_rng(0).random((500, 2))
    color = [COLORS[place % 3] for place in range(500)]
    return pool_of(tmp_path, {"x": drawn[:, 0] * 10 - 5, "same": [7] * 500, "color": color, "w": drawn[:, 1]})


@pytest.fixture
def space(pool: Pool, tmp_path: Path) -> PoolSpace:
    return PoolSpace.of(pool, files_in(tmp_path))


def problem(pool: Pool, **more: Any) -> Problem:
    body = {"pool": pool.to_json(), "outputs": [{"name": "y"}], "objectives": [{"output": "y"}], **more}
    return Problem.from_json(body)


# Rows


def test_rows_are_found_by_their_ids_and_scaled(space: PoolSpace) -> None:
    drawn = np.random.default_rng(0).random((500, 2))
    ids = [f"r{place}" for place in (499, 0, 17, 0)]
    found = space.encode([{"row": id, "x": "what stands beside it does not count"} for id in ids])
    assert found.shape == (4, space.width) == (4, 6)
    for row, place in zip(found, (499, 0, 17, 0), strict=True):
        low, high = drawn.min(axis=0), drawn.max(axis=0)
        assert row[[0, 5]] == pytest.approx((drawn[place] - low) / (high - low), abs=1e-6)
        assert row[1] == 0.0 and row[2:5].tolist() == [float(place % 3 == each) for each in range(3)]
    assert [space.point(int(place)) for place in space.places([{"row": "r3"}, {"row": "r30"}])] == [
        {"row": "r3"},
        {"row": "r30"},
    ]


@pytest.mark.parametrize("id", ["r500", "", "R1", "r1 ", "\u00e4"])
def test_a_row_that_is_not_there(space: PoolSpace, id: str) -> None:
    with pytest.raises(LearningError, match="no row"):
        space.encode([{"row": "r1"}, {"row": id}])


def test_odd_ids(tmp_path: Path) -> None:
    ids = ["\u00fc", "\u00fc\u00fc", "a b", "\U0001f9ea", "0", "00"]
    space = PoolSpace.of(pool_of(tmp_path, {"x": range(6)}, ids), files_in(tmp_path))
    assert space.places([{"row": each} for each in ids]).tolist() == list(range(6))


def test_ids_that_share_a_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Same:
        def digest(self) -> bytes:
            return b"12345678"

    for module in (pool_file, pools):
        monkeypatch.setattr(module, "blake2b", lambda *_, **__: Same())
    space = PoolSpace.of(pool_of(tmp_path, {"x": range(6)}), files_in(tmp_path))
    assert space.places([{"row": f"r{place}"} for place in (5, 0, 3)]).tolist() == [5, 0, 3]
    with pytest.raises(LearningError):
        space.places([{"row": "r6"}])


def test_files_that_are_none(pool: Pool, tmp_path: Path) -> None:
    files = files_in(tmp_path)
    with pytest.raises(LearningError, match="missing"):
        PoolSpace.of(Pool("library", "nowhere", 3, ("x",)), files)
    with pytest.raises(LearningError, match="does not match"):
        PoolSpace.of(Pool("library", pool.sha256, 499, pool.columns), files)
    body = files(pool.sha256).read_bytes()
    for name, damaged in {
        "short": body[:100],
        "cut": body[:-3],
        "empty": b"",
        "length": body[:-16] + b"\xff" * 8,
    }.items():
        (tmp_path / name).write_bytes(damaged + (b"LABQPOOL" if name == "length" else b""))
        with pytest.raises(LearningError):
            PoolSpace.of(Pool("library", name, 500, pool.columns), files)


# Designs


@pytest.mark.parametrize("kind", ["sobol", "random", "maximin"])
def test_a_design_goes_on_where_it_stopped(space: PoolSpace, kind: str) -> None:
    whole = space.design(kind, 5, 0, 12, [])
    assert len({each["row"] for each in whole}) == 12
    assert space.design(kind, 5, 0, 7, []) == whole[:7]
    assert space.design(kind, 5, 7, 5, whole[:7]) == whole[7:]
    assert space.design(kind, 6, 0, 12, []) != whole
    assert whole[0] not in space.design(kind, 5, 0, 12, whole[:1])


def test_a_design_spreads_over_the_pool(space: PoolSpace) -> None:
    """How far a row is from the nearest row of a design, on average over the pool."""

    def gap(kind: str, seed: int) -> float:
        rows, all_rows = space.encode(space.design(kind, seed, 0, 12, [])), space.features(np.arange(500))
        return float(np.sqrt(((all_rows[:, None] - rows) ** 2).sum(-1)).min(1).mean())

    spread, chance = (np.mean([gap(kind, seed) for seed in range(10)]) for kind in ("sobol", "random"))
    assert spread < 0.9 * chance


def test_a_maximin_design_of_a_pool_takes_the_lone_rows(space: PoolSpace) -> None:
    def nearest(kind: str, seed: int) -> float:
        rows = space.encode(space.design(kind, seed, 0, 12, []))
        return float((((rows[:, None] - rows) ** 2).sum(-1) + 1e9 * np.eye(12)).min())

    for seed in range(5):
        assert nearest("maximin", seed) > nearest("sobol", seed)


def test_a_design_uses_up_a_pool_and_then_ends(tmp_path: Path) -> None:
    space = PoolSpace.of(pool_of(tmp_path, {"x": [1, 1, 1, 2]}), files_in(tmp_path))
    for kind in ("sobol", "random", "maximin"):
        assert {each["row"] for each in space.design(kind, 1, 0, 9, [])} == {"r0", "r1", "r2", "r3"}
        assert len(space.design(kind, 1, 3, 9, [{"row": "r2"}])) == 3


# Choosing


def bumps(space: PoolSpace, points: Any) -> list[float]:
    rows = space.encode(points)
    return [float(math.sin(6 * row[0]) + row[2] - (row[5] - 0.3) ** 2) for row in rows]


def snapshot(pool: Pool, space: PoolSpace, rows: int = 12, **more: Any) -> Snapshot:
    goals = more.pop("objectives", [{"output": "y"}])
    points = space.design("sobol", 3, 0, rows, [])
    seen = tuple(
        Observation(each, {"y": value}) for each, value in zip(points, bumps(space, points), strict=True)
    )
    strategy = Strategy.from_json(more.pop("strategy", {}))
    given = {"rows": seen, "designed": 8, "count": 1, **more}
    return Snapshot(problem(pool, objectives=goals), strategy, 7, given.pop("number", 1), **given)


def ask(given: Snapshot, folder: Path) -> Suggestion:
    return learner.suggest(given, files=files_in(folder))


def ids(found: Suggestion) -> list[str]:
    return [str(each.parameters["row"]) for each in found.candidates]


def test_the_initial_design_is_spread_over_the_pool(pool: Pool, space: PoolSpace, tmp_path: Path) -> None:
    given = snapshot(pool, space, 0, designed=0, count=5)
    found = ask(given, tmp_path).candidates
    assert [each.parameters for each in found] == space.design(
        "sobol", learner.seed_for("design", 7), 0, 5, []
    )
    assert found[1].reason == "Point 2 of 8 of the initial design, spread over the pool."
    farthest = ask(snapshot(pool, space, 0, designed=0, count=5, strategy={"design": "maximin"}), tmp_path)
    assert farthest.candidates[1].reason.startswith("Point 2 of 8 of the initial maximin design, each as far")


def test_the_model_chooses_rows_once_and_the_same_again(pool: Pool, space: PoolSpace, tmp_path: Path) -> None:
    given = snapshot(pool, space, count=6, pending=({"row": "r1"}, {"row": "r2"}))
    found = ask(given, tmp_path)
    assert len(set(ids(found))) == 6
    taken = {row.parameters["row"] for row in given.rows} | {"r1", "r2"}
    assert not taken & set(ids(found))
    assert ids(ask(given, tmp_path)) == ids(found)
    best = max(row.outputs["y"] for row in given.rows)
    assert bumps(space, [found.candidates[0].parameters])[0] > best


def test_staged_rows_are_kept_or_give_way(pool: Pool, space: PoolSpace, tmp_path: Path) -> None:
    good = ids(ask(snapshot(pool, space, count=2), tmp_path))
    poor = min((f"r{place}" for place in range(500)), key=lambda id: bumps(space, [{"row": id}])[0])
    found = ask(snapshot(pool, space, count=0, staged=({"row": poor}, {"row": good[0]})), tmp_path)
    assert ids(found)[0] == good[0] and found.candidates[0].staged == 1
    assert poor not in ids(found)


def test_a_pool_that_is_used_up_gives_fewer(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, {"x": range(10)})
    space = PoolSpace.of(pool, files_in(tmp_path))
    rows = tuple(Observation({"row": f"r{place}"}, {"y": float(place)}) for place in range(7))
    given = Snapshot(problem(pool), Strategy(), 1, 1, rows, ({"row": "r7"},), designed=8, count=5)
    assert set(ids(ask(given, tmp_path))) == {"r8", "r9"}
    rows += tuple(Observation({"row": f"r{place}"}, {"y": float(place)}) for place in (8, 9))
    assert (
        ask(
            Snapshot(problem(pool), Strategy(), 1, 1, rows, ({"row": "r7"},), designed=8), tmp_path
        ).candidates
        == ()
    )
    assert space.rows == 10


OBJECTIVES = {
    "score": ([{"output": "y"}], "auto"),
    "front": ([{"output": "y"}, {"output": "cost", "goal": "minimize"}], "auto"),
    "learn": ([{"output": "y", "goal": "learn"}], "auto"),
    "chance": ([{"output": "y"}], "random"),
}


@pytest.mark.parametrize("goal", OBJECTIVES)
def test_a_large_pool_is_searched_by_a_short_list_as_a_small_one_is_whole(
    pool: Pool, space: PoolSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, goal: str
) -> None:
    """What the short list leaves out would not have been chosen: the first choice is the same, or as good."""
    objectives, acquisition = OBJECTIVES[goal]
    given = snapshot(
        pool, space, 16, count=3, objectives=[{"output": "y"}], strategy={"acquisition": acquisition}
    )
    outputs = [{"name": "y"}, {"name": "cost"}]
    rows = tuple(
        Observation(row.parameters, {**row.outputs, "cost": float(space.encode([row.parameters])[0, 0])})
        for row in given.rows
    )
    body = {"pool": pool.to_json(), "outputs": outputs, "objectives": objectives}
    given = learner.Snapshot(Problem.from_json(body), given.strategy, 7, 1, rows, designed=8, count=3)
    whole = ask(given, tmp_path)
    assert whole.effort["raw"] == 0
    for name, value in (("_WHOLE", 50), ("_TOP", 24), ("_REGIONS", 8), ("_OF_REGION", 4), ("_NEAR", 8)):
        monkeypatch.setattr(pool_search, name, value)
    short = ask(given, tmp_path)
    assert len(set(ids(short))) == 3
    if goal == "chance":
        assert ids(short) == ids(whole)
        return
    assert short.effort["raw"] >= 480
    assert ids(short)[0] == ids(whole)[0]


def test_of_a_pool_that_is_too_large_a_part_is_looked_at(
    pool: Pool, space: PoolSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "_NEAR", 30)
    first = space.looked_at(1, [17], 100)
    assert 100 <= len(first) <= 130 and 17 in first
    assert set(space.neighbours([17], 30).tolist()) <= set(first.tolist())
    assert set(first.tolist()) != set(space.looked_at(2, [17], 100).tolist())
    rows = space.features(np.arange(500))
    near = np.argsort(((rows - rows[17]) ** 2).sum(axis=1), kind="stable")[:30]
    assert set(space.neighbours([17], 30).tolist()) == set(near.tolist())


@pytest.mark.parametrize("share", ["auto", "random"])
def test_a_cost_that_is_no_number_in_any_row_is_said(
    pool: Pool, space: PoolSpace, tmp_path: Path, share: str
) -> None:
    strategy = {"cost": "log(x - 50)", "acquisition": share}
    found = ask(snapshot(pool, space, strategy=strategy, count=2), tmp_path).candidates
    assert len(found) == 2
    why = "the model or the strategy's cost gives no number at any point"
    begin = f"No model could be asked ({why})" if share == "auto" else "Drawn by chance"
    assert all(each.reason.startswith(begin) for each in found)


def test_a_deadline_ends_the_search_and_says_so(pool: Pool, space: PoolSpace, tmp_path: Path) -> None:
    ticks = iter(range(10_000))
    found = learner.suggest(
        snapshot(pool, space, count=4, deadline_seconds=3.0),
        clock=lambda: float(next(ticks)),
        files=files_in(tmp_path),
    )
    assert (
        found.effort["cut"]
        and 1 <= len(found.candidates) <= 4
        and len(set(ids(found))) == len(found.candidates)
    )
