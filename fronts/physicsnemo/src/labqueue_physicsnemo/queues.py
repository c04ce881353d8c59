"""The two queues that a strategy sees: of the class that the program names, counted, so that none is waited on in vain."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Callable


class Fifo:
    """First in, first out."""

    def __init__(self, items: Iterable[Any] = ()) -> None:
        self._items = deque(items)

    def put(self, item: Any) -> None:
        self._items.append(item)

    def get(self) -> Any:
        """Raises IndexError where there is none."""
        return self._items.popleft()

    def empty(self) -> bool:
        return not self._items

    def to_list(self) -> list[Any]:
        return list(self._items)


class Counted:
    """Any queue, with `empty()` made exact.

    Queues between processes say "empty" while an item is on its way; by counting, what was put is always found.
    Whatever else the queue offers is handed through.
    """

    def __init__(self, make: Callable[[], Any], items: Iterable[Any] = ()) -> None:
        self._queue, self._count = make(), 0
        for each in items:
            self.put(each)

    def put(self, item: Any, *args: Any, **kwargs: Any) -> None:
        self._queue.put(item, *args, **kwargs)
        self._count += 1

    put_nowait = put

    def get(self, *args: Any, **kwargs: Any) -> Any:
        item = self._queue.get(*args, **kwargs)
        self._count -= 1
        return item

    def get_nowait(self) -> Any:
        return self.get(False)

    def empty(self) -> bool:
        return self._count <= 0

    def qsize(self) -> int:
        return self._count

    def __len__(self) -> int:
        return self._count

    def drain(self) -> list[Any]:
        """Everything in it, in its own order."""
        found = []
        while not self.empty():
            found.append(self.get())
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_queue"], name)
