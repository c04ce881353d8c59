"""Label strategies as adapters: retried, visible, never lost; many at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import torch
from label_strategies import Doubles
from labqueue_physicsnemo import Driver, DriverConfig, StrategiesConfig, TrainingConfig
from labqueue_physicsnemo.cli import main
from labqueue_physicsnemo.folders import own_folder
from physicsnemo_programs import HERE, Labeller, environ
from torch import nn
from whole import Whole


class Puts:
    """Chooses these numbers, a list for each step."""

    def __init__(self, *steps: list[int]) -> None:
        self.steps = steps
        self.driver: Any = None

    def attach(self, driver: Any) -> None:
        self.driver = driver

    def sample(self, query_queue: Any) -> None:
        for x in self.steps[self.driver.active_learning_step_idx]:
            query_queue.put({"x": x})


def driver_for(folder: Path, run_id: str, query: Puts, label: Any = None, **more: Any) -> Driver:
    options = {"max_active_learning_steps": len(query.steps), "skip_training": True, **more}
    return Driver(
        DriverConfig(4, run_id=run_id, root_log_dir=folder, **options),
        nn.Linear(1, 1),
        StrategiesConfig([query], Queue, label),
        TrainingConfig([], 1),
    )


def xs(driver: Driver) -> list[int]:
    return [each["x"] for each in driver.train_datapool]


@contextmanager
def labelling(*labellers: Labeller) -> Iterator[None]:
    try:
        yield
    finally:
        for each in labellers:
            each.kill()
            print(each.text[-3000:])


def test_a_strategy_that_raises_loses_nothing(lab: Whole, tmp_path: Path) -> None:
    """Two steps of four items, and every second one raises: PhysicsNeMo's driver labels two of the eight."""
    label = Doubles(once=(1, 3, 5, 7), folder=str(tmp_path))
    driver = driver_for(tmp_path, "raises", Puts([0, 1, 2, 3], [4, 5, 6, 7]), label)
    driver()
    assert driver.train_datapool == [{"x": x, "y": 2 * x} for x in range(8)]
    assert driver.given_up == {} and driver.outstanding == 0


def test_what_is_given_up_is_shown_and_can_be_replayed(lab: Whole, tmp_path: Path) -> None:
    label = Doubles(never=(1,))
    driver = driver_for(
        tmp_path, "replayed", Puts([0, 1], [2], [3]), label, max_active_learning_steps=2, label_attempts=2
    )
    driver()
    assert xs(driver) == [0, 2]
    [(number, reason)] = driver.given_up.items()
    assert "1 diverges" in reason
    found = lab.client.experiment(number)
    assert found["state"] == "failed" and found["attempts_counted"] == 2
    log = (driver.log_dir / "replayed.log").read_text()
    assert "has no label (failed): given up after 2 attempts: RuntimeError: 1 diverges" in log
    label.never = ()
    lab.client.replay(number, "the solver is better now")
    driver.config.max_active_learning_steps = 3
    driver()
    assert sorted(xs(driver)) == [0, 1, 2, 3] and driver.given_up == {}


def test_eight_label_processes(lab: Whole, tmp_path: Path) -> None:
    """Each item once, and eight at the same time: each of the first eight waits for the other seven."""
    lab.client.put_queue("eight", lease_seconds=60, on_lost="requeue", max_attempts=3)
    (tmp_path / "label_strategies.py").write_text((HERE / "label_strategies.py").read_text())
    given = json.dumps({"folder": str(tmp_path), "together": 8})
    arguments = ["label_strategies.py:Meets", "--queue", "eight", "--arguments", given]
    labellers = [Labeller(tmp_path, lab.url, *arguments) for _ in range(8)]
    with labelling(*labellers):
        driver = driver_for(tmp_path, "eight", Puts(list(range(8)), list(range(8, 40))), queue="eight")
        driver()
    assert xs(driver) == [*range(40)] and driver.given_up == {}
    attempts = [each["attempts_counted"] for each in lab.client.experiments("physicsnemo-eight")]
    assert attempts == [0] * 40, "none was begun twice"
    assert len({each["name"] for each in lab.client.instruments() if each["queue"] == "eight"}) == 8


def test_attempts_have_directories_of_their_own(lab: Whole, tmp_path: Path) -> None:
    """The processes wait for the driver that makes their queue."""
    (tmp_path / "label_strategies.py").write_text((HERE / "label_strategies.py").read_text())
    arguments = ["label_strategies.py:Writes", "--queue", "folders"]
    labellers = [Labeller(tmp_path, lab.url, *arguments) for _ in range(2)]
    with labelling(*labellers):
        lab.until(lambda: all("no queue folders yet" in each.text for each in labellers), "they wait")
        driver = driver_for(tmp_path, "folders", Puts([0, 1, 2, 3], [4, 5]), queue="folders")
        driver()
        labellers[0].stop()
    pool = driver.train_datapool
    made = [each for each in pool if "folder" in each]
    assert [each["x"] for each in pool] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert len({each["folder"] for each in made}) == 6
    for each in made:
        assert Path(each["folder"], "out.txt").exists() and each["mesh"] == f"{each['folder']}/mesh"
        assert Path(each["folder"]).parent == tmp_path / "labels"
    assert [each["step"] for each in made] == [0, 0, 0, 0, 1, 1]


