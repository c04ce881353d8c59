"""What the server answers, as frozen values. Fields that this version does not know are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import FieldError
from .problem import Output

#: What a heartbeat says of a lease.
LIVE, CANCEL, NOT_NEEDED, LOST = "live", "cancel", "not_needed", "lost"


@dataclass(frozen=True)
class Assignment:
    """One leased experiment, as a claim answers it. `body` is the answer itself, for the journal."""

    lease: str
    attempt: str
    experiment: int
    code: str
    campaign: str = ""
    queue: str = ""
    attempt_number: int = 1
    priority: int = 0
    parameters: Any = field(default_factory=dict)
    payload: Any = None
    outputs: tuple[Output, ...] = ()
    lease_seconds: float = 60.0
    deadline: str | None = None
    heartbeat: bool = True
    reason: str = ""
    expected: Mapping[str, Any] = field(default_factory=dict)
    staged_at: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Assignment:
        outputs = tuple(
            Output(
                str(each.get("name", "")),
                str(each.get("unit") or ""),
                classes=tuple(str(label) for label in each.get("classes") or ()),
            )
            for each in body.get("outputs") or ()
        )
        return cls(
            lease=str(body["lease"]),
            attempt=str(body["attempt"]),
            experiment=int(body["experiment"]),
            code=str(body.get("code") or body["experiment"]),
            campaign=str(body.get("campaign") or ""),
            queue=str(body.get("queue") or ""),
            attempt_number=int(body.get("attempt_number") or 1),
            priority=int(body.get("priority") or 0),
            parameters=body.get("parameters") or {},
            payload=body.get("payload"),
            outputs=outputs,
            lease_seconds=float(body.get("lease_seconds") or 60.0),
            deadline=body.get("deadline"),
            heartbeat=bool(body.get("heartbeat", True)),
            reason=str(body.get("reason") or ""),
            expected=body.get("expected") or {},
            staged_at=body.get("staged_at"),
            body=dict(body),
        )


@dataclass(frozen=True)
class Probe:
    """The question whether this attempt still runs on the instrument."""

    lease: str
    attempt: str
    experiment: int
    code: str = ""
    run_ref: str | None = None
    parameters: Any = field(default_factory=dict)
    started_at: str | None = None

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Probe:
        return cls(
            lease=str(body["lease"]),
            attempt=str(body.get("attempt") or ""),
            experiment=int(body.get("experiment") or 0),
            code=str(body.get("code") or ""),
            run_ref=body.get("run_ref"),
            parameters=body.get("parameters") or {},
            started_at=body.get("started_at"),
        )


@dataclass(frozen=True)
class Claimed:
    """What a claim got; `reason` says why it is empty."""

    experiments: tuple[Assignment, ...] = ()
    reason: str | None = None
    probes: tuple[Probe, ...] = ()

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Claimed:
        return cls(
            tuple(Assignment.from_json(each) for each in body.get("experiments") or ()),
            body.get("reason"),
            tuple(Probe.from_json(each) for each in body.get("probes") or ()),
        )


@dataclass(frozen=True)
class LeaseState:
    """How a lease stands: `live`, `cancel` (its end is wished), `not_needed` or `lost`."""

    lease: str
    state: str
    deadline: str | None = None
    message: str = ""

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> LeaseState:
        return cls(
            str(body["lease"]),
            str(body.get("state") or LIVE),
            body.get("deadline"),
            str(body.get("message") or ""),
        )


@dataclass(frozen=True)
class Renewed:
    """What a heartbeat got."""

    items: tuple[LeaseState, ...] = ()
    probes: tuple[Probe, ...] = ()

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Renewed:
        return cls(
            tuple(LeaseState.from_json(each) for each in body.get("items") or ()),
            tuple(Probe.from_json(each) for each in body.get("probes") or ()),
        )


@dataclass(frozen=True)
class Item:
    """The answer to one report (start, note, fail, release, cancelled, probe)."""

    lease: str
    ok: bool
    code: str | None = None
    message: str = ""

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Item:
        return cls(
            str(body.get("lease") or ""),
            bool(body.get("ok")),
            body.get("code"),
            str(body.get("message") or ""),
        )


@dataclass(frozen=True)
class Judged:
    """What became of one result. `verdict` is one of labqueue.Verdict."""

    id: str
    verdict: str
    experiment: int | None = None
    state: str | None = None
    code: str | None = None
    message: str = ""
    errors: tuple[FieldError, ...] = ()

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Judged:
        return cls(
            id=str(body.get("id") or ""),
            verdict=str(body.get("verdict") or ""),
            experiment=body.get("experiment"),
            state=body.get("state"),
            code=body.get("code"),
            message=str(body.get("message") or ""),
            errors=tuple(FieldError.from_json(each) for each in body.get("errors") or ()),
        )
