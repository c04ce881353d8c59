"""An adapter is killed with -9 in the middle of its run: what becomes of it is the queue's policy, and visible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapters_for_tests import value
from whole_lab import Lab


def attention(lab: Lab, code: str) -> list[dict[str, Any]]:
    """What the status page says that a person should look at, about one experiment."""
    return [each for each in lab.client.status()["attention"] if code in str(each)]


def test_under_hold_a_person_decides_and_the_instrument_waits(lab: Callable[..., Lab]) -> None:
    it = lab(on_lost="hold")
    first, second = it.stage(4.0, 5.0)
    robot = it.adapter()
    it.moved()
    robot.kill()
    successor = robot.again()
    it.reaches("held", first)
    assert it.state(second) == "staged", "not even before its lease had ended"
    assert attention(it, f"{it.name}-1"), "a person is told"
    assert f"while running experiment {first}" in successor.says("fell silent")
    assert it.client.instrument(robot.name)["held_experiment"] == first
    assert it.state(second) == "staged", "this instrument claims nothing"
    assert len(it.diary("moved")) == 1

    it.gate.touch()
    assert it.client.decide(first, "run_again", "looked: the vial is untouched")["state"] == "staged"
    it.reaches("completed", first, second)
    assert it.ends(first) == ["decided", "completed"]
    assert it.verdicts(first) == it.verdicts(second) == ["accepted"]
    assert it.values(first) == {"y": value(4.0)}
    moves = [(each["experiment"], each["number"]) for each in it.diary("moved")]
    assert moves == [(first, 1), (first, 2), (second, 1)], "run again only because a person said so"
    assert successor.stop() == {"runs": 2, "unsent": 0, "refused": 0}


def test_under_requeue_another_solver_runs_it(lab: Callable[..., Lab]) -> None:
    it = lab(on_lost="requeue")
    first, second = it.stage(4.0, 5.0)
    victim = it.adapter(instrument="one")
    it.moved()
    victim.kill()
    it.gate.touch()
    other = it.adapter(instrument="two")
    it.reaches("completed", first, second)
    assert it.ends(first) == ["lost", "completed"]
    lost, done = it.attempts(first)
    assert (lost["counts"], done["counts"]) == (True, False)
    assert "fell silent" in lost["reason"]
    assert done["instrument"] == other.name
    assert it.ends(second) == ["completed"]
    assert it.values(first) == {"y": value(4.0)}
    assert other.stop()["runs"] == 2


def test_under_requeue_what_kills_every_solver_is_given_up_visibly(lab: Callable[..., Lab]) -> None:
    it = lab(on_lost="requeue", max_attempts=2, lease_seconds=1)
    [deadly] = it.stage(4.0)
    for number in (1, 2):
        solver = it.adapter(instrument=f"solver{number}")
        it.moved(number)
        solver.kill()
    it.reaches("failed", deadly)
    assert it.ends(deadly) == ["lost", "lost"]
    assert "given up after 2 attempts" in it.client.experiment(deadly)["state_reason"]
    assert [each["kind"] for each in attention(it, it.name)] == ["failed"], "a person is told"
    it.gate.touch()
    assert it.client.replay(deadly, "solver mended")["state"] == "staged"
    it.adapter(instrument="solver3")
    it.reaches("completed", deadly)
    assert it.ends(deadly) == ["lost", "lost", "completed"]


def test_under_probe_the_run_is_found_and_goes_on(lab: Callable[..., Lab]) -> None:
    it = lab(on_lost="probe")
    running = it.stage(4.0, 5.0)
    robot = it.adapter("cluster", size=2)
    it.moved(2)
    robot.kill()
    it.reaches("held", *running)
    assert all(each["probing"] for one in running for each in it.attempts(one))
    successor = robot.again()
    it.reaches("leased", *running)
    it.gate.touch()
    it.reaches("completed", *running)
    for one in running:
        assert it.ends(one) == ["completed"], "the first attempt went on"
    assert len(it.diary("moved")) == 2, "and nothing ran twice"
    assert successor.stop()["runs"] == 2
    assert {(each.kind, each.message) for each in successor.told()} == {("result", "accepted")}


def test_under_probe_what_nobody_can_know_is_held(lab: Callable[..., Lab]) -> None:
    it = lab(on_lost="probe")
    first, second = it.stage(4.0, 5.0)
    robot = it.adapter()
    it.moved()
    robot.kill()
    it.reaches("held", first)
    successor = robot.again()
    it.whole.until(lambda: not it.attempts(first)[0]["probing"], "the probe is answered")
    assert it.state(first) == "held"
    assert "does not know" in it.client.experiment(first)["state_reason"]
    assert it.state(second) == "staged", "its instrument waits for a person"
    it.gate.touch()
    assert it.client.decide(first, "give_up", "the vial is broken")["state"] == "failed"
    it.reaches("completed", second)
    assert it.ends(first) == ["decided"] and it.verdicts(first) == []
    assert [each["experiment"] for each in it.diary("moved")] == [first, second]
    assert successor.stop()["runs"] == 1


def test_a_claim_of_50_goes_back_to_its_place_when_none_was_started(lab: Callable[..., Lab]) -> None:
    it = lab(on_lost="hold")
    staged = it.stage(*[float(x) for x in range(60)])
    adapter = it.adapter("stuck", size=50)
    log = adapter.says("stuck with 50")
    assert it.states() == {"leased": 50, "staged": 10}
    adapter.kill()
    it.reaches("staged", *staged)
    leases = [line.split()[-1] for line in log.splitlines() if line.startswith("holds ")]
    stale = it.client.start(leases[:3])
    assert [(each.ok, each.code) for each in stale] == [(False, "lease_lost")] * 3
    again = it.claim(60, instrument="other")
    assert [each.experiment for each in again] == staged, "in the order of their staging"
    assert {each.attempt_number for each in again} == {1, 2}
    for row in it.whole.rows("SELECT counted, state FROM experiments WHERE campaign = %s", it.name):
        assert row == {"counted": 0, "state": "leased"}, "nothing was counted"
    assert it.diary() == [], "no hardware moved"
    assert it.ends(staged[0]) == ["released", None]
