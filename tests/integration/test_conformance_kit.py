"""The conformance kit, run with adapters that are good and bad, each in processes of their own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from labqueue.cli import main
from labqueue.cli.targets import load
from labqueue.conformance import Finding, check_adapter
from labqueue.conformance.scenarios import SCENARIOS

LAB = r'''
import os, signal, sys
from labqueue.adapters import Subprocess

MOVES = 0

def count():
    return MOVES

def measure(experiment):
    global MOVES
    experiment.raise_if_cancelled()
    MOVES += 1
    return {"y": experiment.parameters["x"] * 2}

def deaf(experiment):
    return {"y": 1.0}

def creep():
    """A device that moves by itself, whenever one looks."""
    global MOVES
    MOVES += 1
    return MOVES

def nameless(experiment):
    return {"yy": 1.0}

def broken(experiment):
    raise ValueError("no vacuum")

def vanish(experiment):
    os._exit(3)

def stubborn(experiment):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return {"y": 1.0}

def plate(experiments):
    return {each.id: {"y": 1.0} for each in experiments}

class Device:
    """Forgets nothing when its adapter dies: what runs on it is in a file."""
    def start(self, experiment):
        open(experiment.attempt, "x").close()
        return experiment.attempt
    def check(self, ref):
        return {"y": 1.0}
    def find(self, experiment):
        return experiment.attempt if os.path.exists(experiment.attempt) else None

SOLVE = """
import json, time
time.sleep(0.3)
json.dump({'y': json.load(open('parameters.json'))['x']}, open('result.json', 'w'))
"""

class Solver:
    def __new__(cls):
        return Subprocess([sys.executable, "-c", SOLVE], folder="runs")
'''


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "lab.py").write_text(LAB)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(target: str, *scenarios: str, **more: Any) -> list[Finding]:
    more = {"parameters": {"x": 1.5}, "seconds": 30.0, **more}
    return check_adapter(f"lab.py:{target}", scenarios=scenarios, **more)


def test_a_good_function_passes_everything(lab: Path) -> None:
    found = check("measure", *SCENARIOS, moves="lab.py:count")
    assert [str(each) for each in found if not each.passed] == []
    assert len(found) == 13
    assert "stopped and said so" in _text(found, "cancelled in mid-run")


def test_a_program_passes_everything_and_is_found_again(lab: Path) -> None:
    found = check("Solver", *SCENARIOS)
    assert [str(each) for each in found if not each.passed] == []
    assert "found its run again" in _text(found, "killed in mid-run")
    assert "It heard the cancellation" in _text(found, "cancelled in mid-run")


def test_an_object_finds_its_run_again_and_cannot_stop_it(lab: Path) -> None:
    found = check("Device", "killed in mid-run", "cancelled in mid-run")
    assert [str(each) for each in found if not each.passed] == []
    assert "found its run again" in found[0].text
    assert "has no cancel" in found[1].text


def test_a_heartbeat_in_a_process_of_its_own(lab: Path) -> None:
    found = check("measure", "cancelled in mid-run", "killed in mid-run", heartbeat="process")
    assert [str(each) for each in found if not each.passed] == []
    assert "stopped and said so" in found[0].text


def test_a_plate_is_checked_as_a_whole(lab: Path) -> None:
    found = check("plate", "the claim's reply is lost", "a late result", "a stop signal", batch=3)
    assert [str(each) for each in found if not each.passed] == []


def _text(found: list[Finding], scenario: str) -> str:
    return next(each.text for each in found if each.scenario == scenario)


def test_a_deaf_adapter_is_told_so(lab: Path) -> None:
    (found,) = check("deaf", "cancelled in mid-run")
    assert found.passed and "never looks at experiment.cancelled" in found.text


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nameless", "cannot be used as it stands.*What came instead: yy"),
        ("broken", "The run failed: ValueError: no vacuum"),
        ("vanish", "process ended with code 3"),
        ("mesure", "process ended with code 1.*Did you mean measure"),
    ],
)
def test_what_a_plain_run_shows(lab: Path, target: str, said: str) -> None:
    (found,) = check(target, "one run", "a late result")
    assert not found.passed
    assert re.search(said, found.text), found.text


def test_hardware_that_moves_by_itself(lab: Path) -> None:
    (found,) = check("deaf", "one run", moves="lab.py:creep")
    assert not found.passed and "moved while no run was going on: 1 -> 2" in found.text


def test_the_count_is_of_the_same_module(lab: Path) -> None:
    count, measure = load("lab.py:count"), load("lab.py:measure")
    assert count.__globals__ is measure.__globals__


def test_an_adapter_that_does_not_stop(lab: Path) -> None:
    (found,) = check("stubborn", "a stop signal", seconds=10.0)  # also for its process to start
    assert not found.passed and "did not end within 10 s" in found.text


def test_the_command_prints_a_line_for_each(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["conformance", "lab.py:nameless", "--parameters", '{"x": 1}', "--outputs", "y"]
    assert main(words) == 1
    out = capsys.readouterr().out
    assert out.startswith("FAILED  one run: Its result cannot be used") and "0 of 1 scenarios passed." in out
    assert main([*words, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["passed"] is False
