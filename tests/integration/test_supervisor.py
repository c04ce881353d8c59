"""The supervisor and the whole stack, with real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from labqueue.errors import ConflictError, UnavailableError
from services.embedded.process import LOGS_KEPT, Command, Process, rotate
from services.embedded.stack import Stack, check_port, free_port
from services.embedded.supervisor import FIRST_DELAY, LONGEST_DELAY, SOUND_SECONDS, Supervisor, delay
from services.settings import load

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
SLEEP = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print(child.pid, flush=True); time.sleep(600)"
)


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def process(
    home: Path, name: str, code: str, ready: Callable[[], bool] | None = None, stop_seconds: float = 20.0
) -> Process:
    argv = (sys.executable, "-c", code)
    return Process(Command(name=name, argv=argv, log=home / f"{name}.log", stop_seconds=stop_seconds), ready)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def supervisor(clock: Clock) -> Iterator[Supervisor]:
    made = Supervisor(clock)
    yield made
    made.stop()


def state(supervisor: Supervisor, name: str) -> str:
    return {status.name: status.state for status in supervisor.statuses()}[name]


def test_a_killed_part_comes_back_and_waits_longer_each_time(
    home: Path, supervisor: Supervisor, clock: Clock
) -> None:
    part, other = process(home, "part", SLEEP), process(home, "other", SLEEP)
    supervisor.start(part, other)
    calm = other.pid
    for failures in (1, 2, 3):
        before = part.pid
        assert state(supervisor, "part") == "running"
        part.kill()
        supervisor.tick()
        (status, _) = supervisor.statuses()
        assert (status.state, status.last_exit, status.pid) == ("waiting", -signal.SIGKILL, None)
        clock.now += delay(failures) - 0.01
        supervisor.tick()
        assert state(supervisor, "part") == "waiting"
        clock.now += 0.02
        supervisor.tick()
        assert part.pid not in (None, before)
        supervisor.tick()
    assert supervisor.statuses()[0].restarts == 3
    assert other.pid == calm


def test_a_part_that_stayed_up_is_started_again_at_once(
    home: Path, supervisor: Supervisor, clock: Clock
) -> None:
    part = process(home, "part", SLEEP)
    supervisor.start(part)
    for _ in range(3):
        clock.now += SOUND_SECONDS
        part.kill()
        supervisor.tick()
        clock.now += FIRST_DELAY
        supervisor.tick()
        assert part.pid is not None
        supervisor.tick()


def test_the_wait_is_bounded() -> None:
    waits = [delay(n) for n in range(1, 200)]
    assert waits[0] == FIRST_DELAY and waits == sorted(waits) and waits[-1] == LONGEST_DELAY


def test_a_part_that_cannot_even_be_started_is_tried_again(
    home: Path, supervisor: Supervisor, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    program = home / "program"
    program.write_text(f"#!{sys.executable}\n{SLEEP}\n")
    program.chmod(0o755)
    part = Process(Command(name="part", argv=(str(program),), log=home / "log"))
    supervisor.start(part)
    program.rename(home / "gone")
    part.kill()
    for _ in range(4):
        supervisor.tick()
        clock.now += LONGEST_DELAY
    assert state(supervisor, "part") == "waiting" and "part did not start" in caplog.text
    (home / "gone").rename(program)
    supervisor.tick()
    supervisor.tick()
    assert state(supervisor, "part") == "running"


def test_groups_start_in_order_when_ready_and_stop_in_reverse(home: Path, supervisor: Supervisor) -> None:
    trace = home / "trace"
    code = (
        "import signal, sys, time\n"
        "name, trace = {name!r}, {trace!r}\n"
        "def end(*_):\n    open(trace, 'a').write('-' + name); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "time.sleep({pause}); open(trace, 'a').write('+' + name)\n"
        "while True: time.sleep(60)\n"
    )

    def traced(name: str, pause: float) -> Process:
        return process(
            home,
            name,
            code.format(name=name, trace=str(trace), pause=pause),
            lambda: trace.exists() and f"+{name}" in trace.read_text(),
        )

    supervisor.start(traced("a", 0.2))
    assert trace.read_text() == "+a"
    supervisor.start(traced("b", 0.0))
    supervisor.stop()
    supervisor.stop()
    assert trace.read_text() == "+a+b-b-a"


def test_a_part_that_ends_at_once_is_reported_with_its_last_words(home: Path, supervisor: Supervisor) -> None:
    with pytest.raises(UnavailableError, match=r"(?s)bad ended with 3 while it started.*no such thing"):
        supervisor.start(process(home, "bad", "print('no such thing'); raise SystemExit(3)", lambda: False))


def test_a_wish_to_stop_is_heard_during_the_start(home: Path, supervisor: Supervisor) -> None:
    timer = threading.Timer(0.2, supervisor.end)
    timer.start()
    with pytest.raises(UnavailableError, match="stopped while it started"):
        supervisor.start(process(home, "slow", SLEEP, lambda: False))
    timer.join()


def test_run_ends_on_sigterm_and_leaves_the_handlers_as_they_were(home: Path, supervisor: Supervisor) -> None:
    before = signal.getsignal(signal.SIGTERM)
    supervisor.start(process(home, "part", SLEEP))
    timer = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGTERM])
    with supervisor.signals():
        timer.start()
        supervisor.run()
    timer.join()
    assert signal.getsignal(signal.SIGTERM) is before


@linux
def test_a_stubborn_part_is_killed_with_its_children(home: Path) -> None:
    part = process(
        home, "stubborn", STUBBORN, lambda: bool((home / "stubborn.log").read_text()), stop_seconds=0.3
    )
    part.start()
    child = int((home / "stubborn.log").read_text())
    part.stop()
    assert part.poll() == -signal.SIGKILL
    until(lambda: not Path(f"/proc/{child}").exists() or ") Z" in Path(f"/proc/{child}/stat").read_text())


def test_children_are_started_from_the_main_thread_only(home: Path) -> None:
    part, errors = process(home, "part", SLEEP), []

    def spawn() -> None:
        try:
            part.spawn()
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=spawn)
    thread.start()
    thread.join()
    assert errors == ["start part from the main thread"] and part.pid is None


def test_logs_are_rotated_by_size(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    for number in range(LOGS_KEPT + 2):
        rotate(log, limit=4)
        log.write_text(f"run {number}")
    assert [p.name for p in sorted(tmp_path.iterdir())] == [
        "part.log",
        "part.log.1",
        "part.log.2",
        "part.log.3",
    ]
    assert (tmp_path / "part.log.3").read_text() == "run 1"
    rotate(log, limit=100)
    assert log.read_text() == f"run {LOGS_KEPT + 1}"


#: Writes a line for each that it is sent, as long as it runs.
CHATTY = "import time\nwhile True: print('x' * 999, flush=True); time.sleep(0.0005)"


def test_the_log_of_a_part_that_runs_for_months_is_cut(
    home: Path, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 20_000
    monkeypatch.setattr("services.embedded.supervisor.rotate", partial(rotate, limit=limit))
    part = process(home, "chatty", CHATTY)
    supervisor.start(part)
    first = part.pid
    log, older = home / "chatty.log", home / f"chatty.log.{LOGS_KEPT}"

    def cut() -> bool:
        supervisor.tick()
        return older.exists()

    until(cut)
    before = log.stat().st_size
    until(lambda: log.stat().st_size != before)
    assert set(log.read_text()) == {"x", "\n"}, "no hole where the old end was"
    assert part.pid == first and not (home / f"chatty.log.{LOGS_KEPT + 1}").exists()
    assert set(older.read_text()[-1000:]) == {"x", "\n"}


def test_a_port_in_use_is_said_before_anything_starts(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        stack = Stack(load({"LABQUEUE_HOME": str(home), "PORT": str(port)}))
        with pytest.raises(UnavailableError, match=f"port {port}.*PORT=8001"):
            stack.start()
    assert stack.statuses() == []
    check_port("127.0.0.1", free_port("127.0.0.1"))


def test_one_home_has_one_stack(home: Path) -> None:
    settings = load({"LABQUEUE_HOME": str(home), "PORT": "0"})
    with Stack(settings, parts=()) as first:
        assert [status.name for status in first.statuses()] == ["postgres", "valkey"]
        with pytest.raises(ConflictError, match="LABQUEUE_HOME"):
            Stack(settings, parts=()).start()
        assert {status.state for status in first.statuses()} == {"running"}
    with Stack(settings, parts=()) as again:
        assert len(again.statuses()) == 2


LAUNCHER = """
import sys
from services.embedded import stack
from services.settings import load
API = '''
import http.server, os, signal, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(os.getppid()).encode())
def end(*_):
    time.sleep(1.0)  # as a server that lets its requests end
    sys.exit()
signal.signal(signal.SIGTERM, end)
http.server.HTTPServer(("127.0.0.1", int(os.environ["LABQUEUE_PORT"])), Handler).serve_forever()
'''
stack.PARTS["api"] = ("-c", API)
made = stack.Stack(load({"LABQUEUE_HOME": sys.argv[1], "PORT": sys.argv[2]}), parts=("api",))
with made.supervisor.signals(), made:
    print("ready", flush=True)
    made.supervisor.run()
print("stopped", flush=True)
"""


@linux
def test_a_killed_stack_starts_again_at_once_on_the_same_port(home: Path) -> None:
    def launch() -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", LAUNCHER, str(home), port]
        launcher = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "ready\n", launcher.stdout.read()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
            assert int(answer.read()) == launcher.pid
        return launcher

    port = str(free_port("127.0.0.1"))
    first = launch()
    first.kill()
    first.communicate()
    second = launch()
    second.terminate()
    assert second.communicate()[0] == "stopped\n"
    assert second.returncode == 0
