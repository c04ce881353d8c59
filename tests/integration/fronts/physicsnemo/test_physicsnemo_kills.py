"""kill -9 of a driver anywhere, of a label process in the middle: nothing is lost, nothing is doubled."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from physicsnemo_programs import Labeller, Moons, messages, moons, staged
from whole import Whole

OPTIONS = {
    "steps": 3, "samples": 4, "epochs": 4, "model_checkpoint_frequency": 2, "lease_seconds": 2.0, "label_attempts": 20,
}  # fmt: skip
#: One start each, in this order; a start that does not come that far ends the run.
DEATHS = [
    ("training", "3"),
    ("epoch", "2"),
    ("compute", "1"),
    ("sample", "1"),
    ("stage", "1"),
    ("staged", "1"),
    ("label", "3"),
    ("collect", "1"),
    ("append", "2"),
    ("saved", "2"),
    ("fsync", "21"),
]


@pytest.fixture(scope="module")
def calm(stack: Whole, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The same run without any kill."""
    folder = tmp_path_factory.mktemp("calm")
    found = moons(folder, stack.url, "calm", OPTIONS)
    assert found is not None
    return folder, found


def test_a_driver_killed_everywhere_learns_the_same(
    lab: Whole, tmp_path: Path, calm: tuple[Path, dict[str, Any]]
) -> None:
    left, died, found = list(DEATHS), 0, None
    while found is None:
        death = left.pop(0) if left else ()
        found = moons(tmp_path, lab.url, "killed", OPTIONS, *death)
        died += found is None
    assert died >= 9, died
    folder, expected = calm
    assert found == expected
    assert staged(lab, "killed") == staged(lab, "calm")
    assert Counter(messages(tmp_path, "killed")) == Counter(messages(folder, "calm"))
    files = {each.name: each.read_text() for each in (tmp_path / "killed" / "metrology").rglob("*.json")}
    assert json.loads(files["f1_metrology.json"])[0] == expected["records"][0]


def test_a_run_that_is_over_stays_over(lab: Whole, calm: tuple[Path, dict[str, Any]]) -> None:
    folder, expected = calm
    before = messages(folder, "calm")
    assert moons(folder, lab.url, "calm", OPTIONS) == expected
    assert messages(folder, "calm") == before


def test_a_driver_that_is_asked_to_stop(lab: Whole, tmp_path: Path) -> None:
    """The label that is being made ends first; no attempt is lost, and the next start goes on at once."""
    options = {"steps": 1, "samples": 4, "epochs": 1, "seconds": 0.5}
    driver = Moons(tmp_path, lab.url, "asked", options)
    lab.until(lambda: running(lab, "physicsnemo-asked"), "a label is being made")
    driver.process.terminate()
    _, err = driver.process.communicate(timeout=60)
    assert driver.process.returncode != 0 and "goes on from here" in err
    found = moons(tmp_path, lab.url, "asked", options)
    assert found is not None and len(found["pool"]) == 24
    attempts = "SELECT count(*) FROM attempts JOIN experiments ON experiments.id = attempts.experiment_id "
    assert lab.one(attempts + "WHERE experiments.queue = 'physicsnemo-asked' AND started_at IS NOT NULL") == 4


def running(lab: Whole, queue: str) -> bool:
    """Whether somebody labels an item of this queue."""
    sql = "SELECT 1 FROM attempts JOIN experiments ON experiments.id = attempts.experiment_id WHERE experiments.queue = %s "
    return bool(lab.rows(sql + "AND attempts.ended_at IS NULL AND attempts.started_at IS NOT NULL", queue))


def test_label_processes_killed_in_mid_label(
    lab: Whole, tmp_path: Path, calm: tuple[Path, dict[str, Any]]
) -> None:
    """Their items go to others, and the run learns what it would have learnt."""
    lab.client.put_queue("kills", lease_seconds=1.0, on_lost="requeue", max_attempts=20)
    arguments = ["--queue", "kills", "--arguments", json.dumps({"seed": 1, "seconds": 0.4})]
    workers = [Labeller(tmp_path, lab.url, "strategies:Reveal", *arguments) for _ in range(3)]
    driver = Moons(tmp_path, lab.url, "worked", {**OPTIONS, "adapters": True, "queue": "kills"})
    try:
        for number in range(3):
            lab.until(lambda: running(lab, "kills"), "a label is being made")
            workers[number].kill()
            workers.append(Labeller(tmp_path, lab.url, "strategies:Reveal", *arguments))
        found = driver.result()
    finally:
        driver.process.kill()
        for each in workers:
            each.kill()
            print(each.text[-2000:])
    assert found == calm[1]
    assert staged(lab, "worked") == staged(lab, "calm")
