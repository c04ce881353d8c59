"""The faults that an adapter must bear: a function per scenario. Each returns a sentence, or raises Unmet."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from typing import Any

from labqueue.states import Verdict

from .record import AFTER, BEFORE
from .results import record
from .trial import Trial, Unmet

Scenario = Callable[[Trial], str]


def one_run(trial: Trial) -> str:
    experiments = trial.stage()
    trial.serve()
    trial.until_recorded(experiments)
    failed = [each for each in trial.server.attempts.values() if each.ended == "failed"]
    if failed:
        raise Unmet(f"The run failed: {failed[0].reason}")
    held = [each for each in trial.server.results if each.verdict == Verdict.HELD.value]
    if held:
        raise Unmet(f"Its result cannot be used as it stands: {held[0].message}")
    trial.settle()
    return "A run was started once, and its result was recorded once."


def _with_a_lost_reply(path: str) -> Scenario:
    def scenario(trial: Trial) -> str:
        experiments = trial.stage()
        lost = trial.server.drop_next_reply(path)
        trial.serve()
        trial.until(lost.is_set, "The request whose reply was to be lost never came.")
        trial.until_recorded(experiments)
        trial.settle()
        runs = len(trial.record.read("begin"))
        if runs != len(experiments):
            raise Unmet(f"{len(experiments)} was to be run, and {runs} runs began.")
        return "The request was sent again; nothing was run or recorded twice."

    return scenario


def lost_before_the_start(trial: Trial) -> str:
    experiments = trial.stage()

    def lose(body: Any) -> None:
        for item in body["items"]:
            trial.server.lose(item["lease"], then="requeue")

    trial.server.on_next("/attempts/start", lose)
    trial.serve()
    trial.until_recorded(experiments)
    trial.settle()
    return "The lease was lost before the start: nothing moved for it; the next delivery was run."


def lost_in_mid_run(trial: Trial) -> str:
    experiments = _hold_finished(trial)
    for lease in trial.leases(experiments):
        trial.server.lose(lease, then="hold")
    trial.record.open(AFTER)
    _expect(trial, experiments, Verdict.ACCEPTED)
    return "The lease was lost in mid-run; the measurement was recorded all the same."


def late_result(trial: Trial) -> str:
    experiments = _hold_finished(trial)
    for lease in trial.leases(experiments):
        trial.server.lose(lease, then="hold")
    for each in experiments:
        outputs = dict.fromkeys(trial.case.outputs, 1.0)
        record(trial.server, {"id": str(uuid.uuid4()), "experiment": each, "outputs": outputs})
    trial.record.open(AFTER)
    _expect(trial, experiments, Verdict.REPLICATE)
    return "Another result came first; the late one was kept beside it."


def cancelled_in_mid_run(trial: Trial) -> str:
    trial.record.close(BEFORE)
    trial.record.close(AFTER)
    experiments = trial.stage()
    trial.serve()
    trial.until_lines("begin")
    for each in experiments:
        trial.server.cancel(each, "cancelled by the conformance kit")
    if _can(trial, "cancel"):
        trial.until_lines("cancel")
    trial.record.open(AFTER)
    trial.until_recorded(experiments)
    trial.settle()
    if any(each.ended == "cancelled" for each in trial.server.attempts.values()):
        return "It heard the cancellation, stopped and said so."
    if _can(trial, "cancel"):
        return "It heard the cancellation, but its run had ended by then; the result was recorded."
    if _can(trial, "start"):
        return "The object has no cancel: its run went on to its end, and its result was recorded."
    return (
        "The cancellation was heard, but the adapter never looks at experiment.cancelled: the run went on to its "
        "end, and its result was recorded."
    )


def server_gone_before(trial: Trial) -> str:
    trial.server.go_away()
    trial.serve()
    trial.until_lines("ready", 1)
    experiments = trial.stage()
    trial.server.come_back()
    trial.until_recorded(experiments)
    trial.settle()
    return "It waited for a server that was not there yet."


def server_gone_during(trial: Trial) -> str:
    experiments = _hold_finished(trial)
    trial.server.go_away()
    trial.record.open(AFTER)
    trial.until_spooled()
    trial.server.come_back()
    _expect(trial, experiments, Verdict.ACCEPTED)
    return "The server went away in mid-run; the result was kept here and sent when it came back."


def killed_after_the_run(trial: Trial) -> str:
    experiments = _hold_finished(trial)
    trial.server.go_away()
    trial.record.open(AFTER)
    trial.until_spooled()
    trial.kill()
    trial.server.come_back()
    trial.serve()
    _expect(trial, experiments, Verdict.ACCEPTED)
    return "Killed before the result was sent, it sent it after its restart, without another run."


def killed_in_mid_run(trial: Trial) -> str:
    trial.record.close(BEFORE)
    trial.record.close(AFTER)
    first = trial.stage()
    trial.serve()
    trial.until_lines("running" if _can(trial, "start") else "begin")
    trial.kill()
    trial.record.open(BEFORE)
    trial.record.open(AFTER)
    second = trial.stage()
    trial.serve()
    trial.until_recorded(second)
    found = [each.attempt for each in trial.record.read("find") if each.said["found"]]
    if found:
        trial.until_recorded(first)
    trial.settle()
    if found:
        return "Killed in mid-run, it found its run again, and its result arrived."
    return "Killed in mid-run, it did not run that attempt again: the queue's policy decides about it."


def stop_signal(trial: Trial) -> str:
    experiments = _hold_finished(trial)
    more = trial.stage()
    trial.signal_stop()
    trial.record.open(AFTER)
    code = trial.exit_code()
    if code != 0:
        raise Unmet(f"After the stop signal the process ended with code {code}. {trial.last_words()}")
    trial.until_recorded(experiments)
    trial.settle()
    begun = {trial.attempt(each.attempt).experiment for each in trial.record.read("begin")}
    if begun & set(more):
        raise Unmet("After the stop signal another run began.")
    return "On the stop signal it ended the run that was going on, sent its result, and began nothing new."


SCENARIOS: dict[str, Scenario] = {
    "one run": one_run,
    "the claim's reply is lost": _with_a_lost_reply("/queues/*/claims"),
    "the start's reply is lost": _with_a_lost_reply("/attempts/start"),
    "the result's reply is lost": _with_a_lost_reply("*results"),
    "the lease is lost before the start": lost_before_the_start,
    "the lease is lost in mid-run": lost_in_mid_run,
    "a late result": late_result,
    "cancelled in mid-run": cancelled_in_mid_run,
    "the server is gone before the run": server_gone_before,
    "the server is gone during the run": server_gone_during,
    "killed after the run": killed_after_the_run,
    "killed in mid-run": killed_in_mid_run,
}
if os.name != "nt":
    # Windows knows no signal that asks.
    SCENARIOS["a stop signal"] = stop_signal


def _hold_finished(trial: Trial) -> list[int]:
    """Stages, serves, and stops at the moment between the measurement's end and its report."""
    trial.record.close(AFTER)
    experiments = trial.stage()
    trial.serve()
    trial.until_lines("end")
    return experiments


def _expect(trial: Trial, experiments: list[int], verdict: Verdict) -> None:
    mine = {each.lease for each in trial.server.attempts.values() if each.experiment in experiments}

    def verdicts() -> list[str]:
        with trial.server.changed:
            return [each.verdict for each in trial.server.results if each.body.get("lease") in mine]

    trial.until(lambda: len(verdicts()) >= len(experiments), "The result did not arrive.")
    trial.settle()
    if set(verdicts()) != {verdict.value}:
        raise Unmet(f"The result was to be {verdict}, and was {', '.join(verdicts())}.")


def _can(trial: Trial, method: str) -> bool:
    """Whether the adapter is an object with this method; known once it is loaded."""
    return method in trial.until_lines("ready", 1)[0].said["methods"]
