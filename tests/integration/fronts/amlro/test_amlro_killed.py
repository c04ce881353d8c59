"""Programs that are killed anywhere, and copies side by side: nothing is lost, and nothing is measured for nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from amlro_lab import CONFIG, FEATURES, Programs, lines, rows, the_campaign
from labqueue_amlro.campaign import campaign_name

from labqueue.client import Client

SCRIPT = f"""
import signal
import sys
import time
from pathlib import Path
from amlro.generate_reaction_conditions import *
from amlro.generate_training_data import *
from amlro.optimizer import *

config = {CONFIG!r}
exp_dir, size, wanted = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
get_reaction_scope(config=config, sampling="random", training_size=size, write_files=True, exp_dir=exp_dir)


def objective_function(parameters):
    with open(os.path.join(exp_dir, "diary"), "a") as diary:
        diary.write(",".join(map(str, parameters)) + "\\n")
    if len(open(diary.name).readlines()) == int(os.environ.get("DIE_AFTER_MEASUREMENT", 0)):
        os.kill(os.getpid(), signal.SIGKILL)
    # Side by side: nobody goes on before every copy has a condition.
    (Path(exp_dir) / f"copy-{{os.getpid()}}").touch()
    until = time.monotonic() + 120
    while len(list(Path(exp_dir).glob("copy-*"))) < int(os.environ.get("COPIES", 1)):
        assert time.monotonic() < until, "the others never came"
        time.sleep(0.01)
    if "DIE_TOGETHER" in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
    return [float(parameters[0]) * float(parameters[1])]


parameters, objectives = [], []
while True:
    parameters = generate_training_data(exp_dir=exp_dir, config=config, parameters=parameters, obj_values=objectives)
    if parameters is None:
        break
    objectives = objective_function(parameters)

parameters, objectives = [], []
while True:
    enough = len(pd.read_csv(os.path.join(exp_dir, "reactions_data.csv"))) + len(parameters) >= wanted
    parameters = get_optimized_parameters(
        exp_dir, config, parameters, objectives, model="knn", batch_size=2, termination=enough)
    if enough:
        break
    objectives = [objective_function(each) for each in parameters]
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path / "script.py"


@pytest.fixture
def exp_dir(tmp_path: Path) -> Path:
    return tmp_path / "experiment"


def check(exp_dir: Path, client: Client, count: int) -> list[tuple[Any, ...]]:
    """The books of an experiment at its end; returns what was measured, in order, each as often as it was."""
    campaign = campaign_name(exp_dir, "reactions_data.csv")
    results = list(client.results(campaign))
    assert Counter(each["verdict"] for each in results) == {"accepted": count}
    experiments = list(client.experiments(campaign))
    assert {each["state"] for each in experiments} == {"completed"}, "and nothing is left in flight"
    plans = [tuple(each["parameters"][name] for name in FEATURES) for each in experiments]
    assert len(plans) == len(set(plans)), "no condition was staged twice"
    training = {tuple(each.split(",")) for each in lines(exp_dir / "training_combo.csv")[1:]}
    asked = {(f"{t:.0f}", f"{x:.5f}", s) for t, x, s in plans}
    assert training <= asked
    measured = {tuple(map(str, each)) for each in plans}
    seen = [each.split(",") for each in rows(exp_dir, "reactions_data.csv")]
    assert len(seen) == count and len({tuple(each[:3]) for each in seen}) == count
    assert {(str(float(t)), x, s) for t, x, s, _ in (each.split(",") for each in rows(exp_dir))} <= measured
    assert all(float(t) * float(x) == float(y) for t, x, _, y in seen), "each has its own result"
    return [(float(t), float(x), s) for t, x, s in (each.split(",") for each in lines(exp_dir / "diary"))]


def test_killed_once_at_each_place(programs: Programs, client: Client, script: Path, tmp_path: Path) -> None:
    """Each place has a folder of its own: between any two requests, files and calls of the training."""
    place, code = 0, -9
    while code == -9:
        place += 1
        exp_dir = tmp_path / f"killed-{place}"
        code = programs.run(script, exp_dir, 2, 0, KILL_AT=place)
        programs.well(script, exp_dir, 2, 0)
        assert len(set(check(exp_dir, client, 2))) == 2
    assert place > 30


def test_killed_again_and_again(programs: Programs, client: Client, script: Path, exp_dir: Path) -> None:
    """Each run is killed one place later than the one before: between any two requests, files and calls."""
    place, code = 0, -9
    while code == -9:
        place += 1
        assert place < 300
        code = programs.run(script, exp_dir, 6, 12, KILL_AT=place)
    assert code == 0, programs.log.read_text()
    assert place > 20, "killed too rarely to mean anything"
    measured = check(exp_dir, client, 12)
    # A run that was killed between the measurement and the next call is measured again, the same condition.
    assert len(set(measured)) == 12


@pytest.mark.parametrize("measurement", [1, 3, 6, 7, 8])
def test_killed_between_measuring_and_telling(
    programs: Programs, client: Client, script: Path, exp_dir: Path, measurement: int
) -> None:
    """The same condition is handed out again, no other one, and nothing else is measured twice."""
    assert programs.run(script, exp_dir, 6, 10, DIE_AFTER_MEASUREMENT=measurement) == -9
    programs.well(script, exp_dir, 6, 10)
    measured = check(exp_dir, client, 10)
    again = [each for each, count in Counter(measured).items() if count > 1]
    # A batch of two that was measured in part is handed out again as a whole.
    assert again == (measured[6:8] if measurement == 8 else [measured[measurement - 1]])


def test_copies_side_by_side_cover_the_training_set_once(
    programs: Programs, client: Client, script: Path, exp_dir: Path
) -> None:
    exp_dir.mkdir()
    copies = [programs.start(script, exp_dir, 6, 0, COPIES=4) for _ in range(4)]
    assert [programs.ended(each) for each in copies] == [0] * 4, programs.log.read_text()
    measured = check(exp_dir, client, 6)
    assert len(measured) == len(set(measured)) == 6
    assert len({each["instrument"] for each in client.results(the_campaign(client))}) == 4


def test_copies_that_are_killed_leave_their_conditions_to_the_others(
    programs: Programs, client: Client, script: Path, exp_dir: Path
) -> None:
    exp_dir.mkdir()
    copies = [programs.start(script, exp_dir, 6, 0, COPIES=4, DIE_TOGETHER=1) for _ in range(4)]
    assert [programs.ended(each) for each in copies] == [-9] * 4, programs.log.read_text()
    programs.well(script, exp_dir, 6, 0)
    measured = check(exp_dir, client, 6)
    assert set(measured[:4]) == set(measured[4:8]) and len(measured) == 10, "theirs come first, then the rest"
