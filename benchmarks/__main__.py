"""`python -m benchmarks [NAME ...]`: the benchmarks one after the other, and one table of all figures.

Every run is one JSON line in benchmarks/results/runs.jsonl. A benchmark that breaks is named, and the others go on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
import traceback
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import psutil

from benchmarks.figures import Figure, table

# In this order: what needs a quiet machine first.
NAMES = (
    "flow",
    "lives",
    "latency",
    "pages",
    "republish",
    "staging",
    "waiting",
    "startup",
    "up",
    "pool",
    "asks",
    "peers",
)
RESULTS = Path(__file__).parent / "results" / "runs.jsonl"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measures Labqueue on this machine."
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}; all by default"
    )
    chosen = parser.parse_args().names or NAMES
    unknown = sorted(set(chosen) - set(NAMES))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    began = datetime.now(UTC)
    groups: list[tuple[str, list[Figure]]] = []
    broken: dict[str, str] = {}
    for name in chosen:
        at = time.monotonic()
        load = os.getloadavg()[0]
        print(f"{name} ...", flush=True)
        try:
            groups.append((name, import_module(f"benchmarks.{name}").run()))
        except Exception as error:  # noqa: BLE001 what breaks is shown, and the others are still worth having
            broken[name] = f"{type(error).__name__}: {error}"
            traceback.print_exc()
        print(f"{name}: {time.monotonic() - at:.0f} s, load {load:.1f} before it", flush=True)
    print(f"\n{machine()}\n\n{table(groups)}")
    for name, why in broken.items():
        print(f"{name} broke: {why}")
    line = {
        "at": began.isoformat(timespec="seconds"),
        "machine": machine(),
        "figures": {name: [asdict(each) for each in figures] for name, figures in groups},
        "broken": broken,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return 1 if broken else 0


def machine() -> str:
    """This machine in words."""
    gib = psutil.virtual_memory().total / 2**30
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{os.cpu_count()} cores, {gib:.0f} GiB of memory, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}; load {load} at the end"
    )


if __name__ == "__main__":
    sys.exit(main())
