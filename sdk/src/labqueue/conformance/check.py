"""`check_adapter`: runs a lab's own adapter through every scenario."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from labqueue.errors import FieldError, InvalidError
from labqueue.problem import did_you_mean

from .scenarios import SCENARIOS
from .trial import Case, Trial, Unmet

Target = Union[str, Callable[..., Any]]


@dataclass(frozen=True)
class Finding:
    """What one scenario showed, as a sentence."""

    scenario: str
    passed: bool
    text: str

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'FAILED'}  {self.scenario}: {self.text}"


def check_adapter(
    target: Target, *, parameters: Mapping[str, Any] | None = None, payload: Any = None,
    outputs: Sequence[str] = ("y",), queue: str = "bench", moves: Target | None = None, batch: int = 1,
    heartbeat: str = "thread", seconds: float = 60.0, scenarios: Iterable[str] | None = None,
    report: Callable[[Finding], None] | None = None,
) -> list[Finding]:  # fmt: skip
    """Serves `target` against a server in memory, once per scenario, and says how it bore each fault.

    target      `module:name` or `file.py:name` of what `labqueue.serve` is given: a function, an object, or a
                class that is called without arguments; or the function or class itself, from a file
    parameters  of the one experiment that is run again and again (payload: of an opaque one); name its outputs
    moves       of a function without arguments that returns how often the hardware has moved so far
    batch       how many experiments the function is given at once
    seconds     patience for each wait; more than one run takes
    scenarios   only these (default: all); report: called with each finding as it comes

    Where a plain run does not work, only that is reported. In a test:
    `assert [each for each in check_adapter(measure, parameters={...}) if not each.passed] == []`
    """
    chosen = list(SCENARIOS if scenarios is None else scenarios)
    unknown = [each for each in chosen if each not in SCENARIOS]
    if unknown:
        errors = [
            FieldError("scenarios", f"has no {each!r}.", each, list(SCENARIOS), did_you_mean(each, SCENARIOS))
            for each in unknown
        ]
        raise InvalidError("There are no such scenarios.", errors=errors)
    case = Case(
        name_of(target), queue, parameters, payload, tuple(outputs),
        None if moves is None else name_of(moves), batch, heartbeat, seconds,
    )  # fmt: skip
    findings = []
    for name in chosen:
        found = _try(case, name)
        findings.append(found)
        if report is not None:
            report(found)
        if name == "one run" and not found.passed:
            break
    return findings


def _try(case: Case, name: str) -> Finding:
    with tempfile.TemporaryDirectory(prefix="labqueue-conformance-") as folder:
        try:
            with Trial(case, Path(folder)) as trial:
                return Finding(name, True, SCENARIOS[name](trial))
        except Unmet as unmet:
            return Finding(name, False, str(unmet))


def name_of(target: Target) -> str:
    """A word that another process can find it by."""
    if isinstance(target, str):
        return target
    name, path = getattr(target, "__qualname__", ""), None
    if inspect.isfunction(target) or inspect.isclass(target):
        path = inspect.getsourcefile(target)
    if path is None or not name or "<" in name:
        wrong = FieldError("target", "cannot be found by another process.", repr(target))
        raise InvalidError(
            "Name it as 'module:name' or 'file.py:name', at the top of its file.", errors=[wrong]
        )
    return f"{path}:{name}"
