"""`labqueue.serve_learner`: asks for work for ever, lets the learner do it, and sends what came of it."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Callable

from labqueue.backoff import Backoff
from labqueue.client import Client
from labqueue.errors import InvalidError, LabqueueError, LeaseLostError, TooLargeError, UnavailableError
from labqueue.problem import Problem
from labqueue.serving import speak
from labqueue.stopping import Stop
from labqueue.transport import Interrupted

from .pupil import LearnerError, Pupil, read_state, write_state
from .school import TRAIN, School, Work

log = logging.getLogger("labqueue")

#: How long one request waits for work, in seconds: short of the time after which silence counts.
WAIT = 10.0
#: An empty answer sooner than this is followed by a pause, in seconds.
SOONEST = 1.0


@dataclass(frozen=True)
class Taught:
    """What a learner did: trainings and suggestions that were kept, and work that failed or was refused."""

    trainings: int = 0
    suggestions: int = 0
    failures: int = 0


def serve_learner(
    learner: Any, *, campaign: str, name: str | None = None, url: str | None = None, token: str | None = None,
    stop: threading.Event | None = None, limit: int | None = None, versions: Mapping[str, str] | None = None,
) -> Taught:  # fmt: skip
    """Trains and suggests for `campaign`, whose strategy has `method` learner, until it is asked to stop.

    learner: an object with suggest(problem, rows, pending, count, state, seed) -> list of points, or {"candidates":
    that list, "gain": number}, and, if it has a state, train(problem, rows, state) -> state or (state, metrics). Both
    are called in this thread. A pool's features are in the cache before that: `labqueue.learning.features(problem)`.
    name: the learner's name; default: the one that the campaign's strategy has. url, token: default LABQUEUE_URL and
    LABQUEUE_TOKEN. stop: an event that ends the loop. limit: ends it after that many answers. versions: of the
    libraries that are used, kept with each answer.

    What the learner raises is its failure: the server keeps the last line, the log here has it all, and it is asked
    again. SIGTERM and Ctrl-C interrupt it and give its work back; nothing is lost by that, nor by kill -9. A server
    that is away is waited for. Returns what was done. Raises InvalidError for what is no learner, NotFoundError for an
    unknown campaign, ConflictError where its learner has another name, DeniedError for a token that may not.
    """
    pupil = Pupil(learner)
    speak()
    given = {**getattr(learner, "versions", {}), **(versions or {})}
    with Client(url, token) as client, Ending(stop) as asked:
        school = School(client, campaign, name, trains=pupil.trains, versions=given)
        return Lessons(school, pupil, asked, limit).run()


class Ending(Stop):
    """As `Stop`, but not even the first signal waits for what runs: a computation can be done again."""

    gently = b"\nlabqueue: stopping; what was begun is given back.\n"
    patient = False


class Lessons:
    """The loop of one process."""

    def __init__(self, school: School, pupil: Pupil, stop: Stop, limit: int | None) -> None:
        self._school, self._pupil, self._stop, self._limit = school, pupil, stop, limit
        self._backoff, self._failing = Backoff(), Backoff(first=1.0, most=30.0)
        self._known = False  # has the server ever answered?
        self._said = ""
        self.taught = Taught()

    def run(self) -> Taught:
        try:
            while not self._stop.now() and not self._done():
                work = self._next()
                if work is not None:
                    self._do(work)
        finally:
            try:
                self._school.leave()
            except LabqueueError as error:
                log.info("The server was not told that this learner ends: %s", error)
        return self.taught

    def _done(self) -> bool:
        return self._limit is not None and self.taught.trainings + self.taught.suggestions >= self._limit

    def _next(self) -> Work | None:
        began = time.monotonic()
        try:
            # The first answer comes at once: whoever started this program looks whether all is well.
            work, reason = self._school.ask(WAIT if self._known else 0.0, self._stop.now)
        except Interrupted:
            return None
        except LabqueueError as error:
            if not self._known and not isinstance(error, UnavailableError):
                raise
            self._say(f"{error} Trying again.")
            self._stop.pause(self._backoff.pause())
            return None
        if not self._known:
            log.info("Learning for the campaign %s of %s.", self._school.campaign, self._school.client.url)
        self._known = True
        self._backoff.reset()
        self._say(reason)
        if work is None and time.monotonic() - began < SOONEST:
            self._stop.pause(SOONEST)
        return work

    def _do(self, work: Work) -> None:
        with renewing(self._school, work):
            try:
                with self._stop.breakable():
                    answer = self._answer(work)
            except KeyboardInterrupt:
                # Leaving gives it back.
                self._stop.ask()
                return
            except UnavailableError as error:
                # What belongs to the work did not come: asked again, it is the same work.
                self._say(f"{error} Trying again.")
                self._stop.pause(self._backoff.pause())
                return
            except (Exception, SystemExit) as error:  # noqa: BLE001 whatever it raises is its own failure, and told
                self._failed(work, error)
                return
            self._send(work, answer)

    def _answer(self, work: Work) -> Callable[[], str]:
        """What the learner makes of it, ready to be sent."""
        try:
            problem = Problem.from_json(work.problem)
        except InvalidError as error:
            raise LearnerError(
                f"This SDK is older than the server and does not understand the problem. {error}"
            ) from None
        self._school.pool(problem)
        rows = self._school.rows(work, self._stop.now)
        state = read_state(self._school.state(work))
        if work.kind == TRAIN:
            new, metrics = self._pupil.train(problem, rows, state)
            kept = write_state(new)
            return lambda: self._kept(work, kept, metrics, len(rows))
        chosen, gain = self._pupil.suggest(problem, rows, work.pending, work.count, state, work.seed)
        return lambda: self._chosen(work, chosen, gain)

    def _kept(self, work: Work, state: bytes, metrics: Mapping[str, Any], rows: int) -> str:
        version = self._school.learnt(work, state, metrics, self._stop.hurry)
        self.taught = replace(self.taught, trainings=self.taught.trainings + 1)
        return f"Trained on {rows} row{'' if rows == 1 else 's'}: version {version}, {len(state):,} bytes."

    def _chosen(self, work: Work, candidates: list[dict[str, Any]], gain: Any) -> str:
        staged = self._school.chosen(work, candidates, gain, self._stop.hurry)
        self.taught = replace(self.taught, suggestions=self.taught.suggestions + 1)
        return f"Suggested {len(candidates)}, of which {staged} are new."

    def _send(self, work: Work, send: Callable[[], str]) -> None:
        """Until the server has answered: the same answer twice is one effect."""
        while True:
            try:
                log.info("%s", send())
                self._failing.reset()
                return
            except Interrupted:
                return
            except LeaseLostError as error:
                log.warning("%s", error)
                return
            except UnavailableError as error:
                self._say(f"{error} The answer is kept and sent again.")
                if self._stop.now():
                    return
                self._stop.pause(self._backoff.pause())
            except (InvalidError, TooLargeError) as error:
                log.error("The server refused the answer. %s", error)
                self._count_failure()
                return
            except LabqueueError as error:
                log.error("%s", error)
                self._count_failure()
                return

    def _failed(self, work: Work, error: BaseException) -> None:
        log.error("The learner failed to %s.", work.kind, exc_info=error)
        reason = f"{type(error).__name__}: {error}"
        last = traceback.extract_tb(error.__traceback__)[-1:]
        where = (
            ""
            if isinstance(error, LearnerError) or not last
            else f" ({last[0].filename}, line {last[0].lineno})"
        )
        try:
            self._school.fail(work, f"{reason[:1500]}{where}")
        except LabqueueError as refused:
            log.warning("The server was not told: %s", refused)
        self._count_failure()

    def _count_failure(self) -> None:
        self.taught = replace(self.taught, failures=self.taught.failures + 1)
        self._stop.pause(self._failing.pause())

    def _say(self, text: str) -> None:
        """Once, until something else is the case."""
        if text and text != self._said:
            log.info("%s", text)
        self._said = text


@contextmanager
def renewing(school: School, work: Work) -> Iterator[None]:
    """Keeps the work while the block lasts, in a thread; until the server says that it is lost."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(work.lease_seconds / 3):
            try:
                school.renew(work)
            except UnavailableError as error:
                log.info("The work was not renewed: %s", error)
            except LabqueueError as error:
                log.warning("%s", error)
                return
        school.client.close()

    thread = threading.Thread(target=keep, name="labqueue-renew", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
