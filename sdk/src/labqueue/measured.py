"""What a run ends with: a result, or a report that there is none; and how a function's answer becomes one."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from .answers import CANCEL, NOT_NEEDED
from .errors import Cancelled, Failed, Infeasible, Suspect
from .problem import Output, Problem
from .states import Outcome

REASON_LIMIT = 4000
#: Servers read no whole number beyond: it is no finite number any more.
_HUGE = 10**299


@dataclass(frozen=True)
class Artifact:
    """A file that belongs to a result; its content lies in the spool under its digest."""

    name: str
    sha256: str
    size: int = 0


@dataclass(frozen=True)
class Result:
    """What was measured.

    outputs: name -> number, in the output's unit, or one of its labels. outstanding: outputs that follow later. noise: standard
    deviations, where they are known. actual: parameters as they really were, where they differ from the plan.
    comment: anything a person should read beside it.
    """

    outputs: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = Outcome.MEASURED.value
    outstanding: tuple[str, ...] = ()
    noise: Mapping[str, Any] | None = None
    actual: Mapping[str, Any] | None = None
    artifacts: tuple[Artifact, ...] = ()
    comment: str = ""

    def to_json(
        self, name: str, experiment: int, lease: str | None, measured_at: str | None
    ) -> dict[str, Any]:
        """The body that is sent. `name`: the id, made when the measurement ends."""
        return {
            "id": name,
            "experiment": experiment,
            "lease": lease,
            "outcome": str(self.outcome),
            "outputs": plain(self.outputs),
            "outstanding": [str(each) for each in self.outstanding],
            "noise": plain(self.noise or {}),
            "actual": plain(self.actual or {}),
            "artifacts": [{"name": each.name, "sha256": each.sha256} for each in self.artifacts],
            "comment": self.comment,
            "measured_at": measured_at,
        }


@dataclass(frozen=True)
class Report:
    """A run that ends without a result. verb: fail, cancelled or release."""

    verb: str
    reason: str


Ending = Union[Result, Report]

RESTARTED = Report("release", "The adapter was restarted before it began.")
STOPPED = Report("release", "The adapter stopped before it began.")
NO_DISK = Report("release", "The adapter's disk is full.")


def ending(value: Any, wish: str | None) -> Ending:
    """What a measuring function's answer, or the exception that it raised, says about the run.

    wish: what its holder was told meanwhile (cancel, not_needed, lost), or None. Whatever is returned is kept:
    what is no result as it stands goes to the server, which holds the experiment for a person.
    """
    if isinstance(value, (Result, Report)):
        return value
    if isinstance(value, Mapping):
        return Result(outputs=value)
    if isinstance(value, BaseException):
        return _without_outputs(value, wish)
    if value is None:
        return Report("fail", "The function returned nothing. It must return {output: number} or raise.")
    return Result(comment=_cut(f"The function returned {value!r} instead of {{output: number}}."))


def _without_outputs(error: BaseException, wish: str | None) -> Ending:
    if isinstance(error, Infeasible):
        return Result(outcome=Outcome.INFEASIBLE.value, comment=_cut(error.message))
    if isinstance(error, Suspect):
        return Result(error.outputs, outcome=Outcome.SUSPECT.value, comment=_cut(error.message))
    known = isinstance(error, (Failed, Cancelled))
    if isinstance(error, KeyboardInterrupt):
        text = "Stopped at the instrument in mid-run."
    else:
        text = str(error) if known else f"{type(error).__name__}: {error}"
    if wish in (CANCEL, NOT_NEEDED):
        return Report("cancelled", _cut(text))
    if isinstance(error, Cancelled):
        text = f"Cancelled at the instrument: {text}"
    return Report("fail", _cut(text))


def complaints(result: Result, wanted: Iterable[Output]) -> list[str]:
    """What the server will say against these outputs; empty where it can use them as they stand."""
    if str(result.outcome) != Outcome.MEASURED.value:
        return []
    names = tuple(wanted)
    if not names:
        return []
    found = Problem(outputs=names).check_outputs(plain(result.outputs), result.outstanding)
    return [str(each) for each in found]


def plain(value: Any) -> Any:
    """The value as JSON can carry it: numpy scalars as numbers; NaN, infinity and whole numbers beyond every
    float as text, and so is the rest."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if abs(value) < _HUGE else _digits(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else repr(float(value))
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each) for each in value]
    for convert in ("tolist", "item"):
        if hasattr(value, convert):
            return plain(getattr(value, convert)())
    try:
        return plain(float(value))
    except (TypeError, ValueError, OverflowError):
        return str(value)


def _digits(value: int) -> str:
    """A huge whole number as text. Python refuses to spell one of more than 4,300 digits."""
    count = int(value.bit_length() * math.log10(2)) + 1
    return str(value) if count < REASON_LIMIT else f"a whole number of about {count:,} digits"


def as_text(ref: Any) -> str:
    """A run reference as text: itself, or its JSON."""
    return ref if isinstance(ref, str) else json.dumps(plain(ref))


def _cut(text: str) -> str:
    return text if len(text) <= REASON_LIMIT else text[: REASON_LIMIT - 1] + "…"
