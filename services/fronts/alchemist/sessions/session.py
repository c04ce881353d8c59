"""A session as ALchemist has it: what a campaign does not say, kept in one document.

Times are ISO 8601 in UTC; fields are named as in its HTTP API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

REAL, INTEGER, CATEGORICAL, DISCRETE = "real", "integer", "categorical", "discrete"
#: What older files call an observed number.
CONTEXT = "context"
CONTROLLABLE, OBSERVED = "controllable", "observed"
OUTPUT = "Output"


@dataclass(frozen=True)
class Variable:
    """role     controllable: chosen; observed: measured with each experiment
    changes  easy, hard, very_hard: how costly it is to set, for split-plot designs"""

    name: str
    type: str
    min: float | None = None
    max: float | None = None
    categories: tuple[str, ...] = ()
    allowed_values: tuple[float, ...] = ()
    unit: str | None = None
    description: str | None = None
    role: str = CONTROLLABLE
    changes: str = "easy"


@dataclass(frozen=True)
class Constraint:
    """A weighted sum of variables; `type` inequality: at most `rhs`, equality: `rhs`."""

    name: str
    type: str
    coefficients: Mapping[str, float]
    rhs: float


@dataclass(frozen=True)
class Session:
    """id          of the session, which is the name of its campaign and of its queue
    targets     the outputs that it measures, the first of them the objective of its one-objective routes
    model       how the model was last asked to be trained: backend, kernel, ...
    last        of suggestions: `suggestion`, `value`, `goal`
    settings    random_state, verbose, auto_train, auto_train_threshold, and whatever a session file brought
    """

    id: str
    created_at: str
    name: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    author: str | None = None
    last_modified: str | None = None
    variables: tuple[Variable, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    targets: tuple[str, ...] = (OUTPUT,)
    objective_metadata: Mapping[str, Any] = field(default_factory=dict)
    control: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    last: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def variable(self, name: str) -> Variable | None:
        return next((each for each in self.variables if each.name == name), None)

    def ordered(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs in the order of the variables, as ALchemist gives them; the store keeps no order."""
        names = [each.name for each in self.variables if each.name in inputs]
        return {name: inputs[name] for name in [*names, *(name for name in inputs if name not in names)]}

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Session:
        """A document that `to_json` made."""
        return cls(
            **{
                **_known(cls, body),
                "tags": tuple(body["tags"]),
                "targets": tuple(body["targets"]),
                "variables": tuple(_variable(each) for each in body["variables"]),
                "constraints": tuple(Constraint(**each) for each in body["constraints"]),
            }
        )


def _variable(body: Mapping[str, Any]) -> Variable:
    lists = {name: tuple(body[name]) for name in ("categories", "allowed_values")}
    return Variable(**{**_known(Variable, body), **lists})


def _known(kind: type[Any], body: Mapping[str, Any]) -> dict[str, Any]:
    return {each.name: body[each.name] for each in fields(kind)}
