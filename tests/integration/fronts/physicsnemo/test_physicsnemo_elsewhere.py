"""A run goes on where its newest checkpoint was on any machine: killed anywhere, its folder gone, begun elsewhere."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import whole as whole_module
from labqueue_physicsnemo import Driver
from labqueue_physicsnemo.upstream import Upstream
from physicsnemo_programs import messages, moons, staged
from run import driver_for, training_step
from servers import Servers
from whole import Whole

from labqueue.client import Client

OPTIONS = {"steps": 3, "samples": 4, "epochs": 4, "lease_seconds": 2.0, "label_attempts": 20}
#: One start each, in this order, each in an empty folder.
DEATHS = [
    ("put", "1"),  # nothing is there yet
    ("put", "4"),  # of the first point, all but its last file is there
    ("publish", "1"),  # all files, and nothing that names them
    ("published", "1"),
    ("training", "3"),
    ("body", "1"),  # in the middle of the model
    ("publish", "1"),
    ("get", "3"),  # while the point is fetched
    ("taken", "1"),  # it is fetched, and not the newest here
    ("drop", "2"),  # with the new point, half of the old one is there
    ("sample", "1"),
    ("staged", "1"),
    ("label", "3"),
    ("append", "2"),
    ("put", "6"),  # in the middle of a point
    ("published", "2"),
    ("send", "4"),
    ("body", "4"),
]


def latest(lab: Whole, run_id: str, folder: Path) -> dict[str, Any]:
    """The newest point on the server."""
    lab.client.file(f"physicsnemo-{run_id}", "latest.json", folder / "seen.json")
    found: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return found


def names(lab: Whole, run_id: str) -> set[str]:
    return {each["name"] for each in lab.client.files(f"physicsnemo-{run_id}")}


def needed(body: dict[str, Any]) -> set[str]:
    return {"latest.json", *(each["name"] for each in [*body["files"].values(), *body["log"]])}


@pytest.fixture(scope="module")
def calm(stack: Whole, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The same run without any kill, and without the server's copy."""
    folder = tmp_path_factory.mktemp("calm")
    found = moons(folder, stack.url, "at-home", {**OPTIONS, "keep_on_server": False})
    assert found is not None and names(stack, "at-home") == set()
    return folder, found


# -- killed


@pytest.mark.timeout(600)
def test_killed_everywhere_with_its_folder_lost_each_time(
    lab: Whole, tmp_path: Path, calm: tuple[Path, dict[str, Any]]
) -> None:
    died, found = 0, None
    for number, death in enumerate([*DEATHS, ()]):
        machine = tmp_path / f"machine-{number}"
        machine.mkdir()
        found = moons(machine, lab.url, "nomad", OPTIONS, *death)
        if found is not None:
            break
        died += 1
        if (machine / "nomad").exists() and death[0] not in ("get", "taken"):
            assert Counter(messages(machine, "nomad")) <= Counter(messages(calm[0], "at-home"))
        shutil.rmtree(machine / "nomad")
    assert died >= 16, died
    folder, expected = calm
    assert found == expected
    assert staged(lab, "nomad") == staged(lab, "at-home")
    assert Counter(messages(machine, "nomad")) == Counter(messages(folder, "at-home"))
    assert names(lab, "nomad") == needed(latest(lab, "nomad", tmp_path)), "nothing is left over"


def test_an_older_folder_goes_on_from_the_server(
    lab: Whole, tmp_path: Path, calm: tuple[Path, dict[str, Any]]
) -> None:
    """The first machine comes back when another one has finished the run."""
    first, second = tmp_path / "first", tmp_path / "second"
    for each in (first, second):
        each.mkdir()
    assert moons(first, lab.url, "back", OPTIONS, "sample", "2") is None
    before = messages(first, "back")
    assert moons(second, lab.url, "back", OPTIONS) == calm[1]
    done = latest(lab, "back", tmp_path)
    assert moons(first, lab.url, "back", OPTIONS) == calm[1]
    assert latest(lab, "back", tmp_path) == done
    after = messages(first, "back")
    assert len(after) > len(before) and after == messages(second, "back")
    assert Counter(after) == Counter(messages(calm[0], "at-home"))


