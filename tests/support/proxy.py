"""A TCP proxy in front of the API that loses requests and replies when told to."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import threading
from types import TracebackType
from typing import Self

CHUNK = 1 << 16
LOOK = 0.1


class Proxy:
    """Listens on a port of its own and passes everything on to `port` of this machine, as a context.

    `cut("before")`: a request is lost on its way; `cut("after")`: the server hears it and its reply is lost.
    Either way the client sees its connection closed.
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._when: str | None = None
        self._dice: tuple[random.Random, float] | None = None
        self._lock = threading.Lock()
        self._closed = False
        self.cuts = 0
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self, when: str) -> None:
        """Every request from now on, or its reply, is lost."""
        with self._lock:
            self._when = when

    def cut_now_and_then(self, dice: random.Random, share: float) -> None:
        """This share of requests is lost, one way or the other."""
        with self._lock:
            self._dice = (dice, share)

    def heal(self) -> None:
        with self._lock:
            self._when = self._dice = None

    def _fate(self) -> str | None:
        with self._lock:
            fate = self._when
            if fate is None and self._dice is not None:
                dice, share = self._dice
                fate = dice.choice(["before", "after"]) if dice.random() < share else None
            self.cuts += fate is not None
            return fate

    def _accept(self) -> None:
        self._listener.settimeout(LOOK)
        while not self._closed:
            with contextlib.suppress(TimeoutError):
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(self._target) as server:
            fate: str | None = None
            while not self._closed:
                ready, _, _ = select.select([client, server], [], [], LOOK)
                if client in ready:
                    data = client.recv(CHUNK)
                    if not data:
                        return
                    # A request's first bytes decide about all of it.
                    fate = (
                        self._fate() if data.split(b" ", 1)[0] in (b"GET", b"POST", b"PUT", b"HEAD") else fate
                    )
                    if fate == "before":
                        return
                    server.sendall(data)
                if server in ready:
                    data = server.recv(CHUNK)
                    if not data or fate == "after":
                        return
                    client.sendall(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for thread in list(self._threads):
            thread.join(10)
        self._listener.close()
