"""The words for where an experiment stands and how a run ended: one spelling everywhere."""

from __future__ import annotations

from enum import Enum


class State(str, Enum):
    """Where an experiment stands (`docs/states.md` draws the moves)."""

    PROPOSED = "proposed"  # awaits approval
    STAGED = "staged"  # may be claimed
    LEASED = "leased"  # an adapter holds it
    PARTIAL = "partial"  # some outputs are in, the rest is outstanding
    HELD = "held"  # a person decides
    COMPLETED = "completed"  # every output is in, or the conditions are infeasible or suspect
    FAILED = "failed"  # given up after its attempts; can be replayed
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"  # a better candidate took its place unclaimed
    EXPIRED = "expired"  # its use-by date passed unclaimed

    def __str__(self) -> str:
        return self.value


class Outcome(str, Enum):
    """What a result says about the conditions."""

    MEASURED = "measured"
    INFEASIBLE = "infeasible"  # teaches the model
    SUSPECT = "suspect"  # kept, not trained on

    def __str__(self) -> str:
        return self.value


class Verdict(str, Enum):
    """What became of a result that was sent."""

    ACCEPTED = "accepted"  # it holds the current value of at least one output
    REPLICATE = "replicate"  # every output had a current value already; kept beside it
    DUPLICATE = "duplicate"  # this very result was recorded before
    HELD = "held"  # kept raw; the experiment waits for a person
    REFUSED = "refused"  # its id was used before with another body; kept all the same

    def __str__(self) -> str:
        return self.value


class LostLease(str, Enum):
    """What a queue does when a holder that had started falls silent."""

    HOLD = "hold"  # a person decides; the instrument claims nothing until cleared
    REQUEUE = "requeue"  # the experiment goes back to its place
    PROBE = "probe"  # the adapter of that name is asked

    def __str__(self) -> str:
        return self.value
