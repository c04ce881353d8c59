"""A run on the server: one campaign of opaque items, what was staged in it, and what came of each.

All that the driver believes about items is asked here; the server's answer is the truth, whoever labelled them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labqueue.client import Client
from labqueue.errors import KeyReusedError, NotFoundError

from .codec import CodecError
from .items import LABELLED, labelled_items
from .labelling import OUTPUT

#: What one request stages.
BATCH = 100
#: Still on their way to a label, without a person.
OPEN = ("proposed", "staged", "leased")
#: Ended without a label; a person may still replay or complete them.
GIVEN_UP = ("failed", "cancelled", "expired", "superseded")


@dataclass(frozen=True)
class Label:
    """What came of an item. items: what the strategy put back, None where there is no label (yet). reason: why not.
    text, sha256: the label as it came."""

    experiment: int
    code: str
    state: str
    items: tuple[Any, ...] | None = None
    reason: str = ""
    text: str = ""
    sha256: str = ""


class Run:
    """The campaign of a run, made when it is not there. lease, attempts: the policy of a queue that is made."""

    def __init__(self, client: Client, name: str, queue: str, *, lease: float, attempts: int) -> None:
        self.client, self.name, self.queue = client, name, queue
        try:
            client.queue(queue)
        except NotFoundError:
            client.put_queue(queue, lease_seconds=lease, on_lost="requeue", max_attempts=attempts)
        problem = {"opaque": True, "outputs": [{"name": OUTPUT}]}
        client.create_campaign(name, queue=queue, problem=problem, strategy={"method": "caller"})

    def stage(self, key: str, payloads: Sequence[Mapping[str, Any]], reason: str) -> list[int]:
        """Stages these in their order and returns their numbers; again, with the same key and payloads, is one effect.

        Where another batch has this key (a run that went back to an earlier checkpoint), the next free key is taken.
        """
        branch = 1
        while True:
            name = key if branch == 1 else f"{key}.{branch}"
            try:
                return self._stage(name, payloads, reason)
            except KeyReusedError:
                branch += 1

    def _stage(self, key: str, payloads: Sequence[Mapping[str, Any]], reason: str) -> list[int]:
        found: list[int] = []
        for start in range(0, len(payloads), BATCH):
            rows = [{"payload": dict(each), "reason": reason} for each in payloads[start : start + BATCH]]
            part = key if len(payloads) <= BATCH else f"{key}/{start // BATCH}"
            answer = self.client.stage(self.name, rows, key=part)
            found += [int(each["id"]) for each in answer["experiments"]]
        return found

    def counts(self) -> dict[str, int]:
        """Experiments by state."""
        found: dict[str, int] = self.client.campaign(self.name)["counts"]
        return found

    def unlabelled(self) -> int:
        """How many items are still on their way to a label, without a person."""
        counts = self.counts()
        return sum(counts.get(state, 0) for state in OPEN)

    def labels(self, experiments: Iterable[int]) -> list[Label]:
        """What came of each of these, in this order."""
        return [self._label(each) for each in experiments]

    def _label(self, number: int) -> Label:
        found = self.client.experiment(number)
        state, code = str(found["state"]), str(found["code"])
        if state != "completed":
            return Label(number, code, state, reason=_reason(found))
        files = [
            file["sha256"]
            for result in found["results"]
            for file in result["artifacts"]
            if result["verdict"] == "accepted" and file["name"] == LABELLED
        ]
        if not files:
            return Label(number, code, state, reason="it was completed without a labelled item")
        try:
            text = self.client.artifact(files[0]).decode()
            return Label(number, code, state, tuple(labelled_items(text)), text=text, sha256=files[0])
        except (CodecError, UnicodeDecodeError) as error:
            return Label(number, code, state, reason=f"its label cannot be read: {error}")

    def complaints(self) -> list[str]:
        """Why nobody labels, where an instrument of the queue says so."""
        return [
            f"{each['name']} is paused: {each['reason']}"
            for each in self.client.instruments()
            if each["queue"] == self.queue and each["state"] == "paused"
        ]

    def served(self) -> bool:
        """Whether an adapter of the queue is alive."""
        return any(each["live"] for each in self.client.instruments() if each["queue"] == self.queue)


def _reason(found: Mapping[str, Any]) -> str:
    ended = [str(each["reason"]) for each in found["attempts"] if each["reason"]]
    return str(found["state_reason"] or (ended[-1] if ended else ""))


class Patience:
    """Looks at first often, then each second."""

    def __init__(self, first: float = 0.05, most: float = 1.0) -> None:
        self.pause, self.most = first, most

    def next(self) -> float:
        now, self.pause = self.pause, min(self.most, self.pause * 1.5)
        return now

    def sleep(self) -> None:
        time.sleep(self.next())
