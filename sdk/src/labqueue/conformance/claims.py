"""Claims, and what a claimed experiment looks like to its adapter."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from labqueue.errors import InstrumentTakenError, KeyReusedError, UnavailableError
from labqueue.states import State

from .lab import PROBING, Attempt, Experiment, Instrument, Lab, Queue, stamp
from .reading import BATCH_LIMIT, check, read, read_wait


def claim(lab: Lab, queue_name: str, body: Any, gone: Callable[[], bool] = bool) -> dict[str, Any]:
    """Leases up to `max` experiments. Asked again with the same key: the same leases, those still alive.

    `gone` says whether the caller has hung up: nothing is leased to it then.
    """
    reader, fields = read(
        body,
        ["instrument", "adapter", "key", "max", "min", "within", "wait", "experiments", "form", "take_over"],
    )
    name = reader.text(fields, "instrument", "", limit=200)
    adapter, key = reader.text(fields, "adapter", "", limit=200), reader.text(fields, "key", "", limit=200)
    most, least = reader.whole(fields, "max", "", 1, low=1), reader.whole(fields, "min", "", 1, low=1)
    within, wait = reader.number(fields, "within", "", 0.0), read_wait(reader, fields)
    form = reader.choice(fields, "form", "", ("object", "list"), "object")
    take_over = reader.flag(fields, "take_over", "", False)
    wanted = fields.get("experiments")
    if wanted is not None and not (isinstance(wanted, list) and all(isinstance(one, int) for one in wanted)):
        reader.wrong("experiments", "must be a list of experiment ids, or null.", wanted)
    if most > BATCH_LIMIT or least > most:
        reader.wrong("max", f"must be at least min and at most {BATCH_LIMIT}.", most)
    check(reader, "The claim cannot be used as it stands.")
    intent = [queue_name, name, most, least, within, wanted, form]
    with lab.changed:
        queue, instrument = lab.queue(queue_name), lab.instrument(name)
        until = time.monotonic() + wait
        while True:
            if lab.away or gone():
                raise UnavailableError("Nobody is there to answer.")
            if key in lab.claims:
                return _asked_again(lab, queue, instrument, adapter, key, intent)
            _register(lab, instrument, adapter, take_over, queue.lease_seconds)
            take_over, instrument.queue = False, queue.name
            ready, reason = _claimable(lab, queue, instrument, wanted)
            if reason is None and _enough(lab, ready, least, within):
                taken = [_lease(lab, queue, instrument, each, form) for each in ready[:most]]
                lab.claims[key] = (intent, taken)
                return _claimed(lab, instrument, taken, None)
            asked = [one for one in lab.attempts.values() if is_asked(one, instrument)]
            left = until - time.monotonic()
            if left <= 0 or any(adapter not in one.told for one in asked):
                return _claimed(lab, instrument, [], reason or _why_empty(ready, least, within))
            lab.changed.wait(min(left, max(0.01, within)) if ready and within else left)


def _asked_again(
    lab: Lab, queue: Queue, instrument: Instrument, adapter: str, key: str, intent: Any
) -> dict[str, Any]:
    """Whoever knows the key is the claim's author, or took over its journal."""
    before, taken = lab.claims[key]
    if before != intent:
        raise KeyReusedError(f"The key {key} was used before for another claim; make a new one.")
    instrument.adapter, instrument.seen = adapter, lab.now()
    live = [each for each in taken if each.live]
    for each in live:
        each.adapter, each.deadline = adapter, lab.now() + queue.lease_seconds
    return _claimed(lab, instrument, live, None if live else "None of this claim's leases is still alive.")


def _register(lab: Lab, instrument: Instrument, adapter: str, take_over: bool, alive: float) -> None:
    # `home.incarnation`: a home is locked by one process, so its next incarnation is no stranger.
    home = adapter.rpartition(".")[0]
    same = instrument.adapter in ("", adapter) or (home and instrument.adapter.rpartition(".")[0] == home)
    stranger = not same
    if stranger and not take_over and lab.now() - instrument.seen < alive:
        raise InstrumentTakenError(
            f"Another adapter serves {instrument.name} and was seen {lab.now() - instrument.seen:.0f} s ago. "
            "Stop it, wait until it has been silent for a lease, or claim with take_over."
        )
    instrument.adapter, instrument.seen = adapter, lab.now()


