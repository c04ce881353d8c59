"""Servers that speak the robots' half of the HTTP contract, and a bench in front of one: a queue, a campaign, raw HTTP.

`SERVERS` names them: each entry starts one server and gives its address and a way to end a lease as the janitor would.
"""

from __future__ import annotations

import http.client
import itertools
import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from api import context_for, served, settings_for
from servers import Servers, short_folder

from labqueue.conformance import FakeServer
from models.domain.leasing import read_lease
from services.bootstrap import Context
from services.flow.recover import reap, stamp_alive


@dataclass(frozen=True)
class Server:
    """A running server: its address, and the janitor's hand."""

    url: str
    lose: Callable[[str], None]


@contextmanager
def fake_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with FakeServer() as fake:
        yield Server(fake.url, fake.lose)


@contextmanager
def real_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The API itself under uvicorn, on a real Postgres and a real Valkey."""
    servers: Servers = request.getfixturevalue("servers")
    home = short_folder()
    try:
        with (
            servers.database() as postgres_url,
            servers.redis_database() as redis_url,
            context_for(settings_for(postgres_url, home, redis_url)) as context,
            served(context) as url,
        ):
            yield Server(url, lambda lease: lose(context, lease))
    finally:
        shutil.rmtree(home, ignore_errors=True)


def lose(context: Context, lease: str) -> None:
    """Its deadline is over, and the janitor comes by."""
    attempt, _ = read_lease(lease)
    with context.store.session() as session:
        passed = "UPDATE attempts SET deadline = clock_timestamp() - interval '1 second' WHERE id = %s"
        assert session.run(passed, [attempt]) == 1
    stamp_alive(context.store)
    assert reap(context.store)


SERVERS: dict[str, Callable[[pytest.FixtureRequest], AbstractContextManager[Server]]] = {
    "fake": fake_server,
    "real": real_server,
}


class Bench:
    """A queue, a campaign with two inputs and two outputs, and raw HTTP."""

    def __init__(self, server: Server, **policy: Any) -> None:
        self.server = server
        self.queue = f"q-{uuid.uuid4().hex[:8]}"
        self.campaign = f"c-{uuid.uuid4().hex[:8]}"
        self._keys = itertools.count(1)
        self.ok("PUT", f"/queues/{self.queue}", policy)
        self.ok(
            "POST",
            "/campaigns",
            {
                "name": self.campaign,
                "queue": self.queue,
                "problem": {
                    "parameters": [
                        {"name": "tau", "kind": "continuous", "low": 0, "high": 10, "unit": "min"},
                        {"name": "solvent", "kind": "categorical", "categories": ["water", "ethanol"]},
                    ],
                    "outputs": [{"name": "yield", "unit": "%"}, {"name": "purity"}],
                    "objectives": [{"output": "yield"}],
                },
                "strategy": {"method": "caller"},
            },
        )

    def call(self, method: str, path: str, body: Any = None, raw: bytes | None = None) -> tuple[int, Any]:
        parts = urlsplit(self.server.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=70)
        try:
            sent = raw if raw is not None else None if body is None else json.dumps(body).encode()
            connection.request(method, "/api/v1" + path, sent, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            kind = answer.headers.get("Content-Type", "")
            return answer.status, json.loads(content) if "json" in kind and content else content
        finally:
            connection.close()

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.call(method, path, body)
        assert 200 <= status < 300, (status, answer)
        return answer

    def refused(self, status: int, code: str, method: str, path: str, body: Any = None) -> Any:
        got, answer = self.call(method, path, body)
        assert (got, answer["code"]) == (status, code), answer
        assert answer["status"] == status and answer["detail"] and isinstance(answer["errors"], list)
        return answer

    def stage(self, *taus: float, **more: Any) -> list[int]:
        rows = [{"parameters": {"tau": tau, "solvent": "water"}, **more} for tau in taus]
        body = {"key": str(uuid.uuid4()), "items": rows}
        answer = self.ok("POST", f"/campaigns/{self.campaign}/experiments", body)
        return [each["id"] for each in answer["experiments"]]

    def claiming(self, **more: Any) -> dict[str, Any]:
        key = f"{self.queue}-{next(self._keys)}"
        return {"instrument": f"{self.queue}-i", "adapter": f"{self.queue}-a", "key": key, **more}

    def claim(self, **more: Any) -> list[Any]:
        claimed: list[Any] = self.claimed(**more)["experiments"]
        return claimed

    def claimed(self, **more: Any) -> Any:
        return self.ok("POST", f"/queues/{self.queue}/claims", self.claiming(**more))

    def claim_started(self, **more: Any) -> Any:
        (assignment,) = self.claim(**more)
        assert self.say("start", assignment)["ok"]
        return assignment

    def say(self, verb: str, assignment: Any, **more: Any) -> Any:
        lease = assignment if isinstance(assignment, str) else assignment["lease"]
        (item,) = self.ok("POST", f"/attempts/{verb}", {"items": [{"lease": lease, **more}]})["items"]
        assert item["lease"] == lease and set(item) >= {"ok", "code", "message"}
        return item

    def heartbeat(self, *leases: str, wait: float = 0) -> Any:
        who = {"instrument": f"{self.queue}-i", "adapter": f"{self.queue}-a"}
        return self.ok("POST", "/attempts/heartbeat", {**who, "leases": list(leases), "wait": wait})

    def report(self, assignment: Any, **more: Any) -> Any:
        return self.post(result(assignment["experiment"], lease=assignment["lease"], **more))[0]

    def post(self, *results: Any) -> list[Any]:
        items: list[Any] = self.ok("POST", "/results", {"items": list(results)})["items"]
        return items

    def state(self, experiment: int) -> str:
        return str(self.ok("GET", f"/experiments/{experiment}")["state"])


def result(experiment: Any, **more: Any) -> dict[str, Any]:
    outputs = {"yield": 0.5, "purity": 0.9}
    return {"id": str(uuid.uuid4()), "experiment": experiment, "outputs": outputs, **more}
