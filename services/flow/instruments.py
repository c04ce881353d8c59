"""What a run and its end do to their instrument: counted for and against it, blocked, unblocked."""

from __future__ import annotations

from collections.abc import Callable

from models.domain import breaker
from models.domain import records as r
from models.domain.replacing import replace
from services.ports import Transaction


def count_success(name: str) -> Callable[[Transaction], None]:
    def act(tx: Transaction) -> None:
        seen = tx.instruments.get(name)
        if seen is not None and seen.failures:
            tx.instruments.save(breaker.succeeded(tx.instruments.lock(name)))

    return act


def count_failure(name: str, reason: str) -> Callable[[Transaction], None]:
    """A run of this instrument brought nothing that can be used; several in a row pause it."""

    def act(tx: Transaction) -> None:
        before = tx.instruments.lock(name)
        after = breaker.failed(before, reason)
        tx.instruments.save(after)
        if after.state != before.state:
            data = {"reason": after.reason}
            tx.events.add([r.Event("instrument.paused", "labqueue", instrument=name, data=data)])

    return act


def unblock(instrument: str, experiment_id: int) -> Callable[[Transaction], None]:
    """If it was this experiment that the instrument waited for."""

    def act(tx: Transaction) -> None:
        seen = tx.instruments.get(instrument)
        if seen is None or seen.blocked_by != experiment_id:
            return
        # With several runs at once another one may wait for a decision, too.
        held = [
            each.experiment_id
            for each in tx.attempts.live_of(instrument)
            if each.silent and not each.probing and each.experiment_id != experiment_id
        ]
        blocked_by = held[0] if held else None
        tx.instruments.save(replace(tx.instruments.lock(instrument), blocked_by=blocked_by))

    return act


def block(instrument: str, experiment_id: int) -> Callable[[Transaction], None]:
    def act(tx: Transaction) -> None:
        held = tx.instruments.lock(instrument)
        if held.blocked_by is None:
            tx.instruments.save(breaker.blocked(held, experiment_id))

    return act
