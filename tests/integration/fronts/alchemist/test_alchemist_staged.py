"""Staged experiments: what is staged, and results by position that are never paired wrongly."""

from __future__ import annotations

from typing import Any

import pytest
from alchemist_lab import POINTS, Another, Program

from services.fronts.alchemist.staged import staging

S = "experiments/staged"


def point(temperature: float) -> dict[str, Any]:
    return {"temperature": temperature, "stirring": 300, "catalyst": "Pt"}


def outputs(program: Program) -> list[tuple[float, float]]:
    found = program.ok("GET", "experiments")["experiments"]
    return [(each["temperature"], each["Output"]) for each in found]


def test_the_documented_loop(program: Program) -> None:
    program.begin()
    staged = program.ok("POST", S, {"inputs": POINTS[0], "reason": "qEI"})
    assert staged == {
        "message": "Experiment staged successfully",
        "n_staged": 1,
        "staged_inputs": POINTS[0],
    }
    batch = program.ok("POST", f"{S}/batch", {"experiments": POINTS[1:3]})
    assert (batch["n_staged"], batch["reason"], batch["reasons"], len(batch["ids"])) == (3, None, None, 2)
    found = program.ok("GET", S)
    assert found["experiments"] == POINTS[:3] and found["ids"][1:] == batch["ids"]
    assert (found["n_staged"], found["reason"], found["reasons"]) == (3, "qEI", ["qEI", None, None])
    body = {"outputs": [1.0, 2.0, 3.0], "noises": [0.1, 0.2, 0.3], "reason": "later", "iteration": 4}
    assert program.ok("POST", f"{S}/complete", body) == {
        "message": "Staged experiments completed and added to dataset",
        "n_added": 3,
        "n_experiments": 3,
        "model_trained": False,
        "training_metrics": None,
    }
    rows = program.ok("GET", "experiments")["experiments"]
    assert [each["Output"] for each in rows] == [1.0, 2.0, 3.0]
    assert [each["Noise"] for each in rows] == [0.1, 0.2, 0.3]
    assert [each["Reason"] for each in rows] == ["qEI", "later", "later"]
    assert [each["Iteration"] for each in rows] == [4, 4, 4]
    assert [each["ProvenanceId"] for each in rows] == found["ids"]
    assert program.ok("GET", S) == {
        "experiments": [],
        "n_staged": 0,
        "reason": None,
        "reasons": [],
        "ids": [],
    }
    again = program.ok("POST", f"{S}/complete", {"outputs": []})
    assert (again["message"], again["n_added"]) == ("No staged experiments to complete", 0)


def test_what_cannot_be_staged_is_refused_and_batches_are_whole(program: Program) -> None:
    program.session = program.ok("POST", "/sessions")["session_id"]
    refused = program.refused(400, "POST", S, {"inputs": {"x": 1}})
    assert refused["error_type"] == "NoVariablesError"
    program.begin()
    bad: list[tuple[dict[str, Any], str]] = [
        ({"temperature": 30.0, "stirring": 300}, "Missing search space variables in inputs: {'catalyst'}"),
        ({**POINTS[0], "colour": 1}, "Unknown input key(s) ['colour']"),
        ({**POINTS[0], "catalyst": "Au"}, "'Au'"),
        ({**POINTS[0], "temperature": 500.0}, "temperature"),
    ]
    for inputs, words in bad:
        refused = program.refused(400, "POST", S, {"inputs": inputs})
        assert refused["error_type"] == "ValueError" and words in refused["detail"], refused
        refused = program.refused(400, "POST", f"{S}/batch", {"experiments": [POINTS[0], inputs]})
        assert "item 2" in refused["detail"]
    assert program.refused(422, "POST", S, {})["error_type"] == "ValidationError"
    assert program.ok("GET", S)["n_staged"] == 0
    assert program.ok("POST", f"{S}/batch", {"experiments": []})["ids"] == []
    refused = program.refused(
        404, "POST", "/sessions/0f8d2a53-6a0e-4c1c-9f0e-7f0b8a1c2d35/" + S, {"inputs": {}}
    )
    assert refused["error_type"] == "SessionNotFoundError"


