"""What a learner is handed by the SDK on a real server: a pool's features, and rows of which only news travel."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api import context_for, served, settings_for

import labqueue
from labqueue.learning import features
from labqueue.learning.pupil import Row
from labqueue.learning.school import School, Work
from services.bootstrap import Context
from services.flow.number import number
from services.flow.recover import stamp_alive
from services.flow.tokens import issue

CSV = "id,mass,solvent\n" + "".join(f"c{n},{n * 7 % 50},{'wt'[n % 2]}\n" for n in range(50))


@pytest.fixture
def context(postgres_url: str, redis_url: str, home: Path) -> Iterator[Context]:
    with context_for(settings_for(postgres_url, home, redis_url)) as made:
        stamp_alive(made.store)
        yield made


@pytest.fixture
def url(context: Context) -> Iterator[str]:
    with served(context) as address:
        yield address


def create(client: labqueue.Client, problem: Any, **strategy: Any) -> None:
    wish = {"method": "learner", "learner": "mine", "initial": 0, "fallback": "design", **strategy}
    client.transport.request("PUT", "/queues/q", {})
    body = {"name": "own", "queue": "q", "problem": problem, "strategy": wish}
    client.transport.request("POST", "/campaigns", body)


class Heaviest:
    """Chooses the heaviest rows that are left, and says how heavy the first is."""

    def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
        taken = {each["row"] for each in pending} | {row.parameters["row"] for row in rows}
        found = sorted((-values[0], id) for id, values in features(problem) if id not in taken)[:count]
        return {"candidates": [{"row": id} for _, id in found], "gain": -found[0][0]}


def test_a_learner_on_a_pool_needs_only_its_campaigns_token(
    context: Context, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The learner names no server: the features are there when it is called."""
    monkeypatch.setattr("labqueue.learning.pools.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("LABQUEUE_URL", "http://127.0.0.1:9")
    (tmp_path / "library.csv").write_text(CSV)
    with labqueue.Client(url) as client:
        client.upload_pool("library", lambda: (tmp_path / "library.csv").open("rb"), len(CSV))
        problem = {"pool": "library", "outputs": [{"name": "y"}], "objectives": [{"output": "y"}]}
        create(client, problem, depth=3, stop={"gain": 48.5})
    _, secret = issue(context.store, context.ids, "learner", ["campaign:own"], None, "person:admin")
    with labqueue.Client(url, secret) as client:
        taught = labqueue.serve_learner(Heaviest(), campaign="own", url=url, token=secret, limit=1)
        assert (taught.suggestions, taught.failures) == (1, 0)
        staged = client.experiments("own")
        assert [each["parameters"]["row"] for each in staged] == ["c7", "c14", "c21"]
        sha256 = client.campaign("own")["problem"]["pool"]["sha256"]
        assert [each.name for each in (tmp_path / "cache").iterdir()] == [sha256]
        _, robots = issue(context.store, context.ids, "robot", ["queue:q"], None, "person:admin")
        place = {"url": url, "token": robots, "spool": tmp_path / "spool"}
        labqueue.serve(lambda _: {"y": 1.0}, queue="q", instrument="i", limit=3, **place)
        number(context.store, wait=True)
        labqueue.serve_learner(Heaviest(), campaign="own", url=url, token=secret, limit=1)
        shown = client.campaign("own")
        assert shown["state"] == "finished" and "improve the score by 46, less than 48.5" in shown["reason"]


def test_rows_are_the_same_however_they_came(context: Context, url: str) -> None:
    """One process that asks for news at random moments has what one has that asks for the first time."""
    problem = {
        "parameters": [{"name": "x", "kind": "continuous", "low": 0, "high": 100}],
        "outputs": [{"name": "y"}, {"name": "phase", "classes": ["clear", "cloudy"]}],
        "objectives": [{"output": "y"}],
    }
    luck, kept, sizes = random.Random(4), list[str](), list[tuple[bool, int]]()
    with labqueue.Client(url) as client:
        create(client, problem)
        known, request = school(client), client.transport.request

        def watched(*arguments: Any, **more: Any) -> Any:
            answer = request(*arguments, **more)
            sizes.append((answer["whole"], len(answer["rows"])))
            return answer

        for step in range(25):
            if kept and luck.random() < 0.25:
                client.withdraw(kept.pop(luck.randrange(len(kept))), "wrong")
            else:
                kept.append(str(uuid.uuid4()))
                outputs = {"y": luck.random(), "phase": luck.choice(["clear", "cloudy"])}
                item = {"id": kept[-1], "parameters": {"x": float(step)}, "outputs": outputs}
                client.post_elsewhere("own", [item])
            number(context.store, wait=True)
            client.transport.request = watched  # type: ignore[method-assign]
            mine = rows(known, 10**9 + step)
            client.transport.request = request  # type: ignore[method-assign]
            assert mine == rows(school(client), 10**9)
            for row in mine:
                row.parameters.clear()  # type: ignore[attr-defined]
    assert [whole for whole, _ in sizes] == [True] + [False] * 24
    assert max(size for _, size in sizes) == 1, "one thing happened at a time"


def school(client: labqueue.Client) -> School:
    return School(client, "own", None, trains=True, versions={})


def rows(one: School, revision: int) -> list[Row]:
    body = {"kind": "train", "lease": "train.1", "data_revision": revision, "problem_version": 1}
    return one.rows(Work.from_json(body), lambda: False)
