"""A session's model: trained when asked, and described in ALchemist's words.

A kernel that a program names is used; without one, and everything else, is chosen by how well it explains the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labqueue.strategy import AUTO
from models.domain import records as r
from services.flow.planning import FEWEST_ROWS
from services.fronts.alchemist.experiments.rows import count
from services.fronts.alchemist.refusals import NO_DATA, RUNTIME, VALUE, Refusal
from services.fronts.alchemist.sessions import audit, kernels, locking
from services.fronts.alchemist.sessions.keeping import find, hold, note
from services.fronts.alchemist.sessions.session import Session
from services.fronts.alchemist.visit import Visit, Visitor
from services.ports import Store, Transaction

from . import wishes
from .heldout import held_out
from .training import train

#: What a model said of rows that it had not seen, when it was trained.
_SCORES = "alchemist.scores"
#: Of what a model says of an output: how well it foretells, and not what it found.
_QUALITY = ("n", "rmse", "r2", "nll", "coverage50", "coverage95", "rank", "accuracy")
_NAMES = {"kind": "model_type", "lengthscales": "lengthscale", "warp": "output_map"}

Json = dict[str, Any]


async def trained(visit: Visit, session_id: str, wish: Json) -> Json:
    """A model that has seen every row. `wish`: backend, kernel and what else was named, kept for whoever asks. Raises
    Refusal (404, 409; 400 without data or where the training fails)."""
    token = locking.token_of(visit)
    await visit.act(_wish, visit.store, session_id, wish, visit.visitor, token)
    done = await train(visit, session_id)
    if not done.trained:
        raise Refusal(done.error or "The training failed.", RUNTIME)
    tested = await held_out(visit, session_id, [])
    metrics = {name: pieces[0].metrics() for name, pieces in tested.items() if pieces[0].true}
    version = done.model["model_version"]
    session = await visit.act(_keep, visit.store, session_id, version, metrics, wish, visit.actor)
    found = hyperparameters(session, done.model["metrics"])
    used = found.get("kernel_type")
    return {
        "success": True,
        "backend": wish["backend"],
        "kernel": used or wish.get("kernel"),
        "hyperparameters": found,
        "metrics": shown(metrics.get(session.targets[0], {})),
        "message": f"Model trained successfully{_other(kernels.checked(wish), used)}",
    }


def _other(wish: Json, used: str | None) -> str:
    """Where another kernel was used than the one that was named."""
    asked = wish.get("kernel")
    if asked is None or used is None or asked == used:
        return ""
    if kernels.kernel_of(wish) == AUTO:
        return f". Labqueue has no {asked} kernel: the data chose {used}."
    return f". Its kernel is {used}: somebody else asked for that meanwhile, or it has too many rows for another."


def information(store: Store, session_id: str) -> Json:
    """Raises Refusal (404)."""
    with store.begin() as tx:
        session = find(tx, session_id)
        found = summary(tx, session)
    if found is None:
        return {
            "backend": None,
            "hyperparameters": None,
            "metrics": None,
            "is_trained": False,
            "training_config": None,
        }
    return {**found, "training_config": dict(session.model) or None}


def summary(tx: Transaction, session: Session) -> Json | None:
    """What a session says of its model; None where it has none."""
    campaign = tx.campaigns.get(session.id)
    model = None if campaign is None else tx.models.latest(campaign.id, state=False)
    if model is None:
        return None
    return {
        "backend": session.model.get("backend", wishes.BACKEND),
        "hyperparameters": hyperparameters(session, model.metrics),
        "metrics": shown(_metrics(tx, session, model)),
        "is_trained": True,
    }


def hyperparameters(session: Session, metrics: Mapping[str, Any]) -> Json:
    """What the fit of the first target found; of several targets each under `outputs`."""
    outputs = metrics.get("outputs", {})
    found = {target: _found(outputs[target]) for target in session.targets if target in outputs}
    first = found.get(session.targets[0], {})
    return {**first, "outputs": found} if len(found) > 1 else first


def _found(fit: Mapping[str, Any]) -> Json:
    named = {_NAMES.get(name, name): value for name, value in fit.items() if name not in _QUALITY}
    kernel = named.pop("kernel", None)
    return named if kernel is None else {**named, **kernels.shown(kernel)}


def shown(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: metrics[name] for name in ("rmse", "mae", "r2") if metrics.get(name) is not None}


def _metrics(tx: Transaction, session: Session, model: r.Model) -> Mapping[str, Any]:
    """As they were answered when this model was asked for, else as the training itself said."""
    target = session.targets[0]
    kept = tx.documents.get(_SCORES, session.id, "")
    if kept is not None and kept.body["model_version"] == model.version and target in kept.body["metrics"]:
        found: Mapping[str, Any] = kept.body["metrics"][target]
        return found
    of_output: Mapping[str, Any] = model.metrics.get("outputs", {}).get(target, {})
    return of_output


def _wish(store: Store, session_id: str, wish: Json, visitor: Visitor, token: str | None) -> None:
    with store.begin() as tx:
        session = hold(tx, session_id)
        locking.require(tx, session_id, visitor, token)
        measured = count(tx, session_id)
        if not measured:
            raise Refusal("No experimental data available. Add experiments first.", NO_DATA)
        if measured < FEWEST_ROWS:
            raise Refusal(f"A model needs {FEWEST_ROWS} experiments; there are {measured}.", VALUE)
        wishes.keep(tx, session, wish, visitor.actor)


def _keep(
    store: Store, session_id: str, version: int, metrics: Mapping[str, Any], wish: Json, actor: str
) -> Session:
    with store.begin() as tx:
        session = hold(tx, session_id)
        note(tx, _SCORES, session_id, "", {"model_version": version, "metrics": dict(metrics)})
        new = {name: wish.get(name) for name in ("backend", "kernel", "kernel_params")}
        changed(tx, session_id, "model", new, actor)
    return session


def changed(tx: Transaction, session_id: str, component: str, new: Json, actor: str) -> None:
    """The audit's entry of how a model or a suggestion was asked for, numbered as ALchemist numbers them."""
    before = len(audit.entries(tx, session_id, "config_changed"))
    said = {"component": component, "old": {}, "new": new, "iteration": before}
    audit.record(tx, session_id, "config_changed", said, f"{component} config changed", actor)
