"""The real API for tests: in this process without sockets, or under uvicorn in a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from services.api.server import make_server
from services.asgi import create
from services.bootstrap import Context, build
from services.flow.number import number
from services.settings import Settings, load

PROBLEM = {
    "parameters": [
        {"name": "tau", "kind": "continuous", "low": 0, "high": 10, "unit": "min"},
        {"name": "solvent", "kind": "categorical", "categories": ["water", "ethanol"]},
    ],
    "outputs": [{"name": "yield", "unit": "%"}, {"name": "purity"}],
    "objectives": [{"output": "yield"}],
}


def settings_for(postgres_url: str, home: Path, redis_url: str | None = None, **more: str) -> Settings:
    """Without a Redis, one that does not answer."""
    return load(
        {
            "LABQUEUE_DATABASE_URL": postgres_url,
            "LABQUEUE_REDIS_URL": redis_url or f"unix://{home}/no.sock?db=0",
            "LABQUEUE_HOME": str(home),
            "LABQUEUE_DB_POOL_SIZE": "6",
            **more,
        }
    )


@contextmanager
def context_for(settings: Settings) -> Iterator[Context]:
    context = build(settings)
    try:
        yield context
    finally:
        context.close()


class Client(httpx.AsyncClient):
    """Talks to /api/v1, and fails loudly where an answer is not what is expected."""

    async def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = await self.request(method, path, json=body, **more)
        assert answer.is_success, (method, path, answer.status_code, answer.text)
        kind = answer.headers.get("content-type", "")
        return answer.json() if kind.startswith("application/json") else answer.text

    async def refused(
        self, status: int, code: str, method: str, path: str, body: Any = None, **more: Any
    ) -> Any:
        answer = await self.request(method, path, json=body, **more)
        assert answer.status_code == status, (answer.status_code, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        found = answer.json()
        assert (found["code"], found["status"]) == (code, status) and found["detail"], found
        return found


@asynccontextmanager
async def in_process(context: Context, app: FastAPI | None = None, **options: Any) -> AsyncIterator[Client]:
    """The application with its hub, without sockets. Streams and disconnects need `served`."""
    app = app or create(context)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with Client(
            transport=transport, base_url="http://localhost/api/v1", timeout=120, **options
        ) as client:
            client.app = app  # type: ignore[attr-defined]
            yield client


@contextmanager
def served(context: Context, port: int = 0) -> Iterator[str]:
    """The application on a loopback port (that one, or any), in a thread; yields its address."""
    app = create(context)
    # Named as TCP, or asyncio leaves small answers waiting for the other side (Nagle): 44 ms each.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    server = make_server(app)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listener])), name="api", daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
        assert not thread.is_alive(), "the server did not stop"


async def numbered(context: Context) -> None:
    """Every event that was committed has its number: what people look at is up to date."""
    while True:
        await asyncio.to_thread(number, context.store, wait=True)
        with context.store.session() as session:
            if not session.value("SELECT count(*) FROM events WHERE number IS NULL"):
                return


class Lab:
    """A queue and a campaign of the test's own, over HTTP."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.queue, self.campaign, self.instrument = f"{name}-queue", name, f"{name}-robot"
        self._count = 0

    @classmethod
    async def make(cls, client: Client, name: str = "lab", problem: Any = None, **policy: Any) -> Lab:
        lab = cls(client, name)
        await client.ok("PUT", f"/queues/{lab.queue}", {"lease_seconds": 60, **policy})
        body = {
            "name": name,
            "queue": lab.queue,
            "problem": problem or PROBLEM,
            "strategy": {"method": "caller"},
        }
        await client.ok("POST", "/campaigns", body)
        return lab

    async def stage(self, *taus: float, **more: Any) -> list[int]:
        rows = [{"parameters": {"tau": tau, "solvent": "water"}, **more} for tau in taus]
        body = {"key": str(uuid.uuid4()), "items": rows}
        answer = await self.client.ok("POST", f"/campaigns/{self.campaign}/experiments", body)
        return [each["id"] for each in answer["experiments"]]

    def claiming(self, **more: Any) -> dict[str, Any]:
        self._count += 1
        key = f"{self.queue}-{self._count}"
        return {"instrument": self.instrument, "adapter": f"{self.instrument}.1", "key": key, **more}

    async def claimed(self, **more: Any) -> Any:
        return await self.client.ok("POST", f"/queues/{self.queue}/claims", self.claiming(**more))

    async def claim(self, **more: Any) -> list[Any]:
        found: list[Any] = (await self.claimed(**more))["experiments"]
        return found

    async def begin(self, **more: Any) -> Any:
        (assignment,) = await self.claim(**more)
        await self.client.ok("POST", f"/attempts/{assignment['lease']}/start", {})
        return assignment

    async def report(self, experiment: Any, lease: str | None = None, **more: Any) -> Any:
        (item,) = (
            await self.client.ok("POST", "/results", {"items": [result(experiment, lease=lease, **more)]})
        )["items"]
        return item

    async def state(self, experiment: int) -> str:
        return str((await self.client.ok("GET", f"/experiments/{experiment}"))["state"])


def result(experiment: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "experiment": experiment,
        "outputs": {"yield": 0.5, "purity": 0.9},
        **more,
    }
