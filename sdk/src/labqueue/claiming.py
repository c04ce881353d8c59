"""Claims: a key on the disk before it is asked, so that a lost answer costs nothing."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from .answers import Claimed
from .client import claim_body
from .errors import (
    DeniedError,
    InvalidError,
    KeyReusedError,
    LabqueueError,
    NotFoundError,
)
from .experiment import Experiment
from .journal import Asked, SpoolError
from .measured import NO_DISK, RESTARTED, STOPPED
from .transport import Interrupted

if TYPE_CHECKING:
    from .session import Session

log = logging.getLogger("labqueue")

#: How long a claim waits for work, in seconds.
WAIT = 20.0
#: An empty answer sooner than this is followed by a pause, in seconds.
SOONEST = 1.0


class Claims:
    """The claims of one session, one at a time."""

    def __init__(self, session: Session, take_over: bool) -> None:
        self._session = session
        self._count = 0
        self._asked = session.journal.unanswered()
        self._take_over = take_over

    def claim(self, most: int, least: int = 1, within: float = 0.0, wait: float = WAIT) -> list[Experiment]:
        """Claims experiments; waits up to `wait` seconds for them. Empty, after a pause, where there are none.

        Raises what waiting does not cure: an unknown queue, a token that may not, a claim that is invalid.
        """
        if self._session.limit is not None:
            most = max(1, min(most, self._session.limit - self._session.begun))
        if not self._session.spool.has_room():
            self._session.say(
                "disk", f"The disk of the spool {self._session.spool.folder} is full; nothing new is claimed."
            )
            self._session.stop.pause(10.0)
            return []
        began = time.monotonic()
        try:
            asked = self._next_claim(most, min(least, most), within, wait)
            claimed = self._session.client.claim_again(
                asked.queue, asked.body, retry_for=0.0, until=self._leave_claim
            )
            taken = self._taken(asked, claimed)
        except Interrupted:
            if self._session.stop.now():
                self._withdraw(asked)
            return []
        except SpoolError as error:
            self._session.say("disk", f"{error} Nothing new is claimed.")
            self._session.stop.pause(self._session.backoff.pause())
            return []
        except LabqueueError as error:
            self._unclaimed(asked, error)
            return []
        if not taken and wait > SOONEST and time.monotonic() - began < SOONEST:
            self._session.stop.pause(SOONEST)
        return taken

    def _leave_claim(self) -> bool:
        return self._session.stop.now() or self._session.stop.woken()

    def _next_claim(self, most: int, least: int, within: float, wait: float) -> Asked:
        """A claim whose answer was lost, or a new one, on the disk."""
        if not self._asked:
            self._count += 1
            key = f"{self._session.adapter}-{self._count}"
            body = claim_body(
                self._session.instrument,
                self._session.adapter,
                key,
                most,
                least,
                within,
                wait,
                None,
                self._take_over,
            )
            asked = Asked(key, self._session.queue, body)
            self._session.journal.ask(asked)
            self._asked.append(asked)
        asked = self._asked[0]
        if asked.body.get("adapter") == self._session.adapter:
            return asked
        # An earlier adapter's: only what it was given is wanted, at once.
        return Asked(asked.key, asked.queue, {**asked.body, "wait": 0})

    def _taken(self, asked: Asked, claimed: Claimed) -> list[Experiment]:
        try:
            self._session.journal.answered(asked.key, claimed.experiments)
        except SpoolError:
            # Unwritten, they would be forgotten by a crash: given back, and asked for again with the same key.
            self._session.tell_directly("release", [(each, NO_DISK) for each in claimed.experiments])
            raise
        self._asked.pop(0)
        self._session.answering()
        self._take_over = False
        self._session.say("reason", claimed.reason or "", logging.INFO)
        self._session.probed(claimed.probes)
        mine = [each for each in claimed.experiments if asked.queue == self._session.queue]
        taken = [self._session.handle(each) for each in mine]
        others = [each for each in claimed.experiments if asked.queue != self._session.queue]
        self._session.record([self._session.report(each, RESTARTED) for each in others])
        return taken

    def _unclaimed(self, asked: Asked, error: LabqueueError) -> None:
        old = asked.body.get("adapter") != self._session.adapter
        denied = isinstance(error, DeniedError)
        if isinstance(error, KeyReusedError) or (old and error.status < 500 and not denied):
            self._abandon(asked)
        elif isinstance(error, InvalidError) or (
            not self._session.known and (denied or isinstance(error, NotFoundError))
        ):
            raise error
        else:
            # An instrument that is taken, too: its other adapter may end.
            self._session.say("server", f"{error} Waiting.")
            self._session.stop.pause(self._session.backoff.pause())

    def _abandon(self, asked: Asked) -> None:
        """Nothing can be had by this claim's key."""
        self._asked.pop(0)
        try:
            self._session.journal.answered(asked.key, ())
        except SpoolError as error:
            self._session.say("disk", str(error))

    def _withdraw(self, asked: Asked) -> None:
        """The claim was left in the middle: whatever it was given goes back."""
        try:
            body = {**asked.body, "wait": 0}
            claimed = self._session.client.claim_again(
                asked.queue, body, retry_for=1.0, until=self._session.stop.hurry
            )
            self._session.journal.answered(asked.key, claimed.experiments)
            self._asked.pop(0)
            self._session.record([self._session.report(each, STOPPED) for each in claimed.experiments])
        except LabqueueError as error:
            log.info("The last claim stays open, and the next start settles it: %s", error)
