"""Experiments as calls of a function, one at a time or a batch at once, in the thread that called `serve`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from .errors import LabqueueError
from .experiment import Experiment
from .measured import Ending, Report, ending
from .session import Session

log = logging.getLogger("labqueue")

Function = Callable[[Any], Any]


def run_function(session: Session, function: Function) -> None:
    """function(experiment) -> {output: number} or Result; or it raises."""
    _run(session, lambda experiments: [_call(session, function, experiments[0])], 1, 1, 0.0)


def run_batches(session: Session, function: Function, most: int, least: int, within: float) -> None:
    """function([experiments]) -> a list in the same order, or {experiment id: ...}; each item is a result or an
    exception. One that is wrong costs the others nothing."""
    _run(
        session,
        lambda experiments: _share(_call(session, function, experiments), experiments),
        most,
        least,
        within,
    )


def _run(
    session: Session, measure: Callable[[list[Experiment]], list[Any]], most: int, least: int, within: float
) -> None:
    session.open(finds=False)
    backlog: list[Experiment] = []
    while session.wanted():
        session.stop.drain()
        if not backlog:
            backlog = session.claim(most, least, within)
        turn, backlog = backlog[:most], backlog[most:]
        started = session.begin(turn) if turn else []
        if not started:
            continue
        values = measure(started)
        session.end([(each, _ending(value, each)) for each, value in zip(started, values)])
        _leave_where_asked(session, values)


def _call(session: Session, function: Function, what: Any) -> Any:
    """What the function returned, or the exception that ended it."""
    box: list[Any] = []
    try:
        with session.stop.breakable():
            box.append(function(what))
    except LabqueueError as error:
        box.append(error)
    except Exception as error:
        log.warning("The function raised for %s:", what, exc_info=True)
        box.append(error)
    except BaseException as error:  # noqa: BLE001 - it is raised again, after it is recorded
        # Recorded first: KeyboardInterrupt and SystemExit end the loop afterwards.
        if not box:
            box.append(error)
    return box[0]


def _leave_where_asked(session: Session, values: Sequence[Any]) -> None:
    for value in values:
        if isinstance(value, KeyboardInterrupt):
            session.stop.ask()
        elif isinstance(value, BaseException) and not isinstance(value, Exception):
            raise value


def _ending(value: Any, experiment: Experiment) -> Ending:
    try:
        return ending(value, experiment.wish)
    except Exception as error:
        # A value whose own conversion fails is the function's fault, and nobody else's.
        log.exception("What the function returned for %s cannot be read:", experiment)
        return Report("fail", f"What the function returned cannot be read: {error!r}")


def _share(answer: Any, experiments: Sequence[Experiment]) -> list[Any]:
    """Each experiment's own part of a batch function's answer."""
    missing = "The function returned nothing for this one of the batch."
    if isinstance(answer, BaseException):
        return [answer] * len(experiments)
    if isinstance(answer, Mapping):
        return [answer.get(each.id, answer.get(each.code, Report("fail", missing))) for each in experiments]
    try:
        values = list(answer)
    except TypeError:
        wrong = Report("fail", f"The function returned {type(answer).__name__} instead of a list or a dict.")
        return [wrong] * len(experiments)
    return [*values, *[Report("fail", missing)] * (len(experiments) - len(values))][: len(experiments)]
