"""rows: what a learner elsewhere is told of the data: all of it, or what changed since it was told last.

Rows as of a revision never change, unless the problem is edited (which fills in parameters of old experiments) or the
database is one that was restored (whose next events get numbers that were used before). Both are seen by the mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

from labqueue.problem import Problem
from models.domain import records as r
from services.ports import Store, Transaction

from .shared import campaign_of, problem_of

_LONGEST = 18  # digits of a revision


@dataclass(frozen=True)
class Told:
    """Rows by experiment, as `problem` knows them.

    whole  all rows; else those that are new or changed since the mark that was given, and `gone`: the experiments
           that have no row any more
    mark   stands for the rows that who is told has now
    """

    problem: Problem
    rows: Sequence[r.TrainingRow]
    gone: Sequence[int]
    whole: bool
    mark: str


def tell(store: Store, campaign_name: str, revision: int, since: str = "") -> Told:
    """The rows as of a data revision (the newest where that is earlier). `since`: the mark of those that are known;
    whatever is not the mark of an earlier state of this very history is answered by all rows."""
    with store.begin() as tx:
        # Read before the rows: an edit in between then makes the mark an old one, and never a wrong one.
        campaign = campaign_of(tx, campaign_name)
        revision = min(revision, campaign.data_revision)
        mark = _mark(tx, campaign, revision)
        known = _revision(since)
        whole = known is None or known > revision or since != _mark(tx, campaign, known)
        if known is None or whole:
            rows, gone = tx.results.training(campaign.id, revision), list[int]()
        else:
            rows, gone = tx.results.changed(campaign.id, known, revision)
    return Told(problem_of(campaign), rows, gone, whole, mark)


def _mark(tx: Transaction, campaign: r.Campaign, revision: int) -> str:
    """The revision, the problem's version, and when the event with the revision's number happened: another history
    has another one."""
    found = tx.events.after(revision - 1, 1)
    at = found[0].at if found and found[0].number == revision else None
    when = "" if at is None else at.astimezone(UTC).strftime("%Y%m%dT%H%M%S%f")
    return f"{revision}.{campaign.problem_version}.{when}"


def _revision(mark: str) -> int | None:
    text = mark.partition(".")[0]
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= _LONGEST else None
