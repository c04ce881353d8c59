"""ALchemist's HTTP API on Labqueue's flow: the routers that `services.asgi` puts beside the others."""

from __future__ import annotations

from fastapi import APIRouter

from .routes import (
    acquisition,
    audit,
    designs,
    experiments,
    files,
    live,
    llm,
    model,
    plots,
    queue,
    sessions,
    staged,
    variables,
)

#: All of them, with their prefix. More particular paths come first.
ROUTERS: tuple[APIRouter, ...] = (
    files.router,
    sessions.router,
    variables.router,
    audit.router,
    llm.router,
    queue.router,
    staged.router,
    experiments.router,
    live.router,
    designs.router,
    model.router,
    acquisition.router,
    plots.router,
)
