"""judging: what a learner answers is checked before any of it is stored, whoever the learner is."""

from __future__ import annotations

import math
from dataclasses import replace

from labqueue.errors import FieldError, LabqueueError
from models.domain import records as r
from services.ports import Snapshot, Suggested

ORIGINS = ("suggester", "design")
TEXT_LIMIT = 2000
#: What a learner can raise on odd data: the reason is kept and shown, and must not stop the campaign.
FAULTS = (LabqueueError, ArithmeticError, ValueError, RuntimeError, MemoryError)


def said(error: BaseException) -> str:
    """What a learner failed with, in a line."""
    return (str(error) if isinstance(error, LabqueueError) else f"{type(error).__name__}: {error}")[
        :TEXT_LIMIT
    ]


def said_before(job: r.Job, reason: str) -> bool:
    """It failed so on the same data before: what is tried again and again stands in the history once."""
    return reason == job.error and job.done == job.revision


def judge(snapshot: Snapshot, suggested: Suggested) -> list[FieldError]:
    """Everything wrong with an answer; empty where it can be used. No instrument is sent where the problem does not
    allow it, whatever a model says."""
    most = len(snapshot.staged) + snapshot.count
    found = len(suggested.candidates)
    errors = []
    if found > most:
        errors.append(
            FieldError("candidates", f"are {found}, and {most} are wanted.", found, f"up to {most}")
        )
    kept: set[int] = set()
    for number, each in enumerate(suggested.candidates):
        place = f"candidates[{number}]"
        if each.staged is None:
            wrong = snapshot.problem.check_point(each.parameters)
            errors += [replace(one, field=f"{place}.{one.field}") for one in wrong]
        elif not 0 <= each.staged < len(snapshot.staged) or each.staged in kept:
            text = "is not the place of a staged candidate, or names one twice."
            errors.append(FieldError(f"{place}.staged", text, each.staged))
        else:
            kept.add(each.staged)
        for name, (mean, sd) in each.expected.items():
            if not (math.isfinite(mean) and math.isfinite(sd) and sd >= 0):
                text = "must be a finite mean and a standard deviation that is not negative."
                errors.append(FieldError(f"{place}.expected.{name}", text, f"{mean}, {sd}"))
        if each.origin not in ORIGINS:
            errors.append(FieldError(f"{place}.origin", "is unknown.", each.origin, ", ".join(ORIGINS)))
    if suggested.gain is not None and not math.isfinite(suggested.gain):
        errors.append(FieldError("gain", "is no finite number.", str(suggested.gain)))
    return errors
