"""The heartbeat as a process: `python -m labqueue.heartbeat`, started by an adapter and by nobody else.

It reads one JSON object a line: first whom to talk to, then which leases to hold and to drop; it writes what
it hears. It ends with its parent: when its standard input closes, or when it is orphaned although some
other process inherited the pipe. Renewing the leases of a dead adapter would hide its death.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TextIO

from .answers import LeaseState, Probe
from .client import Client
from .pulse import Pulse


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        # A supervisor signals the whole group; the adapter decides when the leases are no longer needed.
        signal.signal(number, signal.SIG_IGN)
    hello = json.loads(sys.stdin.readline() or "null")
    if hello is None:
        return
    speaker = Speaker(sys.stdout)
    client = Client(hello["url"], hello["token"], timeout=float(hello["timeout"]), retry_for=0.0)
    pulse = Pulse(
        client, hello["instrument"], hello["adapter"], speaker.heard, speaker.probes, speaker.contact
    )
    threading.Thread(target=listen, args=(sys.stdin, pulse), daemon=True).start()
    if os.name == "posix":
        threading.Thread(target=end_with_parent, args=(int(hello["parent"]),), daemon=True).start()
    pulse.run()


def listen(lines: TextIO, pulse: Pulse) -> None:
    """Follows what the adapter says until it says nothing more."""
    for line in lines:
        word = json.loads(line)
        if "hold" in word:
            pulse.hold(str(word["hold"]), float(word["seconds"]))
        elif "drop" in word:
            pulse.drop(str(word["drop"]))
    os._exit(0)


def end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)


class Speaker:
    """Writes what is heard, a JSON object a line."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._lock = out, threading.Lock()

    def heard(self, item: LeaseState) -> None:
        self._say({"heard": asdict(item)})

    def probes(self, probes: Sequence[Probe]) -> None:
        self._say({"probes": [asdict(each) for each in probes]})

    def contact(self, at: float) -> None:
        self._say({"contact": time.monotonic() - at})

    def _say(self, word: dict[str, Any]) -> None:
        try:
            with self._lock:
                self._out.write(json.dumps(word) + "\n")
                self._out.flush()
        except OSError:
            os._exit(0)  # nobody listens any more


if __name__ == "__main__":
    main()
