"""Reads outputs and objectives from JSON, collecting every fault with its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labqueue.parse import LINE_LIMIT, Reader

from .outputs import (
    COMBINATIONS,
    DESIRABILITY,
    GOALS,
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

OBJECTIVE_LIMIT = 50
#: Beside the outputs, a model's expectations hold one of this name: what the objectives make of them all.
SCORE = "score"


def output(reader: Reader, body: Mapping[str, Any], place: str) -> Output:
    reader.only(body, ("name", "unit", "noise", "classes"), place)
    noise = None if body.get("noise") is None else reader.number(body, "noise", place)
    if noise is not None and noise < 0:
        reader.wrong(f"{place}.noise", "is a standard deviation and cannot be negative.", noise)
    classes: tuple[str, ...] = ()
    if body.get("classes"):
        classes = reader.distinct(reader.texts(body, "classes", place), "classes", place)
        if len(classes) < 2:
            reader.wrong(f"{place}.classes", "must name at least two labels.", list(classes))
        if noise is not None:
            reader.wrong(f"{place}.noise", "has no meaning for labels.", noise)
    name = reader.text(body, "name", place, limit=LINE_LIMIT)
    if name == SCORE:
        hint = "Call it by what is measured, such as taste_score."
        text = "is reserved: it is what the objectives make of all outputs."
        reader.wrong(f"{place}.name", text, name, hint=hint)
    return Output(
        name,
        reader.text(body, "unit", place, default="", limit=LINE_LIMIT),
        noise,
        classes,
    )


def check_labels(reader: Reader, outputs: Sequence[Output]) -> None:
    """Notes labels whose chances would stand under a name that is taken: `output=label`."""
    taken = {each.name for each in outputs}
    for each in outputs:
        for label in each.classes:
            name = f"{each.name}={label}"
            if name in taken:
                text = f"name {name!r}, under which the chance of {each.name} being {label} is told."
                reader.wrong("outputs", text, name, hint="Call one of them otherwise.")
            taken.add(name)


def objectives(
    reader: Reader, body: Mapping[str, Any], outputs: Sequence[Output]
) -> tuple[tuple[Objective, ...], str]:
    items = list(reader.objects(body, "objectives", "", OBJECTIVE_LIMIT))
    weighed = any(isinstance(item, Mapping) and "weight" in item for _, item in items)
    usual = PARETO if len(items) > 1 and not weighed else WEIGHTED
    combine = reader.choice(body, "combine", "problem", COMBINATIONS, default=usual)
    found = tuple(_objective(reader, item, place, outputs, combine) for place, item in items)
    goals = {each.goal == LEARN for each in found}
    if len(goals) > 1:
        reader.wrong("objectives", "mix learning with a goal; learn everything, or nothing.")
    if len(found) > 1 and combine == PARETO and len({each.output for each in found}) < len(found):
        reader.wrong("objectives", "name one output twice.")
    return found, combine


def _objective(
    reader: Reader, body: Mapping[str, Any], place: str, outputs: Sequence[Output], combine: str
) -> Objective:
    known = {each.name: each for each in outputs}
    output = reader.choice(body, "output", place, list(known))
    goal = reader.choice(body, "goal", place, GOALS, default=MAXIMIZE)
    if not goal:  # which fields belong to it cannot be said
        return Objective(output)
    if output in known and known[output].classes and goal != LEARN:
        reader.wrong(f"{place}.goal", "must be learn for an output that is told apart by labels.", goal)
    options = {MAXIMIZE: (), MINIMIZE: (), TARGET: ("target",), WINDOW: ("low", "high")}.get(goal, ())
    wanted: tuple[str, ...] = options
    if combine == DESIRABILITY and goal != LEARN:
        wanted = (*options, *(("tolerance",) if goal in (TARGET, WINDOW) else ("worst", "best")))
    reader.only(
        body,
        (
            "output",
            "goal",
            "weight",
            *wanted,
            *(("reference",) if combine == PARETO and goal != LEARN else ()),
        ),
        place,
    )
    faults = len(reader.errors)
    weight = reader.number(body, "weight", place, default=1.0)
    if len(reader.errors) == faults and weight <= 0:
        reader.wrong(f"{place}.weight", "must be positive; the goal gives the direction.", weight)
    faults = len(reader.errors)
    values = {name: reader.number(body, name, place) for name in wanted}
    reference = None if body.get("reference") is None else reader.number(body, "reference", place)
    if len(reader.errors) == faults:
        _check_options(reader, place, goal, values, reference)
    return Objective(output, goal, weight, reference=reference, **values)


def _check_options(
    reader: Reader, place: str, goal: str, values: Mapping[str, float], reference: float | None
) -> None:
    if "high" in values and not values["low"] < values["high"]:
        reader.wrong(f"{place}.high", f"must be greater than low ({values['low']:g}).", values["high"])
    if "tolerance" in values and values["tolerance"] <= 0:
        reader.wrong(f"{place}.tolerance", "must be positive.", values["tolerance"])
    if "best" in values:
        rises = values["best"] > values["worst"]
        if values["best"] == values["worst"] or rises != (goal == MAXIMIZE):
            side = "greater" if goal == MAXIMIZE else "less"
            reader.wrong(f"{place}.best", f"must be {side} than worst to {goal}.", values["best"])
    if goal in (TARGET, WINDOW) and reference is not None and reference < 0:
        reader.wrong(f"{place}.reference", "is a distance here and cannot be negative.", reference)


def outcome_constraint(
    reader: Reader, body: Mapping[str, Any], place: str, known: Sequence[str]
) -> OutcomeConstraint:
    reader.only(body, ("output", "operator", "bound"), place)
    return OutcomeConstraint(
        reader.choice(body, "output", place, known),
        reader.choice(body, "operator", place, ("<=", ">=")),
        reader.number(body, "bound", place),
    )


def check_together(
    reader: Reader, goals: Sequence[Objective], limits: Sequence[OutcomeConstraint], places: Sequence[str]
) -> None:
    """Notes outcome constraints that contradict each other, and goals that lie wholly outside of them.

    places  of the constraints, for their faults
    """
    for number, (mine, place) in enumerate(zip(limits, places)):
        for other in limits[:number]:
            if mine.output and mine.output == other.output and _apart(mine, other):
                reader.wrong(place, f"({mine}) contradicts another outcome constraint ({other}).", mine.bound)
    for number, goal in enumerate(goals):
        best = {TARGET: (goal.target, goal.target), WINDOW: (goal.low, goal.high)}.get(goal.goal)
        if best is None or best[0] is None or best[1] is None:
            continue
        for limit in limits:
            near = best[0] if limit.operator == "<=" else best[1]
            if limit.output == goal.output and not limit.holds({limit.output: near}):
                wanted = f"target {near:g}" if goal.goal == TARGET else f"window {best[0]:g} to {best[1]:g}"
                text = f"has its {wanted} where the outcome constraint {limit} does not hold."
                reader.wrong(f"objectives[{number}]", text, near)


def _apart(one: OutcomeConstraint, other: OutcomeConstraint) -> bool:
    """No value keeps both."""
    if one.operator == other.operator:
        return False
    low, high = (one, other) if one.operator == ">=" else (other, one)
    return low.bound > high.bound
