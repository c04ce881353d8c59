"""Who a process is, for leases and heartbeats: host, process id, start."""

from __future__ import annotations

import os
import socket
import time

_STARTED = int(time.time())


def holder(pid: int | None = None) -> str:
    """Unique among all processes that ever live; with `pid`, that of a child of ours."""
    return f"{socket.gethostname()}:{pid or os.getpid()}:{_STARTED}"
