"""An adapter's computer hangs for longer than its lease, and comes back: what it measured counts all the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from adapters_for_tests import value
from whole_lab import Lab

BIAS = -7.0


@pytest.mark.parametrize("policy", ["hold", "probe"])
def test_who_returns_before_anyone_decided_goes_on(lab: Callable[..., Lab], policy: str) -> None:
    it = lab(on_lost=policy)
    first, second = it.stage(4.0, 5.0)
    robot = it.adapter()
    it.moved()
    robot.freeze()
    it.reaches("held", first)
    robot.thaw()
    it.reaches("leased", first)
    assert it.event_types(first)[-2:] == ["lost", "resumed"]
    assert it.client.instrument(robot.name)["held_experiment"] is None
    it.gate.touch()
    it.reaches("completed", first, second)
    assert it.ends(first) == it.ends(second) == ["completed"], "as its first attempt"
    assert it.values(first) == {"y": value(4.0)}
    assert len(it.diary("moved")) == 2
    assert robot.stop() == {"runs": 2, "unsent": 0, "refused": 0}


def test_the_post_alone_completes_a_held_one(lab: Callable[..., Lab]) -> None:
    """The run ended while its computer hung, so that no heartbeat comes first."""
    it = lab(on_lost="hold")
    first, second = it.stage(4.0, 5.0)
    robot = it.adapter()
    it.moved()
    robot.freeze()
    it.gate.touch()
    it.reaches("held", first)
    robot.thaw()
    it.reaches("completed", first, second)
    assert it.ends(first) == ["completed"] and it.verdicts(first) == ["accepted"]
    assert len(it.diary("moved")) == 2
    assert robot.stop()["runs"] == 2


def test_a_late_post_completes_what_nobody_has_claimed_again(lab: Callable[..., Lab]) -> None:
    it = lab(on_lost="requeue")
    [first] = it.stage(4.0)
    robot = it.adapter(limit=1)
    it.moved()
    robot.freeze()
    it.reaches("staged", first)
    it.gate.touch()
    robot.thaw()
    it.reaches("completed", first)
    assert it.ends(first) == ["lost"] and it.verdicts(first) == ["accepted"]
    assert it.values(first) == {"y": value(4.0)}
    robot.says("served {")
    robot.process.wait(60)
    assert [(each.kind, each.message) for each in robot.told()] == [("result", "accepted")]
    empty = it.claimed(instrument="other")
    assert empty.experiments == () and "nothing is staged" in empty.reason
    assert len(it.diary("moved")) == 1, "it was not run again"


def test_with_another_claim_in_between_the_first_value_counts_and_both_are_kept(
    lab: Callable[..., Lab],
) -> None:
    it = lab(on_lost="requeue")
    [first] = it.stage(4.0)
    slow = it.adapter(instrument="slow", limit=1)
    it.moved()
    slow.freeze()
    other = it.adapter(instrument="other", bias=BIAS, limit=1)
    it.moved(2)
    slow.thaw()
    [heard] = it.whole.until(lambda: it.diary("heard"), "the first holder hears that its lease is lost")
    assert (heard["instrument"], heard["wish"]) == (slow.name, "lost")
    it.own_gate("slow").touch()
    it.reaches("completed", first)
    [_, heard] = it.whole.until(
        lambda: found if len(found := it.diary("heard")) == 2 else None, "the second holder hears of it"
    )
    assert (heard["instrument"], heard["wish"]) == (other.name, "not_needed")
    it.own_gate("other").touch()
    for each in (slow, other):
        each.says("served {")
        each.process.wait(60)
    assert it.ends(first) == ["lost", "not_needed"]
    assert it.verdicts(first) == ["accepted", "replicate"], "nothing that was measured is thrown away"
    assert it.values(first) == {"y": value(4.0)}
    assert [each.message.split(".")[0] for each in slow.told()] == ["accepted"]
    assert [each.message.split(".")[0] for each in other.told()] == ["replicate"]
    readings = it.whole.rows(
        "SELECT value, current FROM readings WHERE experiment_id = %s ORDER BY current DESC", first
    )
    assert readings == [
        {"value": value(4.0), "current": True},
        {"value": value(4.0) + BIAS, "current": False},
    ]
    assert it.client.campaign(it.name)["best"]["score"] == value(4.0)


def test_what_a_stale_holder_says_about_its_run_changes_nothing(lab: Callable[..., Lab]) -> None:
    it = lab(on_lost="requeue", lease_seconds=1)
    [first] = it.stage(4.0)
    [old] = it.claim(instrument="old")
    assert it.client.start([old.lease])[0].ok
    it.reaches("staged", first)
    it.client.put_queue(it.queue, lease_seconds=60, on_lost="requeue")
    [new] = it.claim(instrument="new")
    assert new.experiment == first
    before = it.attempts(first)
    for verb in ("start", "note", "fail", "release", "cancelled", "probe"):
        more = {"note": {"text": "still here"}, "probe": {"answer": "running"}}.get(verb, {})
        if verb in ("fail", "release", "cancelled"):
            more = {"reason": "late"}
        [answer] = it.client.report(verb, [{"lease": old.lease, **more}])
        assert (answer.ok, answer.code) == (False, "lease_lost"), verb
    [beat] = it.client.heartbeat(f"{it.name}-old", f"{it.name}-old.1", [old.lease]).items
    assert beat.state == "lost"
    assert it.attempts(first) == before, "its successor's attempt is untouched"
