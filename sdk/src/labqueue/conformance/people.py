"""The people's half, as far as the command line needs it: queues, campaigns, staging, decisions, status."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from labqueue.errors import ConflictError, FieldError, InvalidError, KeyReusedError
from labqueue.parse import Reader
from labqueue.problem import Problem
from labqueue.states import LostLease, State, Verdict
from labqueue.strategy import Strategy

from .lab import Campaign, Experiment, Lab, Queue, Stored, stamp
from .reading import check, read
from .results import record

Query = Mapping[str, str]


# -- queues and instruments


def put_queue(lab: Lab, name: str, body: Any) -> dict[str, Any]:
    reader, fields = read(body, ["lease_seconds", "on_lost", "max_attempts", "people"])
    queue = Queue(
        name,
        reader.number(fields, "lease_seconds", "", lab.lease_seconds),
        reader.choice(fields, "on_lost", "", [each.value for each in LostLease], LostLease.HOLD.value),
        reader.whole(fields, "max_attempts", "", 3, low=1),
        reader.flag(fields, "people", "", False),
    )
    check(reader, "The queue cannot be used as it stands.")
    with lab.changed:
        before = lab.queues.get(name)
        if before is not None:
            queue.state, queue.reason = before.state, before.reason
        lab.queues[name] = queue
        lab.event("queue", queue=name)
    return queue.to_json()


def set_queue(lab: Lab, name: str, verb: str, body: Any) -> dict[str, Any]:
    """pause, resume or drain."""
    with lab.changed:
        queue = lab.queue(name)
        queue.state = {"pause": "paused", "resume": "active", "drain": "draining"}[verb]
        queue.reason = "" if verb == "resume" else _reason(body)
        lab.event(f"queue.{verb}", queue=name)
    return queue.to_json()


def show_instrument(lab: Lab, name: str) -> dict[str, Any]:
    instrument = lab.instrument(name)
    return {
        "name": name,
        "queue": instrument.queue,
        "live": bool(instrument.adapter) and lab.now() - instrument.seen < lab.lease_seconds,
        "last_seen": stamp(instrument.seen),
        "state": "paused" if instrument.paused else "active",
        "reason": instrument.reason,
        "held_experiment": instrument.held,
        "failure_limit": instrument.failure_limit,
        "failures": instrument.failures,
    }


def list_instruments(lab: Lab, query: Query) -> dict[str, Any]:
    return page([show_instrument(lab, name) for name in lab.instruments], query)


def set_instrument(lab: Lab, name: str, verb: str, body: Any) -> dict[str, Any]:
    """pause or clear."""
    with lab.changed:
        instrument = lab.instrument(name)
        instrument.paused, instrument.failures = verb == "pause", 0
        instrument.reason = _reason(body) if verb == "pause" else ""
        instrument.held = instrument.held if verb == "pause" else None
        lab.event(f"instrument.{verb}")
    return show_instrument(lab, name)


# -- campaigns


def create_campaign(lab: Lab, body: Any) -> tuple[int, dict[str, Any]]:
    reader, fields = read(body, ["name", "queue", "owner", "problem", "strategy", "weight", "seed"])
    name, queue = reader.text(fields, "name", "", limit=200), reader.text(fields, "queue", "", limit=200)
    owner, weight = reader.text(fields, "owner", "", "local"), reader.number(fields, "weight", "", 1.0)
    problem = _collect(reader, lambda: Problem.from_json(fields.get("problem")))
    strategy = _collect(reader, lambda: Strategy.from_json(fields.get("strategy")))
    check(reader, "The campaign cannot be created as it stands.")
    assert problem is not None and strategy is not None
    with lab.changed:
        lab.queue(queue)
        made = Campaign(name, queue, problem, strategy, owner, weight, fields.get("seed"))
        before = lab.campaigns.get(name)
        if before is None:
            made.created_at = stamp(lab.now())
            lab.campaigns[name] = made
            lab.event("campaign", campaign=name)
            return 201, show_campaign(lab, name)
        same = (before.queue, before.problem, before.strategy, before.owner, before.weight, before.seed)
        if same != (queue, problem, strategy, owner, weight, made.seed):
            raise ConflictError(f"There is another campaign of the name {name}; choose another name.")
        return 200, show_campaign(lab, name)


def _collect(reader: Reader, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except InvalidError as error:
        reader.errors.extend(error.errors)
        return None


def show_campaign(lab: Lab, name: str) -> dict[str, Any]:
    campaign = lab.campaign(name)
    mine = [each for each in lab.experiments.values() if each.campaign == name]
    counts = {state.value: sum(each.state is state for each in mine) for state in State}
    problem = campaign.problem
    measured = [each for each in mine if each.values]
    scored = [(problem.score(each.values), each) for each in measured if problem.admissible(each.values)]
    best = max(((score, each) for score, each in scored if score is not None), key=_first, default=None)
    front = problem.front([each.values for each in measured]) if problem.pareto else []
    return {
        "name": name,
        "state": campaign.state,
        "reason": campaign.reason,
        "owner": campaign.owner,
        "queue": campaign.queue,
        "problem": campaign.problem.to_json(),
        "problem_version": 1,
        "strategy": campaign.strategy.to_json(),
        "strategy_version": 1,
        "weight": campaign.weight,
        "seed": campaign.seed,
        "data_revision": len(lab.results),
        "model_version": None,
        "counts": {state: count for state, count in counts.items() if count},
        "best": None if best is None else _best(*best),
        "front": [_best(None, measured[place]) for place in front],
        "created_at": campaign.created_at,
        "finished_at": campaign.finished_at,
    }


def list_campaigns(lab: Lab, query: Query) -> dict[str, Any]:
    return page([show_campaign(lab, name) for name in lab.campaigns], query)


def _first(pair: tuple[float, Experiment]) -> float:
    return pair[0]


def _best(score: float | None, each: Experiment) -> dict[str, Any]:
    return {
        "experiment": each.id,
        "code": each.code,
        "score": score,
        "parameters": each.parameters,
        "outputs": each.values,
    }


def set_campaign(lab: Lab, name: str, verb: str, body: Any) -> dict[str, Any]:
    """pause, resume or finish."""
    with lab.changed:
        campaign = lab.campaign(name)
        if campaign.state == "finished":
            raise ConflictError(f"The campaign {name} is finished.")
        campaign.state = {"pause": "paused", "resume": "active", "finish": "finished"}[verb]
        campaign.reason = "" if verb == "resume" else _reason(body)
        if verb == "finish":
            campaign.finished_at = stamp(lab.now())
            for each in lab.experiments.values():
                if each.campaign == name and each.state in (State.STAGED, State.PROPOSED):
                    each.state = State.CANCELLED
        lab.event(f"campaign.{verb}", campaign=name)
    return show_campaign(lab, name)


# -- experiments


def stage(lab: Lab, name: str, body: Any) -> tuple[int, dict[str, Any]]:
    """All or nothing; names every bad row. The same key: the same answer."""
    reader, fields = read(body, ["key", "items", "propose"])
    key, propose = reader.text(fields, "key", "", limit=200), reader.flag(fields, "propose", "", False)
    rows = list(reader.objects(fields, "items", "", 10_000))
    check(reader, "The batch cannot be staged as it stands.")
    content = json.dumps([fields.get("items"), propose], sort_keys=True)
    with lab.changed:
        problem = lab.campaign(name).problem
        if (name, key) in lab.staged:
            before, answer = lab.staged[name, key]
            if before != content:
                raise KeyReusedError(f"The key {key} was used before for another batch; make a new one.")
            return 200, answer
        errors = [error for place, row in rows for error in _row_errors(problem, row, place)]
        if errors:
            raise InvalidError("Nothing was staged: some rows cannot be used.", errors=errors)
        state = State.PROPOSED if propose else State.STAGED
        made = [
            lab.add_experiment(
                name,
                {} if problem.opaque else problem.normal(row["parameters"]),
                row.get("payload"),
                int(row.get("priority", 0)),
                str(row.get("reason", "")),
                state=state,
                pinned=bool(row.get("pinned")),
                expires_at=row.get("expires_at"),
            )
            for _, row in rows
        ]
        listed = [{"id": each.id, "code": each.code, "state": each.state.value} for each in made]
        answer = {"batch": lab.publish(name, made), "experiments": listed}
        lab.staged[name, key] = (content, answer)
        return 201, answer


def _row_errors(problem: Problem, row: Mapping[str, Any], place: str) -> list[FieldError]:
    reader = Reader()
    reader.only(row, ["parameters", "payload", "priority", "reason", "expires_at", "pinned"], place)
    if not problem.opaque:
        for error in problem.check_point(row.get("parameters")):
            where = f"{place}.{error.field}"
            reader.errors.append(FieldError(where, error.message, error.value, error.allowed, error.hint))
    return reader.errors


def show_experiment(lab: Lab, each: Experiment, whole: bool = False) -> dict[str, Any]:
    """`whole`: with its attempts and results."""
    shown = {
        "id": each.id,
        "code": each.code,
        "campaign": each.campaign,
        "queue": each.queue,
        "state": each.state.value,
        "state_reason": each.state_reason,
        "priority": each.priority,
        "pinned": each.pinned,
        "origin": each.origin,
        "reason": each.reason,
        "parameters": each.parameters,
        "payload": each.payload,
        "outputs": each.values,
        "attempts_made": len(each.attempts),
        "staged_at": stamp(each.staged_at),
    }
    if whole:
        shown["attempts"] = [
            {
                "id": one.id,
                "number": one.number,
                "instrument": one.instrument,
                "state": "ended" if one.ended else "running" if one.started_at else "claimed",
                "ended": one.ended,
                "reason": one.reason,
                "run_ref": one.run_ref,
                "notes": one.notes,
                "started_at": None if one.started_at is None else stamp(one.started_at),
            }
            for one in each.attempts
        ]
        mine = [one for one in lab.results if one.experiment == each.id]
        told = [_actual(one) for one in mine if one.verdict == Verdict.ACCEPTED.value]
        shown["actual"] = {name: value for said in told for name, value in said.items()}
        shown["results"] = [show_result(lab, one) for one in mine]
        shown["events"] = [one for one in lab.events if one["experiment"] == each.id]
    return shown


def find_experiment(lab: Lab, name: str) -> dict[str, Any]:
    return show_experiment(lab, lab.experiment(name), whole=True)


def list_experiments(lab: Lab, name: str, query: Query) -> dict[str, Any]:
    lab.campaign(name)
    wanted = query.get("state")
    mine = [each for each in lab.experiments.values() if each.campaign == name]
    rows = [show_experiment(lab, each) for each in mine if wanted in (None, "", each.state.value)]
    return page(rows, query)


def list_results(lab: Lab, name: str, query: Query) -> dict[str, Any]:
    lab.campaign(name)
    mine = [each for each in lab.results if lab.experiments[each.experiment].campaign == name]
    return page([show_result(lab, each) for each in mine], query)


def show_result(lab: Lab, each: Stored) -> dict[str, Any]:
    """As it came, without its lease. Nothing is amended or withdrawn here: what could be used stands."""
    experiment = lab.experiments[each.experiment]
    problem = lab.campaigns[experiment.campaign].problem
    usable = each.verdict in (Verdict.ACCEPTED.value, Verdict.REPLICATE.value)
    return {
        **{name: value for name, value in each.body.items() if name != "lease"},
        "kind": "report",
        "experiment": each.experiment,
        "code": experiment.code,
        "parameters": experiment.parameters,
        "as_run": problem.ordered({**experiment.parameters, **_actual(each)}),
        "verdict": each.verdict,
        "standing": "stands" if usable else None,
        "replaced": [],
        "message": each.message,
        "amends": None,
        "recorded_at": each.recorded_at,
    }


def _actual(each: Stored) -> Mapping[str, Any]:
    said = each.body.get("actual")
    return said if isinstance(said, Mapping) else {}


def page(rows: list[dict[str, Any]], query: Query) -> dict[str, Any]:
    start, limit = int(query.get("cursor") or 0), int(query.get("limit") or 100)
    more = start + limit < len(rows)
    return {"items": rows[start : start + limit], "next": str(start + limit) if more else None}


# -- a person's word on one experiment


def judge(lab: Lab, name: str, verb: str, body: Any) -> dict[str, Any]:
    """cancel, approve, reject, replay, dismiss or decide."""
    with lab.changed:
        found = lab.experiment(name)
        if verb == "cancel":
            lab.cancel(found.id, _reason(body) or "cancelled by a person")
        elif verb == "decide":
            _decide(lab, found, body)
        else:
            needed, then = {
                "approve": (State.PROPOSED, State.STAGED),
                "reject": (State.PROPOSED, State.CANCELLED),
                "replay": (State.FAILED, State.STAGED),
                "dismiss": (State.FAILED, State.FAILED),
            }[verb]
            if found.state is not needed:
                raise ConflictError(f"{found.code} is {found.state}; only what is {needed} can be: {verb}.")
            found.state, found.state_reason = then, _reason(body)
        lab.event(verb, found, reason=_reason(body))
        return show_experiment(lab, found)


def _decide(lab: Lab, found: Experiment, body: Any) -> None:
    reader, fields = read(body, ["decision", "reason", "result"])
    decision = reader.choice(fields, "decision", "", ("run_again", "complete", "give_up"))
    if decision == "complete" and fields.get("result") is None:
        reader.wrong("result", "is missing.", hint="complete needs the result that the experiment has.")
    check(reader, "This decision cannot be used as it stands.")
    if found.state is not State.HELD:
        raise ConflictError(f"{found.code} is {found.state}; only what is held awaits a decision.")
    if decision == "complete":
        record(lab, {**fields["result"], "experiment": found.id})
    else:
        found.state = State.STAGED if decision == "run_again" else State.FAILED
        found.state_reason = _reason(body)


def status(lab: Lab) -> dict[str, Any]:
    held = [each for each in lab.experiments.values() if each.state is State.HELD]
    stopped = [each for each in lab.instruments.values() if each.paused or each.held is not None]
    attention = [
        {
            "kind": "held",
            "title": f"{each.code} is held",
            "what": each.state_reason,
            "do": f"labqueue decide {each.code} run_again|complete|give_up --reason '...'",
            "link": f"/experiments/{each.id}",
        }
        for each in held
    ] + [
        {
            "kind": "instrument",
            "title": f"{each.name} waits for a decision" if each.held else f"{each.name} is paused",
            "what": each.reason or f"Experiment {each.held} is held.",
            "do": f"labqueue instrument clear {each.name}",
            "link": f"/instruments/{each.name}",
        }
        for each in stopped
    ]
    return {
        "attention": attention,
        "queues": [each.to_json() for each in lab.queues.values()],
        "instruments": [show_instrument(lab, name) for name in lab.instruments],
        "campaigns": [show_campaign(lab, name) for name in lab.campaigns],
        "workers": [],
        "version": "0.1.0",
    }


def _reason(body: Any) -> str:
    return str((body or {}).get("reason") or "") if isinstance(body, Mapping) else ""
