"""An instrument's circuit breaker: failed runs in a row pause the instrument, not the campaign."""

from __future__ import annotations

from dataclasses import replace

from .records import Instrument


def succeeded(instrument: Instrument) -> Instrument:
    return replace(instrument, failures=0)


def failed(instrument: Instrument, reason: str) -> Instrument:
    failures = instrument.failures + 1
    if failures < instrument.failure_limit or instrument.state == "paused":
        return replace(instrument, failures=failures)
    why = f"{failures} failed runs in a row, the last: {reason}"
    return replace(instrument, failures=failures, state="paused", reason=why)


def blocked(instrument: Instrument, experiment_id: int) -> Instrument:
    """It lost a run that it had started: a person looks at it first."""
    return replace(instrument, blocked_by=experiment_id)


def cleared(instrument: Instrument) -> Instrument:
    return replace(instrument, state="active", reason="", failures=0, blocked_by=None)


def refusal(instrument: Instrument) -> str | None:
    """Why this instrument gets no work; None: it does."""
    if instrument.state == "paused":
        return f"instrument {instrument.name} is paused: {instrument.reason}"
    if instrument.blocked_by is not None:
        return (
            f"instrument {instrument.name} fell silent while running experiment {instrument.blocked_by}; "
            "a person decides about that one or clears the instrument first"
        )
    return None
