"""A label strategy as an adapter: called once for each claimed item, each attempt in a directory of its own.

`label()` gets a queue with one item and a queue that catches what it puts back. What it puts back is the result; where
it puts back nothing, or raises, the attempt has failed: it is tried again up to the queue's limit, and then shown.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Callable

from labqueue.client import Client
from labqueue.errors import Failed, LabqueueError
from labqueue.experiment import Experiment
from labqueue.measured import Result

from .codec import CodecError
from .folders import own_folder
from .items import LABELLED, item_from, labelled_text
from .queues import Counted, Fifo

log = logging.getLogger("labqueue_physicsnemo")

#: The one output of the experiments of a run: how many labelled items came back.
OUTPUT = "items"


def label_one(
    strategy: Any, item: Any, folder: Path, make_queue: Callable[[], Any] = Fifo, *args: Any, **kwargs: Any
) -> list[Any]:
    """What the strategy puts back for this item; args and kwargs are handed to it as they are.

    Raises what the strategy raises, and Failed where it puts nothing back.
    """
    given, back = Counted(make_queue, [item]), Counted(make_queue)
    with own_folder(strategy, folder) as working:
        method = getattr(working, "label", working)
        method(given, back, *args, **kwargs)
    found = back.drain()
    if not found:
        raise Failed("label() returned and put nothing back; its log says why.")
    return found


class Labeller:
    """The function that `labqueue.serve` calls.

    folder: below it every attempt has its directory. about: told of each experiment before it is labelled.
    failures: so many failed attempts in a row pause this instrument. more: what `label()` is given beside the queues.
    """

    def __init__(
        self, client: Client, strategy: Any, folder: Path, instrument: str, *, failures: int,
        make_queue: Callable[[], Any] = Fifo, about: Callable[[Experiment], None] = lambda _experiment: None,
        more: tuple[tuple[Any, ...], dict[str, Any]] = ((), {}),
    ) -> None:  # fmt: skip
        self.client, self.strategy, self.folder, self.instrument = client, strategy, folder, instrument
        self.failures, self.make_queue, self.about = failures, make_queue, about
        self.args, self.kwargs = more
        self._known = False

    def __call__(self, experiment: Experiment) -> Result:
        self._set_limit()
        try:
            item = item_from(self.client, experiment.payload)
        except CodecError as error:
            raise Failed(f"The item cannot be read: {error}") from None
        self.about(experiment)
        folder = self.folder / experiment.attempt
        found = label_one(self.strategy, item, folder, self.make_queue, *self.args, **self.kwargs)
        try:
            text = labelled_text(found)
        except CodecError as error:
            raise Failed(f"What label() put back cannot cross: {error}") from None
        path = self.folder / f"{experiment.attempt}.json"
        path.write_text(text)
        try:
            return experiment.result({OUTPUT: len(found)}, files={LABELLED: path})
        finally:
            path.unlink()

    def _set_limit(self) -> None:
        """An item that cannot be labelled fails several times in a row, and says nothing about this process."""
        if self._known:
            return
        self._known = True
        try:
            self.client.put_instrument(self.instrument, failure_limit=self.failures)
        except LabqueueError as error:
            log.warning("The limit of failures of %s stays as it is: %s", self.instrument, error)
