"""One request, as the routes see it: its body, who asks, the flow in a thread, and whether the client is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, ParamSpec, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel

from labqueue.errors import FieldError, InvalidError
from services.api.access import Access, Caller
from services.api.body import check, parse, read_raw
from services.api.hub import Hub
from services.api.metrics import Metrics
from services.api.threads import Threads
from services.bootstrap import Context

P = ParamSpec("P")
T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Server:
    """What all requests of an application share."""

    context: Context
    threads: Threads
    hub: Hub
    access: Access
    metrics: Metrics


class Call:
    """A request that was admitted."""

    def __init__(self, request: Request, server: Server, caller: Caller) -> None:
        self.request = request
        self.server = server
        self.caller = caller
        self.context = server.context
        self.store = server.context.store
        self.hub = server.hub

    @property
    def actor(self) -> str:
        return self.caller.actor

    async def json(self) -> Any:
        """The body. Raises TooLargeError and BadJsonError."""
        return parse(await read_raw(self.request, self.context.settings.body_limit))

    async def read(self, kind: type[Model]) -> Model:
        """The body as `kind`. Raises InvalidError that names every wrong field."""
        return check(kind, await self.json())

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """A call of the synchronous core, in a thread."""
        return await self.server.threads.run(call, *args, **kwargs)

    async def act(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for what changes something that queue streams may have to hear of."""
        answer = await self.server.threads.run(call, *args, **kwargs)
        self.hub.changed(outbox=True)
        return answer

    @asynccontextmanager
    async def client(self) -> AsyncIterator[asyncio.Future[None]]:
        """A future that is done when the client has gone away. The body must have been read."""
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        listener = asyncio.create_task(self._listen(gone))
        try:
            yield gone
        finally:
            listener.cancel()

    async def _listen(self, gone: asyncio.Future[None]) -> None:
        while (await self.request.receive())["type"] != "http.disconnect":
            continue
        if not gone.done():
            gone.set_result(None)


async def admit(request: Request) -> Call:
    """Who asks is known, and the query holds nothing that would be silently ignored."""
    server: Server = request.app.state.server
    if request.scope["query_string"]:
        _check_query(request)
    return Call(request, server, await server.access.caller(request.headers))


Admitted = Annotated[Call, Depends(admit)]


def _check_query(request: Request) -> None:
    dependant = getattr(request.scope.get("route"), "dependant", None)
    if dependant is None:
        return
    known = sorted(_query_names(dependant))
    wrong = [name for name in request.query_params if name not in known]
    if wrong:
        errors = []
        for name in wrong:
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]}?" if near else ""
            allowed = ", ".join(known) or "none"
            errors.append(
                FieldError(name, "is not known in this query.", request.query_params[name], allowed, hint)
            )
        raise InvalidError(errors=errors)


def _query_names(dependant: Any) -> set[str]:
    """Names in the query that the route or anything it depends on reads."""
    names = {each.alias for each in dependant.query_params}
    return names.union(*(_query_names(each) for each in dependant.dependencies))
