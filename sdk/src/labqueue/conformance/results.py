"""Results and artifacts: everything that has an id is kept as it came, and its verdict is said."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from labqueue.errors import FieldError, InvalidError, KeyReusedError, NotFoundError
from labqueue.states import Outcome, State, Verdict

from .lab import PROBING, Experiment, Lab, Stored, stamp
from .reading import check, read, read_items


def post_results(lab: Lab, body: Any) -> dict[str, Any]:
    return {"items": [_record_item(lab, item) for item in read_items(body)]}


def _record_item(lab: Lab, item: Any) -> dict[str, Any]:
    """One item of a batch: what is wrong with it does not touch the others."""
    try:
        return record(lab, item)
    except InvalidError as error:
        name = str(item.get("id", "")) if isinstance(item, Mapping) else ""
        return _verdict(name, Verdict.REFUSED, None, error.message, error.code, error.errors)


def post_result(lab: Lab, experiment: str, body: Any) -> dict[str, Any]:
    """One result of the experiment that the path names. A refused one is raised (and kept)."""
    lab.experiment(experiment)
    item = record(lab, {**(body if isinstance(body, Mapping) else {}), "experiment": experiment})
    if item["code"] == KeyReusedError.code:
        raise KeyReusedError(item["message"])
    return item


def record(lab: Lab, item: Any) -> dict[str, Any]:
    """Keeps one result and says what became of it; everything that has an id is kept as it came."""
    known = [
        "id",
        "experiment",
        "lease",
        "outcome",
        "outputs",
        "outstanding",
        "noise",
        "actual",
        "artifacts",
        "comment",
        "measured_at",
    ]
    reader, fields = read(item, known)
    name = reader.text(fields, "id", "", limit=200)
    outcome = reader.choice(fields, "outcome", "", [each.value for each in Outcome], Outcome.MEASURED.value)
    check(reader, "This result cannot be read.")
    with lab.changed:
        try:
            experiment = lab.experiment(fields.get("experiment"))
        except NotFoundError as error:
            return _verdict(name, Verdict.REFUSED, None, error.message, NotFoundError.code)
        body = {**fields, "experiment": experiment.id}
        before = next((each for each in lab.results if each.id == name), None)
        if before is not None:
            if _same(before.body, body):
                return _verdict(name, Verdict.DUPLICATE, experiment, "This very result was recorded before.")
            message = f"The id {name} was used before with another body; kept as refused."
            _keep(lab, name + ":refused", experiment, Verdict.REFUSED, body, message)
            return _verdict(name, Verdict.REFUSED, experiment, message, KeyReusedError.code)
        return _judge(lab, experiment, name, outcome, body)


def _judge(
    lab: Lab, experiment: Experiment, name: str, outcome: str, body: Mapping[str, Any]
) -> dict[str, Any]:
    problem = lab.campaigns[experiment.campaign].problem
    outputs = body.get("outputs") or {}
    measured = outcome == Outcome.MEASURED.value
    errors = problem.check_outputs(outputs, body.get("outstanding") or ()) if measured else []
    attempt = lab.attempts.get(str(body.get("lease") or ""))
    if errors:
        message = "; ".join(str(each) for each in errors)
        if attempt is not None and attempt.live:
            attempt.ended = "held"
        if experiment.state is not State.COMPLETED:
            lab.hold(experiment, message)
        _keep(lab, name, experiment, Verdict.HELD, body, message)
        return _verdict(name, Verdict.HELD, experiment, message, None, errors)
    extra = [each for each in outputs if each not in problem.output_names]
    fresh = [each for each in outputs if each in problem.output_names and each not in experiment.values]
    ended = experiment.state is State.COMPLETED
    verdict = Verdict.ACCEPTED if (fresh if measured else not ended) else Verdict.REPLICATE
    if measured:
        experiment.values.update({each: outputs[each] for each in fresh})
    whole = not measured or all(each in experiment.values for each in problem.output_names)
    if not ended:
        experiment.state = State.COMPLETED if whole else State.PARTIAL
        experiment.state_reason = ""
    if attempt is not None and (attempt.live or attempt.ended == PROBING):
        attempt.ended = "completed"
        lab.instrument(attempt.instrument).failures = 0
    message = f"Kept beside it, no output of the campaign: {', '.join(extra)}." if extra else ""
    _keep(lab, name, experiment, verdict, body, message)
    return _verdict(name, verdict, experiment, message)


def _keep(
    lab: Lab, name: str, experiment: Experiment, verdict: Verdict, body: Mapping[str, Any], message: str
) -> None:
    stored = Stored(name, experiment.id, verdict.value, dict(body), message, stamp(lab.now()))
    lab.results.append(stored)
    lab.event("result", experiment, verdict=verdict.value)


def _verdict(
    name: str, verdict: Verdict, experiment: Experiment | None, message: str, code: str | None = None,
    errors: Sequence[FieldError] = (),
) -> dict[str, Any]:  # fmt: skip
    return {
        "id": name,
        "verdict": verdict.value,
        "experiment": experiment.id if experiment else None,
        "state": experiment.state.value if experiment else None,
        "code": code,
        "message": message,
        "errors": [each.to_json() for each in errors],
    }


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def put_artifact(lab: Lab, digest: str, content: bytes) -> tuple[int, dict[str, Any]]:
    if hashlib.sha256(content).hexdigest() != digest:
        wrong = FieldError("sha256", "is not the digest of what came.", digest)
        raise InvalidError("The artifact was damaged on its way.", errors=[wrong])
    with lab.changed:
        new = digest not in lab.artifacts
        lab.artifacts[digest] = content
        lab.changed.notify_all()
    return (201 if new else 200), {"sha256": digest, "size": len(content)}


def artifact(lab: Lab, digest: str) -> bytes:
    if digest not in lab.artifacts:
        raise NotFoundError(f"There is no artifact {digest}.")
    return lab.artifacts[digest]
