"""`python -m services.embedded`: the whole stack on this machine, until it is told to stop."""

from __future__ import annotations

import sys
from typing import TextIO

from labqueue.errors import LabqueueError
from services import settings
from services.embedded.stack import Stack
from services.observability import logs


def main() -> int:
    """Start the stack, say where it is, and keep it running; 0 after a wished end, 1 with a reason on stderr."""
    try:
        found = settings.current()
        logs.configure(found.model_copy(update={"log_format": "console"}), "up")
        stack = Stack(found)
        with stack.supervisor.signals():
            _say(f"Starting Labqueue; its data and logs are in {stack.settings.home}")
            with stack:
                for status in stack.statuses():
                    _say(f"  {status.name:<10} process {status.pid}, log {status.log}")
                _say(
                    f"Labqueue is ready on {stack.url} (Ctrl-C stops it; every campaign goes on at the next start)"
                )
                stack.supervisor.run()
                _say("Stopping.")
    except LabqueueError as error:
        _say(str(error), sys.stderr)
        return 1
    return 0


def _say(text: str, stream: TextIO | None = None) -> None:
    print(text, file=stream or sys.stdout, flush=True)


if __name__ == "__main__":
    sys.exit(main())
