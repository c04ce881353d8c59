"""Read-only listings: experiments and results a page at a time, counts by queue, results that were no use."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from models.domain import records as r

from .experiments import EXPERIMENT
from .results import ALONE, RESULT
from .session import Session

_EXPERIMENTS = (
    f"SELECT {EXPERIMENT.select('e')}, "
    "(SELECT coalesce(jsonb_object_agg(g.output, g.value), '{}') FROM readings g "
    "WHERE g.experiment_id = e.id AND g.current) FROM experiments e "
    "WHERE e.campaign_id = %(campaign)s AND e.id > %(after)s AND (%(state)s::text IS NULL OR e.state = %(state)s) "
    "ORDER BY e.id LIMIT %(limit)s"
)
_RESULTS = f"SELECT {RESULT.select('s')} FROM results s WHERE s.campaign_id = %s AND s.seq > %s ORDER BY s.seq LIMIT %s"
_OPEN = ("proposed", "staged", "leased", "held", "partial", "failed")
# The list is literal, as in the index that it is read from.
_DEPTHS = "SELECT queue, state, count(*) FROM experiments WHERE state IN ({}) GROUP BY queue, state ORDER BY queue, state".format(
    ", ".join(f"'{state}'" for state in _OPEN)
)
# One for which an experiment was held needs nobody when that is decided, any other one when somebody has seen it.
_UNUSABLE = (
    f"SELECT {RESULT.select('s')} FROM results s LEFT JOIN experiments e ON e.id = s.experiment_id "
    "WHERE s.verdict IN ('held', 'refused') AND s.dismissed_at IS NULL "
    f"AND (s.verdict = 'refused' OR e.state = 'held' OR ({ALONE})) "
    "ORDER BY s.seq DESC LIMIT %s"
)


class Views:
    """Each call is a transaction of its own."""

    def __init__(self, session: Callable[[], AbstractContextManager[Session]]) -> None:
        self._session = session

    def experiments(
        self, campaign_id: int, state: str | None, after: int, limit: int
    ) -> list[tuple[r.Experiment, dict[str, float]]]:
        """By id, from the one after `after`; each with its current outputs."""
        given = {"campaign": campaign_id, "state": state, "after": after, "limit": limit}
        with self._session() as session:
            rows = session.rows(_EXPERIMENTS, given)
        return [(EXPERIMENT.load(row[:-1]), row[-1]) for row in rows]

    def results(self, campaign_id: int, after: int, limit: int) -> list[r.Result]:
        """By seq, from the one after `after`."""
        with self._session() as session:
            return session.all_of(RESULT, _RESULTS, [campaign_id, after, limit])

    def depths(self) -> list[tuple[str, str, int]]:
        """(queue, state, how many) of experiments that have not ended, or may be replayed."""
        with self._session() as session:
            return [(queue, state, count) for queue, state, count in session.rows(_DEPTHS)]

    def unusable(self, limit: int = 100) -> list[r.Result]:
        """Results that were kept but could not be used: refused ones, those whose experiment is still held, and held
        ones that wait on their own account. The newest first."""
        with self._session() as session:
            return session.all_of(RESULT, _UNUSABLE, [limit])
