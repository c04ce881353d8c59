"""Language models that choose model terms: ALchemist can ask some, this server has none, and says so as it would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from services.api.answers import Json, dumps
from services.fronts.alchemist.refusals import Refusal
from services.fronts.alchemist.routes.spec import says
from services.fronts.alchemist.sessions.keeping import find
from services.fronts.alchemist.sessions.session import Session
from services.fronts.alchemist.visit import Route, Visit, Visiting

router = APIRouter(prefix="/llm", tags=["ALchemist"], route_class=Route)

NONE = "This server asks no language model. Give the effects yourself, or name a model_type."

ASKED = {
    "structuring_provider": {"provider": "openai", "model": "..."},
    "system_context": "Coupling of an aryl chloride, for yield.",
}


class Provider(BaseModel):
    model_config = ConfigDict(extra="ignore")

    provider: Annotated[str, Field(pattern="^(openai|ollama)$")]
    model: str


class Question(BaseModel):
    model_config = ConfigDict(extra="ignore")

    structuring_provider: Provider
    system_context: str


@router.post(
    "/suggest-effects/{session_id}",
    summary="Ask for model terms",
    **says(Question, example=ASKED, kind="text/event-stream", answer="data: {}", problems=(400, 404, 422)),
)
async def suggest(session_id: str, visit: Visiting) -> Response:
    """One event, which says that no language model is asked."""
    await visit.read(Question)
    session = await visit.run(_found, visit, session_id)
    if not session.variables:
        raise Refusal("No variables defined in search space. Add variables before suggesting effects.")
    said: Mapping[str, Any] = {"status": "error", "message": NONE}
    return Response(f"data: {dumps(said)}\n\n", media_type="text/event-stream")


@router.get("/config", summary="Language models", **says(answer={"openai": None}))
async def config(visit: Visiting) -> Response:
    """None is configured."""
    return Json({"openai": None, "ollama": None, "edison": None})


@router.post("/config", summary="Configure language models", **says(answer={}, problems=(400,)))
async def configure(visit: Visiting) -> Response:
    """Refused: keys of other services are not kept here."""
    raise Refusal(f"Nothing was saved. {NONE}")


@router.get(
    "/ollama/models", summary="Models of an Ollama server", **says(answer={"models": []}, problems=(400,))
)
async def models(
    visit: Visiting, base_url: Annotated[str, Query(max_length=1000)] = "http://localhost:11434"
) -> Response:
    """None: no other server is asked."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise Refusal("base_url must be an http or https URL without credentials")
    return Json({"models": [], "error": NONE})


def _found(visit: Visit, session_id: str) -> Session:
    with visit.store.begin() as tx:
        return find(tx, session_id)
