"""A queue, a campaign and a diary of one test's own on a whole stack, and what must be true of them at the end."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from adapters_for_tests import Setup, read_diary
from whole import Adapter, Whole

PROBLEM = {
    "parameters": [{"name": "x", "kind": "continuous", "low": 0, "high": 1000}],
    "outputs": [{"name": "y"}],
    "objectives": [{"output": "y", "goal": "maximize"}],
}
#: Each experiment with its attempts and the outputs that have a value: one statement, so that it is one moment.
BOOKS = """
SELECT to_jsonb(e) AS experiment,
    (SELECT jsonb_agg(to_jsonb(a) ORDER BY a.number) FROM attempts a WHERE a.experiment_id = e.id) AS attempts,
    (SELECT jsonb_agg(r.output) FROM readings r WHERE r.experiment_id = e.id AND r.current) AS outputs
FROM experiments e WHERE e.campaign = %s ORDER BY e.id"""
_numbers = itertools.count(1)


class Lab:
    """A queue, a campaign and a diary of one test's own, on a stack that others may share."""

    def __init__(self, whole: Whole, problem: Any = None, strategy: Any = None, **policy: Any) -> None:
        self.whole, self.client = whole, whole.client
        self.name = f"lab{next(_numbers)}-{uuid.uuid4().hex[:6]}"
        self.folder = whole.home / self.name
        self.folder.mkdir()
        self.diary_path = self.folder / "diary"
        self.gate = self.folder / "gate"
        self.queue = f"{self.name}-queue"
        self.client.put_queue(self.queue, **{"lease_seconds": 2, **policy})
        self.client.create_campaign(
            self.name,
            queue=self.queue,
            problem=problem or PROBLEM,
            strategy=strategy or {"method": "caller"},
            seed=7,
        )

    # -- staging and running

    def stage(self, *xs: float, key: str | None = None) -> list[int]:
        rows = [{"parameters": {"x": x}} for x in xs]
        return [each["id"] for each in self.client.stage(self.name, rows, key=key)["experiments"]]

    def setup(self, form: str = "function", instrument: str = "robot", **more: Any) -> Setup:
        """How an adapter of this lab is told to be: `instrument`'s gate opens for it alone, `gate` for all."""
        name = f"{self.name}-{instrument}"
        given = {
            "url": self.whole.url,
            "gates": (str(self.gate), str(self.own_gate(instrument))),
            "spool": str(self.folder / f"spool-{instrument}"),
            **more,
        }
        return Setup(form, queue=self.queue, instrument=name, diary=str(self.diary_path), **given)

    def adapter(
        self, form: str = "function", instrument: str = "robot", prefix: Sequence[str] = (), **more: Any
    ) -> Adapter:
        return self.whole.adapter(self.setup(form, instrument, **more), prefix)

    def own_gate(self, instrument: str) -> Path:
        return self.folder / f"gate-{instrument}"

    def claim(
        self, most: int = 1, instrument: str = "hand", key: str | None = None, **more: Any
    ) -> list[Any]:
        """As a robot without an adapter: claimed and not started."""
        return list(self.claimed(most, instrument, key, **more).experiments)

    def claimed(self, most: int = 1, instrument: str = "hand", key: str | None = None, **more: Any) -> Any:
        name = f"{self.name}-{instrument}"
        return self.client.claim(
            self.queue,
            instrument=name,
            adapter=f"{name}.1",
            key=key or f"{name}-{next(_numbers)}",
            most=most,
            **more,
        )

    # -- what is true

    def diary(self, what: str | None = None, **fields: Any) -> list[dict[str, Any]]:
        wanted = {**({} if what is None else {"what": what}), **fields}
        return [
            line
            for line in read_diary(self.diary_path)
            if all(line.get(name) == value for name, value in wanted.items())
        ]

    def moved(self, count: int = 1, **fields: Any) -> list[dict[str, Any]]:
        """The movements of the hardware, as soon as there are so many."""
        enough = self.whole.until(
            lambda: found if len(found := self.diary("moved", **fields)) >= count else None,
            f"{count} movements {fields or ''}",
        )
        assert len(enough) == count, enough
        return enough

    def state(self, experiment: int) -> str:
        return str(self.whole.one("SELECT state FROM experiments WHERE id = %s", experiment))

    def states(self) -> Counter[str]:
        rows = self.whole.rows("SELECT state FROM experiments WHERE campaign = %s", self.name)
        return Counter(row["state"] for row in rows)

    def _is(self, experiment: int, state: str) -> bool:
        return self.state(experiment) == state

    def reaches(self, state: str, *experiments: int) -> None:
        """Waits until each of these is `state`."""
        for each in experiments:
            self.whole.until(partial(self._is, each, state), f"experiment {each} is {state}")

    def attempts(self, experiment: int) -> list[dict[str, Any]]:
        return self.whole.rows("SELECT * FROM attempts WHERE experiment_id = %s ORDER BY number", experiment)

    def ends(self, experiment: int) -> list[str | None]:
        """How each attempt ended, the first one first."""
        return [each["end"] for each in self.attempts(experiment)]

    def verdicts(self, experiment: int) -> list[str]:
        """Of every result that was kept, in the order of arrival."""
        rows = self.whole.rows(
            "SELECT verdict FROM results WHERE experiment_id = %s ORDER BY seq", experiment
        )
        return [row["verdict"] for row in rows]

    def values(self, experiment: int) -> dict[str, float]:
        """The current value of each output."""
        rows = self.whole.rows(
            "SELECT output, value FROM readings WHERE experiment_id = %s AND current", experiment
        )
        return {row["output"]: row["value"] for row in rows}

    def event_types(self, experiment: int) -> list[str]:
        """In the order of their numbers, once all have one."""
        self.all_numbered()
        rows = self.whole.rows("SELECT type FROM events WHERE experiment_id = %s ORDER BY number", experiment)
        return [row["type"].removeprefix("experiment.") for row in rows]

    def all_numbered(self) -> None:
        self.whole.until(
            lambda: self.whole.one("SELECT count(*) = 0 FROM events WHERE number IS NULL"),
            "every event has its number",
        )

    def check_books(self) -> None:
        """What holds for every experiment of this lab whatever has happened, in the database and outside."""
        self.all_numbered()
        whole = self.whole
        gaps = whole.one("SELECT coalesce(max(number), 0) - count(*) FROM events WHERE number IS NOT NULL")
        assert gaps == 0, "event numbers have no gaps"
        doubled = whole.rows(
            "SELECT experiment_id, output FROM readings WHERE current GROUP BY 1, 2 HAVING count(*) > 1"
        )
        assert doubled == [], "one current value per experiment and output"
        names = [each["name"] for each in whole.client.campaign(self.name)["problem"]["outputs"]]
        for row in whole.rows(BOOKS, self.name):
            check_page(row["experiment"], row["attempts"] or [], row["outputs"] or [], names)
        moves = Counter(line["attempt"] for line in self.diary("moved"))
        assert set(moves.values()) <= {1}, f"an attempt moved the hardware twice: {moves}"
        known = whole.rows("SELECT id FROM attempts WHERE started_at IS NOT NULL")
        assert set(moves) <= {str(each["id"]) for each in known}, "hardware moves for started attempts alone"


def check_page(
    experiment: dict[str, Any], attempts: list[dict[str, Any]], outputs: list[str], names: list[str]
) -> None:
    """One experiment's rows, as they stand at one moment."""
    live = [one["id"] for one in attempts if one["state"] != "ended"]
    assert live == ([experiment["attempt"]] if experiment["attempt"] else []), "at most one attempt is live"
    assert experiment["state"] != "leased" or live, "who is leased has a holder"
    assert [one["number"] for one in attempts] == list(range(1, len(attempts) + 1))
    assert experiment["counted"] <= sum(one["counts"] for one in attempts)
    if experiment["state"] == "completed" and experiment["outcome"] == "measured":
        assert sorted(outputs) == sorted(names), "a completed one has every value"


def body_of(experiment: Any, **outputs: float) -> dict[str, Any]:
    """A result of an assignment (or of an experiment's id), with an id of its own."""
    lease = None if isinstance(experiment, int) else experiment.lease
    number = experiment if isinstance(experiment, int) else experiment.experiment
    return {"id": str(uuid.uuid4()), "experiment": number, "lease": lease, "outputs": dict(outputs)}
