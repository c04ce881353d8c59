"""Composes the API and the page by prefix; what `python -m services.api` runs."""

from __future__ import annotations

from fastapi import FastAPI

from services.api.app import create_app
from services.bootstrap import Context
from services.web import page


def create(context: Context) -> FastAPI:
    """The whole HTTP side. The caller closes the context."""
    return create_app(context, others=[page.router])
