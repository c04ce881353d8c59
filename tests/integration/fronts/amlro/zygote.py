"""Runs programs as processes of their own without loading the libraries each time: each is a fork of this one.

Reads a line of JSON for each order from its input, {"run": {"argv", "env", "log"}} or {"wait": pid}, and answers
{"pid"} or {"code"}. With KILL_AT=n in its environment, a program is killed by SIGKILL at the n-th place where it
sends a request that changes something, has got its answer, or has put a file in its place.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from typing import Any

import labqueue_amlro.compat.optimizer  # noqa: F401
from labqueue_amlro import cli, locks

from labqueue.transport import Transport


def deadly(places: int) -> None:
    """Kills this process at the place of this number."""
    exchange, replace = Transport._exchange, os.replace
    seen = 0

    def place() -> None:
        nonlocal seen
        seen += 1
        if seen == places:
            os.kill(os.getpid(), signal.SIGKILL)

    def send(transport: Transport, method: str, *args: Any) -> Any:
        if method == "GET":
            return exchange(transport, method, *args)
        place()
        answer = exchange(transport, method, *args)
        place()
        return answer

    def put(*args: Any) -> None:
        replace(*args)
        place()

    Transport._exchange = send  # type: ignore[method-assign]
    locks.os.replace = put  # type: ignore[attr-defined]


def run(argv: list[str], env: dict[str, str], log: str) -> None:
    out = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update(env)
    if env.get("KILL_AT"):
        deadly(int(env["KILL_AT"]))
    code = 1
    try:
        code = cli.main(argv)
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        # The child of a fork: whatever happened, it never goes back to waiting for orders.
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        if "run" in order:
            pid = os.fork()
            if pid == 0:
                run(**order["run"])
            answer = {"pid": pid}
        else:
            answer = {"code": os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])}
        print(json.dumps(answer), flush=True)


main()