@pytest.mark.parametrize("death", [("put", "8"), ("publish", "3"), ("body", "7")])
def test_a_point_that_is_only_here_is_sent(
    lab: Whole, tmp_path: Path, calm: tuple[Path, dict[str, Any]], death: tuple[str, str]
) -> None:
    """Killed between the local write and the end of the upload, with its folder."""
    run_id = f"ahead-{death[0]}"
    assert moons(tmp_path, lab.url, run_id, OPTIONS, *death) is None
    points = tmp_path / run_id / "checkpoints"
    here = json.loads(
        (points / json.loads((points / "latest.json").read_text())["path"] / "checkpoint.json").read_text()
    )
    there = latest(lab, run_id, tmp_path)
    assert there["point"] != here["point"]
    assert moons(tmp_path, lab.url, run_id, OPTIONS, "send", "2") is None
    assert latest(lab, run_id, tmp_path)["point"] == here["point"]
    shutil.rmtree(tmp_path / run_id)
    assert moons(tmp_path, lab.url, run_id, OPTIONS) == calm[1]
    assert Counter(messages(tmp_path, run_id)) == Counter(messages(calm[0], "at-home"))
    assert names(lab, run_id) == needed(latest(lab, run_id, tmp_path))


# -- in this process


def make(folder: Path, run_id: str, **more: Any) -> Driver:
    return driver_for(
        "mixed", run_id, folder, **{"steps": 3, "samples": 4, "epochs": 2, "lease_seconds": 2.0, **more}
    )


def step(driver: Driver) -> None:
    driver.active_learning_step(training_step)


def pool(driver: Driver) -> list[int]:
    return [int(each["index"]) for each in driver.train_datapool]


def same(one: Driver, two: Driver) -> bool:
    pairs = zip(one.learner.state_dict().values(), two.learner.state_dict().values(), strict=True)
    return pool(one) == pool(two) and all(torch.equal(a, b) for a, b in pairs)


def test_a_second_driver_elsewhere(lab: Whole, tmp_path: Path) -> None:
    """Whoever saves first goes on; the other is told, changes nothing, and goes on from there when started again."""
    first = make(tmp_path / "a", "two")
    step(first)
    more = {"steps": 3, "samples": 4, "epochs": 2, "lease_seconds": 2.0}
    assert moons(tmp_path / "b", lab.url, "two", more, "send", "2") is None
    published = latest(lab, "two", tmp_path)
    assert (published["step"], published["phase"]) == (1, "metrology")
    with pytest.raises(
        RuntimeError, match=r"Another driver runs 'two'.*step 1, before metrology.*Stop one"
    ) as told:
        step(first)
    assert lab.url in str(told.value) and "started again" in str(told.value)
    with pytest.raises(RuntimeError, match="Another driver"):
        first.save_checkpoint()
    assert latest(lab, "two", tmp_path) == published
    assert names(lab, "two") >= needed(published)
    assert not [each for each in names(lab, "two") if first._progress.point in each]
    first.close()
    again = make(tmp_path / "a", "two")
    assert again._progress.point == published["point"]
    step(again)
    again.close()
    found = moons(tmp_path / "b", lab.url, "two", more)
    assert found is not None and found["pool"][:28] == pool(again)
    assert len(staged(lab, "two")) == 12


def test_another_way_from_an_old_checkpoint_is_the_newest(lab: Whole, tmp_path: Path) -> None:
    first = make(tmp_path / "a", "other-way")
    for _ in range(2):
        step(first)
    first.close()
    point = first.log_dir / "checkpoints" / "step_0" / "labeling"
    arguments = (first.learner, first.strategies_config, first.training_config)
    old = Driver(first.config, *arguments, checkpoint=point)
    assert old.active_learning_step_idx == 0
    old.save_checkpoint()
    old.close()
    body = latest(lab, "other-way", tmp_path)
    assert (body["step"], body["phase"]) == (0, "labeling")
    again = make(tmp_path / "b", "other-way")
    assert again.active_learning_step_idx == 0
    again.close()
    here, there = (tmp_path / each / "other-way" / "other-way.log" for each in "ab")
    assert there.read_text() == here.read_text()


