"""Many programs at once, on one API process and on two: every result is there exactly once, or kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from alchemist_lab import POINTS, Another, Program, crew
from api import context_for, served, settings_for
from at_once import at_once

from services.bootstrap import Context

S, Q = "experiments/staged", "experiments/queue"


def point(place: int) -> dict[str, object]:
    return {"temperature": 20.0 + place * 0.25, "stirring": 300, "catalyst": "Pt"}


@pytest.fixture
def urls(postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two processes of the API, as far as they know: nothing but the database is shared."""
    first, second = (settings_for(postgres_url, tmp_path, redis_url) for _ in range(2))
    with (
        context_for(first) as one,
        context_for(second) as two,
        crew(one),
        served(one) as here,
        served(two) as there,
    ):
        yield here, there


def test_of_clients_that_complete_at_once_one_wins_and_nothing_is_lost(
    urls: tuple[str, str], another: Another
) -> None:
    """ALchemist answers 200 four times, and the results of three are gone."""
    program = Program(urls[0])
    session = program.begin()
    program.ok("POST", f"{S}/batch", {"experiments": [point(each) for each in range(20)]})
    clients = [another(urls[each % 2], session, f"client-{each}") for each in range(4)]
    given = [[each * 100.0 + place for place in range(20)] for each in range(4)]
    for each in clients:
        assert each.ok("GET", S)["n_staged"] == 20
    asks = [
        lambda client=client, values=values: client.ask("POST", f"{S}/complete", {"outputs": values})
        for client, values in zip(clients, given, strict=True)
    ]
    answers = at_once(*asks)
    assert Counter(each.status_code for each in answers) == {200: 1, 409: 3}
    won = next(place for place, each in enumerate(answers) if each.status_code == 200)
    assert answers[won].json()["n_added"] == 20
    rows = program.ok("GET", "experiments")["experiments"]
    assert [each["Output"] for each in rows] == given[won]
    assert [each["temperature"] for each in rows] == [point(place)["temperature"] for place in range(20)]
    kept = [each["outputs"] for each in program.ok("GET", "experiments/unpaired")["unpaired"]]
    assert sorted(kept) == sorted(given[:won] + given[won + 1 :])


def test_eight_workers_drain_two_hundred_items(urls: tuple[str, str], another: Another) -> None:
    """As programs do it: look, start the first that is pending, complete it; a lost race is a 409."""
    program = Program(urls[0])
    session = program.begin()
    body = {"items": [{"inputs": point(each)} for each in range(200)]}
    ids = [each["id"] for each in program.ok("POST", Q, body)["items"]]
    workers = [another(urls[each % 2], session, f"worker-{each}") for each in range(8)]

    def drain(worker: Program) -> list[str]:
        mine: list[str] = []
        while waiting := worker.ok("GET", f"{Q}?status=pending")["items"]:
            for item in waiting[hash(worker.http.headers["user-agent"]) % len(waiting) :]:
                answer = worker.ask("POST", f"{Q}/{item['id']}/start")
                assert answer.status_code in (200, 409), answer.text
                if answer.status_code == 200:
                    value = item["inputs"]["temperature"]
                    worker.ok("POST", f"{Q}/{item['id']}/complete", {"outputs": [value]})
                    mine.append(item["id"])
        return mine

    done = at_once(*[lambda worker=worker: drain(worker) for worker in workers])
    assert Counter(each for mine in done for each in mine) == Counter(ids)
    listed = program.ok("GET", Q)
    assert (listed["n_done"], listed["n_pending"], listed["n_running"]) == (200, 0, 0)
    rows = program.ok("GET", "experiments")["experiments"]
    assert len(rows) == 200 and all(each["Output"] == each["temperature"] for each in rows)
    assert sorted(each["dataset_ref"] for each in listed["items"]) == list(range(200))


def test_two_processes_have_one_dataset(urls: tuple[str, str], another: Another) -> None:
    """ALchemist's two kept [1, 4] and [1, 2, 3]."""
    one = Program(urls[0], "one")
    session = one.begin()
    two = another(urls[1], session, "two")
    for value, program in ((1.0, one), (2.0, two), (3.0, two), (4.0, one)):
        program.ok("POST", "experiments", {"inputs": POINTS[0], "output": value})
    for program in (one, two):
        found = program.ok("GET", "experiments")["experiments"]
        assert [each["Output"] for each in found] == [1.0, 2.0, 3.0, 4.0]
    one.ok("POST", S, {"inputs": POINTS[1]})
    assert two.ok("GET", S)["n_staged"] == 1
    assert two.ok("POST", f"{S}/complete", {"outputs": [5.0]})["n_experiments"] == 5
    assert one.ok("GET", S)["n_staged"] == 0


def test_many_stage_at_once(urls: tuple[str, str], another: Another) -> None:
    program = Program(urls[0])
    session = program.begin()
    clients = [another(urls[each % 2], session, f"client-{each}") for each in range(6)]

    def put(client: Program, place: int) -> list[str]:
        ids: list[str] = []
        for step in range(5):
            body = {"experiments": [point(place * 10 + step)]}
            ids += client.ok("POST", f"{S}/batch", body)["ids"]
        return ids

    made = at_once(*[lambda each=each, place=place: put(each, place) for place, each in enumerate(clients)])
    found = program.ok("GET", S)
    assert sorted(found["ids"]) == sorted(id for mine in made for id in mine) and found["n_staged"] == 30
    assert program.ok("POST", f"{S}/complete", {"outputs": [1.0] * 30})["n_added"] == 30


def test_an_addition_that_is_sent_twice_at_once_is_one_row(
    urls: tuple[str, str], context: Context, another: Another
) -> None:
    program = Program(urls[0])
    session = program.begin()
    clients = [another(urls[each % 2], session, "same") for each in range(4)]
    body, key = {"inputs": POINTS[0], "output": 1.0}, {"Idempotency-Key": "run-1"}
    answers = at_once(
        *[lambda each=each: each.ok("POST", "experiments", body, headers=key) for each in clients]
    )
    assert [each["n_experiments"] for each in answers] == [1, 1, 1, 1]
    assert program.ok("POST", "experiments", body)["n_experiments"] == 2
