"""A small lab on a simulated clock, and five ways to feed it, by what they cost in waiting, stale choices and regret.

Four instruments, two of them ten times as slow, experiments with medians of 1 s and 10 s. What a fit or a choice takes
of the processor here passes on the simulated clock, so that regret is that of a lab with the learner's real latencies.
"""

from __future__ import annotations

import heapq
import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from labqueue.problem import Problem
from labqueue.strategy import Strategy
from models.domain import staging_depth
from models.surrogates import learner
from models.surrogates.values import DESIGN, Candidate, Observation, Point, Snapshot
from services.flow.planning import FEWEST_ROWS, RECENT, RECENT_RUNS

from . import clock, ours, quality, vocabulary

FREE, CLAIM, BATCHES, REFILL, FRESHEST = "at claim, free", "at claim", "batches", "refill", "freshest"
POLICIES = (FREE, CLAIM, BATCHES, REFILL, FRESHEST)
#: Seconds for commands and commits beside what is computed.
OVERHEAD = 0.05


@dataclass(frozen=True, eq=False)
class Staged:
    """A candidate and how many results were in when it was decided."""

    candidate: Candidate
    known: int


@dataclass
class Story:
    """results: (seconds, outputs) in order; waited: seconds of the instruments together, until the last claim, which
    was at `claimed`; stale: for each claim the results in that its choice did not know."""

    results: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    waited: float = 0.0
    claimed: float = 0.0
    stale: list[int] = field(default_factory=list)

    def improved(self, problem: vocabulary.Problem) -> list[list[float]]:
        """[seconds, number of the result, regret from it on], where the regret fell."""
        regrets = quality.trace(problem, (outputs for _, outputs in self.results))
        found = quality.improvements(regrets)
        return [[round(self.results[int(number) - 1][0], 3), number, regret] for number, regret in found]


def run(policy: str, problem: vocabulary.Problem, seed: int, strategy: Strategy | None = None) -> Story:
    """One campaign. Raises KeyError where there is no such policy."""
    return _LABS[policy](problem, ours.translated(problem), seed, strategy or Strategy()).campaign()


class Lab(ABC):
    """Instruments, results, and what stands in the queue; how the queue is fed is left to others."""

    def __init__(self, task: vocabulary.Problem, problem: Problem, seed: int, strategy: Strategy) -> None:
        self.task, self.problem, self.seed, self.strategy = task, problem, seed, strategy
        self.now, self.story = 0.0, Story()
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.ties, self.numbers = itertools.count(), itertools.count()
        self.begun = [0] * len(clock.SPEEDS)
        self.waiting: list[tuple[int, float]] = []
        self.rows: list[Observation] = []
        self.leased: dict[int, Point] = {}
        self.queue: list[Staged] = []
        self.durations: list[float] = []
        self.claims = self.designed = 0
        self.model: bytes | None = None

    def campaign(self) -> Story:
        for worker in range(len(clock.SPEEDS)):
            self.want(worker)
        while len(self.rows) < self.task.budget:
            self.now, _, happens = heapq.heappop(self.events)
            happens()
        return self.story

    def want(self, worker: int) -> None:
        """An instrument is free."""
        if self.claims + len(self.waiting) < self.task.budget:
            self.waiting.append((worker, self.now))
        self.feed()

    @abstractmethod
    def feed(self) -> None:
        """Somebody waits, or something came."""

    def serve(self) -> None:
        """Who has waited longest takes what stands first."""
        while self.waiting and self.queue:
            worker, since = self.waiting.pop(0)
            staged = self.queue.pop(0)
            self.story.waited += self.now - since
            self.story.claimed = self.now
            self.story.stale.append(len(self.rows) - staged.known)
            number = self.claims
            self.claims += 1
            self.leased[number] = staged.candidate.parameters
            took = clock.duration(self.seed, worker, self.begun[worker])
            self.begun[worker] += 1
            self.after(took, partial(self.ended, worker, number, took))

    def ended(self, worker: int, number: int, took: float) -> None:
        point = self.leased.pop(number)
        outputs = self.task.measure(point)
        self.rows.append(Observation(point, outputs))
        self.story.results.append((self.now, outputs))
        self.durations.append(took)
        self.want(worker)

    def after(self, seconds: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self.events, (self.now + seconds, next(self.ties), happens))

    def fit(self) -> tuple[bytes | None, float]:
        """A model of all rows, and the seconds that it took."""
        if len(self.rows) < FEWEST_ROWS:
            return None, 0.0
        began = time.process_time()
        state = learner.fit(self.problem, self.strategy, self.rows, self.model, self.seed).state
        return state, time.process_time() - began

    def choose(self, count: int, waiting: Sequence[Staged] = ()) -> tuple[list[Staged], float]:
        """Candidates, those `waiting` among them as far as they stay, and the seconds that it took."""
        kept = [each.candidate.parameters for each in self.queue if each not in waiting]
        snapshot = Snapshot(
            self.problem,
            self.strategy,
            self.seed,
            next(self.numbers),
            rows=tuple(self.rows),
            pending=(*self.leased.values(), *kept),
            designed=self.designed,
            model=self.model,
            count=count,
            staged=tuple(each.candidate.parameters for each in waiting),
        )
        began = time.process_time()
        found = learner.suggest(snapshot).candidates
        took = time.process_time() - began
        self.designed += sum(each.origin == DESIGN for each in found)
        return [Staged(each, len(self.rows)) for each in found], took


