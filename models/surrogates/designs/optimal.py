"""D-optimal designs: the points from which the coefficients of a model are known best.

Exchange over candidates (Cook and Nachtsheim 1980), on a model of main effects, interactions and squares of which
the latter are taken to be small beforehand, so that any number of points makes a design (DuMouchel and Jones 1994).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.surrogates.encoding import Array

_ROUNDS = 20
#: How surely a term is taken to be small beforehand: main effects hardly, what is of second order clearly.
_MAIN, _SECOND = 1e-3, 1.0
#: Terms of second order are left out beyond so many columns: the model would be larger than the effort is worth.
_WIDEST = 16
_LEAST = 1e-9  # gain that is worth an exchange


def choose(rows: Array, groups: Sequence[slice], count: int, seed: int) -> list[int]:
    """Which `count` of the candidates (rows of the cube) to take, each at most once; all where there are no more.

    groups  the columns of each parameter: those of one category have no interaction among themselves
    """
    if len(rows) <= count:
        return list(range(len(rows)))
    terms, prior = _terms(rows, groups)
    taken = [int(each) for each in np.random.default_rng(seed).choice(len(rows), size=count, replace=False)]
    inverse, variance = _known(terms, taken, prior)
    for _ in range(_ROUNDS):
        better = False
        for place in range(count):
            between = terms @ (inverse @ terms[taken[place]])
            mine = variance[taken[place]]
            # Fedorov's gain: the determinant grows by this share when the point gives way to each candidate.
            gain = variance - mine - variance * mine + between**2
            gain[taken] = 0.0
            best = int(np.argmax(gain))
            if gain[best] > _LEAST:
                taken[place], better = best, True
                inverse, variance = _known(terms, taken, prior)
        if not better:
            break
    return taken


def _known(terms: Array, taken: Sequence[int], prior: Array) -> tuple[Array, Array]:
    """The inverse of the information in the points taken, and the variance that it leaves at every candidate."""
    inverse: Array = np.asarray(
        np.linalg.inv(terms[taken].T @ terms[taken] + np.diag(prior)), dtype=np.float64
    )
    return inverse, np.asarray(((terms @ inverse) * terms).sum(axis=1))


def _terms(rows: Array, groups: Sequence[slice]) -> tuple[Array, Array]:
    """The model's terms for each candidate, coded from -1 to 1, and how small each is taken to be."""
    coded = 2.0 * rows - 1.0
    kept = [range(each.start, each.stop) for each in groups]
    main = [coded[:, column] for columns in kept for column in columns]
    second = []
    if len(main) <= _WIDEST:
        for number, columns in enumerate(kept):
            if len(columns) == 1:
                second.append(coded[:, columns[0]] ** 2)
            for others in kept[number + 1 :]:
                second += [coded[:, one] * coded[:, other] for one in columns for other in others]
    second = [each - each.mean() for each in second if np.ptp(each) > 1e-9]
    terms = np.stack([np.ones(len(rows)), *main, *second], axis=1)
    return terms, np.array([1e-9] + [_MAIN] * len(main) + [_SECOND] * len(second))
