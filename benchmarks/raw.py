"""A life written by a raw psycopg loop: the same rows as the flow's in the same four transactions, and no more."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

FIRST = 10**12  # ids of its own, far from those that the database gives
#: What the database fills in by itself.
GIVEN = {"events": {"id", "at", "number"}, "outbox": {"id", "at"}, "readings": {"id"}}
JSON = {"planned", "payload", "expected", "outputs", "extra", "noise", "actual", "artifacts", "body", "data"}
TABLES = (
    "experiments", "attempts", "results", "readings", "events", "outbox", "claims", "staged_batches",
    "campaigns", "instruments",
)  # fmt: skip


class Insert:
    """INSERT of rows like `row`; `varying` columns are given each time, in that order."""

    def __init__(self, table: str, row: dict[str, Any], varying: Sequence[str] = ()) -> None:
        names = [name for name in row if name not in GIVEN.get(table, set()) and name not in varying]
        listed = ", ".join(f'"{name}"' for name in (*varying, *names))
        self.sql = f"INSERT INTO {table} ({listed}) VALUES ({', '.join(['%s'] * (len(varying) + len(names)))})".encode()
        self._fixed = [_plain(name, row[name]) for name in names]

    def values(self, *varying: Any) -> list[Any]:
        return [*varying, *self._fixed]


class RawLives:
    """Written from what one life of the flow left in the database: `url` must hold one that is complete."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url)
        self._ids = itertools.count(FIRST)
        with psycopg.connect(url, row_factory=dict_row) as reader:

            def last(table: str, where: str = "true") -> dict[str, Any]:
                found = reader.execute(f"SELECT * FROM {table} t WHERE {where} LIMIT 1".encode()).fetchone()
                assert found is not None, f"there is no row of {table} to imitate"
                return found

            done = last("experiments", "state = 'completed'")
            fresh = {
                "state": "staged", "attempt": None, "attempts": 0, "fence": 0, "outcome": None,
                "staleness": None, "finished_at": None,
            }  # fmt: skip
            varying = ("id", "number", "code", "batch")
            self._experiment = Insert("experiments", {**done, **fresh}, varying)
            attempt = {
                **last("attempts"),
                "state": "claimed",
                "end": None,
                "started_at": None,
                "ended_at": None,
            }
            self._attempt = Insert("attempts", attempt, ("id", "experiment_id"))
            self._result = Insert("results", last("results"), ("seq", "id", "experiment_id", "attempt"))
            self._reading = Insert("readings", last("readings"), ("experiment_id", "result_seq"))
            self._events = {
                kind: Insert(
                    "events",
                    last("events", f"type = 'experiment.{kind}'"),
                    ("experiment_id", "attempt", "result_seq"),
                )
                for kind in ("staged", "claimed", "started", "result")
            }
            self._claim = Insert("claims", last("claims"), ("key", "attempts"))
            self._batch = Insert("staged_batches", last("staged_batches"), ("id", "key", "experiments"))
            outbox = last("outbox")
            self._outbox = Insert("outbox", outbox, ("body",))
            self._announced = outbox["body"]
            self._campaign = done["campaign_id"]

    def live(self, many: int) -> None:
        """`many` experiments at once, from staged to completed, in four transactions."""
        ids = [next(self._ids) for _ in range(many)]
        attempts = [uuid.uuid4() for _ in range(many)]
        pairs = list(zip(attempts, ids, strict=True))
        with self._connection.transaction(), self._connection.cursor() as cursor:
            batch = uuid.uuid4()
            _each(
                cursor,
                self._experiment.sql,
                [self._experiment.values(id, id - FIRST + 10**6, f"r-{id}", batch) for id in ids],
            )
            cursor.execute(
                "UPDATE campaigns SET next_number = next_number + %s, finish_tag = finish_tag + 1 WHERE id = %s",
                [many, self._campaign],
            )
            self._tell(cursor, "staged", [(id, None, None) for id in ids])
            told = {
                **self._announced,
                "experiments": [{**self._announced["experiments"][0], "id": id} for id in ids],
            }
            cursor.execute(self._outbox.sql, self._outbox.values(json.dumps(told)))
            cursor.execute(self._batch.sql, self._batch.values(batch, str(batch), ids))
        with self._connection.transaction(), self._connection.cursor() as cursor:
            _each(
                cursor,
                "UPDATE experiments SET state = 'leased', attempt = %s, attempts = 1, fence = 1 WHERE id = %s",
                pairs,
            )
            _each(cursor, self._attempt.sql, [self._attempt.values(*pair) for pair in pairs])
            self._tell(cursor, "claimed", [(id, attempt, None) for attempt, id in pairs])
            cursor.execute(self._claim.sql, self._claim.values(str(uuid.uuid4()), attempts))
            cursor.execute("UPDATE instruments SET last_seen = clock_timestamp() WHERE name = 'bench-1'")
        with self._connection.transaction(), self._connection.cursor() as cursor:
            _each(
                cursor,
                "UPDATE attempts SET state = 'started', started_at = clock_timestamp() WHERE id = %s",
                [(attempt,) for attempt in attempts],
            )
            self._tell(cursor, "started", [(id, attempt, None) for attempt, id in pairs])
        with self._connection.transaction(), self._connection.cursor() as cursor:
            filed = [(seq, uuid.uuid4(), id, attempt) for seq, (attempt, id) in zip(ids, pairs, strict=True)]
            _each(cursor, self._result.sql, [self._result.values(*each) for each in filed])
            _each(
                cursor,
                "UPDATE experiments SET state = 'completed', attempt = NULL, outcome = 'measured', "
                "finished_at = clock_timestamp() WHERE id = %s",
                [(id,) for id in ids],
            )
            _each(
                cursor,
                "UPDATE attempts SET state = 'ended', \"end\" = 'completed', ended_at = clock_timestamp() WHERE id = %s",
                [(attempt,) for attempt in attempts],
            )
            _each(cursor, self._reading.sql, [self._reading.values(id, seq) for seq, _, id, _ in filed])
            self._tell(cursor, "result", [(id, attempt, seq) for seq, _, id, attempt in filed])

    def _tell(self, cursor: psycopg.Cursor[Any], kind: str, rows: Sequence[tuple[Any, ...]]) -> None:
        event = self._events[kind]
        _each(cursor, event.sql, [event.values(*row) for row in rows])

    def flush(self) -> None:
        """Makes the database count what this connection has written."""
        self._connection.execute("SELECT pg_stat_force_next_flush()")
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()


def written(url: str) -> dict[str, tuple[int, int]]:
    """Rows inserted and updated so far, by table."""
    with psycopg.connect(url) as reader:
        rows = reader.execute("SELECT relname, n_tup_ins, n_tup_upd FROM pg_stat_user_tables").fetchall()
    return {name: (inserted, updated) for name, inserted, updated in rows if name in TABLES}


def _each(cursor: psycopg.Cursor[Any], sql: Any, rows: Sequence[Sequence[Any]]) -> None:
    """One statement, or one pipeline of them."""
    if len(rows) == 1:
        cursor.execute(sql, rows[0])
    else:
        cursor.executemany(sql, rows)


def _plain(name: str, value: Any) -> Any:
    return json.dumps(value) if name in JSON and value is not None else value
