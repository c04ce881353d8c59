"""What Labqueue remembers, as frozen values. Change returns a new value (`dataclasses.replace`).

One class per table that the flow works with; `models.tables` says what each column guarantees. Times are the
database's. `id` is 0 until the store has given one.
"""

from __future__ import annotations

from .beside import Artifact, Document, Event, File, Pool, Published, Token, Webhook
from .learning import Finding, Inquiry, Job, Model, Reading, Result, Seat, Suggestion, TrainingRow
from .work import (
    Attempt,
    Campaign,
    Claim,
    Experiment,
    Instrument,
    Json,
    Queue,
    Renewal,
    Serving,
    StagedBatch,
    Version,
)

__all__ = [
    "Artifact",
    "Attempt",
    "Campaign",
    "Claim",
    "Document",
    "Event",
    "Experiment",
    "File",
    "Finding",
    "Inquiry",
    "Instrument",
    "Job",
    "Json",
    "Model",
    "Pool",
    "Published",
    "Queue",
    "Reading",
    "Renewal",
    "Result",
    "Seat",
    "Serving",
    "StagedBatch",
    "Suggestion",
    "Token",
    "TrainingRow",
    "Version",
    "Webhook",
]
