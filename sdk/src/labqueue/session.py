"""What every form of `serve` shares: claim, start, end, and what to do when the server or the disk is away.

The order of steps is the guarantee. A claim's key is on the disk before it is asked; `starting` is on the disk
before the server is told, and hardware moves only after it agreed; how a run ended is on the disk before the
run counts as done. Killed between any two steps, the next adapter on this spool knows what is true.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from queue import SimpleQueue
from typing import Any

from .answers import CANCEL, LOST, Assignment, LeaseState, Probe
from .backoff import Backoff
from .claiming import SOONEST, WAIT, Claims
from .client import Client
from .errors import InvalidError, LabqueueError, LeaseLostError, NotFoundError
from .experiment import Experiment
from .journal import ENDED, RESULT, STARTED, STARTING, WAITING, Entry, File, Held, SpoolError
from .keeper import Keeper, ProcessKeeper
from .measured import NO_DISK, RESTARTED, STOPPED, Ending, Report, Result, as_text, complaints
from .sender import Sender
from .spool import Spool
from .stopping import Stop

log = logging.getLogger("labqueue")

#: How long an end waits for the spool to empty, in seconds.
LINGER = 5.0
#: The length of a lease where none is known, in seconds.
USUAL = 60.0
#: How long a failed run waits until the server has heard of it, in seconds.
FAIL_LINGER = 2.0


@dataclass(frozen=True)
class Served:
    """What a serve loop did. runs: experiments that ended here. unsent: entries that wait in the spool for the
    server; they are sent at the next start. refused: entries that a person must look at."""

    runs: int = 0
    unsent: int = 0
    refused: int = 0


class Session:
    """One adapter's work on one instrument, from its start to its end."""

    def __init__(
        self, client: Client, spool: Spool, stop: Stop, queue: str, instrument: str, *,
        limit: int | None = None, heartbeat: str = "thread", take_over: bool = False,
    ) -> None:  # fmt: skip
        self.stop, self.queue, self.instrument = stop, queue, instrument
        # The spool's name, then this incarnation's: a successor from the same spool is no stranger to the server.
        self.adapter = f"{spool.journal.home()}.{uuid.uuid4().hex}"
        self.questions: SimpleQueue[Probe] = SimpleQueue()
        self.runs = 0
        self.client, self.spool, self.journal = client, spool, spool.journal
        self.limit, self.begun = limit, 0
        self._lock = threading.Lock()
        self._experiments: dict[str, Experiment] = {}  # by lease
        self._asks_main = False
        self._said: dict[str, str] = {}
        self.backoff = Backoff(first=0.5, most=10.0)
        self.known = False  # the server has answered
        keeper = ProcessKeeper if heartbeat == "process" else Keeper
        self.keeper = keeper(client, instrument, self.adapter, self._heard, self.probed)
        self.sender = Sender(client, spool, self.keeper.drop)
        self._claims = Claims(self, take_over)

    # -- beginning and end

    def open(self, finds: bool) -> list[Held]:
        """Starts what runs beside. Settles what an earlier adapter left; returns what it had running.

        finds: somebody looks on the instrument for what runs; otherwise nobody can know, and it is left to
        the queue's policy.
        """
        self._asks_main = finds
        left = self.journal.unfinished()
        idle = [each for each in left if each.state != STARTED]
        running = [each for each in left if each.state == STARTED]
        self.record([self.report(each.assignment, RESTARTED) for each in idle])
        for entry in self.journal.waiting():
            # Renewed until the server has heard how it ended.
            self.keeper.hold(entry.lease, self.journal.lease_seconds() or USUAL)
        for each in running if not finds else ():
            log.warning(
                "%s was running when the last adapter of %s ended, and whether it was carried out is not known "
                "here. By the policy of queue %s it is now held for a person, run again, or asked about.", each.assignment.code, self.instrument, self.queue,
            )  # fmt: skip
            self.forget(each.assignment)
        strangers = self.journal.strangers()
        if strangers:
            log.warning(
                "%d entries of the spool %s are for the server %s, not %s, and stay. If the server moved, "
                "`labqueue spool retry` sends them here.",
                len(strangers), self.spool.folder, strangers[0].url, self.client.url,
            )  # fmt: skip
        self.journal.prune()
        self.spool.sweep()
        self.sender.start()
        self.keeper.start()
        return running if finds else []

    def close(self) -> Served:
        """Sends what can be sent in a moment and ends what runs beside."""
        with self._lock:
            rest = [each for each in self._experiments.values() if not each.begun]
        try:
            self.give_back(rest)
            self.sender.flush(LINGER, self.stop.hurry)
        finally:
            self.sender.close()
            self.keeper.close()
        unsent, refused = len(self.journal.waiting()), len(self.journal.entries("refused"))
        if unsent:
            log.warning(
                "%d entries wait in the spool %s; they are sent at the next start.",
                unsent,
                self.spool.folder,
            )
        return Served(self.runs, unsent, refused)

    def wanted(self) -> bool:
        """Whether another run may begin."""
        return not self.stop.now() and (self.limit is None or self.begun < self.limit)

    def claim(self, most: int, least: int = 1, within: float = 0.0, wait: float = WAIT) -> list[Experiment]:
        """Claims experiments; waits up to `wait` seconds for them. Empty, after a pause, where there are none.

        Raises what waiting does not cure: an unknown queue, a token that may not, a claim that is invalid.
        """
        return self._claims.claim(most, least, within, wait)

    # -- starting

    def handle(self, assignment: Assignment) -> Experiment:
        def note(text: str, run_ref: str | None) -> None:
            self.note(assignment, text, run_ref)

        experiment = Experiment(assignment, note, self.spool.keep, log.warning)
        with self._lock:
            self._experiments[assignment.lease] = experiment
        self.keeper.hold(assignment.lease, assignment.lease_seconds)
        return experiment

    def begin(self, experiments: Sequence[Experiment]) -> list[Experiment]:
        """Tells the server that these begin now. Returns those that may: move hardware for no other.

        Waits as long as the server is away; what cannot begin is given back.
        """
        while True:
            wanted = self._still_wanted(experiments)
            if not wanted:
                return []
            if self.stop.now():
                self.give_back(wanted)
                return []
            if not self.keeper.in_contact():
                self.say(
                    "server", "No renewal got through for a whole lease; nothing new begins until one does."
                )
                self.stop.pause(SOONEST)
                continue
            try:
                self.journal.move([each.attempt for each in wanted], STARTING)
                items = self.client.start([each.lease for each in wanted], retry_for=0.0)
                break
            except SpoolError as error:
                self.say("disk", f"{error} Nothing new begins.")
                self.tell_directly("release", [(each.assignment, NO_DISK) for each in wanted])
                self._let_go([each.assignment for each in wanted])
                return []
            except (InvalidError, NotFoundError) as error:
                log.error("The server does not take the start: %s", error)
                self.give_back(wanted)
                return []
            except LabqueueError as error:
                self.say("server", f"{error} Waiting for the server; nothing begins without it.")
                self.stop.pause(self.backoff.pause())
        self.answering()
        agreed = {each.lease: each for each in items}
        started = [each for each in wanted if each.lease in agreed and agreed[each.lease].ok]
        for each in wanted:
            answer = agreed.get(each.lease)
            if answer is None or not answer.ok:
                self._not_begun(each, answer.code if answer else None, answer.message if answer else "")
        return self._started(started)

    def _started(self, started: list[Experiment]) -> list[Experiment]:
        try:
            self.journal.move([each.attempt for each in started], STARTED)
        except SpoolError as error:
            # A run that the journal does not know must not happen.
            self.say("disk", f"{error} Nothing new begins.")
            self.tell_directly("fail", [(each.assignment, NO_DISK) for each in started])
            self._let_go([each.assignment for each in started])
            return []
        for each in started:
            each.begun = True
        self.begun += len(started)
        return started

    def _not_begun(self, experiment: Experiment, code: str | None, message: str) -> None:
        if code == LeaseLostError.code:
            log.warning("%s is not run: %s", experiment.code, message)
            self.forget(experiment.assignment)
        else:
            self.record([self.report(experiment.assignment, Report("release", message))])

    def _still_wanted(self, experiments: Sequence[Experiment]) -> list[Experiment]:
        """Those that nobody cancelled before they began; the others are settled."""
        for each in experiments:
            if each.lease not in self._experiments or each.wish is None:
                continue
            if each.wish == LOST:
                self.forget(each.assignment)
            else:
                verb = "cancelled" if each.wish == CANCEL else "release"
                self.record([self.report(each.assignment, Report(verb, "It had not begun."))])
        return [each for each in experiments if each.lease in self._experiments]

    def give_back(self, experiments: Sequence[Experiment]) -> None:
        """Back to their places: they have not begun."""
        mine = [each for each in experiments if each.lease in self._experiments]
        self.record([self.report(each.assignment, STOPPED) for each in mine])

    # -- runs

    def note(self, assignment: Assignment, text: str, ref: Any = None) -> None:
        """Says something about a run; a reference is on the disk when this returns."""
        if ref is not None:
            try:
                self.journal.refer(assignment.attempt, ref)
            except SpoolError as error:
                log.error("The run reference %s of %s is not on the disk: %s", ref, assignment.code, error)
        run_ref = None if ref is None else as_text(ref)
        self.sender.say("note", {"lease": assignment.lease, "text": text, "run_ref": run_ref})

    def end(self, endings: Sequence[tuple[Experiment, Ending]]) -> None:
        """How these ended, on the disk when this returns. Sent by the sender."""
        entries = []
        for experiment, ending in endings:
            if isinstance(ending, Result):
                entries.append(self._result(experiment.assignment, ending))
                log.info("%s: %s %s", experiment.code, ending.outcome, ending.outputs)
            else:
                if ending.verb == "fail":
                    log.warning("%s failed: %s", experiment.code, ending.reason)
                entries.append(self.report(experiment.assignment, ending))
        self.record(entries)
        self.runs += len(entries)
        if any(each.kind == "fail" for each in entries):
            # Failed runs in a row pause an instrument; the server shall count this one before the next claim.
            self.sender.flush(FAIL_LINGER, self.stop.hurry)

    def found(self, assignment: Assignment, ref: Any) -> Experiment:
        """A run of an earlier adapter goes on on the instrument: it is ours again."""
        self.journal.adopt(assignment, ref)
        experiment = self.handle(assignment)
        experiment.begun = True
        return experiment

    def look_at(self, assignment: Assignment) -> Experiment:
        """A handle to look for a run by, before it is known to be ours."""
        return Experiment(assignment, lambda _text, _ref: None, self.spool.keep, log.warning)

    def held(self, probe: Probe) -> Held:
        """What the journal knows of the attempt; with an empty state, no more than the probe says."""
        known = self.journal.held(probe.attempt)
        return known or Held(Assignment.from_json({**vars(probe), "code": probe.code}), "", probe.run_ref)

    def never_ran(self, assignment: Assignment) -> None:
        """The instrument certainly did not begin this: it goes back."""
        self.record([self.report(assignment, RESTARTED)])

    def forget(self, assignment: Assignment) -> None:
        """Over, as far as this adapter is concerned, with nothing to say about it."""
        try:
            self.journal.move([assignment.attempt], ENDED)
        except SpoolError as error:
            log.error("%s", error)
        self._let_go([assignment])

    def _let_go(self, assignments: Sequence[Assignment]) -> None:
        for each in assignments:
            with self._lock:
                self._experiments.pop(each.lease, None)
            self.keeper.drop(each.lease)

    # -- writing down

    def _result(self, assignment: Assignment, result: Result) -> Entry:
        found = complaints(result, assignment.outputs)
        if found and result.comment and not result.outputs:
            log.error("%s: %s", assignment.code, result.comment)  # says what came instead
        for complaint in found:
            log.error("%s: %s The result is sent all the same.", assignment.code, complaint)
        name = str(uuid.uuid4())
        at = datetime.now(timezone.utc).isoformat()
        body = result.to_json(name, assignment.experiment, assignment.lease, at)
        files = tuple(File(each.sha256, each.name, each.size) for each in result.artifacts)
        return Entry(name, RESULT, assignment.attempt, assignment.lease, assignment.code, body, files)

    def report(self, assignment: Assignment, report: Report) -> Entry:
        body = {"lease": assignment.lease, "reason": report.reason}
        # One end for each attempt: said twice, it is one.
        name = f"{report.verb}-{assignment.attempt}"
        return Entry(name, report.verb, assignment.attempt, assignment.lease, assignment.code, body)

    def record(self, entries: Sequence[Entry]) -> None:
        """Puts these on the disk, however long it takes: what is measured is not thrown away."""
        if not entries:
            return
        left = list(entries)
        while left:
            try:
                self.journal.finish(left)
                self.spool.recorded(left)
                break
            except SpoolError as error:
                self.say("disk", f"{error} What was just measured is not on the disk yet; trying again.")
                left = self._send_directly(left)
                if self.stop.now():
                    # Reports can be had again: their leases lapse. A measurement cannot.
                    left = [each for each in left if each.kind == RESULT]
                if self.stop.hurry():
                    for each in left:
                        log.critical("Not recorded: %s", json.dumps(each.body))
                    break
                if left:
                    self.stop.linger(self.backoff.pause())
        with self._lock:
            for each in entries:
                self._experiments.pop(each.lease, None)
        self.sender.wake()

    def _send_directly(self, entries: list[Entry]) -> list[Entry]:
        """With a full disk, the server is asked at once. Returns what it does not have."""
        results = [each for each in entries if each.kind == RESULT and not each.files]
        try:
            judged = (
                self.client.post_results([each.body for each in results], retry_for=0.0) if results else []
            )
        except LabqueueError:
            return entries
        there = {each.id for each in judged if each.verdict != "refused"}
        for each in entries:
            if each.id in there:
                self.keeper.drop(each.lease)
        return [each for each in entries if each.id not in there]

    def tell_directly(self, verb: str, reports: Sequence[tuple[Assignment, Report]]) -> None:
        """With a full disk, what can be said is said, once."""
        try:
            self.client.report(
                verb,
                [{"lease": each.lease, "reason": report.reason} for each, report in reports],
                retry_for=0.0,
            )
        except LabqueueError as error:
            log.warning("The server did not hear that %d experiments do not begin: %s", len(reports), error)

    # -- what the server says meanwhile (in the heartbeat's thread)

    def _heard(self, item: LeaseState) -> None:
        with self._lock:
            experiment = self._experiments.get(item.lease)
        if experiment is not None:
            log.warning("%s: %s. %s", experiment.code, item.state.replace("_", " "), item.message)
            experiment.tell(item.state, item.message)
            if item.state == LOST:
                # There is nothing left to renew; its run may go on, and its result is welcome.
                self.keeper.drop(item.lease)
            self.stop.wake()

    def probed(self, probes: Sequence[Probe]) -> None:
        for probe in probes:
            answer = self._known_answer(probe)
            if answer is None:
                self.questions.put(probe)
                self.stop.wake()
            else:
                self.answer(probe, answer)

    def answer(self, probe: Probe, answer: str) -> None:
        """Answers a probe: running, done, never_ran or unknown."""
        self.sender.say("probe", {"lease": probe.lease, "answer": answer})

    def _known_answer(self, probe: Probe) -> str | None:
        """What the journal knows; None where only a look at the instrument can tell."""
        with self._lock:
            if probe.lease in self._experiments:
                return "running"
        entry, held = self.journal.entry_of(probe.attempt), self.journal.held(probe.attempt)
        if entry is not None:
            if entry.kind == "release":
                return "never_ran"
            if entry.kind == RESULT and entry.state != "refused":
                return "done"
            # A failure that is on its way needs the attempt alive.
            return "running" if entry.state == WAITING else "unknown"
        if held is not None and held.state not in (STARTED, ENDED):
            return "never_ran"
        return None if self._asks_main else "unknown"

    # -- saying things once

    def answering(self) -> None:
        """The server has just answered."""
        self.known = True
        self.backoff.reset()
        self.keeper.touch()
        if self._said.pop("server", None):
            log.warning("The server at %s answers again.", self.client.url)
        self._said.pop("disk", None)

    def say(self, topic: str, text: str, level: int = logging.WARNING) -> None:
        if self._said.get(topic) != text:
            self._said[topic] = text
            if text:
                log.log(level, "%s: %s", self.instrument, text)
