"""A campaign that learns goes on to its end whatever dies on the way, and two suggesters stage nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from lab import SUGGESTER
from lab import running as process_of
from servers import Servers
from whole import Whole, whole
from whole_lab import Lab

from services.broker.commands import CeleryCommands

# Workers that import torch, on a machine that others use as well.
pytestmark = pytest.mark.timeout(400)
SMALL = {
    "parameters": [{"name": "x", "kind": "continuous", "low": 0, "high": 10}],
    "outputs": [{"name": "y"}],
    "objectives": [{"output": "y", "goal": "maximize"}],
}


@pytest.fixture(scope="module")
def learning(servers: Servers) -> Iterator[Whole]:
    with whole(servers, ("api", "janitor", "trainer", "suggester")) as stack:
        yield stack


def finished(it: Lab) -> Any:
    found = it.client.campaign(it.name)
    return found if found["state"] == "finished" else None


def test_kill_9_of_api_janitor_suggester_and_trainer_changes_no_count(learning: Whole) -> None:
    budget = 10
    strategy = {"method": "bayesian", "initial": 4, "depth": 3, "stop": {"budget": budget}}
    it = Lab(learning, problem=SMALL, strategy=strategy, on_lost="hold", lease_seconds=10)
    adapters = [it.adapter(instrument=f"device{each}", seconds=0.2) for each in range(2)]
    for count, victim in ((1, "suggester"), (3, "api"), (5, "trainer"), (7, "janitor")):
        learning.until(lambda count=count: it.states()["completed"] >= count, f"{count} are completed")
        learning.kill(victim)
    learning.until(lambda: finished(it), "the campaign is finished")
    found = finished(it)
    assert "budget" in found["reason"]
    assert it.states()["completed"] == budget
    assert it.states()["held"] == it.states()["failed"] == it.states()["leased"] == 0
    assert found["model_version"] >= 1 and found["best"] is not None
    rows = learning.rows("SELECT * FROM experiments WHERE campaign = %s ORDER BY id", it.name)
    assert {each["origin"] for each in rows} <= {"design", "suggester"}
    done = [each for each in rows if each["state"] == "completed"]
    assert all(it.ends(each["id"]) == ["completed"] for each in done), "each ran once"
    assert sum(each.stop()["runs"] for each in adapters) == budget
    check_suggestions(it)
    it.check_books()


def test_two_suggesters_and_doubled_commands_stage_no_batch_twice(learning: Whole) -> None:
    depth, budget = 5, 60
    strategy = {"method": "design", "depth": depth, "stop": {"budget": budget}}
    it = Lab(learning, problem=SMALL, strategy=strategy, lease_seconds=60)
    number = learning.one("SELECT id FROM campaigns WHERE name = %s", it.name)
    commands = CeleryCommands(learning.stack.settings)
    it.gate.touch()
    with process_of(learning.stack.settings, SUGGESTER) as [other]:
        other.says('"ready"')
        robot = it.adapter("batch", size=depth)

        def step() -> Any:
            for _ in range(4):
                commands.send("suggest", number)
            assert it.states()["staged"] <= depth, "never deeper than it was told"
            return finished(it)

        learning.until(step, "the campaign is finished")
        robot.stop()
    commands.close()
    assert it.states() == {"completed": budget}, "no more and no less"
    check_suggestions(it)
    it.check_books()


def check_suggestions(it: Lab) -> None:
    """Each suggestion was staged once: its number, its points and its experiments are its own."""
    suggestions = it.whole.rows(
        "SELECT s.* FROM suggestions s JOIN campaigns c ON c.id = s.campaign_id WHERE c.name = %s ORDER BY s.number",
        it.name,
    )
    assert [each["number"] for each in suggestions] == list(
        range(suggestions[0]["number"], suggestions[0]["number"] + len(suggestions))
    )
    rows = it.whole.rows("SELECT * FROM experiments WHERE campaign = %s", it.name)
    staged = Counter(each["suggestion_id"] for each in rows)
    for each in suggestions:
        assert staged[each["id"]] <= len(each["candidates"])
    points = Counter(each["planned"]["x"] for each in rows if each["origin"] == "design")
    assert set(points.values()) <= {1}, "no point of the design twice"
