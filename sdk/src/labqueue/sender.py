"""Sends what the spool holds, in a thread of its own, until the server has it.

A 2xx ends an entry. Silence, 5xx and what an operator will put right (401, 403, 404, 408, 429) is tried again
for ever, with growing pauses. Any other refusal parks the entry for a person, and the rest goes on.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Callable

from .answers import Item, Judged
from .backoff import Backoff
from .client import Client
from .errors import ConflictError, DeniedError, LabqueueError, LeaseLostError, UnavailableError
from .journal import KEPT, RESULT, Entry
from .spool import Spool
from .states import Verdict

log = logging.getLogger("labqueue")

#: How many entries, and about how many bytes, go in one request.
BATCH, BYTES = 100, 512 * 1024
#: What even an end in a hurry leaves for the last words, in seconds.
MOMENT = 1.0
#: Refusals that an operator puts right: the token, the address, the proxy.
AGAIN = (401, 403, 404, 407, 408, 425, 429)


class Sender:
    """The outgoing side of a spool. `ended` hears the lease of each attempt whose end the server knows."""

    def __init__(
        self, client: Client, spool: Spool, ended: Callable[[str], None], *, most: float = 15.0
    ) -> None:
        self._client, self._spool, self._ended = client, spool, ended
        self._changed = threading.Condition()
        self._closed = self._woken = self._idle = False
        self._backoff = Backoff(first=0.2, most=most)
        self._trouble = ""
        self._since_pruned = 0
        #: What may be lost with this process: notes, and answers to probes, which are asked again.
        self._words: deque[tuple[str, dict[str, Any]]] = deque(maxlen=1000)
        self._thread = threading.Thread(target=self._run, name="labqueue-sender", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There is something to send."""
        with self._changed:
            self._woken, self._idle = True, False
            self._changed.notify_all()

    def say(self, verb: str, item: Mapping[str, Any]) -> None:
        """A note, or the answer to a probe: sent soon, kept nowhere."""
        self._words.append((verb, dict(item)))
        self.wake()

    def flush(self, seconds: float, hurry: Callable[[], bool] = lambda: False) -> bool:
        """Waits until everything is sent, `seconds` at most, in a hurry a moment. False where something waits."""
        began = time.monotonic()
        self.wake()
        with self._changed:
            while not self._idle:
                left = began + (MOMENT if hurry() else seconds) - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(0.25, left))
            return self._idle

    def close(self) -> None:
        """Ends the thread; what is not sent stays in the spool."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(2.0)

    # -- the thread

    def _run(self) -> None:
        while True:
            with self._changed:
                self._woken = False
                if self._closed:
                    break
            worked, pause = self._attempt_round()
            with self._changed:
                if worked and not self._woken and not self._words:
                    self._idle = True
                    self._changed.notify_all()
                if not self._woken and not self._closed:
                    self._changed.wait(pause)
                elif pause is not None:
                    # Woken by something new while the server is away: that is no reason to hammer it.
                    self._changed.wait(min(pause, 0.2))
        self._client.close()

    def _attempt_round(self) -> tuple[bool, float | None]:
        """One round: (whether nothing is left over, how long to wait for something new)."""
        try:
            left = self.round()
        except (LabqueueError, OSError) as error:
            self._say_once(str(error))
            return False, self._backoff.pause()
        except Exception:
            # This thread must outlive every surprise: it carries the measurements.
            log.exception("Sending from the spool failed unexpectedly; it is tried again.")
            return False, self._backoff.pause()
        if left:
            return False, self._backoff.pause()
        if self._trouble:
            log.warning("The server at %s has what waited in the spool.", self._client.url)
            self._trouble = ""
        self._backoff.reset()
        return True, None

    def _say_once(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            log.warning("What was measured waits in the spool %s: %s", self._spool.folder, trouble)

    def round(self) -> bool:
        """Sends everything that can be sent now. True where something is left to be tried again.

        Raises where nobody answers, and where this computer's disk does not take the answers.
        """
        self._say_words()  # first: a note that came after its run's end would be stale
        left, place = False, 0
        while True:
            entries = self._spool.journal.waiting(after=place)
            if not entries:
                break
            place = entries[-1].number
            for verb in ("release", "cancelled", "fail"):
                reports = [each for each in entries if each.kind == verb]
                for start in range(0, len(reports), BATCH):
                    left = self._reports(verb, reports[start : start + BATCH]) or left
            ready = []
            for entry in entries:
                if entry.kind == RESULT:
                    there = self._files_sent(entry)
                    left = left or there is None
                    ready += [entry] if there else []
            for batch in _batches(ready):
                left = self._results(batch) or left
        return left

    # -- results

    def _results(self, batch: Sequence[Entry]) -> bool:
        """Sends these in one request. True where some are to be tried again."""
        try:
            judged = self._client.post_results([each.body for each in batch], retry_for=0)
        except LabqueueError as error:
            if _silent(error):
                raise
            if len(batch) > 1:
                # One of them may spoil the request; each on its own then.
                return sum(self._results([each]) for each in batch) > 0
            return self._unwelcome(batch[0], error)
        answers = {each.id: each for each in judged}
        messages: dict[str, str] = {}
        for entry in batch:
            answer = answers.get(entry.id)
            if answer is None:
                continue
            if answer.verdict == Verdict.REFUSED.value:
                said = answer.message or f"refused: {answer.code}"
                self._park(entry, "\n".join([said, *(f"  - {each}" for each in answer.errors)]))
            else:
                messages[entry.id] = _read_verdict(entry, answer)
        self._done([each for each in batch if each.id in messages], messages)
        if any(each.files for each in batch):
            self._spool.sweep()
        return any(each.id not in answers for each in batch)

    def _files_sent(self, entry: Entry) -> bool | None:
        """Whether every file of this result is at the server; sends those that are not. None: try again."""
        for file in entry.files:
            if file.sent:
                continue
            path = self._spool.file(file.sha256)
            if not path.exists():
                self._park(entry, f"The file {file.name} ({file.sha256}) is no longer in the spool: {path}.")
                return False
            try:
                if not self._client.has_artifact(file.sha256, retry_for=0):
                    self._client.put_artifact(file.sha256, partial(_open, path), file.size, retry_for=0)
            except LabqueueError as error:
                if _silent(error):
                    raise
                return None if self._unwelcome(entry, error) else False
            self._spool.journal.file_sent(entry.id, file.sha256)
        return True

    # -- reports

    def _reports(self, verb: str, batch: Sequence[Entry]) -> bool:
        """Sends these in one request. True where some are to be tried again."""
        try:
            items = self._client.report(verb, [each.body for each in batch], retry_for=0)
        except LabqueueError as error:
            if _silent(error):
                raise
            if len(batch) > 1:
                return sum(self._reports(verb, [each]) for each in batch) > 0
            return self._unwelcome(batch[0], error)
        answers = {each.lease: each for each in items}
        for entry in batch:
            answer = answers.get(entry.lease)
            if answer is not None:
                self._reported(verb, entry, answer)
        return any(each.lease not in answers for each in batch)

    def _reported(self, verb: str, entry: Entry, answer: Item) -> None:
        if verb == "release" and not answer.ok and answer.code == ConflictError.code:
            # The server heard `start`, and this program ended before it began. Said as what it is.
            body = {**entry.body, "reason": f"It never began. {entry.body.get('reason') or ''}".strip()}
            again = Entry(str(uuid.uuid4()), "fail", entry.attempt, entry.lease, entry.code, body)
            self._spool.journal.acknowledged([entry.id], {entry.id: answer.message})
            self._spool.journal.finish([again])
            return
        if not answer.ok:
            level = logging.INFO if answer.code == LeaseLostError.code else logging.WARNING
            log.log(level, "%s: the report '%s' changed nothing: %s", entry.code, verb, answer.message)
        self._done([entry], {entry.id: "" if answer.ok else answer.message})

    def _say_words(self) -> None:
        while True:
            said = self._next_words()
            if not said:
                return
            verb = said[0][0]
            try:
                for answer in self._client.report(verb, [item for _, item in said], retry_for=0):
                    if not answer.ok:
                        log.info("The server took no %s: %s", verb, answer.message)
            except LabqueueError as error:
                if _silent(error):
                    self._words.extendleft(reversed(said))
                    raise
                log.warning("The server took no %s: %s", verb, error)

    def _next_words(self) -> list[tuple[str, dict[str, Any]]]:
        """The next ones that fit into one request."""
        said: list[tuple[str, dict[str, Any]]] = []
        while self._words and len(said) < BATCH and (not said or self._words[0][0] == said[0][0]):
            said.append(self._words.popleft())
        return said

    # -- ends

    def _done(self, entries: Sequence[Entry], messages: Mapping[str, str]) -> None:
        if not entries:
            return
        self._spool.journal.acknowledged([each.id for each in entries], messages)
        self._since_pruned += len(entries)
        if self._since_pruned >= KEPT:
            self._since_pruned = 0
            self._spool.journal.prune()
        for each in entries:
            self._ended(each.lease)

    def _unwelcome(self, entry: Entry, error: LabqueueError) -> bool:
        """An error about this entry alone. True: try it again later; False: it is parked."""
        if error.status >= 500 or error.status in AGAIN:
            self._say_once(f"{entry.code}: {error}")
            return True
        self._park(entry, str(error))
        return False

    def _park(self, entry: Entry, message: str) -> None:
        self._spool.journal.refuse(entry.id, message)
        log.error(
            "The server refused the %s of %s; it is kept in the spool as %s. `labqueue spool` shows and repairs "
            "it. The server said: %s",
            entry.kind, entry.code, entry.id, message,
        )  # fmt: skip
        self._ended(entry.lease)


def _silent(error: LabqueueError) -> bool:
    """Nobody answers at all: that concerns every entry, and the round ends."""
    return isinstance(error, (UnavailableError, DeniedError))


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _batches(entries: Sequence[Entry]) -> list[list[Entry]]:
    """In order, each small enough for one request."""
    batches: list[list[Entry]] = []
    size = 0
    for entry in entries:
        length = len(json.dumps(entry.body))
        if not batches or len(batches[-1]) >= BATCH or size + length > BYTES:
            batches.append([])
            size = 0
        batches[-1].append(entry)
        size += length
    return batches


def _read_verdict(entry: Entry, answer: Judged) -> str:
    if answer.verdict == Verdict.HELD.value:
        log.warning("%s: the result is kept, and a person decides about it: %s", entry.code, answer.message)
    elif answer.message:
        log.info("%s: %s: %s", entry.code, answer.verdict, answer.message)
    return f"{answer.verdict}. {answer.message}".strip() if answer.message else answer.verdict
