"""The client of the HTTP API: one method per endpoint that robots, scripts and the command line need.

Answers that robots act on are frozen values; reports for people are the JSON as it came, as dicts.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Callable

from .answers import Claimed, Item, Judged, Renewed
from .errors import NotFoundError, UnavailableError
from .folder import FolderCalls
from .transport import Transport, segment

if TYPE_CHECKING:
    from typing_extensions import Self

#: The id of a result; codes of experiments end in a number that is never as long.
_RESULT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
DEFAULT_URL = "http://localhost:8000"
PAGE = 500


class Client(FolderCalls):
    """Talks to one Labqueue server; safe to share between threads.

    url, token: default LABQUEUE_URL and LABQUEUE_TOKEN, then http://localhost:8000 without a token.
    timeout: seconds of silence before a request counts as unanswered. retry_for: seconds during which it is
    sent again (every request may be: keys make it one effect). actor: the person's name in the events.
    Methods raise the classes of labqueue.errors; `.errors` names each field that is wrong.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, timeout: float = 10.0,
        retry_for: float = 20.0, actor: str | None = None,
    ) -> None:  # fmt: skip
        address = url or os.environ.get("LABQUEUE_URL") or DEFAULT_URL
        secret = token if token is not None else os.environ.get("LABQUEUE_TOKEN") or None
        self.token = secret
        self.transport = Transport(address, secret, timeout=timeout, retry_for=retry_for, actor=actor)

    @property
    def url(self) -> str:
        return self.transport.url

    def close(self) -> None:
        """Closes this thread's connection; the client can still be used."""
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- robots

    def claim(
        self, queue: str, *, instrument: str, adapter: str, key: str, most: int = 1, least: int = 1,
        within: float = 0.0, wait: float = 0.0, experiments: Sequence[int] | None = None,
        take_over: bool = False, retry_for: float | None = None, until: Callable[[], bool] | None = None,
    ) -> Claimed:  # fmt: skip
        """Leases `least` to `most` experiments; the same `key` again answers the same leases.

        Waits up to `wait` seconds (60 at most) for work. Raises InstrumentTakenError while another adapter
        serves the instrument, NotFoundError for an unknown queue, Interrupted when `until` turned true.
        """
        body = claim_body(instrument, adapter, key, most, least, within, wait, experiments, take_over)
        return self.claim_again(queue, body, retry_for=retry_for, until=until)

    def claim_again(
        self, queue: str, body: Mapping[str, Any], *, retry_for: float | None = None,
        until: Callable[[], bool] | None = None,
    ) -> Claimed:  # fmt: skip
        """Sends a claim whose body was written down before."""
        path = f"/queues/{segment(queue)}/claims"
        wait = float(body.get("wait") or 0.0)
        answer = self.transport.request("POST", path, body, wait=wait, retry_for=retry_for, until=until)
        return Claimed.from_json(answer)

    def heartbeat(
        self, instrument: str, adapter: str, leases: Sequence[str], *, wait: float = 0.0,
        retry_for: float | None = None, until: Callable[[], bool] | None = None,
    ) -> Renewed:  # fmt: skip
        """Renews all these leases at once; answers as soon as one is not live, else after `wait` seconds."""
        body = {"instrument": instrument, "adapter": adapter, "leases": list(leases), "wait": wait}
        answer = self.transport.request(
            "POST", "/attempts/heartbeat", body, wait=wait, retry_for=retry_for, until=until
        )
        return Renewed.from_json(answer)

    def report(
        self, verb: str, items: Iterable[Mapping[str, Any]], *, retry_for: float | None = None
    ) -> list[Item]:
        """start, note, fail, release, cancelled or probe; answered item by item, in any order."""
        answer = self.transport.request(
            "POST", f"/attempts/{verb}", {"items": [dict(each) for each in items]}, retry_for=retry_for
        )
        return [Item.from_json(each) for each in answer.get("items") or ()]

    def start(self, leases: Sequence[str], *, retry_for: float | None = None) -> list[Item]:
        """Says that these begin now. Move no hardware for an item that is not ok."""
        items = [{"lease": lease, "run_ref": None} for lease in leases]
        return self.report("start", items, retry_for=retry_for)

    def note(self, lease: str, text: str = "", run_ref: str | None = None) -> Item:
        """Says what a running attempt does, and what the instrument calls it."""
        return self._single("note", lease, {"text": text, "run_ref": run_ref})

    def fail(self, lease: str, reason: str) -> Item:
        """Ends the attempt without a result; it counts as one."""
        return self._single("fail", lease, {"reason": reason})

    def release(self, lease: str, reason: str = "") -> Item:
        """Gives an experiment back that was not started; it does not count."""
        return self._single("release", lease, {"reason": reason})

    def cancelled(self, lease: str, reason: str = "") -> Item:
        """Confirms that the wished cancellation has happened."""
        return self._single("cancelled", lease, {"reason": reason})

    def probe(self, lease: str, answer: str) -> Item:
        """Answers a probe: running, done, never_ran or unknown."""
        return self._single("probe", lease, {"answer": answer})

    def _single(self, verb: str, lease: str, body: Mapping[str, Any]) -> Item:
        return Item.from_json(self._post(f"/attempts/{segment(lease)}/{verb}", body) or {"ok": True})

    def post_results(
        self, items: Sequence[Mapping[str, Any]], *, retry_for: float | None = None
    ) -> list[Judged]:
        """Records up to 500 results, each with an id of its own; answered item by item."""
        body = {"items": [dict(each) for each in items]}
        answer = self.transport.request("POST", "/results", body, retry_for=retry_for)
        return [Judged.from_json(each) for each in answer.get("items") or ()]

    def post_elsewhere(self, campaign: str, items: Sequence[Mapping[str, Any]]) -> list[Judged]:
        """Records results of experiments that were run elsewhere; each also has its `parameters`."""
        answer = self._post(f"/campaigns/{segment(campaign)}/results", {"items": list(items)})
        return [Judged.from_json(each) for each in answer.get("items") or ()]

    def put_artifact(
        self, sha256: str, open_file: Callable[[], BinaryIO], size: int, *, retry_for: float | None = None
    ) -> None:
        """Stores a file under its digest; `open_file` opens it for reading, once for each try."""
        patience = self.transport.retry_for if retry_for is None else retry_for
        self.transport.upload(f"/artifacts/{segment(sha256)}", open_file, size, retry_for=patience)

    def has_artifact(self, sha256: str, *, retry_for: float | None = None) -> bool:
        """Whether the server has this file already."""
        try:
            self.transport.request("HEAD", f"/artifacts/{segment(sha256)}", retry_for=retry_for)
        except (NotFoundError, UnavailableError) as error:
            # The answer to HEAD has no body that could name the problem.
            if error.status == 404:
                return False
            raise
        return True

    def artifact(self, sha256: str) -> bytes:
        return self.transport.download(f"/artifacts/{segment(sha256)}")

    # -- queues and instruments

    def put_queue(self, name: str, **policy: Any) -> dict[str, Any]:
        """Makes or changes a queue: lease_seconds, on_lost (hold, requeue, probe), max_attempts, people."""
        return self._put(f"/queues/{segment(name)}", policy)

    def queues(self) -> list[dict[str, Any]]:
        return self._list("/queues")

    def queue(self, name: str) -> dict[str, Any]:
        return self._get(f"/queues/{segment(name)}")

    def queue_action(self, name: str, action: str, reason: str = "") -> dict[str, Any]:
        """pause, resume or drain."""
        return self._post(
            f"/queues/{segment(name)}/{action}", {"reason": reason} if action != "resume" else {}
        )

    def instruments(self) -> list[dict[str, Any]]:
        return self._list("/instruments")

    def instrument(self, name: str) -> dict[str, Any]:
        return self._get(f"/instruments/{segment(name)}")

    def put_instrument(self, name: str, **settings: Any) -> dict[str, Any]:
        """Settings: failure_limit, the failed runs in a row that pause it."""
        return self._put(f"/instruments/{segment(name)}", settings)

    def instrument_action(self, name: str, action: str, reason: str = "") -> dict[str, Any]:
        """pause or clear."""
        return self._post(f"/instruments/{segment(name)}/{action}", {"reason": reason})

    # -- pools

    def upload_pool(
        self, name: str, open_file: Callable[[], BinaryIO], size: int, *, id: str = "id",
        categories: Sequence[str] = (),
    ) -> dict[str, Any]:  # fmt: skip
        """Sends a table of rows that may be run, CSV or Parquet; `open_file` opens it for reading, once for each try.

        id: the column of the ids. categories: columns that are none of numbers, though they look so. The same rows
        again are one effect, others the pool's next version. InvalidError names the faulty lines.
        """
        answer: dict[str, Any] = self.transport.upload(
            f"/pools/{segment(name)}", open_file, size, retry_for=self.transport.retry_for, method="POST",
            query={"id": id, "category": list(categories)}, wait=600.0,
        )  # fmt: skip
        return answer

    def pools(self) -> list[dict[str, Any]]:
        """The newest version of each."""
        return self._list("/pools")

    def pool(self, name: str) -> dict[str, Any]:
        """Its newest version, with all `versions`."""
        return self._get(f"/pools/{segment(name)}")

    def pool_row(self, name: str, row: str) -> dict[str, Any]:
        """A row of the newest version."""
        return self._get(f"/pools/{segment(name)}/rows/{segment(row)}")

    # -- campaigns

    def campaigns(self) -> list[dict[str, Any]]:
        return self._list("/campaigns")

    def campaign(self, name: str) -> dict[str, Any]:
        return self._get(f"/campaigns/{segment(name)}")

    def create_campaign(
        self, name: str, *, queue: str, problem: Mapping[str, Any], strategy: Mapping[str, Any] | None = None,
        owner: str | None = None, weight: float | None = None, seed: int | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """The same name with the same body again answers the campaign; with another, ConflictError."""
        body: dict[str, Any] = {"name": name, "queue": queue, "problem": dict(problem)}
        more = {"strategy": strategy, "owner": owner, "weight": weight, "seed": seed}
        body.update({key: value for key, value in more.items() if value is not None})
        return self._post("/campaigns", body)

    def campaign_action(self, name: str, action: str, reason: str = "") -> dict[str, Any]:
        """pause, resume or finish."""
        body = {"reason": reason} if action != "resume" else {}
        return self._post(f"/campaigns/{segment(name)}/{action}", body)

    def change_strategy(self, name: str, strategy: Mapping[str, Any], reason: str) -> dict[str, Any]:
        return self._put(
            f"/campaigns/{segment(name)}/strategy", {"strategy": dict(strategy), "reason": reason}
        )

    def change_problem(
        self, campaign: str, problem: Mapping[str, Any], reason: str = "", *,
        strategy: Mapping[str, Any] | None = None, version: int | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Gives a running campaign a new version of its problem; the same one again changes nothing.

        strategy: changed with it. version: the version that was edited, ConflictError where it is not the present
        one. Answers the `campaign`, the suggestions that were `superseded`, and what people staged that is now
        `outside`. InvalidError names everything that cannot change while the campaign runs.
        """
        body: dict[str, Any] = {"problem": dict(problem), "reason": reason}
        more = {"strategy": None if strategy is None else dict(strategy), "version": version}
        body.update({key: value for key, value in more.items() if value is not None})
        return self._put(f"/campaigns/{segment(campaign)}/problem", body)

    def versions(self, campaign: str) -> list[dict[str, Any]]:
        """Every problem and strategy that it had, with who, when and why."""
        return self._list(f"/campaigns/{segment(campaign)}/versions")

    def models(self, campaign: str) -> list[dict[str, Any]]:
        """Every model version with its metrics: over the versions, the learning curve."""
        return self._list(f"/campaigns/{segment(campaign)}/models")

    def calibration(self, campaign: str) -> list[dict[str, Any]]:
        """What was expected of the experiments that a model chose, against what came, by output."""
        return self._list(f"/campaigns/{segment(campaign)}/calibration")

    # -- experiments

    def stage(
        self, campaign: str, items: Sequence[Mapping[str, Any]], *, key: str | None = None,
        propose: bool = False,
    ) -> dict[str, Any]:  # fmt: skip
        """Stages all of these or none; InvalidError names every bad row.

        `key` names the batch: the same key again is the same batch. Without one, each call is a new batch.
        """
        body = {"key": key or str(uuid.uuid4()), "items": [dict(each) for each in items], "propose": propose}
        return self._post(f"/campaigns/{segment(campaign)}/experiments", body)

    def experiments(self, campaign: str, state: str | None = None) -> Iterator[dict[str, Any]]:
        """Every experiment of a campaign, page by page."""
        return self._pages(f"/campaigns/{segment(campaign)}/experiments", {"state": state, "limit": PAGE})

    def experiment(self, name: int | str) -> dict[str, Any]:
        """One experiment, by id or code, with its attempts, results and events."""
        return self._get(f"/experiments/{segment(name)}")

    def results(self, campaign: str, **filters: Any) -> Iterator[dict[str, Any]]:
        """Every result of a campaign, page by page."""
        return self._pages(f"/campaigns/{segment(campaign)}/results", {"limit": PAGE, **filters})

    def experiment_action(self, name: int | str, action: str, reason: str = "") -> dict[str, Any]:
        """cancel, approve, reject, replay or dismiss."""
        body = {"reason": reason} if action != "approve" else {}
        return self._post(f"/experiments/{segment(name)}/{action}", body)

    def cancel(self, name: int | str, reason: str = "") -> dict[str, Any]:
        """Cancels what is staged; where an adapter holds it, wishes it."""
        return self.experiment_action(name, "cancel", reason)

    def approve(self, name: int | str) -> dict[str, Any]:
        return self.experiment_action(name, "approve")

    def reject(self, name: int | str, reason: str = "") -> dict[str, Any]:
        return self.experiment_action(name, "reject", reason)

    def replay(self, name: int | str, reason: str = "") -> dict[str, Any]:
        """Stages a failed experiment again."""
        return self.experiment_action(name, "replay", reason)

    def dismiss(self, name: int | str, reason: str) -> None:
        """A failed experiment, or the id of a refused result: a person has seen it, and it needs nobody any more."""
        kind = "results" if _RESULT.fullmatch(str(name)) else "experiments"
        self._post(f"/{kind}/{segment(name)}/dismiss", {"reason": reason})

    def decide(
        self, name: int | str, decision: str, reason: str = "", result: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Decides a held experiment: run_again, complete (with this result) or give_up."""
        body: dict[str, Any] = {"decision": decision, "reason": reason, "result": result}
        return self._post(f"/experiments/{segment(name)}/decide", body)

    def change_experiment(self, name: int | str, **changes: Any) -> dict[str, Any]:
        """Changes: priority, pinned."""
        return self._send("PATCH", f"/experiments/{segment(name)}", changes)

    def amend(
        self, result: str, outputs: Mapping[str, Any], reason: str, actual: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Adds a corrected result beside the one that it corrects. actual: what parameters really were."""
        body = {"id": str(uuid.uuid4()), "outputs": dict(outputs), "reason": reason}
        return self._post(
            f"/results/{segment(result)}/amend", {**body, "actual": dict(actual)} if actual else body
        )

    def import_table(
        self, campaign: str, open_file: Callable[[], BinaryIO], size: int, *, file: str = "",
        dry_run: bool = False,
    ) -> dict[str, Any]:  # fmt: skip
        """Sends a table of results as CSV; `open_file` opens it for reading, once for each try.

        `rows` of the answer say what became of each (verdict new, recorded, changed, unchanged, pending or refused),
        or with dry_run what would. The same table again changes nothing. file: its name, for the record.
        """
        answer: dict[str, Any] = self.transport.upload(
            f"/campaigns/{segment(campaign)}/import", open_file, size, retry_for=self.transport.retry_for,
            method="POST", query={"file": file, "dry_run": "true" if dry_run else "false"}, wait=600.0,
        )  # fmt: skip
        return answer

    def export_table(self, campaign: str) -> bytes:
        """CSV: a row per experiment with its code, state, parameters as they really were, and outputs."""
        return self.transport.download(f"/campaigns/{segment(campaign)}/export")

    def withdraw(self, result: str, reason: str) -> dict[str, Any]:
        """Takes a result out of use; it stays in the history."""
        return self._post(f"/results/{segment(result)}/withdraw", {"id": str(uuid.uuid4()), "reason": reason})

    # -- questions that need a model

    def suggest(
        self,
        campaign: str,
        count: int = 1,
        wait: float = 30.0,
        *,
        strategy: Mapping[str, Any] | None = None,
        problem: Mapping[str, Any] | None = None,
        seed: int | None = None,
    ) -> dict[str, Any]:
        """Asks for suggestions now; the answer's `state` says whether it came within `wait` seconds.

        `strategy`, `problem`: fields in place of the campaign's, for this question alone. `seed`: as if nothing were
        known and nothing in flight, for a design."""
        path = f"/campaigns/{segment(campaign)}/suggest"
        body: dict[str, Any] = {"count": count, "wait": wait}
        if strategy is not None:
            body["strategy"] = dict(strategy)
        if problem is not None:
            body["problem"] = dict(problem)
        if seed is not None:
            body["seed"] = seed
        return self._send("POST", path, body, wait=wait)

    def predict(
        self, campaign: str, points: Sequence[Mapping[str, Any]], wait: float = 30.0
    ) -> dict[str, Any]:
        """What the model expects at these points."""
        path = f"/campaigns/{segment(campaign)}/predict"
        return self._send("POST", path, {"points": [dict(each) for each in points], "wait": wait}, wait=wait)

    def await_training(self, campaign: str, seconds: float = 600.0, wait: float = 30.0) -> dict[str, Any]:
        """A model that has seen every result up to now: its version and metrics; `seconds` until the question expires."""
        path = f"/campaigns/{segment(campaign)}/train"
        return self._send("POST", path, {"seconds": seconds, "wait": wait}, wait=wait)

    def inquiry(self, name: str, wait: float = 0.0) -> dict[str, Any]:
        answer: dict[str, Any] = self.transport.request(
            "GET", f"/inquiries/{segment(name)}", query={"wait": wait}, wait=wait
        )
        return answer

    # -- watching

    def status(self) -> dict[str, Any]:
        """What needs a person first, then queues, instruments, campaigns and workers."""
        return self._get("/status")

    def ready(self) -> dict[str, Any]:
        """The server's own check of what it depends on."""
        return self._get("//readyz")

    def events(self, after: int = 0, **filters: Any) -> Iterator[dict[str, Any]]:
        """Events as they happen, after this number, for ever; comes back by itself after a broken stream.

        Raises what the server refuses (a token, a filter); a server that is away is waited for.
        """
        from .stream import follow

        return follow(self.transport, "/events/stream", after, filters)

    # -- plumbing

    def _get(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.transport.request("GET", path)
        return answer

    def _list(self, path: str) -> list[dict[str, Any]]:
        """All of a short list, whether it comes whole or in pages."""
        return list(self._pages(path, {}))

    def _pages(self, path: str, filters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        cursor: Any = None
        while True:
            page = self.transport.request("GET", path, query={**filters, "cursor": cursor})
            if isinstance(page, list):
                yield from page
                return
            yield from page.get("items") or ()
            cursor = page.get("next")
            if cursor is None:
                return

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._send("POST", path, body)

    def _put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._send("PUT", path, body)

    def _send(self, method: str, path: str, body: Mapping[str, Any], *, wait: float = 0.0) -> dict[str, Any]:
        answer: dict[str, Any] = self.transport.request(method, path, dict(body), wait=wait)
        return answer


def claim_body(
    instrument: str, adapter: str, key: str, most: int, least: int, within: float, wait: float,
    experiments: Sequence[int] | None, take_over: bool,
) -> dict[str, Any]:  # fmt: skip
    """The body of a claim, to be written down before it is sent."""
    return {
        "instrument": instrument,
        "adapter": adapter,
        "key": key,
        "max": most,
        "min": least,
        "within": within,
        "wait": wait,
        "experiments": None if experiments is None else list(experiments),
        "form": "object",
        "take_over": take_over,
    }
