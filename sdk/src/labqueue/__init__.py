"""Labqueue for instrument computers and learners: the vocabulary, the client and the serve loops.

import labqueue

def measure(experiment):
    return {"yield": run(experiment.parameters["temperature"])}

labqueue.serve(measure, queue="flow-reactor", instrument="hplc-2")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .answers import Assignment, Claimed, Item, Judged, LeaseState, Probe, Renewed
    from .client import Client
    from .errors import (
        Cancelled,
        ChangedError,
        ConflictError,
        DeniedError,
        Failed,
        FieldError,
        Infeasible,
        InstrumentTakenError,
        InvalidError,
        KeyReusedError,
        LabqueueError,
        LeaseLostError,
        NotFoundError,
        Suspect,
        TooLargeError,
        UnavailableError,
    )
    from .experiment import Experiment
    from .journal import SpoolError
    from .learning import Taught, serve_learner
    from .measured import Artifact, Result
    from .problem import (
        Among,
        Categorical,
        Context,
        Continuous,
        Discrete,
        Excluded,
        Expression,
        Fixed,
        Integer,
        Linear,
        Mixture,
        Objective,
        OutcomeConstraint,
        Output,
        Pool,
        Problem,
        When,
        Within,
    )
    from .serving import serve
    from .session import Served
    from .spool import Spool
    from .states import LostLease, Outcome, State, Verdict
    from .strategy import Design, Plateau, Share, StopRules, Strategy

__version__ = "0.1.0"

#: Where each public name lives; a module is imported when its name is first used.
_HOMES = {
    "answers": "Assignment Claimed Item Judged LeaseState Probe Renewed",
    "client": "Client",
    "errors": "Cancelled ChangedError ConflictError DeniedError Failed FieldError Infeasible InstrumentTakenError "
    "InvalidError KeyReusedError LabqueueError LeaseLostError NotFoundError Suspect TooLargeError UnavailableError",
    "experiment": "Experiment",
    "journal": "SpoolError",
    "learning": "Taught serve_learner",
    "measured": "Artifact Result",
    "problem": "Among Categorical Context Continuous Discrete Excluded Expression Fixed Integer Linear Mixture Objective "
    "OutcomeConstraint Output Pool Problem When Within",
    "serving": "serve",
    "session": "Served",
    "spool": "Spool",
    "states": "LostLease Outcome State Verdict",
    "strategy": "Design Plateau Share StopRules Strategy",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Among",
    "Artifact",
    "Assignment",
    "Cancelled",
    "Categorical",
    "ChangedError",
    "Claimed",
    "Client",
    "ConflictError",
    "Context",
    "Continuous",
    "DeniedError",
    "Design",
    "Discrete",
    "Excluded",
    "Experiment",
    "Expression",
    "Failed",
    "FieldError",
    "Fixed",
    "Infeasible",
    "InstrumentTakenError",
    "Integer",
    "InvalidError",
    "Item",
    "Judged",
    "KeyReusedError",
    "LabqueueError",
    "LeaseLostError",
    "LeaseState",
    "Linear",
    "LostLease",
    "Mixture",
    "NotFoundError",
    "Objective",
    "Outcome",
    "OutcomeConstraint",
    "Output",
    "Plateau",
    "Pool",
    "Probe",
    "Problem",
    "Renewed",
    "Result",
    "Served",
    "Share",
    "Spool",
    "SpoolError",
    "State",
    "StopRules",
    "Strategy",
    "Suspect",
    "Taught",
    "TooLargeError",
    "UnavailableError",
    "Verdict",
    "When",
    "Within",
    "serve",
    "serve_learner",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'labqueue' has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
