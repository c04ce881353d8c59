"""amend: a recorded value is corrected or withdrawn: a row more, with actor and reason; the old one stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from labqueue.errors import FieldError, InvalidError, KeyReusedError, NotFoundError
from labqueue.problem import Problem, did_you_mean
from labqueue.states import Outcome, State, Verdict
from models.domain import records as r
from models.domain.lifecycle import move
from services.ports import Store, Transaction

from .filing import Recorded
from .shared import changed, experiment_of, fingerprint, needed, problem_of


@dataclass(frozen=True)
class Correction:
    """What result `result` should have said: other `outputs`, or other `actual` parameters, or both. `id` names this
    correction; the same again is one effect."""

    result: UUID
    id: UUID
    outputs: Mapping[str, Any]
    reason: str
    actual: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> list[Any]:
        said = ["amend", str(self.result), dict(self.outputs), self.reason]
        return [*said, dict(self.actual)] if self.actual else said


def amend(store: Store, given: Correction, actor: str) -> Recorded:
    """The named outputs and parameters of the experiment get new current values; training sees them from now on."""
    with store.begin() as tx:
        return amend_in(tx, given, actor)


def amend_in(tx: Transaction, given: Correction, actor: str) -> Recorded:
    """The same, within a transaction."""
    result, experiment = _find(tx, given.result)
    prior = _prior(tx, given.id, given.body())
    if prior is not None:
        return Recorded(
            given.id, Verdict.DUPLICATE, experiment.id, experiment.state, None, "Recorded before."
        )
    problem = _problem(tx, experiment)
    _check(problem, given)
    new = _row(result, given.id, "amend", dict(given.outputs), given.reason, actor)
    new = replace(new, actual={**result.actual, **given.actual}, body=given.body())
    new = replace(new, body_hash=fingerprint(new.body))
    seq = tx.results.add([new])[0].seq
    tx.results.retire_readings(experiment.id, sorted(given.outputs), seq)
    if result.verdict is Verdict.REPLICATE:
        tx.results.retire(given.result, seq)  # what it said beside the accepted value was wrong
    tx.results.add_readings(
        [
            r.Reading(
                experiment.id,
                name,
                problem.output(name).encode(value),
                result.noise.get(name),
                seq,
                True,
            )
            for name, value in given.outputs.items()
        ]
    )
    after = _whole(tx, replace(experiment, outcome=Outcome.MEASURED)) if given.outputs else experiment
    if after != experiment:
        experiment = after
        tx.experiments.save([experiment])
    tx.events.add([_event("amended", experiment, new, seq, actor, given.reason)])
    return Recorded(given.id, Verdict.ACCEPTED, experiment.id, experiment.state)


def withdraw(store: Store, result_id: UUID, new_id: UUID, reason: str, actor: str) -> Recorded:
    """What this result said counts no longer; its outputs have no current value until another result comes."""
    with store.begin() as tx:
        result, experiment = _find(tx, result_id)
        prior = _prior(tx, new_id, ["withdraw", str(result_id), {}, reason])
        if prior is not None:
            return Recorded(
                new_id, Verdict.DUPLICATE, experiment.id, experiment.state, None, "Recorded before."
            )
        if not reason.strip():
            raise InvalidError(errors=[FieldError("reason", "is missing: say why it is withdrawn.")])
        new = _row(result, new_id, "withdraw", {}, reason, actor)
        seq = tx.results.add([new])[0].seq
        mine = [each.output for each in tx.results.readings([experiment.id]) if each.result_seq == result.seq]
        tx.results.retire_readings(experiment.id, mine, seq)
        tx.results.retire(result_id, seq)
        if result.verdict is Verdict.ACCEPTED and not tx.results.readings([experiment.id]):
            experiment = replace(experiment, outcome=Outcome.SUSPECT)
            tx.experiments.save([experiment])
        tx.events.add([_event("withdrawn", experiment, new, seq, actor, reason)])
    return Recorded(new_id, Verdict.ACCEPTED, experiment.id, experiment.state, None, "Withdrawn.")


def _find(tx: Transaction, id: UUID) -> tuple[r.Result, r.Experiment]:
    found = tx.results.get([id])
    if not found or found[0].experiment_id is None:
        raise NotFoundError(f"There is no result {id} of an experiment.")
    return found[0], experiment_of(tx, found[0].experiment_id)


def _prior(tx: Transaction, new_id: UUID, body: Any) -> r.Result | None:
    """The same correction sent again. The experiment is locked by now."""
    found = tx.results.get([new_id])
    if found and found[0].body_hash != fingerprint(body):
        raise KeyReusedError(
            "This result id was used before with another body. Give a new correction a new id."
        )
    return found[0] if found else None


def _whole(tx: Transaction, experiment: r.Experiment) -> r.Experiment:
    """An amendment may bring what was outstanding; what waited for that alone is completed."""
    waiting = experiment.state in (State.PARTIAL, State.HELD) and experiment.attempt is None
    if not waiting:
        return experiment
    known = {each.output for each in tx.results.readings([experiment.id])}
    missing = tuple(name for name in needed(tx, _campaign(tx, experiment), experiment) if name not in known)
    if missing:
        return replace(experiment, outstanding=missing)
    state = move(experiment.state, State.COMPLETED)
    return replace(experiment, state=state, outstanding=(), held_reason="", finished_at=tx.now())


def _campaign(tx: Transaction, experiment: r.Experiment) -> r.Campaign:
    campaign = tx.campaigns.by_id(experiment.campaign_id)
    assert campaign is not None, "an experiment's campaign is never deleted"
    return campaign


def _problem(tx: Transaction, experiment: r.Experiment) -> Problem:
    return problem_of(_campaign(tx, experiment))


def _check(problem: Problem, given: Correction) -> None:
    names, outputs = problem.output_names, given.outputs
    wrong = [
        FieldError(f"outputs.{name}", "is no output.", name, ", ".join(names), did_you_mean(name, names))
        for name in outputs
        if name not in names
    ]
    checked = [problem.output(name).check(outputs[name]) for name in outputs if name in names]
    wrong += [replace(each, field=f"outputs.{each.field}") for each in checked if each]
    for name, value in given.actual.items():
        error = problem.check_actual(name, value)
        wrong += [replace(error, field=f"actual.{error.field}")] if error else []
    if not outputs and not given.actual:
        wrong.append(FieldError("outputs", "must name at least one output.", None, ", ".join(names)))
    if not given.reason.strip():
        wrong.append(FieldError("reason", "is missing: say why it is amended."))
    if wrong:
        raise InvalidError("This amendment cannot be used as it stands.", errors=wrong)


def _row(result: r.Result, id: UUID, kind: str, outputs: Any, reason: str, actor: str) -> r.Result:
    return replace(
        result,
        seq=0,
        id=id,
        kind=kind,
        verdict=Verdict.ACCEPTED,
        outcome=Outcome.MEASURED if outputs else result.outcome,
        outputs=outputs,
        extra={},
        outstanding=(),
        artifacts=[],
        comment="",
        reason=reason,
        body=[kind, str(result.id), outputs, reason],
        body_hash=fingerprint([kind, str(result.id), outputs, reason]),
        actor=actor,
        amends=result.id,
        measured_at=None,
        received_at=None,
    )


def _event(kind: str, experiment: r.Experiment, new: r.Result, seq: int, actor: str, reason: str) -> r.Event:
    event = changed(kind, experiment, actor, result=str(new.id), amends=str(new.amends), reason=reason)
    return replace(event, teaches=True, result_seq=seq)
