"""Programs written for ALchemist, as published, on the whole of Labqueue, while parts of it are killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from alchemist_lab import Program
from servers import Servers
from whole import Whole, whole

PAGE = Path(__file__).parents[3] / "shared" / "seeds" / "alchemist-staged-experiments.txt"
PARTS = ("api", "janitor", "trainer", "suggester")
VARIABLES = (
    {"name": "Temperature", "type": "real", "min": 250.0, "max": 350.0},
    {"name": "Pressure", "type": "real", "min": 1.0, "max": 15.0},
    {"name": "Catalyst", "type": "categorical", "categories": ["Pt", "Ni"]},
)


@pytest.fixture(scope="module")
def lab(servers: Servers) -> Iterator[Whole]:
    with whole(servers, PARTS) as stack:
        yield stack


def measured(point: dict[str, Any]) -> float:
    worth = 1 - ((point["Temperature"] - 310) / 60) ** 2 - ((point["Pressure"] - 8) / 10) ** 2
    return float(worth - (point["Catalyst"] == "Ni") * 0.2)


def published() -> str:
    """Its loop, from the import to the end of the function; the text of the page has lost its indentation."""
    begin, end = "import requests\nimport time\n", "\nInitial Design Staging"
    lines, depth = (begin + PAGE.read_text().partition(begin)[2].partition(end)[0]).splitlines(), 0
    indented = []
    for line in lines:
        depth = 0 if line.startswith("def ") else depth
        indented.append("    " * depth + line)
        depth += line.endswith(":")
    return "\n".join(indented)


def loop(program: Program, iterations: int, before: Callable[[int], object] = lambda step: None) -> None:
    """The loop of its page, in its words: suggest, stage, retrieve, run, complete."""
    root, session = f"{str(program.http.base_url).rstrip('/')}/sessions/{program.session}", requests.Session()
    for step in range(iterations):
        before(step)
        body = {"strategy": "qEI", "goal": "maximize", "n_suggestions": 2}
        suggestions = session.post(f"{root}/acquire", json=body).json()["suggestions"]
        body = {"experiments": suggestions, "reason": f"qEI iteration {step + 1}"}
        session.post(f"{root}/experiments/staged/batch", json=body)
        staged = session.get(f"{root}/experiments/staged").json()
        outputs = [measured(each) for each in staged["experiments"]]
        done = session.post(
            f"{root}/experiments/staged/complete",
            params={"auto_train": "true"},
            json={"outputs": outputs, "iteration": step + 1},
        )
        assert done.status_code == 200, done.text


def check(program: Program, count: int) -> None:
    """Every result is with its own point, once."""
    rows = program.ok("GET", "experiments")["experiments"]
    assert len(rows) == count
    for row in rows:
        assert row["Output"] == pytest.approx(measured(row), abs=1e-9)
    assert len({(row["Temperature"], row["Pressure"], row["Catalyst"]) for row in rows}) == count


@pytest.mark.skipif(not PAGE.is_file(), reason="the page is not here")
def test_the_published_loop_runs_verbatim(lab: Whole) -> None:
    program = Program(lab.url)
    with program.http:
        program.begin(*VARIABLES)
        names: dict[str, Any] = {}
        exec(published(), names)  # noqa: S102
        names |= {"BASE": f"{lab.url}/api/v1", "SESSION_ID": program.session, "run_experiment": measured}
        names["autonomous_loop"](6)
        check(program, 12)
        assert program.ok("GET", "model")["is_trained"] is True


def test_workers_are_killed_in_the_middle_of_the_loop(lab: Whole) -> None:
    victims = {
        1: ["suggester"],
        2: ["trainer"],
        3: ["janitor"],
        4: ["suggester", "trainer", "janitor"],
        5: ["valkey"],
    }

    def kill(step: int) -> None:
        if step in victims:
            with lab.down(*victims[step]):
                pass

    program = Program(lab.url)
    with program.http:
        program.begin(*VARIABLES)
        loop(program, 7, before=kill)
        check(program, 14)


def test_the_server_and_its_database_are_killed_between_two_calls(lab: Whole) -> None:
    """What was staged is staged, what was read is remembered, and the outputs go where they belong."""
    program = Program(lab.url)
    session = program.begin(*VARIABLES)
    wish = {"method": "lhs", "n_points": 6, "random_seed": 42}
    points = program.ok("POST", "initial-design", wish)["points"]
    program.ok("POST", "experiments/staged/batch", {"experiments": points, "reason": "Initial LHS Design"})
    staged = program.ok("GET", "experiments/staged")
    program.http.close()
    with lab.down("postgres", "api"):
        pass
    program = Program(lab.url)
    program.session = session
    with program.http:
        assert program.ok("GET", "experiments/staged") == staged
        outputs = [measured(each) for each in staged["experiments"]]
        first = program.ok("POST", "experiments/staged/complete", {"outputs": outputs, "iteration": 0})
        again = program.ok("POST", "experiments/staged/complete", {"outputs": outputs, "iteration": 0})
        assert first == again and first["n_added"] == 6, "a retried post is one effect"
        check(program, 6)
