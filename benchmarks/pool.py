"""A pool of 200,000 rows with 10 columns: uploaded over HTTP, looked up, trained on and chosen from.

Training and choosing run in a process of their own with one thread, whose peak memory counts.
"""

from __future__ import annotations

import json
import math
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import Figure
from benchmarks.lives import processor_seconds
from benchmarks.place import folder, stack
from labqueue.client import Client
from labqueue.problem import Problem
from labqueue.strategy import Strategy
from services.bootstrap import build

ROWS, NUMBERS = 200_000, 9
MEASURED, CHOSEN = 200, 16
LOOKUPS = 200
SOLVENTS = ("water", "ethanol", "toluene")
PROBLEM: dict[str, Any] = {
    "pool": "library",
    "outputs": [{"name": "activity"}],
    "objectives": [{"output": "activity"}],
}


def truth(values: list[float], solvent: str) -> float:
    return math.sin(values[0]) + values[1] * values[2] / 4 - values[3] ** 2 / 9 + SOLVENTS.index(solvent) / 2


def write(path: Path) -> list[float]:
    """The table, and the truth about each row."""
    luck = random.Random(0)
    found = []
    with path.open("w") as file:
        file.write(",".join(["id", *(f"x{n}" for n in range(NUMBERS)), "solvent"]) + "\n")
        for row in range(ROWS):
            values, solvent = [luck.gauss(0, 1) for _ in range(NUMBERS)], luck.choice(SOLVENTS)
            found.append(truth(values, solvent))
            file.write(f"cmpd-{row}," + ",".join(f"{each:.6f}" for each in values) + f",{solvent}\n")
    return found


def run() -> list[Figure]:
    with folder() as place:
        path = place / "library.csv"
        known = write(path)
        with stack("api") as running, Client(running.url, timeout=60.0) as client:
            api = running.supervisor.part("api").pid or 0
            used, began = processor_seconds(api), time.perf_counter()
            pool = client.upload_pool("library", lambda: path.open("rb"), path.stat().st_size)
            uploaded, used = time.perf_counter() - began, processor_seconds(api) - used
            client.put_queue("bench")
            made = client.create_campaign(
                "pool", queue="bench", problem=PROBLEM, strategy={"method": "caller"}
            )
            staged = []
            for number in range(LOOKUPS):
                began = time.perf_counter()
                row = {"row": f"cmpd-{number * 997 % ROWS}"}
                client.stage("pool", [{"parameters": row}], key=str(number))
                staged.append(time.perf_counter() - began)
            file = build(running.settings).blobs.path(pool["sha256"])
            learnt = _learn(file, made["problem"], known)
    best = sorted(known)[-CHOSEN:]
    chosen = [known[int(row.partition("-")[2])] for row in learnt["chosen"]]
    beside = f"{path.name}: {ROWS:,} rows, {NUMBERS + 1} columns"
    loaded = f"load {learnt['load']:.1f} on {os.cpu_count()} cores"
    return [
        Figure("upload, end to end", uploaded, "s", most=30.0, baseline=beside),
        Figure("upload, processor time of the API", used, "s", baseline=loaded),
        Figure("stage one row over HTTP, median", median(staged) * 1000, "ms", baseline=beside),
        Figure(f"fit {MEASURED} rows", learnt["fit"], "s", baseline=loaded),
        Figure(f"choose {CHOSEN}", learnt["choose"], "s", baseline=loaded),
        Figure("both, one core", learnt["fit"] + learnt["choose"], "s", most=10.0, baseline=loaded),
        Figure("both, processor time", learnt["processor"], "s", baseline=loaded),
        Figure("peak memory of that process", learnt["peak"], "GB", most=2.0, baseline="torch included"),
        Figure(
            f"mean of the {CHOSEN} chosen, from 0 (mean of the pool) to 1 (its best {CHOSEN})",
            _share(chosen, known, best),
            "",
            baseline=f"best measured before: {_share([learnt['best']], known, best):.2f}",
        ),
    ]


def _share(values: list[float], known: list[float], best: list[float]) -> float:
    middle, top = sum(known) / len(known), sum(best) / len(best)
    return (sum(values) / len(values) - middle) / (top - middle)


def _learn(file: str, problem: Any, known: list[float]) -> dict[str, Any]:
    rows = random.Random(1).sample(range(ROWS), MEASURED)
    given = {"file": file, "problem": problem, "rows": {f"cmpd-{row}": known[row] for row in rows}}
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks.pool"],
        input=json.dumps(given),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    answer: dict[str, Any] = json.loads(child.stdout)
    return answer


def learn(given: dict[str, Any]) -> dict[str, Any]:
    """What the child does: a cold fit, then a suggestion."""
    import torch

    from models.surrogates import learner
    from models.surrogates.values import Observation, Snapshot

    torch.set_num_threads(1)
    problem, strategy = Problem.from_json(given["problem"]), Strategy()
    rows = tuple(Observation({"row": row}, {"activity": value}) for row, value in given["rows"].items())

    def files(sha256: str) -> Path:
        return Path(given["file"])

    load, used, began = os.getloadavg()[0], time.process_time(), time.perf_counter()
    fitted = learner.fit(problem, strategy, rows, files=files)
    fit = time.perf_counter() - began
    began = time.perf_counter()
    snapshot = Snapshot(problem, strategy, 7, 1, rows, designed=8, model=fitted.state, count=CHOSEN)
    found = learner.suggest(snapshot, files=files)
    return {
        "fit": fit,
        "choose": time.perf_counter() - began,
        "processor": time.process_time() - used,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
        "chosen": [each.parameters["row"] for each in found.candidates],
        "best": max(row.outputs["activity"] for row in rows),
        "load": load,
    }


if __name__ == "__main__":
    print(json.dumps(learn(json.load(sys.stdin))))
