"""From how many rows a graphics card pays: fit and joint prediction of an exact process on each device of this machine.

Six columns, float64, one CPU thread. Each size is fitted cold on a part of the rows and polished on all (as a training
does), conditioned, and asked for joint samples at 512 points beside 16 pending ones. Where there is no card only the
smaller sizes are run, on the CPU, and the program says so.

    python -m benchmarks.gpu [--sizes 200,1000,5000,10000] [--repeats 3]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch

from models.surrogates.data import Data, tensor
from models.surrogates.kinds import gp

COLUMNS, PENDING, POINTS, SAMPLES = 6, 16, 512, 128
#: More rows take minutes and gigabytes on a CPU.
CPU_ROWS = 2_000


def rows(count: int) -> Data:
    generator = np.random.default_rng(count)
    inputs = generator.random((count, COLUMNS))
    values = np.sin(5 * inputs[:, 0]) + inputs[:, 1] ** 2 + inputs[:, 2] * inputs[:, 3]
    return Data.of(inputs, values + generator.normal(0, 0.1, count))


def training(data: Data, device: str) -> gp.Exact:
    return gp.fit(data, None, 0, device)


def answering(found: gp.Exact, data: Data, device: str) -> None:
    """What choosing candidates asks of a model, without the search around it."""
    inputs = np.random.default_rng(1).random((POINTS, 1, COLUMNS))
    pending = np.random.default_rng(2).random((1, PENDING, COLUMNS))
    joint = np.concatenate([inputs, pending.repeat(POINTS, axis=0)], axis=1)
    with torch.no_grad():
        posterior = found.part(data, device).model.posterior(tensor(joint, device))
        posterior.rsample(torch.Size([SAMPLES])).sum().item()


def timed(work: Callable[[], object], repeats: int) -> float:
    """The median of some runs, after one that loads what there is to load."""
    seconds = []
    for number in range(repeats + 1):
        began = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if number:
            seconds.append(time.perf_counter() - began)
    return median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        prog="python -m benchmarks.gpu",
    )
    parser.add_argument("--sizes", default="200,500,1000,2000,5000,10000")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    if "cuda" in devices:
        print(f"cpu: one thread; cuda: {torch.cuda.get_device_name()}; torch {torch.__version__}")
    else:
        print(
            f"No graphics card that torch can use: only the CPU, up to {CPU_ROWS} rows. torch {torch.__version__}"
        )
    print(f"{'rows':>6} {'device':>6} {'cold fit s':>11} {'warm fit s':>11} {'answer s':>9}")
    for count in map(int, options.sizes.split(",")):
        for device in devices:
            if device == "cuda" or count <= CPU_ROWS:
                run(count, device, options.repeats)


def run(count: int, device: str, repeats: int) -> None:
    data = rows(count)
    found = training(data, device)
    cold = timed(lambda: training(data, device), repeats if count <= CPU_ROWS else 1)
    warm = timed(lambda: gp.fit(data, found, 0, device), repeats)
    answer = timed(lambda: answering(found, data, device), repeats)
    print(f"{count:>6} {device:>6} {cold:>11.3f} {warm:>11.3f} {answer:>9.3f}", flush=True)


if __name__ == "__main__":
    main()
