"""Many experiments at once on one instrument: an object that starts runs, checks, cancels and finds them.

All its methods are called in the thread that called `serve`.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from .answers import LOST, Assignment, Probe
from .claiming import WAIT
from .errors import Cancelled, Failed, Infeasible, LabqueueError, Suspect
from .experiment import Experiment
from .journal import Held
from .measured import ending
from .session import Session

log = logging.getLogger("labqueue")

#: How often `check` may raise something unexpected in a row before the run counts as failed.
CHECKS = 5
#: How long `find` is left alone after it could not tell, in seconds.
LOOK_AGAIN = 30.0


class Run:
    """A run on the instrument."""

    def __init__(self, experiment: Experiment, ref: Any) -> None:
        self.experiment, self.ref = experiment, ref
        self.told = False  # the instrument heard that its end is wished
        self.stumbles = 0
        self.next_check = 0.0


class Bench:
    """The runs of an object with start(experiment) -> ref and check(ref) -> None or a result.

    Optional: cancel(ref); it returns True where the run has ended by it, and is followed by further checks
    otherwise. find(experiment) -> ref or None: after a restart. None says that the instrument certainly does
    not know the run; it raises where it cannot tell.
    """

    def __init__(self, session: Session, target: Any, slots: int, poll: float) -> None:
        self._session, self._target, self._slots, self._poll = session, target, slots, poll
        self._runs: list[Run] = []
        self._lost: list[Held] = []
        self._look_at = 0.0

    def run(self) -> None:
        self._lost = self._session.open(finds=hasattr(self._target, "find"))
        while self._session.wanted() or self._runs:
            if self._session.stop.hurry():
                self._leave()
                return
            # What comes from here on ends the wait at the end of this turn.
            self._session.stop.drain()
            self._look()
            self._questions()
            for run in list(self._runs):
                self._visit(run)
            self._fill()

    # -- starting

    def _fill(self) -> None:
        """Claims for the free slots, or waits for the next check."""
        free = self._slots - len(self._runs)
        if free <= 0 or not self._session.wanted():
            if self._runs:
                self._session.stop.linger(self._poll)
            return
        waiting = self._runs or self._lost
        claimed = self._session.claim(free, 1, 0.0, self._poll if waiting else WAIT)
        for experiment in self._session.begin(claimed) if claimed else []:
            self._start(experiment)

    def _start(self, experiment: Experiment) -> None:
        try:
            with self._session.stop.breakable():
                ref = self._target.start(experiment)
        except (Exception, KeyboardInterrupt) as error:
            if not isinstance(error, LabqueueError):
                log.warning("start raised for %s:", experiment, exc_info=True)
            self._session.end([(experiment, ending(error, experiment.wish))])
            return
        self._session.note(experiment.assignment, "started", ref)
        self._runs.append(Run(experiment, ref))

    # -- running

    def _visit(self, run: Run) -> None:
        """Passes a wish on, and looks whether the run has ended."""
        wished = run.experiment.wish not in (None, LOST)
        if wished and not run.told and self._cancel(run) is True:
            self._ended(run, Cancelled(run.experiment.cancel_reason))
            return
        if time.monotonic() < run.next_check:
            return
        try:
            value = self._target.check(run.ref)
        except (Infeasible, Suspect, Failed, Cancelled) as error:
            value = error
        except Exception as error:
            # Often only the way to the instrument is broken, and the run goes on.
            run.stumbles += 1
            log.warning(
                "check raised for %s (%d of %d):", run.experiment, run.stumbles, CHECKS, exc_info=True
            )
            if run.stumbles < CHECKS and not run.told:
                run.next_check = time.monotonic() + self._poll * 2**run.stumbles
                return
            value = error
        run.stumbles = 0
        if value is not None:
            self._ended(run, value)

    def _cancel(self, run: Run) -> Any:
        if not hasattr(self._target, "cancel"):
            run.told = True
            return None
        try:
            done = self._target.cancel(run.ref)
        except Exception:
            log.warning("cancel raised for %s; it is called again:", run.experiment, exc_info=True)
            return None
        run.told = True
        return done

    def _ended(self, run: Run, value: Any) -> None:
        self._runs.remove(run)
        self._session.end([(run.experiment, ending(value, run.experiment.wish))])

    def _leave(self) -> None:
        """In a hurry: what can be found again goes on, the rest is stopped."""
        if hasattr(self._target, "find"):
            if self._runs:
                log.warning("%d runs go on on the instrument; the next start finds them.", len(self._runs))
            return
        for run in list(self._runs):
            self._cancel(run)
            self._ended(run, KeyboardInterrupt())

    # -- after a restart

    def _look(self) -> None:
        """Looks on the instrument for what ran when the last adapter ended."""
        if not self._lost or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_AGAIN
        self._lost = [held for held in self._lost if not self._settle(held)]

    def _settle(self, held: Held) -> bool:
        """True where it is known what became of the run."""
        assignment = held.assignment
        try:
            ref = self._find(assignment)
        except Exception:
            log.warning("find could not tell of %s; it is asked again:", assignment.code, exc_info=True)
            return False
        if ref is not None:
            self._runs.append(Run(self._session.found(assignment, ref), ref))
        elif held.ref is None:
            # start() never returned, and the instrument does not know the run.
            self._session.never_ran(assignment)
        else:
            log.warning(
                "%s had been started as %s, and the instrument does not know it any more. The queue's policy "
                "decides.", assignment.code, held.ref,
            )  # fmt: skip
            self._session.forget(assignment)
        return True

    def _find(self, assignment: Assignment) -> Any:
        experiment = self._session.look_at(assignment)
        return self._target.find(experiment)

    def _questions(self) -> None:
        """Answers what the server asks about runs that it lost sight of."""
        while not self._session.questions.empty():
            probe = self._session.questions.get()
            if any(run.experiment.attempt == probe.attempt for run in self._runs):
                self._session.answer(probe, "running")
                continue
            self._session.answer(probe, self._answer(probe))

    def _answer(self, probe: Probe) -> str:
        held = self._session.held(probe)
        try:
            ref = self._find(held.assignment)
        except Exception:
            log.warning("find could not tell of %s:", probe.code, exc_info=True)
            return "unknown"
        self._lost = [each for each in self._lost if each.assignment.attempt != probe.attempt]
        if ref is not None:
            self._runs.append(Run(self._session.found(held.assignment, ref), ref))
            return "running"
        known = held.state != "" and held.ref is None
        self._session.forget(held.assignment)
        return "never_ran" if known else "unknown"
