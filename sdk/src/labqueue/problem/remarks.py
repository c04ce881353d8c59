"""What whoever chose a candidate says about it: why, and what is expected of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labqueue.errors import FieldError

from .definition import Problem
from .numbers import number, shown

REASON_LIMIT = 2000


def read_reason(given: Any) -> tuple[str, list[FieldError]]:
    """Text, or None for none."""
    reason = given or ""
    if isinstance(reason, str) and len(reason) <= REASON_LIMIT:
        return reason, []
    rule = f"text of at most {REASON_LIMIT} letters"
    return "", [FieldError("reason", f"must be {rule}.", shown(reason), rule)]


def read_expected(problem: Problem, given: Any) -> tuple[dict[str, tuple[float, float]], list[FieldError]]:
    """{output: (mean, sd)} of {output: {"mean": number, "sd": number}}, for any of the outputs that are numbers; None
    for none."""
    numbers = [each.name for each in problem.outputs if not each.classes]
    allowed = ", ".join(numbers)
    given = given or {}
    if not isinstance(given, Mapping):
        return {}, [FieldError("expected", "must be an object of output: {mean, sd}.", shown(given), allowed)]
    found, errors = {}, []
    for name, value in given.items():
        mean, sd = (
            number(value.get(part)) if isinstance(value, Mapping) else None for part in ("mean", "sd")
        )
        if name not in numbers:
            errors.append(FieldError(f"expected.{name}", "is no output that is a number.", None, allowed))
        elif mean is None or sd is None or sd < 0:
            rule = "{mean, sd}: finite numbers, sd not negative"
            errors.append(FieldError(f"expected.{name}", f"must be {rule}.", shown(value), rule))
        else:
            found[str(name)] = (mean, sd)
    return found, errors
