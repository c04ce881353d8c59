"""The types that request bodies are made of: strict, finite, bounded, and nothing unknown."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

NAME_LIMIT = 200
TEXT_LIMIT = 10_000
WAIT_LIMIT = 60.0


class Body(BaseModel):
    """A request body, or an object within one. What it does not know is an error that names the nearest field."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


def _whole(value: Any) -> Any:
    """1.0 is whole too: some languages write every number so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63), BeforeValidator(_whole)]
Flag = Annotated[bool, Field(strict=True)]
Text = Annotated[str, Field(strict=True, max_length=TEXT_LIMIT)]
Name = Annotated[str, Field(strict=True, min_length=1, max_length=NAME_LIMIT)]
Wait = Annotated[float, Field(strict=True, ge=0, le=WAIT_LIMIT, description="seconds to wait for an answer")]
Time = AwareDatetime


class Reason(Body):
    """Why: it stands in the history for ever."""

    reason: Text = ""
