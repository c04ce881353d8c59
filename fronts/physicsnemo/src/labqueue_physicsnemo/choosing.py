"""A query: every strategy puts what it chooses, and the items become payloads that can be staged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labqueue.client import Client

from .items import digest_of, payload_of, text_of
from .queues import Counted
from .strategies import arguments_of, method, name_of


@dataclass(frozen=True)
class Chosen:
    payload: dict[str, Any]
    digest: str


def choose(
    driver: Any,
    client: Client,
    pending: set[str],
    most: int | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> list[Chosen]:
    """What the strategies choose, in the order of the program's queue.

    Each may put at most its `max_samples`. An item that is still on its way from an earlier step is not chosen again.
    most: no more than these; None: as many as are chosen.
    """
    queue = driver.query_queue = _Capped(driver.strategies_config.queue_cls)
    for strategy in driver.query_strategies:
        queue.begin(strategy)
        method(strategy, "sample")(queue, *args, **kwargs)
        if queue.over:
            driver.logger.warning(
                "%s put %d items more than its max_samples; they are left out.", name_of(strategy), queue.over
            )
    found: list[Chosen] = []
    for item in queue.drain():
        text = text_of(item)
        digest = digest_of(text)
        if digest in pending or (most is not None and len(found) >= most):
            why = "it is on its way already" if digest in pending else "the budget is spent"
            driver.logger.info("An item is not chosen: %s.", why)
            continue
        found.append(Chosen(payload_of(client, text, _about(driver, queue.strategy_of(item))), digest))
    return found


def _about(driver: Any, strategy: Any) -> dict[str, Any]:
    about = {"run": driver.run_id, "step": driver.active_learning_step_idx}
    return {**about, "strategy": name_of(strategy), "arguments": arguments_of(strategy)}


class _Capped(Counted):
    """Takes no more than each strategy may put, and knows which one put an item."""

    def __init__(self, make: Any) -> None:
        super().__init__(make)
        self._put: list[tuple[Any, Any]] = []
        self._strategy: Any = None
        self._left: float = 0
        self.over = 0

    def begin(self, strategy: Any) -> None:
        most = getattr(strategy, "max_samples", None)
        self._strategy, self.over = strategy, 0
        self._left = most if isinstance(most, int) else float("inf")

    def put(self, item: Any, *args: Any, **kwargs: Any) -> None:
        if self._left <= 0:
            self.over += 1
            return
        self._left -= 1
        self._put.append((item, self._strategy))
        super().put(item, *args, **kwargs)

    put_nowait = put

    def strategy_of(self, item: Any) -> Any:
        for place, (each, strategy) in enumerate(self._put):
            if each is item:
                del self._put[place]
                return strategy
        return self._strategy  # the queue hands out copies: the last strategy's, if it was the only one
