"""How long `import labqueue` and the start of the API take, each in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure
from benchmarks.lives import processor_seconds
from benchmarks.place import stack

IMPORTS = 9
STARTS = 5


def seconds(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


def run() -> list[Figure]:
    pairs = [(seconds("pass"), seconds("import labqueue")) for _ in range(IMPORTS)]
    bare = median(first for first, _ in pairs) * 1000
    imported = median((second - first) * 1000 for first, second in pairs)
    starts, costs, torch = [], [], False
    with stack("api") as running:
        api = running.supervisor.part("api")
        for _ in range(STARTS):
            api.stop()
            began = time.perf_counter()
            api.start()
            starts.append(time.perf_counter() - began)
            costs.append(processor_seconds(api.pid or 0))
            torch = torch or "libtorch" in Path(f"/proc/{api.pid}/maps").read_text()
    beside = f"python -c pass: {bare:.0f} ms"
    return [
        Figure("import labqueue", imported, "ms", most=60.0, baseline=beside),
        Figure(
            "API ready",
            median(starts),
            "s",
            most=2.0,
            baseline=f"its processor time by then: {median(costs):.1f} s",
        ),
        Figure("torch loaded by the API", float(torch), "", most=0.0, baseline=beside),
    ]