def test_only_what_is_new_is_sent(lab: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that did not change is not sent again, and a line of the log only as often as the log doubles."""
    sent: list[tuple[str, int]] = []
    put = Client.put_file

    def counting(self: Client, campaign: str, name: str, open_file: Any, size: int, **more: Any) -> Any:
        sent.append((name, size))
        return put(self, campaign, name, open_file, size, **more)

    monkeypatch.setattr(Client, "put_file", counting)
    driver = make(tmp_path, "lean", steps=8, samples=1, epochs=1)
    for number in range(8):
        step(driver)
        for line in range(10):
            driver.logger.info("line %d of step %d", line, number)
        body = latest(lab, "lean", tmp_path)
        assert names(lab, "lean") == needed(body)
        assert len(body["log"]) <= 2 + len(bin(sum(each["size"] for each in body["log"]) // 100))
    driver.save_checkpoint()
    body = latest(lab, "lean", tmp_path)
    whole = driver._log_path.stat().st_size
    assert sum(each["size"] for each in body["log"]) == whole
    models = [name for name, _ in sent if name.endswith("/model_state.pt")]
    points = [name for name, _ in sent if name == "latest.json"]
    assert len(points) == 8 * 4 + 2 and len(models) == 1 + 8
    log = sum(size for name, size in sent if name.startswith("log/"))
    assert log < 4 * whole, (log, whole)
    driver.close()


def test_what_others_keep_in_the_folder_stays(lab: Whole, tmp_path: Path) -> None:
    first = make(tmp_path / "a", "shared", steps=1)
    step(first)
    first.close()
    note = tmp_path / "note"
    note.write_text("mesh 4")
    lab.client.put_file("physicsnemo-shared", "notes/mesh", lambda: note.open("rb"), 6)
    second = make(tmp_path / "b", "shared", steps=2)
    step(second)
    second.close()
    assert "notes/mesh" in names(lab, "shared")


def test_labels_are_read_again_from_results(lab: Whole, tmp_path: Path) -> None:
    """One that is lost here, and one that is damaged."""
    first = make(tmp_path, "labels", steps=2)
    step(first)
    first.close()
    labels = sorted((first.log_dir / "checkpoints" / "labels").iterdir())
    texts = [each.read_text() for each in labels]
    labels[0].unlink()
    labels[1].write_text(texts[2])
    again = make(tmp_path, "labels", steps=2)
    assert pool(again) == pool(first) and [each.read_text() for each in labels] == texts
    again.close()


@pytest.mark.parametrize("name", ["model_state.pt", "checkpoint.json"])
def test_a_file_that_somebody_changed_is_refused(lab: Whole, tmp_path: Path, name: str) -> None:
    run_id = f"tampered-{name[:5]}"
    driver = make(tmp_path / "a", run_id, steps=1)
    driver.save_checkpoint()
    driver.close()
    entry = latest(lab, run_id, tmp_path)["files"][name]
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"{}")
    lab.client.put_file(f"physicsnemo-{run_id}", entry["name"], lambda: wrong.open("rb"), 2)
    with pytest.raises(RuntimeError, match=r"is not what latest\.json says"):
        make(tmp_path / "b", run_id, steps=1)
    assert not (tmp_path / "b" / run_id / "checkpoints" / "latest.json").exists()


def test_a_server_that_is_away_is_waited_for(
    lab: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make(tmp_path, "patient", steps=1)
    ready, gone, publish = threading.Event(), threading.Event(), Upstream._publish

    def without_server(self: Upstream, body: dict[str, Any]) -> None:
        ready.set()
        assert gone.wait(whole_module.PATIENCE)
        publish(self, body)

    monkeypatch.setattr(Upstream, "_publish", without_server)
    saves = threading.Thread(target=driver.save_checkpoint)
    saves.start()
    assert ready.wait(whole_module.PATIENCE)
    lab.kill("api")
    gone.set()
    lab.until(lambda: not saves.is_alive(), "it is saved")
    assert latest(lab, "patient", tmp_path)["point"] == driver._progress.point
    driver.close()


def test_a_model_that_is_larger_than_the_server_takes(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so once, and the run goes on with its own folder; nothing of it stays there."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("LABQUEUE_TOKEN", raising=False)
    with whole_module.whole(servers, LABQUEUE_FILE_LIMIT="1024") as small:
        monkeypatch.setenv("LABQUEUE_URL", small.url)
        driver = make(tmp_path, "large", steps=1)
        driver.logger.propagate = True
        with caplog.at_level(logging.WARNING):
            step(driver)
        warned = [each.getMessage() for each in caplog.records if "LABQUEUE_FILE_LIMIT" in each.getMessage()]
        assert len(warned) == 1 and "1,024 bytes" in warned[0] and str(driver._points.folder) in warned[0]
        assert names(small, "large") == set() and len(pool(driver)) == 24
        driver.close()
        again = make(tmp_path, "large", steps=2)
        assert again.active_learning_step_idx == 1
        step(again)
        again.close()
