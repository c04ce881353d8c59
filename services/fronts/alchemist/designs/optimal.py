"""Optimal designs: the runs from which the terms of a model are known best, inside the constraints."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.fronts.alchemist.learning.asking import session_of
from services.fronts.alchemist.refusals import NO_VARIABLES, VALUE, Refusal
from services.fronts.alchemist.sessions.session import Session
from services.ports import Ids, Store

from . import factors as those

#: Seconds that a search may take; what is best by then is taken.
SECONDS = 20.0

Json = dict[str, Any]


@dataclass(frozen=True)
class Wish:
    """model or effects  the terms
    runs, multiple     how many: a number, or a multiple of the terms' columns
    levels             of each number in the grid of candidates
    """

    model: str | None = None
    effects: Sequence[str] | None = None
    runs: int | None = None
    multiple: float | None = None
    criterion: str = "D"
    algorithm: str = "fedorov"
    levels: int = 5
    iterations: int = 200
    seed: int | None = None


def information(store: Store, session_id: str, wish: Wish) -> Json:
    """The terms and how many runs they need. Raises Refusal (404, 400)."""
    from . import terms  # numpy

    factors = those.factors(_session(store, session_id))
    chosen = terms.chosen(factors, wish.model, wish.effects)
    wide = terms.width(chosen, factors)
    return {
        "model_terms": [each.name for each in chosen],
        "p_columns": wide,
        "n_points_minimum": wide,
        "n_points_recommended": 2 * wide,
    }


def design(store: Store, ids: Ids, session_id: str, wish: Wish) -> Json:
    """Raises Refusal (404; 400 where there are too few runs or candidates, or where terms cannot be told apart)."""
    import numpy as np

    from . import exchange, terms
    from .candidates import candidates

    session = _session(store, session_id)
    factors = those.factors(session)
    chosen = terms.chosen(factors, wish.model, wish.effects)
    wide = terms.width(chosen, factors)
    runs = _runs(wish, wide)
    seed = ids.seed() if wish.seed is None else abs(wish.seed)
    found = candidates(factors, session.constraints, wish.levels, seed)
    if runs > len(found.points):
        raise Refusal(
            f"n_points ({runs}) exceeds the number of candidate points ({len(found.points)}). Reduce n_points or take "
            "more levels (n_levels).",
            VALUE,
        )
    rows = np.hstack(terms.columns(chosen, factors, found.points))
    rank = int(np.linalg.matrix_rank(rows))
    if rank < wide:
        raise Refusal(
            f"The model has {wide} columns, and the candidates can tell only {rank} apart: a square of a variable with "
            "two values, a term twice, or an equality constraint that ties variables to each other. Remove such terms "
            "from the effects.",
            VALUE,
        )
    limits = exchange.Limits(wish.iterations, time.monotonic() + SECONDS)
    taken, score = exchange.design(rows, runs, wish.criterion, wish.algorithm, seed, limits)
    d_share, a_share = exchange.efficiencies(rows, taken)
    points = [found.points[each] for each in taken]
    info = {
        "criterion": wish.criterion,
        "algorithm": wish.algorithm,
        "score": score,
        "D_eff": d_share,
        "A_eff": a_share,
        "p_columns": wide,
        "n_runs": len(points),
        "model_terms": [each.name for each in chosen],
    }
    feasibility = {
        "constraints_applied": [each.name for each in session.constraints],
        "n_candidates_total": found.total,
        "n_candidates_feasible": found.feasible,
        "n_boundary_added": found.boundary,
        "n_vertices_added": found.vertices,
        "vertex_enumeration_skipped": found.skipped,
        "n_points_dropped": None,
        "estimability": "not_applicable",
    }
    return {
        "points": points,
        "n_points": len(points),
        "design_info": info,
        "feasibility": feasibility if session.constraints else None,
    }


def _runs(wish: Wish, wide: int) -> int:
    if wish.runs is not None and wish.multiple is not None:
        raise Refusal("Specify either n_points or p_multiplier, not both.", VALUE)
    if wish.multiple is not None:
        return math.ceil(wish.multiple * wide - 1e-9)
    if wish.runs is None:
        raise Refusal("Specify either n_points (absolute) or p_multiplier (e.g. 2.0).", VALUE)
    if wish.runs < wide:
        raise Refusal(
            f"n_points={wish.runs} is fewer than the model's columns p={wide}, so its terms cannot be estimated. Use at "
            f"least {wide}; {2 * wide} are recommended.",
            VALUE,
        )
    return wish.runs


def _session(store: Store, session_id: str) -> Session:
    session = session_of(store, session_id)
    if not session.variables:
        raise Refusal("No variables defined. Add variables to search space first.", NO_VARIABLES)
    return session