def test_numbers_of_outputs_must_fit(program: Program) -> None:
    program.begin()
    program.ok("POST", f"{S}/batch", {"experiments": POINTS[:3]})
    refused = program.refused(400, "POST", f"{S}/complete", {"outputs": [1.0]})
    assert refused["detail"] == "Number of outputs (1) must match number of staged experiments (3)"
    refused = program.refused(400, "POST", f"{S}/complete", {"outputs": [1, 2, 3], "noises": [0.1]})
    assert refused["detail"] == "Number of noise values (1) must match number of staged experiments (3)"
    refused = program.refused(400, "POST", f"{S}/complete", {"outputs": [1, 2, 3], "noises": [0.1, -1, 0]})
    assert "non-negative" in refused["detail"]
    text = '{"outputs": [1, 2, NaN]}'
    answer = program.http.post(f"/sessions/{program.session}/{S}/complete", content=text)
    assert (answer.status_code, answer.json()["error_type"]) == (400, "ValueError")
    assert program.refused(422, "POST", f"{S}/complete", {"outputs": ["a", 1, 2]})
    assert program.ok("GET", S)["n_staged"] == 3
    assert program.ok("POST", f"{S}/complete", {"outputs": [1, 2, 3]})["n_added"] == 3


def test_outputs_are_never_paired_with_other_experiments(
    program: Program, url: str, another: Another
) -> None:
    """What ALchemist stores as (2, 10), (9, 20)."""
    session = program.begin()
    program.ok("POST", f"{S}/batch", {"experiments": [point(21), point(22)]})
    a, b = another(url, session, "a"), another(url, session, "b")
    assert a.ok("GET", S)["n_staged"] == 2
    b.ok("DELETE", f"experiments/queue/{b.ok('GET', S)['ids'][0]}")
    b.ok("POST", S, {"inputs": point(29)})
    refused = a.refused(409, "POST", f"{S}/complete", {"outputs": [10.0, 20.0], "noises": [0.5, 0.25]})
    assert set(refused) == {"detail"} and "changed" in refused["detail"]
    assert outputs(program) == [] and program.ok("GET", S)["n_staged"] == 2

    kept = program.ok("GET", "experiments/unpaired")["unpaired"]
    assert len(kept) == 1 and kept[0]["outputs"] == [10.0, 20.0] and kept[0]["noises"] == [0.5, 0.25]
    # Asked again it is kept once.
    a.refused(409, "POST", f"{S}/complete", {"outputs": [10.0, 20.0], "noises": [0.5, 0.25]})
    assert program.ok("GET", "experiments/unpaired")["n_unpaired"] == 1
    # A person knows what they belong to: the first was deleted, so she stages it again.
    program.ok("POST", S, {"inputs": point(21)})
    ids = program.ok("GET", S)["ids"]
    path = f"experiments/unpaired/{kept[0]['name']}/assign"
    assert "must match" in program.refused(400, "POST", path, {"item_ids": ids[:1]})["detail"]
    for _ in range(2):
        assert program.ok("POST", path, {"item_ids": [ids[2], ids[0]]})["assigned"] == [ids[2], ids[0]]
    program.refused(409, "POST", path, {"item_ids": ids[:2]})
    assert sorted(outputs(program)) == [(21.0, 10.0), (22.0, 20.0)]
    assert program.ok("GET", "experiments/unpaired")["unpaired"] == []
    entries = [each["entry_type"] for each in program.ok("GET", "audit")["entries"]]
    assert entries.count("results_unpaired") == entries.count("results_assigned") == 1
    assert program.ok("GET", S)["experiments"] == [point(29)]


