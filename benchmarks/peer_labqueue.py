"""The echo work as a Labqueue adapter: python -m benchmarks.peer_labqueue URL QUEUE INSTRUMENT SPOOL DIARY."""

from __future__ import annotations

import sys

import labqueue
from benchmarks.diary import echo


def main() -> None:
    url, queue, instrument, spool, diary = sys.argv[1:]

    def measure(experiment: labqueue.Experiment) -> dict[str, float]:
        number = int(experiment.parameters["number"])
        echo(diary, number, float(experiment.parameters["seconds"]))
        return {"echo": float(number)}

    labqueue.serve(measure, queue=queue, instrument=instrument, url=url, spool=spool)


if __name__ == "__main__":
    main()
