"""An external program as an instrument: one process and one folder per attempt.

    labqueue.serve(Subprocess(["python", "solve.py"], folder="runs"), queue="cfd", instrument="solver-1", slots=4)

What the program finds in its folder, which is its working directory: `parameters.json` (name: value),
`payload.json` (of an opaque experiment) and `experiment.json` (which one it is). What it leaves there:
`result.json`, either {"name": number, ...} or {"outputs": {...}, "actual": {...}, "outstanding": [...],
"noise": {...}, "comment": "", "outcome": "measured", "files": [...]}. Both outlive the adapter: the program
goes on when the adapter dies, and is found again by its number and its start time.

Exit codes: 0 done; 65 these conditions cannot be run (infeasible; teaches the model); any other: failed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labqueue.errors import Cancelled, Failed, FieldError, Infeasible, InvalidError, Suspect

from . import supervise

if TYPE_CHECKING:
    from labqueue.experiment import Experiment

#: The exit code that says: these conditions cannot be run (sysexits' EX_DATAERR).
INFEASIBLE = 65
#: Seconds until a run that was asked for must have begun.
STARTING_LIMIT = 20.0
#: Seconds that `find` gives a run that may just be starting, before it rules that it never will.
SETTLING = 2.0
#: Seconds beyond the grace after which a run that was to stop is ended from here.
INSISTING = 5.0
TAIL = 4000


class Subprocess:
    """The object form of `labqueue.serve` around a command.

    command     the program and its arguments; `{parameters}`, `{result}` and `{folder}` stand for the paths of
                the attempt's files. Arguments that name an existing file are made absolute.
    folder      where the attempts' folders are made
    time_limit  seconds that one run may take; None: no limit
    keep        False: the folder of a run whose result was handed over goes when the next one starts
    grace       seconds between asking a run to stop and ending it
    environment added to what the adapter's own environment holds
    """

    def __init__(
        self, command: Sequence[str], *, folder: str | os.PathLike[str] = "labqueue-runs",
        time_limit: float | None = None, keep: bool = True, grace: float = 5.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.command = _absolute(command)
        self.folder = Path(folder).absolute()
        self.time_limit, self.keep, self.grace = time_limit, keep, grace
        self.environment = dict(environment or {})
        self._experiments: dict[str, Experiment] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._delivered: list[str] = []
        self._asked_to_stop: dict[str, float] = {}

    # -- what serve() calls

    def start(self, experiment: Experiment) -> str:
        """Starts the run of this attempt, once, whatever happens; returns its folder."""
        self._tidy()
        place = self.folder / experiment.attempt
        self._experiments[str(place)] = experiment
        if not (place / "spec.json").exists():
            self._prepare(place, experiment)
        if not (place / "process.json").exists():
            self._children[str(place)] = _launch(place)
            self._await_claim(place, self._children[str(place)])
        return str(place)

    def check(self, ref: str) -> Any:
        """None while it runs; then what it measured. Raises Infeasible, Suspect, Failed or Cancelled."""
        place = Path(ref)
        if ref in self._children:
            self._children[ref].poll()
        ended = _read(place / "exit.json")
        if ended is None:
            if _running(place):
                self._insist(ref)
                return None
            # It may have ended between the two looks.
            ended = _read(place / "exit.json") or {"code": None, "ended": None}
        self._children.pop(ref, None)
        result = self._judge(place, ended, ref in self._asked_to_stop)
        self._delivered.append(ref)
        return result

    def cancel(self, ref: str) -> None:
        """Asks the whole process group to stop; what has not after `grace` seconds is ended. check() tells."""
        if ref not in self._asked_to_stop:
            if _running(Path(ref)):
                _signal(_claimed(Path(ref))["pid"], hard=False)
            self._asked_to_stop[ref] = time.monotonic()

    def find(self, experiment: Experiment) -> str | None:
        """After a restart: the run of this attempt, running or ended; None: it never ran, and never will."""
        place = self.folder / experiment.attempt
        if not place.is_dir():
            return None
        until = time.monotonic() + SETTLING  # the process that should run it may be on its way
        while not (place / "process.json").exists() and time.monotonic() < until:
            time.sleep(0.02)
        if supervise.claim(place, {"pid": None, "identity": None}):
            return None
        if (_await_json(place / "process.json") or {}).get("pid") is None:
            return None
        self._experiments[str(place)] = experiment
        return str(place)

    # -- starting

    def _prepare(self, place: Path, experiment: Experiment) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        supervise.write_json(place / "parameters.json", experiment.parameters)
        if experiment.payload is not None:
            supervise.write_json(place / "payload.json", experiment.payload)
        which = {
            "experiment": experiment.id,
            "code": experiment.code,
            "campaign": experiment.campaign,
            "attempt": experiment.attempt,
            "attempt_number": experiment.attempt_number,
            "outputs": [str(getattr(each, "name", each)) for each in experiment.outputs],
        }
        supervise.write_json(place / "experiment.json", which)
        paths = {
            "parameters": str(place / "parameters.json"),
            "result": str(place / "result.json"),
            "folder": str(place),
        }
        command = list(self.command)
        for name, path in paths.items():
            command = [each.replace("{" + name + "}", path) for each in command]
        spec = {
            "command": command,
            "time_limit": self.time_limit,
            "grace": self.grace,
            "environment": {**self.environment, **{f"LABQUEUE_{n.upper()}": p for n, p in paths.items()}},
        }
        supervise.write_json(place / "spec.json", spec)

    def _await_claim(self, place: Path, child: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + STARTING_LIMIT
        while not (place / "process.json").exists():
            if child.poll() is not None and not (place / "process.json").exists():
                raise Failed(f"The run could not be started: {_tail(place / 'supervisor.txt')}")
            if time.monotonic() > until:
                # Decides the race: from here on it cannot start any more.
                if supervise.claim(place, {"pid": None, "identity": None}):
                    raise Failed(f"The run did not start within {STARTING_LIMIT:g} s.")
                return
            time.sleep(0.005)

    # -- ending

    def _judge(self, place: Path, ended: Mapping[str, Any], cancelled: bool) -> Any:
        code, how = ended.get("code"), ended.get("ended")
        if code == 0 and (how == supervise.EXITED or (place / "result.json").exists()):
            return self._result(place)
        last = _tail(place / "stderr.txt")
        if cancelled or how == supervise.TERMINATED:
            raise Cancelled("The run was stopped." if cancelled else "The run was stopped from outside.")
        if how == supervise.TIME_LIMIT:
            raise Failed(_join(f"The run was stopped at its time limit of {self._limit(place)} s.", last))
        if how == supervise.NOT_STARTED:
            raise Failed(str(ended.get("message")))
        if code == INFEASIBLE:
            raise Infeasible(
                _comment(place) or last or "The program says that these conditions cannot be run."
            )
        if code is None and not (place / "result.json").exists():
            raise Failed(
                _join("The run ended without an exit code: killed, or the computer restarted.", last)
            )
        if code is not None:
            raise Failed(_join(f"The program ended with exit code {code}.", last))
        return self._result(place)

    def _result(self, place: Path) -> Any:
        body = _read_result(place)
        if not isinstance(body.get("outputs"), Mapping):
            return dict(body)
        known = ("outputs", "actual", "outstanding", "noise", "comment", "outcome", "files")
        strange = [key for key in body if key not in known]
        if strange:
            raise Failed(
                f"result.json has {', '.join(strange)}, which is not known; known: {', '.join(known)}."
            )
        more = {key: body[key] for key in known[1:] if body.get(key) is not None}
        if more.get("outcome") == Suspect.code:
            raise Suspect(str(body.get("comment") or ""), body["outputs"])
        if more.get("outcome") == Infeasible.code:
            raise Infeasible(str(body.get("comment") or ""))
        more["files"] = [str(place / each) for each in more.get("files", ())]
        return self._experiments[str(place)].result(body["outputs"], **more)

    def _limit(self, place: Path) -> str:
        limit = (_read(place / "spec.json") or {}).get("time_limit", self.time_limit)
        return f"{limit:g}"

    def _insist(self, ref: str) -> None:
        """Its supervisor ends a stubborn run; where that does not, this does."""
        asked = self._asked_to_stop.get(ref)
        if asked is not None and time.monotonic() - asked > self.grace + INSISTING:
            _signal(_claimed(Path(ref))["pid"], hard=True)

    def _tidy(self) -> None:
        """Their results are in the spool by now: serve() records one before it starts the next."""
        delivered, self._delivered = self._delivered, []
        for ref in delivered:
            self._experiments.pop(ref, None)
            self._asked_to_stop.pop(ref, None)
            if not self.keep and (_read(Path(ref) / "exit.json") or {}).get("code") == 0:
                shutil.rmtree(ref, ignore_errors=True)


def _absolute(command: Sequence[str]) -> list[str]:
    words = [os.fspath(each) for each in command]
    program = shutil.which(words[0]) if words else None
    if program is None:
        shown = words[0] if words else ""
        wrong = FieldError("command", "is no program that can be found.", shown)
        raise InvalidError("The command cannot be run.", errors=[wrong])
    rest = [str(Path(each).absolute()) if os.path.isfile(each) else each for each in words[1:]]
    return [os.path.abspath(program), *rest]


def _launch(place: Path) -> subprocess.Popen[bytes]:
    # Isolated (-I): this folder holds modules that are named like those of the standard library.
    command = [sys.executable, "-I", supervise.__file__, str(place)]
    with open(place / "supervisor.txt", "ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=place, **_own_session()
        )


def _own_session() -> dict[str, Any]:
    """It goes on when this process, or its terminal, ends."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    return {"start_new_session": True}


