"""Everything of ours is killed at once, launcher and all, and started again on the same home."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from adapters_for_tests import value
from servers import Servers
from whole import PATIENCE, Whole, settings_for
from whole_lab import Lab, body_of

from services.embedded.stack import Stack, free_port
from services.settings import Settings

LAUNCHER = """
from services.embedded.stack import Stack
from services.settings import current
stack = Stack(current(), parts=("api", "janitor"))
with stack.supervisor.signals(), stack:
    print("ready", flush=True)
    stack.supervisor.run()
"""


def launch(settings: Settings) -> subprocess.Popen[str]:
    """The stack under a launcher of its own; returns when it is ready."""
    launcher = subprocess.Popen(
        [sys.executable, "-P", "-c", LAUNCHER],
        env={**os.environ, **settings.environ()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert launcher.stdout is not None
    assert launcher.stdout.readline() == "ready\n", launcher.stdout.read()
    return launcher


def kill_all(launcher: subprocess.Popen[str]) -> None:
    """SIGKILL to the launcher and all that it started, in one moment: as when the power goes."""
    family = [*psutil.Process(launcher.pid).children(recursive=True), psutil.Process(launcher.pid)]
    # Stopped first, so that none of them notices the end of another and tidies up.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for each in family:
            try:
                each.send_signal(number)
            except psutil.NoSuchProcess:
                continue
    launcher.communicate(timeout=PATIENCE)
    _, alive = psutil.wait_procs(family, timeout=PATIENCE)
    assert alive == []


@contextmanager
def eyes_on(settings: Settings) -> Iterator[Whole]:
    """What tests need of a stack that another process runs."""
    seen = Whole(Stack(settings, parts=()))
    seen.supervised = False
    try:
        yield seen
    finally:
        seen.end_adapters()
        seen.client.close()


def stored_order(seen: Whole) -> list[int]:
    rows = seen.rows("SELECT id FROM experiments WHERE state = 'staged' ORDER BY priority DESC, tag, id")
    return [each["id"] for each in rows]


def everything(seen: Whole) -> dict[str, list[dict[str, Any]]]:
    """All that was acknowledged, as the database has it; leases end later than before, and nothing else differs."""
    return {
        "experiments": seen.rows("SELECT * FROM experiments ORDER BY id"),
        "attempts": seen.rows(
            'SELECT id, experiment_id, number, instrument, fence, state, "end", counts, silent FROM attempts ORDER BY id'
        ),
        "results": seen.rows("SELECT * FROM results ORDER BY seq"),
        "readings": seen.rows("SELECT * FROM readings ORDER BY experiment_id, output, result_seq"),
    }


def test_a_killed_stack_comes_back_with_all_it_had(servers: Servers) -> None:
    settings = settings_for(servers.new_home(), LABQUEUE_PORT=str(free_port("127.0.0.1")))
    launcher = launch(settings)
    try:
        with eyes_on(settings) as seen:
            it = Lab(seen, on_lost="hold", lease_seconds=2)
            staged = fill(it, 1320)
            done = it.claim(300)
            assert all(each.ok for each in it.client.start([each.lease for each in done]))
            judged = it.client.post_results([body_of(each, y=value(each.parameters["x"])) for each in done])
            assert {each.verdict for each in judged} == {"accepted"}
            clusters = [it.adapter("cluster", f"cluster{each}", size=5, limit=5) for each in range(4)]
            it.moved(20)
            assert it.states() == {"staged": 1000, "leased": 20, "completed": 300}
            it.all_numbered()
            before, order = everything(seen), stored_order(seen)

            kill_all(launcher)
            launcher = launch(settings)

            assert it.states() == {"staged": 1000, "leased": 20, "completed": 300}
            assert everything(seen) == before
            assert stored_order(seen) == order
            [latest] = seen.rows("SELECT max(deadline) AS deadline FROM attempts WHERE state <> 'ended'")
            seen.until(
                lambda: seen.one(
                    "SELECT min(deadline) > %s FROM attempts WHERE state <> 'ended'", latest["deadline"]
                ),
                "every lease was renewed by its holder",
            )
            it.gate.touch()
            leased = [each["id"] for each in before["experiments"] if each["state"] == "leased"]
            it.reaches("completed", *leased)
            assert all(it.ends(each) == ["completed"] for each in leased), "as their first attempts"
            moves = Counter(each["experiment"] for each in it.diary("moved"))
            assert moves == dict.fromkeys(leased, 1), "nothing ran twice"
            for each in clusters:
                assert each.says('"runs": 5') and each.process.wait(60) == 0
                assert [entry.message for entry in each.told()] == ["accepted"] * 5
            claimed = [each.experiment for _ in range(3) for each in it.claim(400)]
            assert claimed == order, "what was staged is claimed in its old order"
            assert sorted({*leased, *order, *(each.experiment for each in done)}) == sorted(staged)
            it.check_books()
    finally:
        launcher.terminate()
        launcher.communicate(timeout=PATIENCE)


def fill(it: Lab, count: int) -> list[int]:
    """Staged in several batches, some of it with priorities, so that ids alone do not tell the order."""
    dice, found = random.Random(5), []
    for at in range(0, count, 440):
        rows = [
            {"parameters": {"x": float(x % 1000)}, "priority": dice.choice([0, 0, 0, 5])}
            for x in range(at, min(count, at + 440))
        ]
        answer = it.client.stage(it.name, rows, key=f"fill-{at}")
        found += [each["id"] for each in answer["experiments"]]
    return found
