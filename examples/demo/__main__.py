"""`make demo`: the whole stack, four solver processes, a real campaign to its end; one solver is killed on the way."""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from examples.demo import campaign
from examples.demo.plot import plot
from examples.demo.progress import Progress
from examples.demo.view import View, view_for
from examples.snar.front import HYPERVOLUME, load_front
from labqueue.client import Client
from labqueue.errors import LabqueueError
from labqueue.problem import Problem
from services.embedded.folders import FolderLock
from services.embedded.stack import Stack
from services.settings import load

LIMIT = 600.0  # seconds: something is wrong if it takes that long


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".labqueue/demo"), help="made anew at each start")
    parser.add_argument("--speed", type=float, default=1.0, help="2: twice as fast")
    options = parser.parse_args()
    console = Console()
    home = options.home.absolute()
    console.print(f"Starting Postgres, Valkey, API, janitor, trainer and suggester in {_shown(home)} ...")
    try:
        _empty(home)
        settings = load({**_own(os.environ), "LABQUEUE_HOME": str(home), "LABQUEUE_PORT": "0"})
        with Stack(settings) as stack, view_for(console) as view:
            progress = _run(stack, home, options.speed, view)
        _report(console, progress, home)
    except LabqueueError as error:
        console.print(str(error), markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped. Nothing is lost, but a demo begins anew next time.")
        return 130
    return 0 if progress.finished else 1


def _empty(home: Path) -> None:
    """Removes what an earlier demo left. Raises ConflictError while that one still runs: it holds the lock."""
    lock = FolderLock(home / "lock")
    lock.take()
    try:
        for each in home.iterdir():
            if each.is_dir():
                shutil.rmtree(each)
            elif each != lock.path:
                each.unlink()
    finally:
        lock.free()


def _own(environ: Any) -> dict[str, str]:
    """The demo uses its own servers whatever LABQUEUE_* says."""
    return {
        name: value for name, value in environ.items() if not name.startswith("LABQUEUE_") and name != "PORT"
    }


def _run(stack: Stack, home: Path, speed: float, view: View) -> Progress:
    definition = campaign.definition()
    problem = Problem.from_json(definition["problem"])
    progress = Progress(problem, campaign.BUDGET, HYPERVOLUME)
    news: queue.Queue[dict[str, Any]] = queue.Queue()
    client = Client(stack.url, actor="demo")
    client.put_queue(campaign.QUEUE, lease_seconds=campaign.LEASE_SECONDS, on_lost="requeue", max_attempts=3)
    client.create_campaign(**definition)
    threading.Thread(target=_follow, args=(stack.url, news), daemon=True).start()
    view.say(f"campaign {campaign.NAME} created: {campaign.BUDGET} experiments, see {stack.url}")
    view.show(progress)
    with _solvers(stack.url, home, speed) as solvers:
        _watch(progress, news, solvers, view)
    for code in progress.front:
        progress.points[code] = client.experiment(code)["parameters"]
    return progress


def _watch(
    progress: Progress,
    news: queue.Queue[dict[str, Any]],
    solvers: dict[str, subprocess.Popen[bytes]],
    view: View,
) -> None:
    victim = campaign.KILLED.name
    killed = False
    end = time.monotonic() + LIMIT
    while not progress.finished and time.monotonic() < end:
        try:
            event = news.get(timeout=1.0)
        except queue.Empty:
            continue
        sentence = progress.take(event)
        if sentence:
            view.say(sentence)
        began = event["type"] == "experiment.started" and event["instrument"] == victim
        if began and not killed and progress.completed >= campaign.KILL_AFTER:
            killed = True
            solvers[victim].send_signal(signal.SIGKILL)
            view.say(f"{victim} is killed on purpose (kill -9) while it runs {progress.running.get(victim)}")
    for name, solver in solvers.items():
        if solver.poll() is not None and not (killed and name == victim):
            view.say(f"{name} ended by itself with status {solver.returncode}; see its log")


def _follow(url: str, news: queue.Queue[dict[str, Any]]) -> None:
    for event in Client(url, actor="demo").events(0):
        news.put(event)


@contextmanager
def _solvers(url: str, home: Path, speed: float) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Four adapters, each a process of its own; ended with the demo."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    logs = home / "logs"
    try:
        for solver in campaign.SOLVERS:
            command = [sys.executable, "-m", "examples.demo.solver", "--url", url, "--queue", campaign.QUEUE]
            command += ["--instrument", solver.name, "--median", str(solver.median / speed)]
            command += ["--seed", str(campaign.SEED), "--spool", str(home / "spool" / solver.name)]
            with (logs / f"{solver.name}.log").open("ab") as log:
                running[solver.name] = subprocess.Popen(
                    command, stdout=log, stderr=log, env={**_own(os.environ), "OMP_NUM_THREADS": "1"}
                )
        yield running
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _report(console: Console, progress: Progress, home: Path) -> None:
    if not progress.finished or not progress.done:
        console.print(f"The campaign did not end in time. The logs are in {_shown(home / 'logs')}.")
        return
    chart = home / "front.png"
    first, second = (each.reference or 0.0 for each in progress.problem.objectives)
    measured = [progress.values(each) for each in progress.done]
    front = [progress.values(each) for each in progress.front]
    plot(measured, front, load_front(), (first, second), progress.shares, chart)
    console.print(f"\nFinished: {progress.finished}.")
    console.print(
        "The Pareto front: more product costs more waste, and no experiment beats one of these in both."
    )
    console.print(_table(progress))
    share = 100 * progress.shares[-1]
    console.print(f"It dominates {share:.1f} % of what the true front does, which brute force finds.")
    for lost, instrument in progress.lost.items():
        console.print(f"  {lost}, which {instrument} was running when it fell silent, {progress.fate(lost)}")
    console.print(f"\nPicture of the front: {_shown(chart)}")
    console.print("Look further:")
    console.print(f"  make up LABQUEUE_HOME={_shown(home)}    then, in another terminal:")
    console.print(f"  .venv/bin/labqueue status\n  .venv/bin/labqueue results {campaign.NAME}")
    console.print(f"  .venv/bin/labqueue campaign show {campaign.NAME}")


def _table(progress: Progress) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    names = [*(f"{each.output}" for each in progress.problem.objectives), *progress.problem.names]
    for name in ("experiment", *names):
        table.add_column(name, justify="left" if name == "experiment" else "right")
    for code in progress.front:
        point = progress.points.get(code, {})
        values = [*progress.values(code), *(point.get(name) for name in progress.problem.names)]
        table.add_row(code, *("" if each is None else f"{each:,.5g}" for each in values))
    return table


def _shown(path: Path) -> str:
    """Short where it lies below the present folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main())
