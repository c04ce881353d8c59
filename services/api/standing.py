"""Where a result stands: does what it said count, was it corrected, was it withdrawn?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labqueue.states import Outcome, Verdict
from models.domain import records as r
from services.ports import Transaction

STANDS, CORRECTED, WITHDRAWN = "stands", "corrected", "withdrawn"

_USABLE = (Verdict.ACCEPTED, Verdict.REPLICATE)


@dataclass(frozen=True)
class Standing:
    """`word`: stands, corrected, withdrawn; None of what could never be used. `replaced`: the outputs and parameters
    of which this result's value counts no longer."""

    word: str | None
    replaced: tuple[str, ...] = ()


def standings(tx: Transaction, results: Sequence[r.Result]) -> dict[int, Standing]:
    """Of each of these by its seq. Two statements at most, however many they are."""
    words = tx.results.later(
        sorted({each.experiment_id for each in results if each.experiment_id is not None})
    )
    about: dict[int | None, list[r.Result]] = {}
    for word in words:
        about.setdefault(word.experiment_id, []).append(word)
    mine = [each.seq for each in results if each.experiment_id in about]
    gone: dict[int, set[str]] = {}
    for reading in tx.results.retired(mine) if mine else ():
        gone.setdefault(reading.result_seq, set()).add(reading.output)
    return {
        each.seq: _standing(each, about.get(each.experiment_id, ()), gone.get(each.seq, set()))
        for each in results
    }


def _standing(each: r.Result, words: Sequence[r.Result], gone: set[str]) -> Standing:
    """`words`: every amendment and withdrawal of its experiment. `gone`: outputs whose value it had set."""
    mine = [word for word in words if word.amends == each.id]
    usable = each.verdict in _USABLE
    if any(word.kind == "withdraw" for word in mine):
        return Standing(WITHDRAWN, tuple(sorted(each.outputs)))
    if each.kind == "withdraw" or (usable and not words):
        return Standing(STANDS)
    if not usable:
        return Standing(CORRECTED if mine else None)
    # A replicate is replaced as a whole, and so is what said that nothing could be measured.
    whole = (each.verdict is Verdict.REPLICATE and bool(mine)) or (
        each.outcome is not Outcome.MEASURED and any(word.outputs for word in mine)
    )
    names = {*gone, *_really(each, words), *(each.outputs if whole else ())}
    return Standing(CORRECTED, tuple(sorted(names))) if names or whole else Standing(STANDS)


def _really(each: r.Result, words: Sequence[r.Result]) -> set[str]:
    """Parameters of which a later amendment that stands says something else: they are the experiment's, not only of
    the result that was amended."""
    withdrawn = {word.amends for word in words if word.kind == "withdraw"}
    return {
        name
        for word in words
        if word.kind == "amend" and word.seq > each.seq and word.id not in withdrawn
        for name, value in _named(word).items()
        if name not in each.actual or each.actual[name] != value
    }


def _named(amendment: r.Result) -> Mapping[str, Any]:
    """The parameters that it names itself: in `actual` stands also what it took over from the result before."""
    said = amendment.body
    return said[4] if isinstance(said, list) and len(said) == 5 else {}