def _running(place: Path) -> bool:
    """Whether whoever claimed the run is alive: the same process, not another of its number."""
    process = _claimed(place)
    pid = process.get("pid")
    return pid is not None and supervise.identity(pid) == process.get("identity")


def _claimed(place: Path) -> Mapping[str, Any]:
    """Who claimed the run; the file is there a moment before its content is. Empty where nobody has."""
    path = place / "process.json"
    return (_await_json(path) or {}) if path.exists() else {}


def _signal(pid: int, hard: bool) -> None:
    if os.name == "nt":
        supervise.end_tree(pid)
        return
    try:
        os.killpg(pid, signal.SIGKILL if hard else signal.SIGTERM)
    except ProcessLookupError:
        return


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _await_json(path: Path) -> Any:
    """It exists; its content may take another moment."""
    until = time.monotonic() + 2.0
    while _read(path) is None and time.monotonic() < until:
        time.sleep(0.01)
    return _read(path)


def _read_result(place: Path) -> Mapping[str, Any]:
    path = place / "result.json"
    try:
        body = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise Failed(f"The program ended well but left no result.json in {place}.") from None
    except ValueError as error:
        raise Failed(f"{path} is no JSON that can be read: {error}.") from None
    if not isinstance(body, Mapping):
        raise Failed(f"{path} must hold an object of name: number.")
    return body


def _comment(place: Path) -> str:
    body = _read(place / "result.json")
    return str(body.get("comment") or "") if isinstance(body, Mapping) else ""


def _tail(path: Path, lines: int = 12) -> str:
    """The last lines of a file that may be huge or missing."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-lines:])


def _join(sentence: str, last: str) -> str:
    return f"{sentence} Its last words:\n{last}" if last else sentence