class AtClaim(Lab):
    """Fitted and chosen at each claim, one after the other, while the instrument waits."""

    busy = False

    def feed(self) -> None:
        if self.busy or not self.waiting:
            return
        self.model, fitting = self.fit()
        found, choosing = self.choose(1)
        self.busy = True
        self.after(self.takes(fitting + choosing), partial(self.chosen, found))

    def takes(self, computing: float) -> float:
        """Seconds of the simulated clock."""
        return computing + OVERHEAD

    def chosen(self, found: list[Staged]) -> None:
        self.busy = False
        self.queue += found
        self.serve()
        self.feed()


class Free(AtClaim):
    """The same in no time: what no lab can have."""

    def takes(self, computing: float) -> float:
        return 0.0


class Batches(AtClaim):
    """All instruments wait for the slowest; then each gets one of a batch."""

    def feed(self) -> None:
        count = min(len(clock.SPEEDS), self.task.budget - self.claims)
        if self.busy or len(self.waiting) < count or self.leased:
            return
        self.model, fitting = self.fit()
        found, choosing = self.choose(count)
        self.busy = True
        self.after(self.takes(fitting + choosing), partial(self.chosen, found))


class Ahead(Lab):
    """Staged ahead by a trainer and a suggester beside the runs."""

    renewing = False

    def __init__(self, task: vocabulary.Problem, problem: Problem, seed: int, strategy: Strategy) -> None:
        super().__init__(task, problem, seed, strategy)
        self.training = self.asking = False
        self.learnt = 0  # results that the newest training, done or going on, knows
        self.again: bool | None = None
        self.took: list[float] = []
        self.queue, _ = self.choose(self.depth)

    @property
    def depth(self) -> int:
        loads = [staging_depth.Load(1, 1)] * len(clock.SPEEDS)
        late = 2 * max(self.took[-RECENT:], default=0.0)
        return staging_depth.depth(loads, self.durations[-RECENT_RUNS:], late)

    def feed(self) -> None:
        self.train()
        self.serve()
        self.ask(False)

    def train(self) -> None:
        if self.training or self.learnt == len(self.rows):
            return
        self.training, self.learnt = True, len(self.rows)
        state, seconds = self.fit()
        self.after(seconds + OVERHEAD, partial(self.ready, state))

    def ready(self, state: bytes | None) -> None:
        self.training, self.model = False, state or self.model
        self.ask(self.renewing)
        self.train()

    def ask(self, renewed: bool) -> None:
        if self.asking:
            self.again = bool(self.again) or renewed
            return
        missing = max(self.depth - len(self.queue), 0)
        short = missing > 0 and staging_depth.short(len(self.queue), self.depth)
        moving = renewed and not short
        waiting = [each for each in self.queue if moving and each.candidate.origin != DESIGN]
        if not waiting and not missing:
            return
        self.asking, self.again = True, True if short and renewed else None
        found, seconds = self.choose(missing, waiting)
        self.took.append(seconds + OVERHEAD)
        self.after(seconds + OVERHEAD, partial(self.answered, found, waiting))

    def answered(self, found: list[Staged], waiting: list[Staged]) -> None:
        """Of what stood there only what was not claimed meanwhile stays."""
        self.asking = False
        kept = [each for each in self.queue if each not in waiting]
        stays = [
            each
            for each in found
            if each.candidate.staged is None or waiting[each.candidate.staged] in self.queue
        ]
        self.queue = [*kept, *stays]
        again, self.again = self.again, None
        self.serve()
        self.ask(bool(again))


class Freshest(Ahead):
    renewing = True


_LABS: dict[str, type[Lab]] = {
    FREE: Free,
    CLAIM: AtClaim,
    BATCHES: Batches,
    REFILL: Ahead,
    FRESHEST: Freshest,
}
