"""The heartbeat's loop: renews every lease in one call, and hears at once what the server says of them.

A heartbeat is a long poll: it renews when it arrives and is answered as soon as a lease is not live any more.
The loop runs in a thread (keeper.py) or in a process of its own (heartbeat.py).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Callable

from .answers import LIVE, LOST, LeaseState, Probe
from .backoff import Backoff
from .client import Client
from .errors import LabqueueError
from .transport import Interrupted

log = logging.getLogger("labqueue")

#: The longest poll, and the time after which a new lease is taken into it, in seconds.
LONGEST, SOON = 20.0, 0.4


class Pulse:
    """Renews the leases that it holds, each third of the shortest one.

    heard: called with each lease that is not live, once. probes: called with what the server asks.
    contact: called after each renewal with the time.monotonic() at which it was sent.
    """

    def __init__(
        self,
        client: Client,
        instrument: str,
        adapter: str,
        heard: Callable[[LeaseState], None],
        probes: Callable[[Sequence[Probe]], None],
        contact: Callable[[float], None],
    ) -> None:
        self._client, self._instrument, self._adapter = client, instrument, adapter
        self._heard, self._probes, self._contact = heard, probes, contact
        self._changed = threading.Condition()
        self._leases: dict[str, float] = {}  # lease -> its length in seconds
        self._told: dict[str, str] = {}  # what is known of those that are not live
        self._new_since: float | None = None
        self._stopped = False

    def hold(self, lease: str, seconds: float) -> None:
        with self._changed:
            self._leases[lease] = seconds
            self._told.pop(lease, None)
            if self._new_since is None:
                self._new_since = time.monotonic()
            self._changed.notify_all()

    def drop(self, lease: str) -> None:
        with self._changed:
            self._leases.pop(lease, None)
            self._told.pop(lease, None)

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def run(self) -> None:
        """Until stop()."""
        backoff = Backoff(first=0.2, most=5.0)
        try:
            while self._gather():
                try:
                    self._round()
                    backoff.reset()
                except Interrupted:
                    continue
                except LabqueueError as error:
                    # Silence and refusals alike: the leases are ours until the server says otherwise.
                    log.debug("The heartbeat was not answered: %s", error)
                    self._rest(min(backoff.pause(), self._third()))
                except Exception:
                    # This loop must outlive every surprise: a lab's runs hang on it.
                    log.exception("The heartbeat failed unexpectedly; it is tried again.")
                    self._rest(backoff.pause())
        finally:
            self._client.close()

    # -- one round

    def _gather(self) -> bool:
        """Waits until there is something to renew, and a moment longer: short runs cost no heartbeat."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._leases)
            if self._new_since is not None:
                self._changed.wait_for(lambda: self._stopped, self._until_new())
            self._new_since = None
            return not self._stopped

    def _until_new(self) -> float:
        assert self._new_since is not None
        return max(0.0, self._new_since + SOON - time.monotonic())

    def _round(self) -> None:
        with self._changed:
            live = [lease for lease in self._leases if lease not in self._told]
            told = [lease for lease in self._leases if self._told.get(lease, LOST) != LOST]
        poll = min(self._third(), LONGEST)
        ends = time.monotonic() + poll
        if told:
            # These answer at once, each time; so they are renewed without waiting.
            self._renew(told, 0.0)
        if live:
            self._renew(live, poll)
        left = ends - time.monotonic()
        if left > 0:
            # Answered early: something was said, or a run has just ended.
            self._rest(min(SOON, left) if live else left)

    def _third(self) -> float:
        """Of the shortest lease: renewed that often, a lease outlives two renewals that fail."""
        with self._changed:
            return min(self._leases.values(), default=60.0) / 3.0

    def _renew(self, leases: Sequence[str], wait: float) -> None:
        sent = time.monotonic()
        until = self._is_new if wait else None
        answer = self._client.heartbeat(
            self._instrument, self._adapter, leases, wait=wait, retry_for=0.0, until=until
        )
        self._contact(sent)
        for item in answer.items:
            with self._changed:
                news = item.lease in self._leases and self._told.get(item.lease, LIVE) != item.state
                if news:
                    self._told[item.lease] = item.state
            if news:
                self._heard(item)
        if answer.probes:
            self._probes(answer.probes)

    def _is_new(self) -> bool:
        """Whether the poll should be left: to stop, or to take in leases that came since."""
        since = self._new_since
        return self._stopped or (since is not None and time.monotonic() - since >= SOON)

    def _rest(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._is_new(), max(0.0, seconds))
