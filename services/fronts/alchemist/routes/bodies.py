"""Bodies of the routes that bring points and results, and how each of them is read."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Query
from pydantic import BaseModel, ConfigDict, Field

from services.api.body import BadJsonError
from services.fronts.alchemist.learning.training import Retraining
from services.fronts.alchemist.refusals import VALUE, Refusal
from services.fronts.alchemist.sessions.locking import token_of
from services.fronts.alchemist.sessions.opening import Act
from services.fronts.alchemist.visit import Visit

Model = TypeVar("Model", bound=BaseModel)

#: One number, or an object {target: number} where a session measures several targets.
Output = float | dict[str, float]
Inputs = dict[str, Any]
Key = Annotated[
    str, Header(alias="Idempotency-Key", max_length=200, description="the same request again is one effect")
]
LONGEST = 500


def _auto(
    auto_train: Annotated[
        bool, Query(description="train a model when the results are in, and wait for it")
    ] = False,
    training_backend: Annotated[
        str | None, Query(description="of that model, instead of the last one's")
    ] = None,
    training_kernel: Annotated[
        str | None, Query(description="of that model, instead of the last one's")
    ] = None,
) -> Retraining:
    return Retraining(auto_train, training_backend, training_kernel)


AutoTrain = Annotated[Retraining, Depends(_auto)]


class Lenient(BaseModel):
    """What is not known here is left alone."""

    model_config = ConfigDict(extra="ignore")


Reason = Annotated[str | None, Field(max_length=LONGEST)]


class NewPoint(Lenient):
    inputs: Inputs
    reason: Reason = None


class NewPoints(Lenient):
    experiments: list[Inputs]
    reason: Reason = None


class NewItems(Lenient):
    items: list[NewPoint]


class Outputs(Lenient):
    """In the order of the staged experiments; noises are variances."""

    outputs: list[Output]
    noises: list[Output] | None = None
    iteration: int | None = None
    reason: Reason = None


class ItemResult(Lenient):
    outputs: list[Output]
    noise: list[Output] | None = None
    iteration: int | None = None
    actual_inputs: Inputs | None = None
    expected_objective_label: dict[str, str] | None = None
    force: bool = False


class ItemFailure(Lenient):
    error: Annotated[str, Field(max_length=2000)]


class NewExperiment(Lenient):
    """Noise is a variance."""

    inputs: Inputs
    output: Output
    noise: Output | None = None
    iteration: int | None = None
    reason: Reason = None


class NewExperiments(Lenient):
    experiments: list[NewExperiment]


class Entry(NewExperiment):
    item_id: str | None = None


class Entries(Lenient):
    entries: Annotated[list[Entry], Field(min_length=1)]


class Assignment(Lenient):
    item_ids: Annotated[list[str], Field(min_length=1)]


def act_of(visit: Visit, session_id: str) -> Act:
    return Act(visit.store, visit.context.ids, session_id, visit.visitor, token_of(visit))


async def read_numbers(visit: Visit, kind: type[Model], *, of_item: bool = False) -> Model:
    """The body. Numbers that are none are a wrong value (400), of an item a conflict (409), as in ALchemist."""
    try:
        return await visit.read(kind)
    except Refusal as error:
        cause = error.__cause__
        if isinstance(cause, BadJsonError) and cause.errors:
            text = f"Output value must be finite: {cause.errors[0].field} is {cause.errors[0].value}"
            raise (Refusal(text, status=409) if of_item else Refusal(text, VALUE)) from error
        raise
