"""What a learner asks of the server: work, and what belongs to it."""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable

from labqueue import __version__
from labqueue.client import Client
from labqueue.errors import UnavailableError
from labqueue.problem import Problem
from labqueue.transport import segment

from .pools import fetch_pool
from .pupil import Row

TRAIN, SUGGEST = "train", "suggest"
#: Ten thousand rows or a large state take longer than a usual answer, in seconds.
LARGE = 120.0


@dataclass(frozen=True)
class Work:
    """What a learner is asked. `state`: {version, sha256} of its newest state, or None."""

    kind: str
    lease: str
    lease_seconds: float
    learner: str
    problem: Mapping[str, Any]
    data_revision: int
    state: Mapping[str, Any] | None = None
    pending: tuple[Mapping[str, Any], ...] = ()
    count: int = 0
    seed: int = 0
    body: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Work:
        return cls(
            kind=str(body["kind"]),
            lease=str(body["lease"]),
            lease_seconds=float(body.get("lease_seconds") or 15.0),
            learner=str(body.get("learner") or ""),
            problem=body.get("problem") or {},
            data_revision=int(body.get("data_revision") or 0),
            state=body.get("state"),
            pending=tuple(body.get("pending") or ()),
            count=int(body.get("count") or 0),
            seed=int(body.get("seed") or 0),
            body=dict(body),
        )


class School:
    """One campaign's side of it, for one process. Rows and states are asked for once."""

    def __init__(
        self, client: Client, campaign: str, name: str | None, *, trains: bool, versions: Mapping[str, str]
    ) -> None:
        self.client, self.campaign = client, campaign
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._name, self._trains = name, trains
        self._versions = {"python": platform.python_version(), "labqueue": __version__, **versions}
        self._rows: dict[int, Mapping[str, Any]] = {}  # by experiment
        self._mark = ""  # of those rows, as the server calls it
        self._asked: tuple[Any, ...] | None = None  # as of which revision and version they were asked for
        self._state: tuple[str, bytes] | None = None
        self._path = f"/campaigns/{segment(campaign)}/learner"

    def ask(self, wait: float, until: Callable[[], bool]) -> tuple[Work | None, str]:
        """Work, or why there is none; waits up to `wait` seconds for it."""
        body = {
            "holder": self.holder,
            "learner": self._name,
            "trains": self._trains,
            "versions": self._versions,
            "wait": wait,
        }
        answer = self.client.transport.request(
            "POST", f"{self._path}/work", body, wait=wait, retry_for=0.0, until=until
        )
        work = answer.get("work")
        return (None if work is None else Work.from_json(work)), str(answer.get("reason") or "")

    def rows(self, work: Work, until: Callable[[], bool]) -> list[Row]:
        """All of them, by experiment; what travels is what this process does not have yet. Made anew each time: what
        a learner does to them stays with it."""
        asked = (work.data_revision, work.body.get("problem_version"))
        if self._asked != asked:
            query = {"revision": work.data_revision, "since": self._mark or None}
            answer = self.client.transport.request(
                "GET", f"{self._path}/rows", query=query, wait=LARGE, until=until
            )
            self._rows = joined({} if answer["whole"] else self._rows, answer)
            self._mark, self._asked = str(answer["mark"]), asked
        return [Row.from_json(each) for each in self._rows.values()]

    def pool(self, problem: Problem) -> None:
        """The features of the problem's rows, where it has a pool, lie in the cache from now on."""
        if problem.pool is not None:
            fetch_pool(self.client, problem.pool)

    def state(self, work: Work) -> bytes:
        """Raises UnavailableError where other bytes came than were kept."""
        if work.state is None:
            return b""
        sha256 = str(work.state["sha256"])
        if self._state is None or self._state[0] != sha256:
            kept = self.client.transport.download(f"{self._path}/state?version={int(work.state['version'])}")
            if hashlib.sha256(kept).hexdigest() != sha256:
                raise UnavailableError("The state came damaged.")
            self._state = (sha256, kept)
        return self._state[1]

    def learnt(self, work: Work, state: bytes, metrics: Mapping[str, Any], until: Callable[[], bool]) -> int:
        """The version that the state is kept as."""
        body = {"state": base64.b64encode(state).decode("ascii"), "metrics": dict(metrics)}
        answer = self._answer(work, body, until)
        self._state = (hashlib.sha256(state).hexdigest(), state)
        return int(answer.get("version") or 0)

    def chosen(
        self, work: Work, candidates: list[dict[str, Any]], gain: Any, until: Callable[[], bool]
    ) -> int:
        """How many experiments were staged."""
        answer = self._answer(work, {"candidates": candidates, "gain": gain}, until)
        return len(answer.get("experiments") or ())

    def renew(self, work: Work) -> None:
        self._say(work, "renew", {}, retry_for=0.0)

    def fail(self, work: Work, reason: str) -> None:
        self._say(work, "fail", {"reason": reason}, retry_for=5.0)

    def leave(self) -> None:
        self.client.transport.request("POST", f"{self._path}/leave", {"holder": self.holder}, retry_for=0.0)

    def _answer(self, work: Work, body: dict[str, Any], until: Callable[[], bool]) -> Mapping[str, Any]:
        body.update(holder=self.holder, versions=self._versions)
        answer: Mapping[str, Any] = self.client.transport.request(
            "POST", self._one(work, "answer"), body, wait=LARGE, retry_for=0.0, until=until
        )
        return answer

    def _say(self, work: Work, verb: str, body: Mapping[str, Any], *, retry_for: float) -> None:
        self.client.transport.request("POST", self._one(work, verb), body, retry_for=retry_for)

    def _one(self, work: Work, verb: str) -> str:
        return f"{self._path}/work/{segment(work.lease)}/{verb}"


def joined(known: Mapping[int, Mapping[str, Any]], answer: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """The rows that are known with those that are new or changed and without those that are gone, by experiment."""
    found = {**known, **{int(each["experiment"]): each for each in answer["rows"]}}
    for experiment in answer["gone"]:
        found.pop(int(experiment), None)
    return dict(sorted(found.items()))
