"""What a worker works with: all that the services have, and the learner."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from labqueue.errors import UnavailableError
from services import bootstrap
from services.broker.wake import Wake
from services.flow.number import number
from services.ports import Blobs, Commands, Courier, Ids, Learner, Store
from services.settings import Settings
from workers.courier import HttpCourier
from workers.identity import holder


@dataclass(frozen=True)
class Context:
    """One process's. Connects when it is first used; torch is loaded with the first use of `learner`."""

    store: Store
    ids: Ids
    wake: Wake
    courier: Courier
    blobs: Blobs
    commands: Commands

    @cached_property
    def learner(self) -> Learner:
        from workers.learner import TorchLearner

        return TorchLearner(lambda sha256: Path(self.blobs.path(sha256)))

    @property
    def holder(self) -> str:
        return holder()

    def others_wait(self, command: str) -> bool:
        """Has the janitor sent further ones of this kind that no worker has taken?"""
        try:
            return self.commands.waiting(command) > 0
        except UnavailableError:
            return False

    def settle(self) -> None:
        """After a change was committed: number its events and wake whoever waits for them, here or elsewhere.

        What cannot be done now the janitor does within a second.
        """
        try:
            numbered = number(self.store)
            if numbered:
                self.wake.poke(numbered[-1].number or 0)
        except UnavailableError:
            return


def build(settings: Settings) -> Context:
    services = bootstrap.build(settings)
    assert services.commands is not None, "made for settings with a Redis"
    return Context(
        services.store,
        services.ids,
        Wake(settings.redis),
        HttpCourier(),
        services.blobs,
        services.commands,
    )
