"""Runs the application under uvicorn, and lets long polls end before it stops."""

from __future__ import annotations

import gc
import socket
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from labqueue.errors import DeniedError
from services.api.access import is_loopback
from services.api.call import Server
from services.bootstrap import Context

_log = structlog.get_logger(__name__)

STOP_SECONDS = 10


class ApiServer(uvicorn.Server):
    """As uvicorn's, but waiting claims, heartbeats and streams are answered when it is told to stop."""

    def __init__(self, config: uvicorn.Config, server: Server) -> None:
        super().__init__(config)
        self._server = server

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What was imported stays for ever: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        for each in self.servers:
            for listener in each.sockets:
                _log.info("listening", address=str(listener.getsockname()))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        _log.info("stopping")
        self._server.hub.close()
        await super().shutdown(sockets)


def make_server(app: FastAPI, **options: Any) -> ApiServer:
    """`options` go to uvicorn: host and port, or fd, or nothing where sockets are given to `run`."""
    config = uvicorn.Config(
        app,
        **{
            "log_config": None,
            "log_level": "warning",
            "access_log": False,
            "server_header": False,
            "timeout_graceful_shutdown": STOP_SECONDS,
            "timeout_keep_alive": 75,
            "backlog": 2048,
            "ws": "websockets-sansio",
            **options,
        },
    )
    return ApiServer(config, app.state.server)


def check_bind(context: Context) -> None:
    """Raises DeniedError where anybody on the network could use the server without a token."""
    host = context.settings.host
    if is_loopback(host):
        return
    with context.store.begin() as tx:
        if tx.tokens.any():
            return
    raise DeniedError(
        f"The API does not bind to {host} while there are no tokens: anybody on the network could use it. "
        "Create one first (labqueue-server token create NAME --scope admin), or bind to 127.0.0.1."
    )
