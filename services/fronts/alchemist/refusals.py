"""What cannot be done, in ALchemist's words: `{detail, error_type, status_code}`, or `{detail}` alone."""

from __future__ import annotations

from typing import Any

from labqueue.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    LabqueueError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
)
from services.api.access import TokenNeededError

NO_VARIABLES, NO_DATA, NO_MODEL = "NoVariablesError", "NoDataError", "NoModelError"
VALUE, RUNTIME, VALIDATION = "ValueError", "RuntimeError", "ValidationError"
NOT_FOUND, NOT_ESTIMABLE, INFEASIBLE = (
    "SessionNotFoundError",
    "DesignNotEstimableError",
    "InfeasibleRegionError",
)

#: What its handlers answer for each type of error.
_STATUS = {NOT_FOUND: 404, VALIDATION: 422, "ImportError": 422, "SessionFileUnreadableError": 503}


class Refusal(Exception):
    """`kind`: its error type, whose status it has; else a plain one that says `detail` only, with a `status`."""

    def __init__(self, detail: str, kind: str = "", status: int = 0, **more: Any) -> None:
        super().__init__(detail)
        self.status = status or _STATUS.get(kind, 400)
        self.body: dict[str, Any] = {"detail": detail}
        if kind:
            self.body |= {"error_type": kind, "status_code": self.status}
        self.body |= more


def invalid(message: str, *place: str | int, kind: str = "value_error", given: Any = None) -> Refusal:
    """422 of a body; `place`: where in it. `kind` as pydantic names it."""
    fault = {"type": kind, "loc": ["body", *place], "msg": message, "input": given}
    detail = f"{place[-1]}: {message}" if place else message
    return Refusal(detail, VALIDATION, errors=[fault])


def unknown_session(id: str) -> Refusal:
    return Refusal(f"Session {id[:100]} not found", NOT_FOUND)


def refusal(error: LabqueueError) -> Refusal:
    """An error of the flow as ALchemist would tell it. What was refused field by field is told field by field."""
    detail = sentence(error)
    if isinstance(error, TokenNeededError):
        return Refusal(detail, status=401)
    if isinstance(error, (DeniedError, ConflictError, NotFoundError, TooLargeError)):
        return Refusal(detail, status=error.status)
    if isinstance(error, UnavailableError):
        return Refusal(detail, "UnavailableError", status=503)
    if isinstance(error, InvalidError):
        return Refusal(detail, VALUE)
    return Refusal(detail, RUNTIME)


def sentence(error: LabqueueError) -> str:
    """The message with the faults of single fields, which ALchemist's `detail` says in one string."""
    faults = "; ".join(f"{each.field} {each.message}".rstrip(".") for each in error.errors[:10])
    return f"{error.message} {faults}." if faults and faults not in error.message else error.message
