"""Leases: who controls an experiment, and what becomes of one whose holder failed or fell silent."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labqueue.errors import ConflictError, LeaseLostError
from labqueue.states import LostLease, State
from models.domain import leasing
from models.domain import records as r

ATTEMPT = UUID(int=7)
STAGED = r.Experiment(
    id=1,
    campaign_id=1,
    campaign="snar",
    queue="bench",
    number=1,
    code="snar-1",
    state=State.STAGED,
    priority=0,
    tag=3.5,
    origin="person",
    reason="",
    problem_version=1,
    planned={},
)


def claimed() -> tuple[r.Experiment, r.Attempt]:
    return leasing.lease_to(STAGED, ATTEMPT, "hplc", "home.1", 60.0)


def started() -> tuple[r.Experiment, r.Attempt]:
    experiment, attempt = claimed()
    return experiment, replace(attempt, state="started")


def queue(policy: LostLease = LostLease.HOLD, most: int = 3) -> r.Queue:
    return r.Queue("bench", on_lost=policy, max_attempts=most)


@given(st.uuids(), st.integers(0, 2**31))
def test_a_lease_is_read_as_it_was_written(id: UUID, fence: int) -> None:
    attempt = r.Attempt(id, 1, 1, "q", "i", "a", fence, 60.0)
    assert leasing.read_lease(leasing.lease_text(attempt)) == (id, fence)


@given(st.text())
def test_what_is_no_lease_is_refused_and_nothing_else_happens(text: str) -> None:
    try:
        id, fence = leasing.read_lease(text)
    except LeaseLostError as error:
        assert error.status == 409
    else:
        assert isinstance(id, UUID) and isinstance(fence, int)


def test_each_claim_is_the_next_attempt_under_the_next_fence() -> None:
    experiment, first = claimed()
    assert (experiment.state, experiment.attempt, first.number, first.fence) == (State.LEASED, ATTEMPT, 1, 1)
    again, second = leasing.lease_to(leasing.back(experiment), uuid4(), "nmr", "home.9", 5.0)
    assert (second.number, second.fence, again.attempts) == (2, 2, 2)


def test_only_what_is_staged_is_leased() -> None:
    for state in State:
        if state not in (State.STAGED, State.HELD):
            with pytest.raises(ConflictError):
                leasing.lease_to(replace(STAGED, state=state), ATTEMPT, "hplc", "home.1", 60.0)


def test_the_fence_guards_control() -> None:
    experiment, attempt = started()
    leasing.check_holds(experiment, attempt, 1)
    for lost in (
        (experiment, attempt, 2),
        (replace(experiment, attempt=uuid4()), attempt, 1),
        (experiment, leasing.end(attempt, "lost"), 1),
    ):
        with pytest.raises(LeaseLostError, match="results are still welcome"):
            leasing.check_holds(*lost)


def test_failures_count_until_they_are_too_many() -> None:
    experiment, attempt = started()
    for counted in (1, 2):
        experiment, ended = leasing.fail(experiment, attempt, queue(), "no vacuum")
        assert (experiment.state, experiment.counted, experiment.tag) == (State.STAGED, counted, 3.5)
        assert (ended.state, ended.end, ended.counts) == ("ended", "failed", True)
        experiment, attempt = leasing.lease_to(experiment, uuid4(), "hplc", "home.1", 60.0)
    experiment, _ = leasing.fail(experiment, attempt, queue(), "no vacuum")
    assert (experiment.state, experiment.attempt) == (State.FAILED, None)
    assert experiment.held_reason == "given up after 3 attempts: no vacuum"


@pytest.mark.parametrize("policy", LostLease)
def test_what_never_started_goes_back_uncounted_whatever_the_policy(policy: LostLease) -> None:
    experiment, attempt = leasing.lose(*claimed(), queue(policy, most=1))
    assert (experiment.state, experiment.counted, experiment.tag) == (State.STAGED, 0, 3.5)
    assert (attempt.end, attempt.counts) == ("released", False)


@pytest.mark.parametrize(
    ("policy", "state", "live", "probing"),
    [
        (LostLease.HOLD, State.HELD, True, False),
        (LostLease.PROBE, State.HELD, True, True),
        (LostLease.REQUEUE, State.STAGED, False, False),
    ],
)
def test_a_silence_after_the_start_is_the_queues_policy(
    policy: LostLease, state: State, live: bool, probing: bool
) -> None:
    experiment, attempt = leasing.lose(*started(), queue(policy))
    assert (experiment.state, attempt.live, attempt.probing) == (state, live, probing)
    assert attempt.silent is live
    assert experiment.counted == (0 if live else 1)


@pytest.mark.parametrize("policy", [LostLease.HOLD, LostLease.PROBE])
def test_a_silent_holder_that_is_back_goes_on_as_if_nothing_had_been(policy: LostLease) -> None:
    before = started()
    assert leasing.resume(*leasing.lose(*before, queue(policy))) == before


@pytest.mark.parametrize("how", ["release", "fail", "lose"])
def test_a_wish_to_cancel_comes_true_when_the_run_ends(how: str) -> None:
    experiment, attempt = started() if how == "fail" else claimed()
    wished = replace(experiment, cancel_wished=True)
    if how == "release":
        ended = leasing.release(wished, attempt, "")[0]
    elif how == "fail":
        ended = leasing.fail(wished, attempt, queue(), "")[0]
    else:
        ended = leasing.lose(wished, attempt, queue(LostLease.REQUEUE))[0]
    assert (ended.state, ended.attempt) == (State.CANCELLED, None)


def test_an_end_is_final_and_leaves_nothing_open() -> None:
    _, attempt = leasing.lose(*started(), queue(LostLease.PROBE))
    ended = leasing.end(attempt, "decided", "a person said so", counts=True)
    assert (ended.state, ended.silent, ended.probing, ended.live) == ("ended", False, False, False)
    assert (ended.end, ended.reason, ended.counts) == ("decided", "a person said so", True)
