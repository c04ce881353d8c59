"""The flow on the store against a raw psycopg loop that writes the same rows.

A life is stage, claim, start, result: four transactions. The raw loop knows beforehand what it will write, reads
nothing and checks nothing. Both use one connection of the same database, in turns; rows that differ are an error.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable
from statistics import median

from benchmarks.figures import Figure
from benchmarks.place import POINT, PROBLEM, STRATEGY, Commits, postgres
from benchmarks.raw import RawLives, written
from labqueue.states import Verdict
from services.bootstrap import SystemIds
from services.flow.claim import ClaimRequest, claim
from services.flow.define import NewCampaign, QueuePolicy, create_campaign, put_queue
from services.flow.filing import Report
from services.flow.renew import StartItem, start
from services.flow.report import report
from services.flow.stage import StageItem, StageRequest, stage
from services.store.postgres import PostgresStore

ROUNDS = 5
SECONDS = 1.0  # of each side in each round


class Flow:
    """Lives through the flow's own functions, called as the API calls them."""

    def __init__(self, store: PostgresStore) -> None:
        self._store, self._ids = store, SystemIds()
        self._numbers = itertools.count()
        put_queue(store, "flow", QueuePolicy(), "local")
        create_campaign(store, self._ids, NewCampaign("flow", "flow", "local", PROBLEM, STRATEGY), "local")

    def live(self, many: int) -> None:
        """`many` experiments at once, from staged to completed."""
        number = next(self._numbers)
        items = tuple(StageItem(POINT) for _ in range(many))
        staged = stage(self._store, self._ids, StageRequest("flow", f"b-{number}", items), "local")
        asked = ClaimRequest("flow", "bench-1", "bench.1", f"c-{number}", max=many)
        leased = claim(self._store, self._ids, asked).assignments
        answers = start(self._store, [StartItem(each.lease) for each in leased])
        outputs = {"yield": 0.87}
        reports = [Report(uuid.uuid4(), each.experiment.id, each.lease, outputs=outputs) for each in leased]
        recorded = report(self._store, self._ids, reports, "adapter:bench-1")
        assert len(staged.experiments) == len(leased) == many and all(each.ok for each in answers)
        assert all(each.verdict is Verdict.ACCEPTED for each in recorded)


def rate(live: Callable[[int], None], many: int, seconds: float) -> float:
    """Lives per second over about so many seconds."""
    began, done = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < seconds:
        live(many)
        done += many
    return done / took


def check_same_rows(url: str, store: PostgresStore, flow: Flow, raw: RawLives, many: int) -> None:
    """Raises where the two loops do not insert and update as many rows of each table."""

    def counted() -> dict[str, tuple[int, int]]:
        with store.session() as session:
            session.run("SELECT pg_stat_force_next_flush()")
        raw.flush()
        return written(url)

    def writes(live: Callable[[int], None]) -> dict[str, tuple[int, int]]:
        before = counted()
        live(many)
        after = counted()
        return {each: (after[each][0] - before[each][0], after[each][1] - before[each][1]) for each in after}

    theirs, ours = writes(raw.live), writes(flow.live)
    if theirs != ours:
        raise AssertionError(f"lives of {many} write other rows: raw {theirs}, flow {ours}")


def run() -> list[Figure]:
    figures = []
    with postgres() as server:
        store = PostgresStore(server.url, 1)
        flow = Flow(store)
        flow.live(1)
        raw = RawLives(server.url)
        for many in (1, 50):
            check_same_rows(server.url, store, flow, raw, many)
        commits = Commits(server.url)
        for many, least in ((1, 60.0), (50, 40.0)):
            pairs = []
            for _ in range(ROUNDS):
                commits.sample(50)
                pairs.append((rate(raw.live, many, SECONDS), rate(flow.live, many, SECONDS)))
            raws, flows = zip(*pairs, strict=True)
            beside = f"raw {median(raws):,.0f} lives/s, flow {median(flows):,.0f} lives/s; {commits}"
            share = median(100 * ours / theirs for theirs, ours in pairs)
            how = "singly" if many == 1 else f"in batches of {many}"
            figures.append(Figure(f"flow / raw loop, {how}", share, "%", least=least, baseline=beside))
        commits.close()
        raw.close()
        store.close()
    return figures