def test_the_driver_goes_on_with_a_share(lab: Whole, tmp_path: Path) -> None:
    """Nobody labels 1 for now: the run goes on with the others, and takes its label when it comes."""
    driver = driver_for(tmp_path, "share", Puts([0, 1, 2, 3], [4], []), queue="share", wait_for_share=0.5)

    def answer(*numbers: int) -> None:
        claim = {"instrument": "i", "adapter": "i.1"}
        while True:
            found = lab.client.claim("share", **claim, key=str(time.monotonic_ns()), most=10).experiments
            if not found:
                return
            for each in found:
                if each.payload["item"]["x"] in numbers:
                    lab.client.start([each.lease])
                    lab.client.post_results([result(lab, each)])
                else:
                    lab.client.release(each.lease)
            return

    driver._progress.phase = "query"
    driver.config.wait_at_most = 0.0
    driver.active_learning_step()  # chosen, and nobody labels: the time is over at once
    assert driver.outstanding == 4 and xs(driver) == []
    answer(0, 2, 3)
    driver.config.wait_at_most = None
    driver.active_learning_step()  # three of five are there, more than half
    assert xs(driver) == [0, 2, 3] and driver.outstanding == 2
    answer(1, 4)
    driver.active_learning_step()
    assert xs(driver) == [0, 2, 3, 1, 4] and driver.outstanding == 0


def result(lab: Whole, assignment: Any) -> dict[str, Any]:
    """What any other program than ours would send."""
    import hashlib
    import io
    import uuid

    text = json.dumps([assignment.payload["item"]]).encode()
    digest = hashlib.sha256(text).hexdigest()
    lab.client.put_artifact(digest, lambda: io.BytesIO(text), len(text))
    return {
        "id": str(uuid.uuid4()),
        "experiment": assignment.experiment,
        "lease": assignment.lease,
        "outputs": {"items": 1},
        "artifacts": [{"name": "labelled.json", "sha256": digest}],
    }


def test_large_items_cross_as_artifacts(lab: Whole, tmp_path: Path) -> None:
    fields = [torch.randn(3, 40, 40), torch.randn(2, 2)]

    class Fields(Puts):
        def sample(self, query_queue: Any) -> None:
            for field in fields:
                query_queue.put((field, {"re": 1e6, "case": "wing"}))

    class Pressure:
        def label(self, queue_to_label: Any, serialize_queue: Any) -> None:
            field, about = queue_to_label.get()
            serialize_queue.put((field, about, field.sum(0)))

    driver = driver_for(tmp_path, "large", Fields([0]), Pressure())
    driver()
    for (field, about, pressure), sent in zip(driver.train_datapool, fields, strict=True):
        assert torch.equal(field, sent) and torch.equal(pressure, sent.sum(0))
        assert about == {"re": 1e6, "case": "wing"} and list(about) == ["re", "case"]
    large, small = lab.client.experiments("physicsnemo-large")
    assert "artifact" in large["payload"] and "item" in small["payload"]


def test_a_strategy_whose_constructor_alone_knows_its_directory(tmp_path: Path) -> None:
    from labqueue_physicsnemo.protocols import LabelStrategy

    class Hides(LabelStrategy):
        def __init__(self, working_dir: Path, mesh: int = 3) -> None:
            self._hidden = [working_dir / "cases"]
            self.size = mesh

    strategy = Hides(tmp_path / "shared", mesh=7)
    with own_folder(strategy, tmp_path / "attempt") as working:
        assert working._hidden == [tmp_path / "attempt" / "cases"] and working.size == 7
    assert strategy._hidden == [tmp_path / "shared" / "cases"] and not (tmp_path / "attempt").exists()


def test_a_label_process_needs_no_torch() -> None:
    program = (
        "import sys, labqueue_physicsnemo.cli; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], env=environ(HERE, ""), check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Reveal"], "names no class"),
        (["no_such_module:Reveal"], "cannot be imported"),
        (["strategies:Nothing"], "has no Nothing"),
        (["strategies:F1"], "no label strategy"),
        (["strategies:Reveal", "--arguments", "{"], "no JSON"),
        (["strategies:Reveal", "--arguments", "[]"], "must be a JSON object"),
        (["strategies:Reveal"], "cannot be made"),
    ],
)
def test_the_command_says_what_is_wrong(
    lab: Whole, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["label", *arguments, "--folder", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err
