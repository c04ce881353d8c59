"""The HTTP API as an application: routes under /api/v1, health at the root, one hub behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from services.api import guard, problems, spec
from services.api.access import Access, is_loopback
from services.api.call import Server
from services.api.hub import Hub
from services.api.metrics import Metrics
from services.api.routes import (
    artifacts,
    attempts,
    campaigns,
    claims,
    docs,
    events,
    experiments,
    files,
    health,
    inquiries,
    instruments,
    learners,
    pools,
    queues,
    results,
    sdk,
    status,
    tables,
    tokens,
    webhooks,
)
from services.api.threads import Threads
from services.api.version import VERSION
from services.bootstrap import Context

PREFIX = "/api/v1"
#: Connections that requests leave to the hub's own tasks.
HUB_CONNECTIONS = 2

# Looked through from the first to the last, and each look costs: what robots say for every experiment comes first.
ROUTERS = (
    claims.router, attempts.hot, results.hot, experiments.hot,
    attempts.router, results.router, campaigns.router, experiments.router, queues.router, instruments.router,
    artifacts.router, inquiries.router, learners.router, events.router, status.router, tokens.router, webhooks.router,
    pools.router, files.router, tables.router,
)  # fmt: skip


def create_app(context: Context, others: Sequence[APIRouter] = ()) -> FastAPI:
    """`others`: further edges that live in the same process. The context stays the caller's: it is not closed."""
    threads = Threads(context.settings.db_pool_size - HUB_CONNECTIONS, "request")
    hub = Hub(context)
    local = is_loopback(context.settings.host)
    access = Access(context.store, threads, open_without_tokens=local)
    metrics = Metrics()
    metrics.waiting("claim", lambda: len(hub.waiters))

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        await hub.start()
        try:
            yield
        finally:
            await hub.stop()
            if context.batches is not None:
                await context.batches.close()
            threads.close()

    app = FastAPI(
        lifespan=life,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.server = Server(context, threads, hub, access, metrics)
    problems.install(app)
    spec.install(app, VERSION)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    for router in (health.router, sdk.router, docs.router, *others):
        app.include_router(router)
    app.add_middleware(guard.Guard, metrics=metrics, access=access)
    return app
