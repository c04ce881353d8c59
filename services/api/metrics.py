"""What /metrics shows. One registry per application, so that tests do not share counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of this process; what is in the database is asked at each scrape."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "labqueue_http_requests",
            "Answers by method and status",
            ["method", "status"],
            registry=self.registry,
        )
        self._claimed = Counter(
            "labqueue_claimed", "Experiments handed out, by queue", ["queue"], registry=self.registry
        )
        self._staged = Counter(
            "labqueue_staged", "Experiments staged, by queue", ["queue"], registry=self.registry
        )
        self._results = Counter("labqueue_results", "Results by verdict", ["verdict"], registry=self.registry)
        self._waited = Histogram(
            "labqueue_claim_wait_seconds",
            "How long a claim that found work had waited for it",
            buckets=(0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60),
            registry=self.registry,
        )
        self._waiting = Gauge("labqueue_waiting", "Long polls in progress", ["kind"], registry=self.registry)
        self._depth = Gauge(
            "labqueue_experiments",
            "Experiments by queue and state",
            ["queue", "state"],
            registry=self.registry,
        )
        self._answered: dict[tuple[str, int], Any] = {}

    def answered(self, method: str, status: int) -> None:
        key = (method, status)
        child = self._answered.get(key)
        if child is None:
            child = self._answered[key] = self._requests.labels(method, str(status))
        child.inc()

    def claimed(self, queue: str, count: int, waited: float) -> None:
        self._claimed.labels(queue).inc(count)
        self._waited.observe(waited)

    def staged(self, queue: str, count: int) -> None:
        self._staged.labels(queue).inc(count)

    def results(self, verdicts: Iterable[str]) -> None:
        for verdict in verdicts:
            self._results.labels(verdict).inc()

    def waiting(self, kind: str, count: Callable[[], float]) -> None:
        """A gauge that asks `count` at each scrape."""
        self._waiting.labels(kind).set_function(count)

    def exposition(self, depths: Iterable[tuple[str, str, int]]) -> bytes:
        """The text for Prometheus; `depths` are (queue, state, experiments) as the database has them now."""
        self._depth.clear()
        for queue, state, count in depths:
            self._depth.labels(queue, state).set(count)
        return generate_latest(self.registry)