def test_nor_by_programs_that_look_the_same(program: Program) -> None:
    program.begin()
    ids = program.ok("POST", f"{S}/batch", {"experiments": [point(21), point(22)]})["ids"]
    program.ok("GET", S)
    program.ok("DELETE", f"experiments/queue/{ids[0]}")
    program.ok("POST", S, {"inputs": point(29)})
    program.refused(409, "POST", f"{S}/complete", {"outputs": [10.0, 20.0]})
    assert outputs(program) == []
    # Whoever reads again goes on, and what was kept is settled by the same outputs.
    program.ok("GET", S)
    assert program.ok("POST", f"{S}/complete", {"outputs": [10.0, 20.0]})["n_added"] == 2
    assert program.ok("GET", "experiments/unpaired")["unpaired"] == []


def test_a_program_knows_what_it_took_out_itself(program: Program) -> None:
    program.begin()
    ids = program.ok("POST", f"{S}/batch", {"experiments": [point(t) for t in (21, 22, 23, 24)]})["ids"]
    program.ok("DELETE", f"experiments/queue/{ids[0]}")
    program.ok("POST", f"experiments/queue/{ids[1]}/start")
    program.ok("POST", f"experiments/queue/{ids[1]}/complete", {"outputs": [2.0]})
    assert program.ok("POST", f"{S}/complete", {"outputs": [3.0, 4.0]})["n_added"] == 2
    assert outputs(program) == [(22.0, 2.0), (23.0, 3.0), (24.0, 4.0)]
    assert program.ok("DELETE", S)["n_cleared"] == 0
    program.ok("POST", f"{S}/batch", {"experiments": [point(31), point(32)]})
    assert program.ok("DELETE", S) == {"message": "Staged experiments cleared", "n_cleared": 2}
    program.ok("POST", S, {"inputs": point(33)})
    assert program.ok("POST", f"{S}/complete", {"outputs": [5.0]})["n_added"] == 1


def test_who_never_read_has_the_list_of_who_read_or_staged_last(
    program: Program, url: str, another: Another
) -> None:
    session = program.begin()
    silent = another(url, session, "silent")
    for first in (0, 2):
        program.ok("POST", f"{S}/batch", {"experiments": POINTS[first : first + 2]})
        done = silent.ok("POST", f"{S}/complete", {"outputs": [first + 1.0, first + 2.0]})
        assert done["n_added"] == 2
    assert silent.ok("POST", f"{S}/complete", {"outputs": [3.0, 4.0]}) == done
    # Its answer was lost, and the next list is there already: it must not be taken for this one's results.
    program.ok("POST", f"{S}/batch", {"experiments": POINTS[4:6]})
    assert "very same" in silent.refused(409, "POST", f"{S}/complete", {"outputs": [3.0, 4.0]})["detail"]
    assert silent.ok("POST", f"{S}/complete", {"outputs": [5.0, 6.0]})["n_experiments"] == 6
    late = another(url, session, "another")
    late.refused(409, "POST", f"{S}/complete", {"outputs": [5.5, 6.5]})
    found = program.ok("GET", "experiments/unpaired")["unpaired"]
    assert [each["outputs"] for each in found] == [[3.0, 4.0], [5.5, 6.5]]


def test_a_lost_answer_is_given_again(program: Program) -> None:
    program.begin()
    program.ok("POST", f"{S}/batch", {"experiments": POINTS[:2]})
    first = program.ok("POST", f"{S}/complete", {"outputs": [1.0, 2.0]})
    assert program.ok("POST", f"{S}/complete", {"outputs": [1.0, 2.0]}) == first
    assert len(outputs(program)) == 2
    # The same numbers for the next list are no repetition.
    program.ok("POST", f"{S}/batch", {"experiments": POINTS[2:4]})
    assert program.ok("POST", f"{S}/complete", {"outputs": [1.0, 2.0]})["n_experiments"] == 4
    # Others of the same name, too late for that list, lose nothing.
    program.refused(409, "POST", f"{S}/complete", {"outputs": [7.0, 8.0]})
    assert program.ok("GET", "experiments/unpaired")["unpaired"][0]["outputs"] == [7.0, 8.0]


