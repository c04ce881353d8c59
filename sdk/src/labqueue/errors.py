"""What can go wrong, as one tree. The docstring of each class is its default message.

LabqueueError
+-- InvalidError            what was sent cannot be used: `.errors` names each field
+-- NotFoundError           the server knows no such thing
+-- ConflictError           what was asked contradicts what is
|   +-- LeaseLostError      the lease is not (or no longer) this adapter's
|   +-- KeyReusedError      the same key came with another body
|   +-- ChangedError        it is not as the request said it must be
|   +-- InstrumentTakenError another live adapter serves this instrument
+-- TooLargeError           a body or a batch over the limit
+-- DeniedError             no token, or one that may not do this
+-- UnavailableError        no answer, or one that says: later
+-- Outcome signals, raised by a measuring function
    +-- Infeasible          the conditions cannot be run; teaches the model
    +-- Suspect             measured, but not to be trusted; kept, not trained on
    +-- Failed              the run failed; says nothing about the conditions
    +-- Cancelled           somebody wished the run to end
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class FieldError:
    """One thing that is wrong with what was sent: where, what came, what is allowed and what to do."""

    field: str
    message: str
    value: Any = None
    allowed: Any = None
    hint: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> FieldError:
        return cls(
            field=str(body.get("field", "")),
            message=str(body.get("message", "")),
            value=body.get("value"),
            allowed=body.get("allowed"),
            hint=str(body.get("hint", "")),
        )

    def __str__(self) -> str:
        text = f"{self.field}: {self.message}" if self.field else self.message
        return f"{text} {self.hint}".strip()


class LabqueueError(Exception):
    """Labqueue could not do this."""

    code = "error"
    status = 500

    def __init__(self, message: str = "", *, errors: Sequence[FieldError] = ()) -> None:
        text = message or (type(self).__doc__ or "").strip().splitlines()[0]
        super().__init__(text)
        self.message = text
        self.errors: tuple[FieldError, ...] = tuple(errors)

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  - {error}" for error in self.errors)])


class InvalidError(LabqueueError):
    """What was sent cannot be used as it stands."""

    code = "invalid"
    status = 422


class NotFoundError(LabqueueError):
    """There is no such thing here."""

    code = "not_found"
    status = 404


class ConflictError(LabqueueError):
    """What was asked contradicts the present state."""

    code = "conflict"
    status = 409


class LeaseLostError(ConflictError):
    """This lease is not, or no longer, yours. Stop at the next safe point; results are still welcome."""

    code = "lease_lost"


class KeyReusedError(ConflictError):
    """This key was used before with another body."""

    code = "key_reused"


class InstrumentTakenError(ConflictError):
    """Another adapter serves this instrument and is alive."""

    code = "instrument_taken"


class ChangedError(ConflictError):
    """Somebody else changed it in the meantime."""

    code = "changed"
    status = 412


class TooLargeError(LabqueueError):
    """The body is over the limit."""

    code = "too_large"
    status = 413


class DeniedError(LabqueueError):
    """This needs a token that allows it."""

    code = "denied"
    status = 403


class UnavailableError(LabqueueError):
    """The server does not answer at present."""

    code = "unavailable"
    status = 503


class Infeasible(LabqueueError):
    """The conditions cannot be run."""

    code = "infeasible"


class Suspect(LabqueueError):
    """The measurement is not to be trusted."""

    code = "suspect"

    def __init__(self, message: str = "", outputs: Mapping[str, float] | None = None) -> None:
        super().__init__(message)
        self.outputs = dict(outputs or {})


class Failed(LabqueueError):
    """The run failed."""

    code = "failed"


class Cancelled(LabqueueError):
    """The run was cancelled."""

    code = "cancelled"


def by_code(code: str) -> type[LabqueueError]:
    """The class that an answer's `code` stands for; an unknown code is the root (servers grow first)."""
    known: list[type[LabqueueError]] = [
        InvalidError,
        NotFoundError,
        ConflictError,
        LeaseLostError,
        KeyReusedError,
        InstrumentTakenError,
        ChangedError,
        TooLargeError,
        DeniedError,
        UnavailableError,
    ]
    return next((kind for kind in known if kind.code == code), LabqueueError)
