"""The echo work as a plain Procrastinate task. Run by the peers' own Python: schema, worker, or NUMBERS SECONDS."""

from __future__ import annotations

import os
import sys

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector  # type: ignore[import-not-found]

from benchmarks.diary import echo

URL = os.environ["BENCH_DATABASE"]
app = App(connector=PsycopgConnector(conninfo=URL))


@app.task(name="echo")  # type: ignore[untyped-decorator]
def echo_task(number: int, seconds: float) -> None:
    echo(os.environ["BENCH_DIARY"], number, seconds)


def main() -> None:
    match sys.argv[1:]:
        case ["worker"]:
            app.run_worker(concurrency=1)
        case ["schema"]:
            with app.replace_connector(SyncPsycopgConnector(conninfo=URL)) as sync, sync.open():
                sync.schema_manager.apply_schema()
        case [first, last, seconds]:
            with app.replace_connector(SyncPsycopgConnector(conninfo=URL)) as sync, sync.open():
                jobs = [{"number": n, "seconds": float(seconds)} for n in range(int(first), int(last))]
                sync.tasks["echo"].batch_defer(*jobs)


if __name__ == "__main__":
    main()
