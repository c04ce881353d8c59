"""How what the flow answers looks in JSON. No field comes and goes: what is not there is null, "" or empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labqueue.problem import Output, Problem
from models.domain import records as r
from services.api.answers import time_text
from services.flow.claim import Assignment, Probe
from services.flow.filing import Recorded
from services.flow.renew import Answer, Beat

Json = dict[str, Any]


def assignment(given: Assignment, form: str) -> Json:
    experiment, attempt = given.experiment, given.attempt
    parameters: Any = given.problem.ordered(experiment.planned or {})
    if form == "list":
        parameters = parameter_list(parameters, given.problem)
    return {
        "lease": given.lease,
        "attempt": str(attempt.id),
        "attempt_number": attempt.number,
        "experiment": experiment.id,
        "code": experiment.code,
        "campaign": experiment.campaign,
        "queue": experiment.queue,
        "priority": experiment.priority,
        "parameters": parameters,
        "payload": experiment.payload,
        "outputs": [output(each) for each in given.outputs],
        "lease_seconds": attempt.lease_seconds,
        "deadline": _time(attempt.deadline),
        "heartbeat": given.heartbeat,
        "reason": experiment.reason,
        "expected": dict(experiment.expected or {}),
        "staged_at": _time(experiment.staged_at),
    }


def output(given: Output) -> Json:
    """`classes`: the labels that a result may carry; empty where it is a number."""
    return {"name": given.name, "unit": given.unit, "classes": list(given.classes)}


def labelled(problem: Problem, outputs: Mapping[str, float]) -> Json:
    """Stored numbers as people know them: labels as text, in the problem's order. One that the problem no longer
    names is left out."""
    return {each.name: each.decode(outputs[each.name]) for each in problem.outputs if each.name in outputs}


def parameter_list(parameters: Mapping[str, Any], problem: Problem) -> list[Json]:
    """Fixed types for languages that want them: `value` is a number or null, `text` is always text."""
    units = {each.name: each.unit for each in problem.parameters}
    found = []
    for name, value in parameters.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        found.append(
            {
                "name": name,
                "value": float(value) if number else None,
                "text": repr(value) if number else str(value),
                "unit": units.get(name, ""),
            }
        )
    return found


def probe(given: Probe) -> Json:
    return {
        "lease": given.lease,
        "attempt": str(given.attempt.id),
        "experiment": given.experiment.id,
        "code": given.experiment.code,
        "run_ref": given.attempt.run_ref,
        "parameters": dict(given.experiment.planned or {}),
        "started_at": _time(given.attempt.started_at),
    }


def answer(given: Answer) -> Json:
    return {"lease": given.lease, "ok": given.ok, "code": given.code, "message": given.message}


def beat(given: Beat) -> Json:
    return {
        "lease": given.lease,
        "state": given.state,
        "deadline": _time(given.deadline),
        "message": given.message,
    }


def recorded(given: Recorded) -> Json:
    return {
        "id": str(given.id),
        "verdict": str(given.verdict),
        "experiment": given.experiment,
        "state": None if given.state is None else str(given.state),
        "code": given.code,
        "message": given.message,
        "errors": [each.to_json() for each in given.errors],
    }


def queue(given: r.Queue) -> Json:
    return {
        "name": given.name,
        "lease_seconds": given.lease_seconds,
        "on_lost": str(given.on_lost),
        "max_attempts": given.max_attempts,
        "people": given.people,
        "state": given.state,
        "reason": given.reason,
    }


def instrument(given: r.Instrument, *, live: bool) -> Json:
    """`live`: its adapter was seen within the lease of its queue."""
    return {
        "name": given.name,
        "queue": given.queue,
        "live": live,
        "last_seen": _time(given.last_seen),
        "state": given.state,
        "reason": given.reason,
        "held_experiment": given.blocked_by,
        "failures": given.failures,
        "failure_limit": given.failure_limit,
    }


def event(given: r.Event, campaign: str | None) -> Json:
    return {
        "number": given.number,
        "at": _time(given.at),
        "type": given.type,
        "actor": given.actor,
        "campaign": campaign,
        "experiment": given.experiment_id,
        "attempt": None if given.attempt is None else str(given.attempt),
        "queue": given.queue,
        "instrument": given.instrument,
        "data": dict(given.data),
    }


def inquiry(given: r.Inquiry) -> Json:
    return {
        "id": str(given.id),
        "kind": given.kind,
        "state": given.state,
        "request": given.request,
        "answer": given.answer,
        "message": given.message,
        "deadline": _time(given.deadline),
        "created_at": _time(given.created_at),
    }


def token(given: r.Token) -> Json:
    return {
        "id": str(given.id),
        "name": given.name,
        "scopes": list(given.scopes),
        "created_at": _time(given.created_at),
        "expires_at": _time(given.expires_at),
        "revoked_at": _time(given.revoked_at),
    }


def webhook(given: r.Webhook, campaign: str | None) -> Json:
    return {
        "id": str(given.id),
        "url": given.url,
        "types": list(given.types),
        "campaign": campaign,
        "state": given.state,
        "cursor": given.cursor,
        "failures": given.failures,
        "retry_at": _time(given.retry_at),
        "created_at": _time(given.created_at),
    }


def pool(given: r.Pool) -> Json:
    return {
        "name": given.name,
        "version": given.version,
        "sha256": given.sha256,
        "rows": given.rows,
        "columns": given.columns,
        "size": given.size,
        "actor": given.actor,
        "created_at": _time(given.created_at),
    }


def artifact(given: r.Artifact) -> Json:
    return {"sha256": given.sha256, "size": given.size}


def file(given: r.File) -> Json:
    return {
        "name": given.name,
        "revision": given.revision,
        "size": given.size,
        "sha256": given.sha256,
        "changed_at": _time(given.changed_at),
    }


def model(given: r.Model) -> Json:
    return {
        "version": given.version,
        "data_revision": given.data_revision,
        "problem_version": given.problem_version,
        "rows": given.rows,
        "metrics": given.metrics,
        "device": given.device,
        "versions": given.versions,
        "seconds": given.seconds,
        "sha256": given.sha256,
        "created_at": _time(given.created_at),
    }


def version(given: r.Version) -> Json:
    return {
        "kind": given.kind,
        "number": given.number,
        "actor": given.actor,
        "reason": given.reason,
        "at": _time(given.created_at),
        "body": given.body,
    }


def _time(value: Any) -> str | None:
    return None if value is None else time_text(value)
