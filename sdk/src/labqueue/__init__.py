"""Labqueue for instrument computers: the vocabulary, the client and the serve loop.

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
    from .measured import Artifact, Result
    from .problem import Categorical, Continuous, Discrete, Integer, Linear, Objective, Output, Problem
    from .serving import serve
    from .session import Served
    from .spool import Spool
    from .states import LostLease, Outcome, State, Verdict
    from .strategy import StopRules, Strategy

__version__ = "0.1.0"

#: Where each public name lives; a module is imported when its name is first used.
_HOMES = {
    "answers": "Assignment Claimed Item Judged LeaseState Probe Renewed",
    "client": "Client",
    "errors": "Cancelled ConflictError DeniedError Failed FieldError Infeasible InstrumentTakenError InvalidError "
    "KeyReusedError LabqueueError LeaseLostError NotFoundError Suspect TooLargeError UnavailableError",
    "experiment": "Experiment",
    "journal": "SpoolError",
    "measured": "Artifact Result",
    "problem": "Categorical Continuous Discrete Integer Linear Objective Output Problem",
    "serving": "serve",
    "session": "Served",
    "spool": "Spool",
    "states": "LostLease Outcome State Verdict",
    "strategy": "StopRules Strategy",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Artifact",
    "Assignment",
    "Cancelled",
    "Categorical",
    "Claimed",
    "Client",
    "ConflictError",
    "Continuous",
    "DeniedError",
    "Discrete",
    "Experiment",
    "Failed",
    "FieldError",
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
    "NotFoundError",
    "Objective",
    "Outcome",
    "Output",
    "Probe",
    "Problem",
    "Renewed",
    "Result",
    "Served",
    "Spool",
    "SpoolError",
    "State",
    "StopRules",
    "Strategy",
    "Suspect",
    "TooLargeError",
    "UnavailableError",
    "Verdict",
    "serve",
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
