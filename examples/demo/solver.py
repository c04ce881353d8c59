"""One solver of the demo: an adapter in a process of its own that integrates the kinetic model.

How long a run takes is drawn from the experiment's code alone, log-normal, times the solver's speed class: so the
order of completion says nothing about the points, and repeats with the seed.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import labqueue
from examples.snar.model import measure

SPREAD = 0.5  # of the logarithm of the duration


def duration(seed: int, code: str, median: float) -> float:
    """Seconds that the run of this experiment takes."""
    return median * random.Random(f"{seed}:{code}").lognormvariate(0.0, SPREAD)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--queue", required=True)
    parser.add_argument("--instrument", required=True)
    parser.add_argument("--median", type=float, required=True, help="median duration of a run, in seconds")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--spool", type=Path, required=True)
    options = parser.parse_args()

    def run(experiment: labqueue.Experiment) -> dict[str, float]:
        seconds = duration(options.seed, experiment.code, options.median)
        experiment.note(f"integrating for {seconds:.1f} s")
        experiment.wait(seconds)
        experiment.raise_if_cancelled()
        return measure(experiment.parameters)

    labqueue.serve(
        run, queue=options.queue, instrument=options.instrument, url=options.url, spool=options.spool
    )


if __name__ == "__main__":
    main()
