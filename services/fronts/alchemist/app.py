"""ALchemist's HTTP API on Labqueue's flow: the routers that `services.asgi` puts beside the others."""

from __future__ import annotations

from fastapi import APIRouter

from .routes import sessions

#: All of them, with their prefix. More particular paths come first.
ROUTERS: tuple[APIRouter, ...] = (sessions.router,)
