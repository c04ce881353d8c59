"""The echo work as a plain Celery task; settings are Celery's own. BENCH_BROKER and BENCH_DIARY say where."""

from __future__ import annotations

import os

from celery import Celery

from benchmarks.diary import echo

app = Celery("echoes", broker=os.environ.get("BENCH_BROKER", "memory://"))


@app.task(name="echo", ignore_result=True)  # type: ignore[untyped-decorator]
def echo_task(number: int, seconds: float) -> None:
    echo(os.environ["BENCH_DIARY"], number, seconds)
