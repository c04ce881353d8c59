"""Which request reaches which verb of the laboratory in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from . import attempts, claims, people, results
from .lab import Lab

#: Server-sent events so far: (id, event, data).
Stream = Callable[[], "list[tuple[str, str, Any]]"]


@dataclass(frozen=True)
class Request:
    """A request, read: `path` without the prefix and the query."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes
    body: Any = None
    gone: Callable[[], bool] = bool  # whether the client has hung up

    def with_body(self, body: Any) -> Request:
        return replace(self, body=body)


@dataclass(frozen=True)
class Reply:
    """What is answered: JSON, bytes, or a stream of events."""

    status: int
    body: Any


Call = Callable[..., Reply]
NAME = "([^/]+)"


def _ok(verb: Callable[..., Any]) -> Call:
    """A verb of (lab, names from the path, body)."""
    return lambda lab, request, *names: Reply(200, verb(lab, *names, request.body))


def _made(verb: Callable[..., tuple[int, Any]]) -> Call:
    """A verb that says itself whether something new came to be."""
    return lambda lab, request, *names: Reply(*verb(lab, *names, request.body))


def _listed(verb: Callable[..., Any]) -> Call:
    """A verb of (lab, names from the path, query)."""
    return lambda lab, request, *names: Reply(200, verb(lab, *names, request.query))


def _shown(verb: Callable[..., Any]) -> Call:
    """A verb of (lab, names from the path)."""
    return lambda lab, request, *names: Reply(200, verb(lab, *names))


def _claim(lab: Lab, request: Request, queue: str) -> Reply:
    return Reply(200, claims.claim(lab, queue, request.body, request.gone))


def _report(lab: Lab, verb: str, body: Any) -> Any:
    return attempts.report(lab, verb, body)


def _single(lab: Lab, lease: str, verb: str, body: Any) -> Any:
    return attempts.report_single(lab, verb, lease, body)


def _put_artifact(lab: Lab, request: Request, digest: str) -> Reply:
    return Reply(*results.put_artifact(lab, digest, request.raw))


def _get_artifact(lab: Lab, request: Request, digest: str) -> Reply:
    return Reply(200, results.artifact(lab, digest))


def _events(lab: Lab, query: Mapping[str, str]) -> dict[str, Any]:
    after, limit = int(query.get("after") or 0), int(query.get("limit") or 100)
    rows = [each for each in lab.events[after:] if query.get("campaign") in (None, each["campaign"])]
    return {"items": rows[:limit], "next": str(rows[limit - 1]["number"]) if len(rows) > limit else None}


def _event_stream(lab: Lab, request: Request) -> Reply:
    after = int(request.query.get("after") or 0)
    rows: Stream = lambda: [(str(one["number"]), one["type"], one) for one in lab.events[after:]]
    return Reply(200, rows)


def _batch_stream(lab: Lab, request: Request, queue: str) -> Reply:
    lab.queue(queue)
    rows: Stream = lambda: [("", "batch", one) for one in lab.batches if one["queue"] == queue]
    return Reply(200, rows)


def _no_model(lab: Lab, campaign: str, kind: str, body: Any) -> dict[str, Any]:
    lab.campaign(campaign)
    return {"id": "1", "state": "failed", "answer": None, "message": f"{kind}: there is no model here."}


_WORDS = "(start|note|fail|release|cancelled|probe)"

ROUTES: tuple[tuple[str, str, Call], ...] = (
    ("POST", f"/queues/{NAME}/claims", _claim),
    ("POST", "/attempts/heartbeat", _ok(attempts.heartbeat)),
    ("POST", f"/attempts/{_WORDS}", _ok(_report)),
    ("POST", f"/attempts/{NAME}/{_WORDS}", _ok(_single)),
    ("POST", "/results", _ok(results.post_results)),
    ("POST", f"/experiments/{NAME}/results", _ok(results.post_result)),
    ("PUT", f"/artifacts/{NAME}", _put_artifact),
    ("GET", f"/artifacts/{NAME}", _get_artifact),
    ("HEAD", f"/artifacts/{NAME}", _get_artifact),
    ("GET", f"/queues/{NAME}/batches", _batch_stream),
    ("PUT", f"/queues/{NAME}", _ok(people.put_queue)),
    ("GET", "/queues", _listed(lambda lab, q: people.page([x.to_json() for x in lab.queues.values()], q))),
    ("GET", f"/queues/{NAME}", _shown(lambda lab, name: lab.queue(name).to_json())),
    ("POST", f"/queues/{NAME}/(pause|resume|drain)", _ok(people.set_queue)),
    ("POST", "/campaigns", _made(people.create_campaign)),
    ("GET", "/campaigns", _listed(people.list_campaigns)),
    ("GET", f"/campaigns/{NAME}", _shown(people.show_campaign)),
    ("POST", f"/campaigns/{NAME}/(pause|resume|finish)", _ok(people.set_campaign)),
    ("POST", f"/campaigns/{NAME}/experiments", _made(people.stage)),
    ("GET", f"/campaigns/{NAME}/experiments", _listed(people.list_experiments)),
    ("GET", f"/campaigns/{NAME}/results", _listed(people.list_results)),
    ("POST", f"/campaigns/{NAME}/(suggest|predict)", _ok(_no_model)),
    ("GET", f"/experiments/{NAME}", _shown(people.find_experiment)),
    ("POST", f"/experiments/{NAME}/(cancel|approve|reject|replay|dismiss|decide)", _ok(people.judge)),
    ("GET", "/instruments", _listed(people.list_instruments)),
    ("GET", f"/instruments/{NAME}", _shown(people.show_instrument)),
    ("POST", f"/instruments/{NAME}/(pause|clear)", _ok(people.set_instrument)),
    ("GET", "/events", _listed(_events)),
    ("GET", "/events/stream", _event_stream),
    ("GET", "/status", _shown(people.status)),
    ("GET", "/livez", lambda lab, request: Reply(200, {"status": "ok"})),
    ("GET", "/readyz", lambda lab, request: Reply(200, {"status": "ok", "dependencies": {}})),
)
