"""The janitor: what has to happen although nobody asks for it. A plain process; any number may run, one leads.

    numbers    events that others left without a number        reaps    leases of holders that fell silent
    expires    experiments and questions past their time       stops    campaigns whose stop rule holds
    forgets    what nobody needs any more                      commands workers: train, suggest, inquire, notify
    relays     what was committed to the queue streams

All but the last two need Postgres alone and go on with Redis away. Whatever two janitors do at once, or one does
twice, is harmless: each verb decides in Postgres.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from datetime import timedelta
from socket import gethostname

import structlog

from labqueue.errors import LabqueueError, UnavailableError
from labqueue.states import State
from models.domain import records as r
from services import bootstrap
from services.broker.wake import Wake
from services.flow import dispatch, due, inquire, recover, stop
from services.flow.forget import KEEP, Keep, forget
from services.flow.number import number
from services.observability import logs
from services.ports import Commands, Publisher, Store
from services.settings import current
from workers.identity import holder
from workers.keeping import JOBS
from workers.pulse import Pulse
from workers.rounds import Round, Step

log = structlog.get_logger(__name__)

#: A leader that was silent for so long is followed by another.
LEAD_SECONDS = 10.0
#: Nothing waits longer than this for a janitor that nobody woke.
TICK_SECONDS = 0.5
#: The lease is renewed this often, and the loop takes at most so many turns a second, however much happens.
RENEW_SECONDS = 2.0
TURN_SECONDS = 0.05
#: Commands that are due are looked for in every campaign this often; sooner in those that something happened to.
SWEEP_SECONDS = 1.0
#: Events read at once; what is left over is read in the next turn, and a sweep finds it, too.
PAGE = 1000
#: What nobody needs any more is looked for this often, and at each step of a second while there is more of it.
FORGET_SECONDS = 300.0
#: How long Redis is left alone after it did not answer.
AWAY_SECONDS = 1.0
#: States of experiments that nothing is awaited of.
_OVER = (State.COMPLETED, State.FAILED, State.CANCELLED, State.EXPIRED)


class Janitor:
    """Two loops: one on Postgres alone, one that also needs Redis, so that neither waits for the other's server."""

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        commands: Commands,
        wake: Wake,
        name: str = "",
        keep: Keep = KEEP,
    ) -> None:
        self.store, self.publisher, self.commands, self.wake = store, publisher, commands, wake
        self.name = name or holder()
        self.keep = keep
        self.leading = False
        self._stopping = threading.Event()
        self._news = threading.Event()
        self._cursor: int | None = None
        self._seen: int | None = None
        self._swept = -SWEEP_SECONDS
        self._renew_at = 0.0
        self._forget_at = 0.0
        self._silent_until = 0.0
        self.truth = Round(
            Step("number", self._number),
            Step("reap", lambda: recover.reap(store), every=1.0),
            Step("expire", lambda: recover.expire(store), every=1.0),
            Step("inquiries", lambda: inquire.expire_inquiries(store), every=1.0),
            Step("stop", self._stop_rules, every=1.0, urgent=0.2),
            Step("overtime", self._overtime, every=5.0),
            Step("forget", self._forget, every=1.0),
            # What the steps before have changed.
            Step("number again", self._number),
        )
        self.carrying = Round(
            Step("relay", self._relay), Step("commands", self._command, every=1.0, urgent=0.1)
        )

    def run(self) -> None:
        """Work until `stop`."""
        carrier = threading.Thread(target=self._carry, name="carrier", daemon=True)
        carrier.start()
        news = True
        while not self._stopping.is_set():
            if self._lead():
                self.truth.run(time.monotonic(), news)
            self._stopping.wait(TURN_SECONDS)
            news = self._news.wait(self._pause(self.truth))
            self._news.clear()
        carrier.join(AWAY_SECONDS + TICK_SECONDS)
        self._resign()

    def stop(self) -> None:
        self._stopping.set()
        self._news.set()

    def _lead(self) -> bool:
        now = time.monotonic()
        if now < self._renew_at:
            return self.leading
        try:
            with self.store.begin() as tx:
                leads = tx.liveness.lead("janitor", self.name, LEAD_SECONDS)
        except UnavailableError as error:
            if self.leading:
                log.warning("the database is away", error=str(error))
            leads = False
        if leads != self.leading:
            log.info("leads" if leads else "leads no longer", janitor=self.name)
            if leads:
                self._cursor = None
        self.leading = leads
        self._renew_at = now + (RENEW_SECONDS if leads else TICK_SECONDS)
        return leads

    def _resign(self) -> None:
        """So that the next one need not wait for the lease to end."""
        if self.leading:
            self.leading = False
            try:
                with self.store.begin() as tx:
                    tx.liveness.lead("janitor", self.name, 0.0)
            except LabqueueError:
                return

    def _carry(self) -> None:
        news = True
        while not self._stopping.is_set():
            if self.leading:
                self.carrying.run(time.monotonic(), news)
            try:
                news = self.wake.wait(self._pause(self.carrying)) is not None
            except UnavailableError:
                news = True  # as far as we know
                self._stopping.wait(AWAY_SECONDS)
            else:
                if news:
                    self._news.set()

    @staticmethod
    def _pause(steps: Round) -> float:
        """How long to wait for news: not beyond the step that is next."""
        rest = steps.rest(time.monotonic())
        return TICK_SECONDS if rest is None else min(TICK_SECONDS, rest)

    def _number(self) -> None:
        events = number(self.store)
        if events and time.monotonic() >= self._silent_until:
            try:
                self.wake.poke(events[-1].number or 0)
            except UnavailableError:
                # Others look each second by themselves; this loop must not wait for Redis each time.
                self._silent_until = time.monotonic() + 10 * AWAY_SECONDS

    def _stop_rules(self) -> None:
        """Of the campaigns that something happened to; of all active ones when this janitor begins to lead."""
        with self.store.begin() as tx:
            if self._cursor is None:
                cursor = tx.events.last()
                news = {each.id for each in tx.campaigns.all(state="active")}
            else:
                events = tx.events.after(self._cursor, PAGE)
                cursor = events[-1].number or self._cursor if events else self._cursor
                news = {each.campaign_id for each in events if each.campaign_id and _may_end(each)}
        for campaign in sorted(news):
            reason = stop.check(self.store, campaign)
            if reason is not None:
                log.info("finished", campaign=campaign, reason=reason)
        self._cursor = cursor

    def _overtime(self) -> None:
        for campaign in stop.overtime(self.store):
            stop.check(self.store, campaign)

    def _forget(self) -> None:
        """A batch at a time, so that whatever has to happen soon never waits for long."""
        if time.monotonic() < self._forget_at:
            return
        done = forget(self.store, self.keep)
        if any(done.rows.values()):
            log.debug("forgot", **done.rows)
        if not done.more:
            self._forget_at = time.monotonic() + FORGET_SECONDS

    def _relay(self) -> None:
        dispatch.relay(self.store, self.publisher)

    def _command(self) -> None:
        # Asked first: what is marked as issued and cannot be sent would wait for its next turn.
        self.publisher.epoch()
        now = time.monotonic()
        among: set[int] | None = self._touched()
        if now - self._swept >= SWEEP_SECONDS:
            self._swept, among = now, None
        waiting = [name for name in JOBS if self.commands.waiting(name)]
        for command in due.due(self.store, among, waiting):
            self.commands.send(command.name, command.argument)

    def _touched(self) -> set[int]:
        """The campaigns that something happened to since the last look."""
        with self.store.begin() as tx:
            if self._seen is None:
                self._seen = tx.events.last()
            events = tx.events.after(self._seen, PAGE)
        self._seen = events[-1].number or self._seen if events else self._seen
        return {each.campaign_id for each in events if each.campaign_id is not None}


def _may_end(event: r.Event) -> bool:
    """Can a campaign be done because of such an event? What a suggestion says is looked at where it is stored."""
    return (
        event.teaches
        or event.type == "model.trained"
        or event.type.startswith("campaign.")
        or event.data.get("state") in _OVER
    )


def main() -> int:
    try:
        settings = current()
    except LabqueueError as error:
        sys.exit(str(error))
    logs.configure(settings, "janitor")
    context = bootstrap.build(settings)
    assert context.publisher is not None, "built from settings, a context has all parts"
    assert context.commands is not None, "built from settings, a context has all parts"
    keep = Keep(
        inquiries=timedelta(days=settings.keep_inquiries_days),
        claims=timedelta(days=settings.keep_claims_days),
        gone=timedelta(days=settings.keep_gone_days),
    )
    janitor = Janitor(context.store, context.publisher, context.commands, Wake(settings.redis), keep=keep)
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: janitor.stop())
    pulse = Pulse(
        context.store, "janitor", janitor.name, lambda: {"leads": janitor.leading, "host": gethostname()}
    )
    pulse.start()
    log.info("starts", janitor=janitor.name)
    janitor.run()
    pulse.stop()
    log.info("stops", janitor=janitor.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
