"""The one state machine: which moves an experiment may make, and why (`docs/states.md` draws it)."""

from __future__ import annotations

from labqueue.errors import ConflictError
from labqueue.states import State as S

#: from -> {to: what moves it}. A test holds this table and the diagram in the docs together.
MOVES: dict[S, dict[S, str]] = {
    S.PROPOSED: {
        S.STAGED: "approve",
        S.SUPERSEDED: "a better candidate, or left outside by an edit of the problem",
        S.CANCELLED: "reject or cancel",
        S.EXPIRED: "use-by date",
        S.COMPLETED: "result of a run elsewhere",
        S.PARTIAL: "result of a run elsewhere, some outputs outstanding",
        S.HELD: "result of a run elsewhere that cannot be used as it stands",
    },
    S.STAGED: {
        S.LEASED: "claim",
        S.SUPERSEDED: "a better candidate, or left outside by an edit of the problem",
        S.CANCELLED: "cancel",
        S.EXPIRED: "use-by date",
        S.COMPLETED: "late result",
        S.PARTIAL: "late result, some outputs outstanding",
        S.HELD: "late result that cannot be used as it stands",
    },
    S.LEASED: {
        S.COMPLETED: "result",
        S.PARTIAL: "result, some outputs outstanding",
        S.STAGED: "release, or lost and requeued",
        S.HELD: "lost, or a result that cannot be used as it stands",
        S.FAILED: "attempts used up",
        S.CANCELLED: "cancelled by its holder",
    },
    S.PARTIAL: {
        S.COMPLETED: "the outstanding outputs",
        S.CANCELLED: "cancel",
        S.HELD: "a result that cannot be used as it stands",
    },
    S.HELD: {
        S.LEASED: "its holder is back",
        S.STAGED: "run again",
        S.COMPLETED: "result",
        S.PARTIAL: "result, some outputs outstanding",
        S.FAILED: "give up",
        S.CANCELLED: "cancel",
    },
    S.FAILED: {
        S.STAGED: "replay",
        S.COMPLETED: "late result",
        S.PARTIAL: "late result, some outputs outstanding",
    },
    S.CANCELLED: {S.COMPLETED: "late result", S.PARTIAL: "late result, some outputs outstanding"},
    S.SUPERSEDED: {S.COMPLETED: "late result", S.PARTIAL: "late result, some outputs outstanding"},
    S.EXPIRED: {S.COMPLETED: "late result", S.PARTIAL: "late result, some outputs outstanding"},
    S.COMPLETED: {},
}

#: What nobody has claimed yet.
WAITING = (S.PROPOSED, S.STAGED)

#: What suggestions must know of: points whose outcome is still to come.
IN_FLIGHT = (S.PROPOSED, S.STAGED, S.LEASED, S.HELD, S.PARTIAL)

#: Where nothing more is expected of an experiment; a late result may still come.
ENDED = (S.COMPLETED, S.FAILED, S.CANCELLED, S.SUPERSEDED, S.EXPIRED)

#: What a campaign's budget counts: what ran, runs or waits to run.
SPENT = (S.PROPOSED, S.STAGED, S.LEASED, S.PARTIAL, S.COMPLETED)


def move(now: S, to: S) -> S:
    """`to`, if an experiment may go there from `now`; raises ConflictError that says what is possible."""
    if to in MOVES[now]:
        return to
    possible = ", ".join(f"{state} ({why})" for state, why in MOVES[now].items()) or "nothing; it has ended"
    raise ConflictError(f"An experiment that is {now} cannot become {to}. Possible: {possible}.")
