"""Where one copy of a program sits: its slots, what it was handed, and what it has to say to the server.

Whatever changes files or journals of an experiment's folder does so in a turn: one copy and one thread at a time.
"""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labqueue.answers import CANCEL, LIVE
from labqueue.client import Client
from labqueue.errors import ConflictError, DeniedError, LabqueueError, LeaseLostError, NotFoundError

from .campaign import BATCH, FIRST, Campaign, open_campaign
from .locks import take, write_whole
from .scope import Scope, Value, read_config
from .slots import Slot, take_slot

STATE = ".labqueue"
#: A program's failed runs are its own affair: it goes on to the next condition, and no pause of ours stops it.
FAILURE_LIMIT = 1000


@dataclass
class Desk:
    """`path`: the data file. `handed`: what this process gave to its program: experiment and thread."""

    path: Path
    campaign: Campaign
    slots: list[Slot] = field(default_factory=list)
    handed: dict[int, int] = field(default_factory=dict)
    _turn: Any = field(default_factory=threading.Lock)
    _settled: set[int] = field(default_factory=set)

    @property
    def folder(self) -> Path:
        """Of the experiment."""
        return self.path.parent

    @property
    def state(self) -> Path:
        """The folder of journals and locks."""
        return self.folder / STATE / self.path.name

    @property
    def scope(self) -> Scope:
        return self.campaign.scope

    @contextmanager
    def turn(self) -> Iterator[Slot]:
        """This copy's own slot, while nobody else writes; what was begun before is brought to its end first."""
        with self._turn:
            lock = take(self.state / "lock", wait=True)
            assert lock is not None, "waited for"
            with lock:
                if not self.slots:
                    self.adopt(left_only=False)
                self.catch_up()
                yield self.slots[0]

    def adopt(self, *, left_only: bool = True) -> bool:
        """Takes a slot whose process is gone and has left something; not `left_only`: or a free one."""
        slot = take_slot(self.state, {each.number for each in self.slots}, left_only=left_only)
        if slot is not None:
            self.slots.append(slot)
            self._finish(slot)
        return slot is not None

    def catch_up(self) -> None:
        """Sends what is still to be said."""
        for slot in self.slots:
            self._finish(slot)

    # -- what is in hand

    def items(self) -> list[tuple[Slot, dict[str, Any]]]:
        return [(slot, item) for slot in self.slots for item in slot.journal.items]

    def left(self, phase: str, count: int) -> list[dict[str, Any]]:
        """Conditions that former processes were handed and never told, at most `count`."""
        good: list[dict[str, Any]] = []
        while len(good) < count:
            found = [
                item
                for _, item in self.items()
                if item["phase"] == phase and item["experiment"] not in self.handed
            ]
            if found:
                good += self._hand(found[: count - len(good)])
            elif not self.adopt():
                break
        return good

    def again(self, phase: str, count: int) -> list[dict[str, Any]]:
        """Conditions that this process was handed and that nobody else is at: for when there is nothing else."""
        alive = {each.ident for each in threading.enumerate()} - {threading.get_ident()}
        found = [
            item
            for _, item in self.items()
            if item["phase"] == phase and self.handed.get(item["experiment"], 0) not in alive
        ]
        return self._hand(found[:count])

    def claim(self, experiments: Sequence[int], phase: str) -> tuple[list[dict[str, Any]], str]:
        """Leases those of these that nobody else took, in their order; and why none, where there is none."""
        slot = self.slots[0]
        slot.journal.claim = {"key": uuid.uuid4().hex, "phase": phase, "experiments": list(experiments)}
        slot.save()
        reason = self._claim(slot)
        got = [each for each in slot.journal.items if each["experiment"] in experiments]
        return self._hand(sorted(got, key=lambda each: experiments.index(each["experiment"]))), reason

    def stage(
        self, conditions: Sequence[tuple[Value, ...]], reasons: Sequence[str], phase: str
    ) -> list[dict[str, Any]]:
        """Stages these and leases them."""
        slot = self.slots[0]
        batch = {
            "key": uuid.uuid4().hex,
            "phase": phase,
            "conditions": list(conditions),
            "reasons": list(reasons),
        }
        slot.journal.batch = batch
        slot.save()
        known = {each["experiment"] for each in slot.journal.items}
        reason = self._finish(slot)
        got = self._hand([each for each in slot.journal.items if each["experiment"] not in known])
        if not got:
            raise LabqueueError(f"Nothing is handed out: {reason}.")
        return got

    def _hand(self, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Says that these begin now, and leaves out those that were ended elsewhere meanwhile."""
        good = []
        for slot in self.slots:
            mine = [each for each in items if each in slot.journal.items]
            ended = self._ended(slot, mine) if mine else set()
            for each in mine:
                if each["lease"] in ended:
                    slot.journal.items.remove(each)
                else:
                    self.handed[each["experiment"]] = threading.get_ident()
                    good.append(each)
            if ended:
                slot.save()
        return [each for each in items if each in good]

    def _ended(self, slot: Slot, items: Sequence[dict[str, Any]]) -> set[str]:
        client = self.campaign.client
        leases = [each["lease"] for each in items]
        ended = {each.lease for each in client.start(leases) if not each.ok}
        renewed = client.heartbeat(self._instrument(slot), self._adapter(slot), leases)
        for each in renewed.items:
            if each.state == CANCEL:
                with suppress(ConflictError):
                    client.cancelled(each.lease, "was not run")
            if each.state != LIVE:
                ended.add(each.lease)
        return ended

    # -- what was begun

    def _finish(self, slot: Slot) -> str:
        """Sends what the journal says, in its order; every request may be sent again. Why a claim got nothing."""
        journal = slot.journal
        while journal.outbox:
            kind = journal.outbox[0]["kind"]
            same = next(
                (n for n, each in enumerate(journal.outbox) if each["kind"] != kind), len(journal.outbox)
            )
            count = min(same, BATCH) if kind != "failed" else 1
            self._send(kind, [each["body"] for each in journal.outbox[:count]])
            del journal.outbox[:count]
            slot.save()
        if journal.batch is not None:
            batch = journal.batch
            conditions = [tuple(each) for each in batch["conditions"]]
            ids = self.campaign.stage(conditions, batch["reasons"], batch["key"])
            journal.claim = {"key": uuid.uuid4().hex, "phase": batch["phase"], "experiments": ids}
            journal.batch = None
            slot.save()
        return self._claim(slot) if journal.claim is not None else ""

    def _send(self, kind: str, bodies: Sequence[Mapping[str, Any]]) -> None:
        client, judged = self.campaign.client, []
        if kind == "failed":
            with suppress(LeaseLostError):
                client.fail(bodies[0]["lease"], bodies[0]["reason"])
        elif kind == "elsewhere":
            judged = client.post_elsewhere(self.campaign.name, bodies)
        else:
            judged = client.post_results(bodies)
        for each in judged:
            if each.verdict in ("held", "refused"):
                warnings.warn(f"Labqueue keeps a result that it cannot use: {each.message}", stacklevel=2)

    def _claim(self, slot: Slot) -> str:
        claim = slot.journal.claim
        assert claim is not None, "written down before"
        client, name, wanted = self.campaign.client, self._instrument(slot), claim["experiments"]
        answer = client.claim(
            self.campaign.name, instrument=name, adapter=self._adapter(slot), key=claim["key"], most=len(wanted),
            experiments=wanted,
        )  # fmt: skip
        slot.journal.items += [
            {
                "experiment": each.experiment,
                "lease": each.lease,
                "planned": [each.parameters[one] for one in self.scope.features],
                "phase": claim["phase"],
            }
            for each in sorted(answer.experiments, key=lambda one: wanted.index(one.experiment))
        ]
        slot.journal.claim = None
        slot.save()
        if slot.number not in self._settled and answer.experiments:
            with suppress(DeniedError, NotFoundError):
                client.put_instrument(name, failure_limit=FAILURE_LIMIT)
            self._settled.add(slot.number)
        return answer.reason or ""

    def _instrument(self, slot: Slot) -> str:
        """The same for each process that takes this slot on this computer."""
        host = re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname())[:20]
        return f"{self.campaign.name}-{host}-{slot.number}"

    def _adapter(self, slot: Slot) -> str:
        return f"{self._instrument(slot)}.{os.getpid()}"

    # -- what the files held when they were written last

    def written(self) -> dict[str, str]:
        path = self.state / "files.json"
        found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def note_written(self, digests: Mapping[str, str]) -> None:
        write_whole(self.state / "files.json", json.dumps(dict(digests)).encode())


_desks: dict[tuple[int, Path], Desk] = {}
_opening = threading.Lock()


def desk_for(exp_dir: Any, config: Mapping[str, Any], filename: str) -> Desk:
    """This process's desk for a data file, the same one for the same file. Makes the campaign where it is missing.

    Raises ValueError for a configuration that cannot be used, or is another one than the campaign's.
    """
    if os.path.basename(filename) != filename or not filename:
        raise ValueError(f"filename: {filename!r} must be the plain name of a file in exp_dir.")
    scope, path = read_config(config), Path(os.path.realpath(exp_dir)) / filename
    key = (os.getpid(), path)
    with _opening:
        found = _desks.get(key)
        if found is None or found.scope != scope:
            campaign = open_campaign(Client(retry_for=FIRST), path.parent, filename, scope)
            (path.parent / STATE / filename).mkdir(parents=True, exist_ok=True)
            if found is None:
                _desks[key] = found = Desk(path, campaign)
            found.campaign = campaign  # the campaign was edited on the server, and the configuration with it
    return found
