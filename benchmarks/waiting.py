"""A thousand adapters that wait for work on one API process, each in a long poll of its own."""

from __future__ import annotations

import json
import socket
import time

import psutil
import psycopg

from benchmarks.figures import Figure
from benchmarks.place import PROBLEM, STRATEGY, stack
from labqueue.client import Client

ADAPTERS = 1000
WAIT = 60
PATIENCE = 55.0


def ask(host: str, port: int, number: int) -> socket.socket:
    """A claim on a connection of its own, sent; nobody reads the answer yet."""
    body = json.dumps(
        {"instrument": f"i{number}", "adapter": f"i{number}.1", "key": f"k{number}", "wait": WAIT}
    )
    made = socket.create_connection((host, port), timeout=30)
    made.sendall(
        f"POST /api/v1/queues/waiting/claims HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    return made


def waiting(client: Client) -> int:
    """How many claims the server says are waiting."""
    for line in client.transport.lines("//metrics"):
        if (
            line.startswith("labqueue_")
            and "waiting" in line
            and "claim" in line
            and not line.startswith("#")
        ):
            return int(float(line.rpartition(" ")[2]))
    raise LookupError("the metrics do not say how many claims wait")


def run() -> list[Figure]:
    with stack("api") as running, Client(running.url) as client:
        client.put_queue("waiting")
        client.create_campaign("waiting", queue="waiting", problem=PROBLEM, strategy=STRATEGY)
        pid = running.supervisor.part("api").pid
        assert pid is not None
        api = psutil.Process(pid)
        database = psycopg.connect(running.settings.database, autocommit=True)
        sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        resting = api.memory_info().rss / 2**20, api.num_threads()
        host, port = running.settings.host, running.settings.port
        sockets = [ask(host, port, number) for number in range(ADAPTERS)]
        ends = time.monotonic() + PATIENCE
        while (count := waiting(client)) < ADAPTERS:
            if time.monotonic() > ends:
                raise TimeoutError(f"only {count} of {ADAPTERS} claims wait")
            time.sleep(0.1)
        row = database.execute(sql).fetchone()
        assert row is not None
        memory, threads, connections = api.memory_info().rss / 2**20, api.num_threads(), row[0]
        database.close()
        for each in sockets:
            each.close()
    beside = f"with nobody waiting: {resting[0]:.0f} MiB, {resting[1]} threads"
    pool = running.settings.db_pool_size
    return [
        Figure(f"memory with {ADAPTERS:,} waiting", memory, "MiB", most=250.0, baseline=beside),
        Figure(f"threads with {ADAPTERS:,} waiting", threads, "", most=40, baseline=beside),
        Figure(
            f"database connections with {ADAPTERS:,} waiting", connections, "", most=pool, baseline=beside
        ),
    ]
