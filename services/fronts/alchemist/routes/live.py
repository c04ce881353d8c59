"""The socket that tells whoever watches a session what happens to it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from labqueue.errors import LabqueueError, UnavailableError
from models.domain import records as r
from services.api.call import Server
from services.api.guard import check_sender
from services.fronts.alchemist.monitor import messages
from services.fronts.alchemist.refusals import Refusal

router = APIRouter(tags=["ALchemist"])

PAGE = 500
#: How long a socket waits to be woken: looking costs no query, and a process that has just begun wakes nobody yet.
QUIET_SECONDS = 1.0
#: Close codes: the caller may not; there is no such session; the server stops.
DENIED, UNKNOWN, STOPPING = 1008, 4404, 1001


@router.websocket("/ws/sessions/{session_id}")
async def follow(socket: WebSocket, session_id: str) -> None:
    """What has happened before is asked for; from `connected` on nothing is missed."""
    server: Server = socket.app.state.server
    try:
        await check_sender(server.access, socket.headers.raw, safe=False)
        caller = await server.access.caller(socket.headers, page=True)
        caller.must_own(session_id)
    except LabqueueError as error:
        await socket.close(DENIED, error.message[:120])
        return
    await socket.accept()
    with suppress(WebSocketDisconnect, RuntimeError):  # it may leave at any moment, while we speak, too
        after = await server.threads.run(messages.begin, server.context.store, session_id)
        if after is None:
            await socket.close(UNKNOWN, f"Session {session_id[:50]} not found")
            return
        text = "WebSocket connection established"
        await socket.send_json({"event": "connected", "session_id": session_id, "message": text})
        gone = asyncio.ensure_future(_until_gone(socket))
        try:
            await _tell(socket, server, session_id, after, gone)
        finally:
            gone.cancel()
        if server.hub.closing:
            await socket.close(STOPPING)


async def _until_gone(socket: WebSocket) -> None:
    """What clients say is for nobody."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        continue


async def _tell(
    socket: WebSocket, server: Server, session_id: str, after: int, gone: asyncio.Future[None]
) -> None:
    hub, store = server.hub, server.context.store
    with hub.topics.watch(("events", None)) as watch:
        while not hub.closing and not gone.done():
            try:
                found = await _next(server, after)
                mine = [each for each in found if await _concerns(server, session_id, each)]
                said = await server.threads.run(messages.messages, store, session_id, mine) if mine else []
            except UnavailableError:
                await watch.wait(1.0, gone)
                continue
            except Refusal:  # the session was deleted
                await socket.close(UNKNOWN, f"Session {session_id[:50]} not found")
                return
            for each in said:
                await socket.send_json(each)
            after = max([after, *(each.number or 0 for each in found)])
            if not found:
                await watch.wait(QUIET_SECONDS, gone)


async def _next(server: Server, after: int) -> list[r.Event]:
    """From memory where it reaches back so far, else from the database: a slow reader fills no buffer of ours."""
    recent = server.hub.recent(after)
    return recent[:PAGE] if recent is not None else await server.threads.run(_read, server, after)


def _read(server: Server, after: int) -> list[r.Event]:
    with server.context.store.begin() as tx:
        return tx.events.after(after, PAGE)


async def _concerns(server: Server, session_id: str, event: r.Event) -> bool:
    if event.queue == session_id:
        return True
    return event.campaign_id is not None and await server.hub.campaign_name(event.campaign_id) == session_id