def _claimable(
    lab: Lab, queue: Queue, instrument: Instrument, wanted: Any
) -> tuple[list[Experiment], str | None]:
    if queue.state != "active":
        return [], f"The queue {queue.name} is {queue.state}. {queue.reason}".strip()
    if instrument.held is not None:
        code = lab.experiments[instrument.held].code
        return [], f"The instrument {instrument.name} waits: {code} is held until somebody has looked."
    if instrument.paused:
        return [], f"The instrument {instrument.name} is paused. {instrument.reason}".strip()
    ready = [
        each
        for each in lab.experiments.values()
        if each.queue == queue.name
        and each.state is State.STAGED
        and lab.campaigns[each.campaign].state == "active"
        and (wanted is None or each.id in wanted)
    ]
    return sorted(ready, key=lambda each: (-each.priority, each.id)), None


def _enough(lab: Lab, ready: Sequence[Experiment], least: int, within: float) -> bool:
    if len(ready) >= least:
        return True
    return bool(ready) and within > 0 and lab.now() - min(each.staged_at for each in ready) >= within


def _why_empty(ready: Sequence[Experiment], least: int, within: float) -> str:
    if not ready:
        return "Nothing is staged."
    return f"{len(ready)} of at least {least} are staged" + (f"; waiting {within:g} s." if within else ".")


def _lease(lab: Lab, queue: Queue, instrument: Instrument, experiment: Experiment, form: str) -> Attempt:
    attempt = Attempt(
        lease=f"L{uuid.uuid4().hex}",
        id=str(uuid.uuid4()),
        number=len(experiment.attempts) + 1,
        experiment=experiment.id,
        queue=queue.name,
        instrument=instrument.name,
        adapter=instrument.adapter,
        deadline=lab.now() + queue.lease_seconds,
        form=form,
    )
    experiment.attempts.append(attempt)
    experiment.state, experiment.wish = State.LEASED, None
    lab.attempts[attempt.lease] = attempt
    lab.event("claimed", experiment)
    return attempt


def _claimed(
    lab: Lab, instrument: Instrument, taken: Sequence[Attempt], reason: str | None
) -> dict[str, Any]:
    return {
        "experiments": [assignment(lab, each) for each in taken],
        "reason": reason,
        "probes": probes(lab, instrument),
    }


def assignment(lab: Lab, attempt: Attempt) -> dict[str, Any]:
    experiment = lab.experiments[attempt.experiment]
    problem, queue = lab.campaigns[experiment.campaign].problem, lab.queues[attempt.queue]
    units = {each.name: each.unit for each in problem.parameters}
    parameters: Any = dict(experiment.parameters)
    if attempt.form == "list":
        parameters = [_listed(name, value, units.get(name, "")) for name, value in parameters.items()]
    return {
        "lease": attempt.lease,
        "attempt": attempt.id,
        "attempt_number": attempt.number,
        "experiment": experiment.id,
        "code": experiment.code,
        "campaign": experiment.campaign,
        "queue": attempt.queue,
        "priority": experiment.priority,
        "parameters": parameters,
        "payload": experiment.payload,
        "outputs": [
            {"name": each.name, "unit": each.unit, "classes": list(each.classes)} for each in problem.outputs
        ],
        "lease_seconds": queue.lease_seconds,
        "deadline": stamp(attempt.deadline),
        "heartbeat": not queue.people,
        "reason": experiment.reason,
        "expected": {},
        "staged_at": stamp(experiment.staged_at),
    }


def _listed(name: str, value: Any, unit: str) -> dict[str, Any]:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = repr(value) if number else str(value)
    return {"name": name, "value": float(value) if number else None, "text": text, "unit": unit}


def is_asked(attempt: Attempt, instrument: Instrument) -> bool:
    return attempt.ended == PROBING and attempt.instrument == instrument.name


def probes(lab: Lab, instrument: Instrument) -> list[dict[str, Any]]:
    """Every attempt of this instrument of which nobody knows whether it still runs."""
    asked = [one for one in lab.attempts.values() if is_asked(one, instrument)]
    for one in asked:
        one.told.add(instrument.adapter)
    return [
        {
            "lease": one.lease,
            "attempt": one.id,
            "experiment": one.experiment,
            "code": lab.experiments[one.experiment].code,
            "run_ref": one.run_ref,
            "parameters": dict(lab.experiments[one.experiment].parameters),
            "started_at": None if one.started_at is None else stamp(one.started_at),
        }
        for one in asked
    ]
