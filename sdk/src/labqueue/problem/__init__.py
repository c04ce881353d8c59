"""A problem: what may vary and what is measured. The one definition behind Python, JSON and YAML."""

from __future__ import annotations

from .constraints import TOLERANCE, Among, Constraint, Excluded, Expression, Linear, Mixture, Within
from .definition import Problem
from .numbers import did_you_mean, listed
from .outputs import (
    DESIRABILITY,
    LEARN,
    MAXIMIZE,
    MINIMIZE,
    PARETO,
    TARGET,
    WEIGHTED,
    WINDOW,
    Objective,
    OutcomeConstraint,
    Output,
)
from .parameters import (
    Categorical,
    Context,
    Continuous,
    Discrete,
    Fixed,
    Integer,
    Numeric,
    Parameter,
    Value,
    When,
)
from .pool import ROW, Pool

__all__ = [
    "DESIRABILITY",
    "LEARN",
    "MAXIMIZE",
    "MINIMIZE",
    "PARETO",
    "ROW",
    "TARGET",
    "TOLERANCE",
    "WEIGHTED",
    "WINDOW",
    "Among",
    "Categorical",
    "Constraint",
    "Context",
    "Continuous",
    "Discrete",
    "Excluded",
    "Expression",
    "Fixed",
    "Integer",
    "Linear",
    "Mixture",
    "Numeric",
    "Objective",
    "OutcomeConstraint",
    "Output",
    "Parameter",
    "Pool",
    "Problem",
    "Value",
    "When",
    "Within",
    "did_you_mean",
    "listed",
]
