"""What an adapter says about its attempts: heartbeat, start, note, fail, release, cancelled, probe."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from labqueue.errors import ConflictError, InvalidError, LabqueueError, LeaseLostError
from labqueue.states import State

from .claims import is_asked, probes
from .lab import PROBING, Attempt, Experiment, Lab, stamp
from .reading import check, read, read_items, read_wait


def heartbeat(lab: Lab, body: Any) -> dict[str, Any]:
    """Renews every lease at once; answers when one is not alive as it should be, or after `wait`."""
    reader, fields = read(body, ["instrument", "adapter", "leases", "wait"])
    name, adapter = reader.text(fields, "instrument", ""), reader.text(fields, "adapter", "")
    wait, leases = read_wait(reader, fields), fields.get("leases", [])
    if not isinstance(leases, list) or not all(isinstance(each, str) for each in leases):
        reader.wrong("leases", "must be a list of leases.", leases)
    check(reader, "The heartbeat cannot be used as it stands.")
    with lab.changed:
        instrument = lab.instrument(name)
        if instrument.adapter in ("", adapter):
            instrument.adapter, instrument.seen = adapter, lab.now()
        for lease in leases:
            attempt = lab.attempts.get(lease)
            if attempt is not None and attempt.live:
                attempt.deadline = lab.now() + lab.queues[attempt.queue].lease_seconds
        until = time.monotonic() + wait
        while True:
            items = [_lease_state(lab, lease) for lease in leases]
            fresh = any(
                is_asked(one, instrument) and adapter not in one.told for one in lab.attempts.values()
            )
            left = until - time.monotonic()
            if left <= 0 or fresh or lab.away or any(item["state"] != "live" for item in items):
                return {"items": items, "probes": probes(lab, instrument)}
            lab.changed.wait(left)


def _lease_state(lab: Lab, lease: str) -> dict[str, Any]:
    attempt = lab.attempts.get(lease)
    state, message, deadline = "lost", "This lease is not known here.", None
    if attempt is not None:
        experiment = lab.experiments[attempt.experiment]
        done = experiment.state is State.COMPLETED
        if done:
            state, message = "not_needed", f"{experiment.code} is completed; what you measure is a replicate."
        elif not attempt.live:
            message = f"The attempt ended: {attempt.ended}. {attempt.reason}".strip()
        elif experiment.wish is not None:
            state, message = "cancel", experiment.wish
        else:
            state, message = "live", ""
        deadline = stamp(attempt.deadline) if attempt.live else None
    return {"lease": lease, "state": state, "deadline": deadline, "message": message}


_FIELDS = {
    "start": ("run_ref",),
    "note": ("text", "run_ref"),
    "fail": ("reason",),
    "release": ("reason",),
    "cancelled": ("reason",),
    "probe": ("answer",),
}
#: What an attempt that heard the same word before has ended as: the same request twice is one effect.
_ENDS = {"fail": "failed", "release": "released", "cancelled": "cancelled"}


def report(lab: Lab, verb: str, body: Any) -> dict[str, Any]:
    """start, note, fail, release, cancelled or probe, item by item."""
    return {"items": [_report_item(lab, verb, item) for item in read_items(body)]}


def report_single(lab: Lab, verb: str, lease: str, body: Any) -> dict[str, Any]:
    """The same for one lease that the path names; what a batch answers as ok:false is raised."""
    item = _report_one(lab, verb, {**(body if isinstance(body, Mapping) else {}), "lease": lease})
    if not item["ok"]:
        raise (LeaseLostError if item["code"] == LeaseLostError.code else ConflictError)(item["message"])
    return item


def _report_item(lab: Lab, verb: str, item: Any) -> dict[str, Any]:
    """One item of a batch: what is wrong with it does not touch the others."""
    try:
        return _report_one(lab, verb, item)
    except InvalidError as error:
        lease = item.get("lease") if isinstance(item, Mapping) else None
        return {"lease": lease, "ok": False, "code": error.code, "message": str(error)}


def _report_one(lab: Lab, verb: str, item: Any) -> dict[str, Any]:
    reader, fields = read(item, ["lease", *_FIELDS[verb]])
    lease = reader.text(fields, "lease", "")
    if verb == "probe":
        reader.choice(fields, "answer", "", ("running", "done", "never_ran", "unknown"))
    check(reader, f"This {verb} cannot be used as it stands.")
    with lab.changed:
        attempt = lab.attempts.get(lease)
        try:
            if attempt is None:
                raise LeaseLostError("This lease is not known here.")
            if not (verb in _ENDS and attempt.ended == _ENDS[verb]):
                _apply(lab, verb, attempt, fields)
        except LabqueueError as error:
            return {"lease": lease, "ok": False, "code": error.code, "message": error.message}
        return {"lease": lease, "ok": True, "code": None, "message": ""}


def _apply(lab: Lab, verb: str, attempt: Attempt, fields: Mapping[str, Any]) -> None:
    experiment, reason = lab.experiments[attempt.experiment], str(fields.get("reason") or "")
    instrument = lab.instrument(attempt.instrument)
    if verb == "probe":
        return _answer(lab, attempt, experiment, str(fields["answer"]))
    if not attempt.live:
        raise LeaseLostError(f"The attempt of this lease has ended: {attempt.ended}.")
    if verb in ("start", "note"):
        attempt.run_ref = fields.get("run_ref") or attempt.run_ref
        if verb == "note":
            attempt.notes.append(str(fields.get("text") or ""))
        elif attempt.started_at is None:
            attempt.started_at = lab.now()
            lab.event("started", experiment)
            return None
    elif verb == "fail":
        attempt.ended, attempt.reason = "failed", reason
        instrument.failures += 1
        if instrument.failures >= instrument.failure_limit:
            instrument.paused, instrument.reason = (
                True,
                f"{instrument.failures} runs in a row failed: {reason}",
            )
        if experiment.wish is not None:
            experiment.state, experiment.state_reason = State.CANCELLED, experiment.wish
        else:
            lab.again(experiment, reason)
    elif verb == "release":
        if attempt.started_at is not None:
            raise ConflictError("It was started already; report fail, cancelled or a result.")
        attempt.ended, attempt.reason = "released", reason
        wished = experiment.wish is not None
        experiment.state = State.CANCELLED if wished else State.STAGED
    elif verb == "cancelled":
        if experiment.wish is None:
            raise ConflictError("Nobody wished to cancel it; report fail or a result.")
        attempt.ended, attempt.reason = "cancelled", reason
        experiment.state, experiment.state_reason = State.CANCELLED, reason or experiment.wish
    lab.event(verb, experiment, reason=reason)
    return None


def _answer(lab: Lab, attempt: Attempt, experiment: Experiment, answer: str) -> None:
    if attempt.ended != PROBING:
        if attempt.live and answer in ("running", "done"):
            return
        raise LeaseLostError("Nobody asks about this attempt.")
    if answer in ("running", "done"):
        attempt.ended = None
        attempt.deadline = lab.now() + lab.queues[attempt.queue].lease_seconds
    elif answer == "never_ran":
        attempt.ended, attempt.reason = "released", "the adapter says that it never ran"
        experiment.state = State.STAGED
    else:
        attempt.ended = "lost"
        lab.hold(experiment, "the adapter does not know whether it ran", attempt.instrument)
    lab.event("probed", experiment, answer=answer)
