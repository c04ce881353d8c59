"""What ALchemist's programs look at before they begin."""

from __future__ import annotations

from fastapi import APIRouter

#: At the root, where everybody may ask.
router = APIRouter(tags=["ALchemist"])


@router.get("/health", summary="The server answers, in ALchemist's words")
async def health() -> dict[str, str]:
    """Whether its database and workers are there says /readyz."""
    return {"status": "healthy", "service": "alchemist-api"}
