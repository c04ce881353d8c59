"""A session's model: trained when asked, and described in ALchemist's words.

Which backend and kernel a program asks for is kept and answered back; the kernel itself, the maps of the outputs and the
scales are chosen by how well they explain the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from models.domain import records as r
from services.flow.planning import FEWEST_ROWS
from services.ports import Store, Transaction

from . import audit, locking
from .heldout import held_out
from .keeping import find, hold, note, save
from .measured import count
from .refusals import NO_DATA, RUNTIME, VALUE, Refusal
from .session import Session
from .training import BACKEND, train
from .visit import Visit, Visitor

KERNELS: Mapping[str, tuple[str, ...]] = {
    "sklearn": ("RBF", "Matern", "RationalQuadratic"),
    "botorch": ("RBF", "Matern", "IBNN"),
}
#: What a model said of rows that it had not seen, when it was trained.
_SCORES = "alchemist.scores"
#: Of what a model says of an output: how well it foretells, and not what it found.
_QUALITY = ("n", "rmse", "r2", "nll", "coverage50", "coverage95", "rank", "accuracy")
_NAMES = {"kind": "model_type", "kernel": "kernel_type", "lengthscales": "lengthscale", "warp": "output_map"}

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
    return {
        "success": True,
        "backend": wish["backend"],
        "kernel": wish["kernel"],
        "hyperparameters": hyperparameters(session, done.model["metrics"]),
        "metrics": shown(metrics.get(session.targets[0], {})),
        "message": "Model trained successfully",
    }


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
        "backend": session.model.get("backend", BACKEND),
        "hyperparameters": hyperparameters(session, model.metrics),
        "metrics": shown(_metrics(tx, session, model)),
        "is_trained": True,
    }


def hyperparameters(session: Session, metrics: Mapping[str, Any]) -> Json:
    """What the fit of the first target found; of several targets each under `outputs`."""
    outputs = metrics.get("outputs", {})
    found = {
        target: {
            _NAMES.get(name, name): value for name, value in outputs[target].items() if name not in _QUALITY
        }
        for target in session.targets
        if target in outputs
    }
    first = found.get(session.targets[0], {})
    return {**first, "outputs": found} if len(found) > 1 else first


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
        known = KERNELS[wish["backend"]]
        if wish["kernel"].lower() not in (each.lower() for each in known):
            raise Refusal(
                f"Unknown kernel type: {wish['kernel'][:100]!r}. Valid options for {wish['backend']} are: "
                f"{', '.join(known)}",
                VALUE,
            )
        if dict(session.model) != wish:
            save(tx, replace(session, model=wish))


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
