"""The process that watches over one external run, so that the run survives its adapter.

Started as a program of its own, with the run's folder as its argument, in a new session: it is the leader of
the process group that the command belongs to. It keeps the time limit, and leaves the exit code in a file,
where an adapter that was started again finds it. It imports nothing of labqueue.

    spec.json     what to run (the adapter writes it)
    process.json  who runs it: created exactly once, before the command starts; whoever creates it may run
    exit.json     how it ended, complete or not there
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

EXITED, TIME_LIMIT, TERMINATED, NOT_STARTED = "exited", "time_limit", "terminated", "not_started"


def main(folder: str) -> int:
    """Runs the command of this folder, unless somebody else did or nobody should any more."""
    place = Path(folder)
    terminated: list[bool] = []
    signal.signal(signal.SIGTERM, lambda number, frame: terminated.append(True))
    if not claim(place, {"pid": os.getpid(), "identity": identity(os.getpid())}):
        return 0
    spec = json.loads((place / "spec.json").read_text("utf-8"))
    try:
        with open(place / "stdout.txt", "ab") as out, open(place / "stderr.txt", "ab") as err:
            child = subprocess.Popen(
                spec["command"],
                cwd=place,
                env={**os.environ, **spec["environment"]},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
    except OSError as error:
        message = f"{spec['command'][0]} could not be started: {error.strerror or error}"
        write_json(place / "exit.json", {"code": None, "ended": NOT_STARTED, "message": message})
        return 0
    ended = _watch(child, spec["time_limit"], terminated)
    if ended != EXITED:
        _end(child, spec["grace"])
    write_json(place / "exit.json", {"code": child.wait(), "ended": ended, "message": ""})
    if ended != EXITED and hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)  # what the command left behind, and this process
    return 0


def _watch(child: subprocess.Popen[bytes], limit: float | None, terminated: list[bool]) -> str:
    until = None if limit is None else time.monotonic() + limit
    while True:
        if terminated:
            return TERMINATED
        if until is not None and time.monotonic() >= until:
            return TIME_LIMIT
        try:
            child.wait(0.2 if until is None else max(0.001, min(0.2, until - time.monotonic())))
            return TERMINATED if terminated else EXITED
        except subprocess.TimeoutExpired:
            continue


def _end(child: subprocess.Popen[bytes], grace: float) -> None:
    """Asks the whole group to stop, and ends the command when it has not after `grace` seconds."""
    if os.name == "nt":
        end_tree(child.pid)
        return
    os.killpg(0, signal.SIGTERM)
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        child.kill()


def end_tree(pid: int) -> None:
    """Windows: a process and all that it started."""
    subprocess.run(["taskkill", "/T", "/F", "/PID", str(pid)], capture_output=True, check=False)


def claim(place: Path, content: dict[str, Any]) -> bool:
    """Creates process.json; False where it is there already. Decides who may run, once and for all."""
    try:
        with open(place / "process.json", "x", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        return True
    except FileExistsError:
        return False


def write_json(path: Path, content: Any) -> None:
    """Whole or not at all, also when the power fails."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    with open(draft, "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def identity(pid: int) -> str | None:
    """What tells this process from a later one of the same number; None where it does not run."""
    if sys.platform == "win32":
        return _windows_identity(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    except OSError:
        return _listed_identity(pid) if not os.path.exists("/proc/self/stat") else None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"


def _listed_identity(pid: int) -> str | None:
    """Where there is no /proc (macOS)."""
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return found.split(None, 1)[1] if found and not found.startswith("Z") else None


if sys.platform == "win32":

    def _windows_identity(pid: int) -> str | None:
        import ctypes
        from ctypes import wintypes

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        handle = kernel.OpenProcess(0x1000, False, pid)  # may ask for little
        if not handle:
            return None
        times = [wintypes.FILETIME() for _ in range(4)]
        code = wintypes.DWORD()
        known = kernel.GetProcessTimes(handle, *(ctypes.byref(each) for each in times))
        running = kernel.GetExitCodeProcess(handle, ctypes.byref(code)) and code.value == 259
        kernel.CloseHandle(handle)
        return f"{times[0].dwHighDateTime}/{times[0].dwLowDateTime}" if known and running else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
