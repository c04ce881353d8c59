"""The process in which a lab's own adapter is served during a scenario, with every call of it written down."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labqueue.cli.targets import load
from labqueue.errors import Cancelled, Failed, Infeasible, Suspect
from labqueue.measured import Result

from .record import AFTER, BEFORE, Record


def main(words: Sequence[str]) -> int:
    """words: the settings as JSON (target, moves, url, queue, instrument, folder, batch, heartbeat)."""
    from labqueue import serve

    settings = json.loads(words[0])
    folder = Path(settings["folder"])
    target = load(settings["target"])
    record = Record(folder, load(settings["moves"]) if settings["moves"] else None)
    methods = [each for each in ("start", "check", "cancel", "find") if hasattr(target, each)]
    record.write("ready", said={"methods": methods})
    serve(
        Watched(target, record) if "start" in methods else watched(target, record),
        queue=settings["queue"],
        instrument=settings["instrument"],
        url=settings["url"],
        spool=folder / "spool",
        batch=settings["batch"],
        heartbeat=settings["heartbeat"],
        poll=0.1,
    )
    record.write("exit")
    return 0


def watched(function: Any, record: Record) -> Any:
    """The same function, with its calls written down and its runs held while a gate is closed."""

    def call(given: Any) -> Any:
        runs = given if isinstance(given, (list, tuple)) else [given]
        for each in runs:
            record.write("begin", each.attempt)
        record.pass_through(BEFORE, lambda: any(each.cancelled for each in runs))
        try:
            answer = function(given)
        except BaseException as error:
            for each in runs:
                record.write("end", each.attempt, {"raised": type(error).__name__})
            record.pass_through(AFTER)
            raise
        for number, each in enumerate(runs):
            record.write("end", each.attempt, _said(_of(answer, number, each, runs is given)))
        record.pass_through(AFTER)
        return answer

    return call


def _of(answer: Any, number: int, run: Any, batch: bool) -> Any:
    if not batch:
        return answer
    return answer.get(run.id) if isinstance(answer, Mapping) else answer[number]


def _said(value: Any) -> Any:
    if isinstance(value, BaseException):
        return {"raised": type(value).__name__}
    return {"outputs": value.outputs if isinstance(value, Result) else value}


class Watched:
    """The same object (start, check and, where it has them, cancel and find), with its calls written down."""

    def __init__(self, target: Any, record: Record) -> None:
        self._target, self._record = target, record
        self._attempts: dict[str, str] = {}  # by reference
        self._cancelled: set[str] = set()
        self._ended: dict[str, Any] = {}
        # serve() asks what the object can do: it must not seem to do more than it does.
        if hasattr(target, "cancel"):
            self.cancel = self._watched_cancel
        if hasattr(target, "find"):
            self.find = self._watched_find

    def start(self, experiment: Any) -> Any:
        self._record.write("begin", experiment.attempt)
        ref = self._target.start(experiment)
        self._attempts[str(ref)] = experiment.attempt
        self._record.write("running", experiment.attempt)
        return ref

    def check(self, ref: Any) -> Any:
        """How it ended is asked for only once, and kept until the gate opens."""
        name = str(ref)
        if name not in self._ended:
            try:
                answer = self._target.check(ref)
            except (Infeasible, Suspect, Failed, Cancelled) as error:
                answer = error
            if answer is None:
                return None
            self._ended[name] = answer
            self._record.write("end", self._attempts.get(name, ""), _said(answer))
        if self._record.is_closed(AFTER) and name not in self._cancelled:
            return None
        answer = self._ended.pop(name)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _watched_cancel(self, ref: Any) -> Any:
        self._cancelled.add(str(ref))
        self._record.write("cancel", self._attempts.get(str(ref), ""))
        return self._target.cancel(ref)

    def _watched_find(self, experiment: Any) -> Any:
        ref = self._target.find(experiment)
        self._record.write("find", experiment.attempt, {"found": ref is not None})
        if ref is not None:
            self._attempts[str(ref)] = experiment.attempt
        return ref


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