def test_a_staging_that_is_sent_again_is_one(program: Program) -> None:
    program.begin()
    key = {"Idempotency-Key": "plate-7"}
    first = program.ok("POST", f"{S}/batch", {"experiments": POINTS[:2]}, headers=key)
    assert program.ok("POST", f"{S}/batch", {"experiments": POINTS[:2]}, headers=key) == first
    assert "key" in program.refused(409, "POST", S, {"inputs": POINTS[3]}, headers=key)["detail"]
    assert program.ok("POST", f"{S}/complete", {"outputs": [1.0, 2.0]})["n_added"] == 2


def test_running_items_of_the_list_that_was_read_refuse_the_batch(
    program: Program, url: str, another: Another
) -> None:
    session = program.begin()
    ids = program.ok("POST", f"{S}/batch", {"experiments": POINTS[:3]})["ids"]
    worker = another(url, session, "worker")
    worker.ok("POST", f"experiments/queue/{ids[0]}/start")
    refused = program.refused(409, "POST", f"{S}/complete", {"outputs": [1.0, 2.0, 3.0]})
    assert refused["detail"].startswith("Batch complete is unavailable while items are running.")
    program.ok("GET", S)
    assert program.ok("POST", f"{S}/complete", {"outputs": [2.0, 3.0]})["n_added"] == 2
    assert worker.ok("POST", f"experiments/queue/{ids[0]}/complete", {"outputs": [1.0]})["status"] == "done"


def test_nothing_staged_is_no_error_and_loses_nothing(program: Program) -> None:
    program.begin()
    found = program.ok("POST", f"{S}/complete", {"outputs": [5.0]})
    assert (found["message"], found["n_added"]) == ("No staged experiments to complete", 0)
    assert program.ok("GET", "experiments/unpaired")["unpaired"][0]["outputs"] == [5.0]


def test_a_split_plot_item_keeps_its_place(program: Program) -> None:
    program.begin()
    inputs = {**POINTS[0], "WholePlot": 2, "RunOrder": 5}
    program.ok("POST", S, {"inputs": inputs})
    assert program.ok("GET", S)["experiments"] == [inputs]
    item = program.ok("GET", "experiments/queue")["items"][0]
    assert item["inputs"] == POINTS[0] and item["plot"] == {"WholePlot": 2, "RunOrder": 5}
    program.ok("POST", f"{S}/complete", {"outputs": [1.0]})
    row = program.ok("GET", "experiments")["experiments"][0]
    assert (row["WholePlot"], row["RunOrder"]) == (2, 5)


@pytest.mark.parametrize("enough", [True, False])
def test_a_model_follows_where_it_is_wished(program: Program, enough: bool) -> None:
    program.begin()
    count = 5 if enough else 4
    program.ok("POST", f"{S}/batch", {"experiments": POINTS[:count]})
    values = [float(each) for each in range(count)]
    done = program.ok("POST", f"{S}/complete?auto_train=true", {"outputs": values})
    assert done["n_added"] == count and done["model_trained"] is enough
    metrics = done["training_metrics"]
    assert metrics is None if not enough else set(metrics) == {"rmse", "r2", "backend"}


def test_the_labels_of_a_row_are_no_inputs(program: Program) -> None:
    """ALchemist's page stages its suggestions with the iteration that they will belong to."""
    program.begin()
    point = {**POINTS[0], "Iteration": 10, "Reason": "EI"}
    program.ok("POST", "experiments/staged/batch", {"experiments": [point]})
    listed = program.ok("GET", "experiments/staged")
    assert (listed["experiments"], listed["reasons"]) == ([POINTS[0]], ["EI"])


def test_beyond_what_is_counted_the_list_is_as_long_as_its_last_reader_knew(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "COUNTED", 2)
    program.begin()
    counts = [program.ok("POST", "experiments/staged", {"inputs": each})["n_staged"] for each in POINTS]
    assert counts == [1, 2, 3, 4, 5, 6]
    program.ok("DELETE", "experiments/staged")
    assert program.ok("POST", "experiments/staged", {"inputs": POINTS[0]})["n_staged"] == 1
