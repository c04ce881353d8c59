"""Which candidates make the best design: exchange algorithms for the D, A and I criteria.

With M the information of a design of n points (X'X), D maximizes its determinant, A minimizes the trace of its inverse
(the mean variance of the coefficients) and I the mean variance of a prediction at all candidates. Fedorov, Theory of
Optimal Experiments (1972); Mitchell, Technometrics 16 (1974) 203 (DETMAX); Dykstra, Technometrics 13 (1971) 682; Mitchell
and Miller (1970), simple exchange; Cook and Nachtsheim, Technometrics 22 (1980) 315 (modified Fedorov); Atkinson and
Donev, Optimum Experimental Designs (1992).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .terms import Array

#: What is worth an exchange, relative.
_LEAST = 1e-9
#: So many points beyond the wanted number, or below it, are tried before DETMAX gives up.
_EXCURSION = 6
#: Of rows that hardly say anything: so that the information of a few points has an inverse.
_RIDGE = 1e-6
#: The best of so many searches is taken, unless the problem is large: each ends where no exchange helps any more.
_STARTS, _QUICK = 8, 2_000_000
#: No larger table of exchanges is kept.
_TABLE = 5_000_000


@dataclass
class Design:
    """rows     of the model at all candidates
    taken    the candidates in the design, each once
    weight   of the criterion: None for D, else the matrix L of trace(M^-1 L)
    """

    rows: Array
    taken: list[int]
    weight: Array | None

    def __post_init__(self) -> None:
        self.settle()

    def settle(self) -> None:
        """What follows from the points taken."""
        own = self.rows[self.taken]
        least = _RIDGE * np.eye(self.rows.shape[1]) if len(self.taken) < self.rows.shape[1] else 0.0
        information = own.T @ own + least
        self.inverse: Array = np.asarray(np.linalg.pinv(information, hermitian=True))
        self.spread = np.einsum("ij,jk,ik->i", self.rows, self.inverse, self.rows)
        self.middle = self.inverse if self.weight is None else self.inverse @ self.weight @ self.inverse
        self.worth = (
            self.spread
            if self.weight is None
            else np.einsum("ij,jk,ik->i", self.rows, self.middle, self.rows)
        )
        sign, size = np.linalg.slogdet(information)
        if self.weight is None:
            self.value = float(size) if sign > 0 else -np.inf
        else:
            self.value = -float(np.trace(self.inverse @ self.weight)) if sign > 0 else -np.inf

    def best_new(self) -> int:
        """The candidate that improves it most."""
        gain = self.spread if self.weight is None else self.worth / (1 + self.spread)
        return int(np.argmax(np.where(self.free, gain, -np.inf)))

    def worst_own(self) -> int:
        """The place of the point that it loses least with."""
        spread, worth = self.spread[self.taken], self.worth[self.taken]
        left = np.maximum(1 - spread, 1e-12)
        return int(np.argmin(spread if self.weight is None else worth / left))

    def swaps(self, places: list[int]) -> Array:
        """(places, candidates): what the criterion gains when the point at a place gives way to a candidate."""
        own = [self.taken[each] for each in places]
        between = self.rows[own] @ self.inverse @ self.rows.T
        mine, theirs = self.spread[own][:, None], self.spread[None, :]
        factor = (1 + theirs) * (1 - mine) + between**2
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.weight is None:
                gain = np.log(np.maximum(factor, 0.0))
            else:
                cross = self.rows[own] @ self.middle @ self.rows.T
                told = (
                    (1 - mine) * self.worth[None, :]
                    + 2 * between * cross
                    - (1 + theirs) * self.worth[own][:, None]
                )
                gain = np.where(factor > _LEAST, told / factor, -np.inf)
        gain[:, ~self.free] = -np.inf
        return np.asarray(gain)

    def swap(self, place: int, candidate: int) -> None:
        self.taken[place] = candidate
        self.settle()

    def add(self, candidate: int) -> None:
        self.taken.append(candidate)
        self.settle()

    def drop(self, place: int) -> None:
        del self.taken[place]
        self.settle()

    def least_gain(self) -> float:
        return _LEAST if self.weight is None else _LEAST * max(1.0, abs(self.value))

    @property
    def free(self) -> NDArray[np.bool_]:
        free = np.ones(len(self.rows), dtype=np.bool_)
        free[self.taken] = False
        return free


@dataclass(frozen=True)
class Limits:
    """iterations  exchanges, or rounds of them; until: of the clock."""

    iterations: int
    until: float
    clock: Callable[[], float] = time.monotonic

    @property
    def passed(self) -> bool:
        return self.clock() >= self.until


def design(
    rows: Array, count: int, criterion: str, algorithm: str, seed: int, limits: Limits
) -> tuple[list[int], float]:
    """The candidates chosen, and the criterion per point: det(M/n), -trace((M/n)^-1), or minus the mean variance."""
    weight = {"D": None, "A": np.eye(rows.shape[1]), "I": rows.T @ rows / len(rows)}[criterion]
    starts = _STARTS if rows.size * count <= _QUICK else 1
    tried = []
    for start in range(starts):
        each = _begun(rows, count, weight, seed + start, limits)
        _ALGORITHMS[algorithm](each, limits)
        tried.append(each)
    found = max(tried, key=lambda each: each.value)
    information = found.rows[found.taken].T @ found.rows[found.taken] / count
    if weight is None:
        return found.taken, float(np.linalg.det(information))
    return found.taken, -float(np.trace(np.linalg.solve(information, weight)))


def efficiencies(rows: Array, taken: list[int]) -> tuple[float, float]:
    """D and A efficiency in per cent, against an orthogonal design at the ends of all ranges."""
    information = rows[taken].T @ rows[taken] / len(taken)
    width = rows.shape[1]
    sign, size = np.linalg.slogdet(information)
    if sign <= 0:
        return 0.0, 0.0
    return 100 * float(np.exp(size / width)), 100 * width / float(np.trace(np.linalg.inv(information)))


def _begun(rows: Array, count: int, weight: Array | None, seed: int, limits: Limits) -> Design:
    """From one point that the seed draws, the best new one each; once time is up, those that are known least."""
    first = int(np.random.default_rng(seed).integers(len(rows)))
    made = Design(rows, [first], None)
    while len(made.taken) < count:
        if limits.passed and len(made.taken) > rows.shape[1]:
            known = np.argsort(-np.where(made.free, made.spread, -np.inf), kind="stable")
            made.taken += [int(each) for each in known[: count - len(made.taken)]]
            break
        if len(made.taken) == rows.shape[1]:
            made.weight = weight
            made.settle()
        made.add(made.best_new())
    made.weight = weight
    made.settle()
    return made


def _sequential(made: Design, limits: Limits) -> None:
    """As it was begun."""


def _simple(made: Design, limits: Limits) -> None:
    """The best new point comes, the worst goes, until they are the same."""
    for _ in range(limits.iterations):
        before, kept = made.value, list(made.taken)
        made.add(made.best_new())
        made.drop(made.worst_own())
        if limits.passed or made.value <= before + made.least_gain():
            if made.value < before:
                made.taken = kept
                made.settle()
            return


def _fedorov(made: Design, limits: Limits) -> None:
    """The best of all exchanges, again and again; of very many points each in turn."""
    places = list(range(len(made.taken)))
    if len(places) * len(made.rows) > _TABLE:
        return _modified(made, limits)
    for _ in range(limits.iterations):
        gains = made.swaps(places)
        place, candidate = np.unravel_index(int(np.argmax(gains)), gains.shape)
        if limits.passed or gains[place, candidate] <= made.least_gain():
            return
        made.swap(int(place), int(candidate))


def _modified(made: Design, limits: Limits) -> None:
    """Each point in turn gives way to the best candidate for it."""
    for _ in range(limits.iterations):
        better = False
        for place in range(len(made.taken)):
            gains = made.swaps([place])[0]
            candidate = int(np.argmax(gains))
            if gains[candidate] > made.least_gain():
                made.swap(place, candidate)
                better = True
            if limits.passed:
                return
        if not better:
            return


def _detmax(made: Design, limits: Limits) -> None:
    """Excursions: some points more, or fewer, than are wanted, and back."""
    size, width, far = len(made.taken), made.rows.shape[1], 1
    best, kept = made.value, list(made.taken)
    for turn in range(limits.iterations):
        reach = far if turn % 2 == 0 else -far
        steps = abs(reach)
        if reach > 0 and size + steps <= len(made.rows):
            for _ in range(steps):
                made.add(made.best_new())
            for _ in range(steps):
                made.drop(made.worst_own())
        elif reach < 0 and size - steps >= width:
            for _ in range(steps):
                made.drop(made.worst_own())
            for _ in range(steps):
                made.add(made.best_new())
        if made.value > best + made.least_gain():
            best, kept, far = made.value, list(made.taken), 1
        else:
            made.taken = list(kept)
            made.settle()
            far += turn % 2
        if far > _EXCURSION or limits.passed:
            return


_ALGORITHMS: dict[str, Callable[[Design, Limits], None]] = {
    "sequential": _sequential,
    "simple_exchange": _simple,
    "fedorov": _fedorov,
    "modified_fedorov": _modified,
    "detmax": _detmax,
}
