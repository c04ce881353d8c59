"""Reads a problem's definition from JSON, collecting every fault with its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labqueue.parse import LINE_LIMIT, Reader

from .outputs import Output
from .parameters import Context, Fixed, Parameter
from .pool import ROW, Pool
from .reading_constraints import constraint
from .reading_outputs import check_labels, check_together, outcome_constraint, output
from .reading_outputs import objectives as read_objectives
from .reading_parameters import parameter

PARAMETER_LIMIT = 1000
OUTPUT_LIMIT = 200
CONSTRAINT_LIMIT = 200

_FIELDS = (
    "parameters",
    "outputs",
    "objectives",
    "constraints",
    "opaque",
    "combine",
    "outcome_constraints",
    "pool",
)


def read(reader: Reader, body: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `Problem`; faults are in `reader.errors`."""
    reader.only(body, _FIELDS, "problem")
    opaque = reader.flag(body, "opaque", "problem", False)
    parameters: list[Parameter] = []
    places: list[str] = []
    for place, item in reader.objects(body, "parameters", "", PARAMETER_LIMIT):
        each = parameter(reader, item, place, parameters)
        if each is not None:
            parameters.append(each)
            places.append(place)
    found = [(at, output(reader, item, at)) for at, item in reader.objects(body, "outputs", "", OUTPUT_LIMIT)]
    outputs = [each for _, each in found]
    pool = _pool(reader, body.get("pool"))
    _check_names(reader, list(zip(places, parameters)), found, pool)
    check_labels(reader, outputs)
    faults = len(reader.errors)
    objectives, combine = read_objectives(reader, body, outputs)
    numbers = [each.name for each in outputs if not each.classes]
    placed = list(reader.objects(body, "outcome_constraints", "", CONSTRAINT_LIMIT))
    limits = [outcome_constraint(reader, item, place, numbers) for place, item in placed]
    if len(reader.errors) == faults:
        check_together(reader, objectives, limits, [place for place, _ in placed])
    constraints = [
        each
        for place, item in reader.objects(body, "constraints", "", CONSTRAINT_LIMIT)
        for each in [constraint(reader, item, place, parameters)]
        if each is not None
    ]
    if pool is not None and (parameters or constraints or opaque):
        reader.wrong("pool", "takes the place of parameters and constraints: leave those out.")
    if not opaque and not parameters and pool is None and not reader.errors:
        reader.wrong("parameters", "must name at least one parameter (or give a pool, or set opaque).")
    if parameters and all(isinstance(each, (Fixed, Context)) for each in parameters) and not reader.errors:
        reader.wrong("parameters", "leave nothing to choose: all are fixed or context.")
    if not outputs and not reader.errors:
        reader.wrong("outputs", "must name at least one output.")
    return {
        "parameters": tuple(parameters),
        "outputs": tuple(outputs),
        "objectives": objectives,
        "constraints": tuple(constraints),
        "opaque": opaque,
        "combine": combine,
        "outcome_constraints": tuple(limits),
        "pool": pool,
    }


def _check_names(
    reader: Reader,
    parameters: Sequence[tuple[str, Parameter]],
    outputs: Sequence[tuple[str, Output]],
    pool: Pool | None,
) -> None:
    """Notes names that are given twice: in a table of the campaign each of them is a column.

    parameters, outputs  each with its place
    """
    for what, names in (
        ("parameters", [each.name for _, each in parameters]),
        ("outputs", [each.name for _, each in outputs]),
    ):
        for name in sorted({name for name in names if names.count(name) > 1}):
            reader.wrong(what, f"name {name!r} twice.", name)
    taken = {each.name: place for place, each in parameters}
    if pool is not None:
        taken.update(dict.fromkeys(pool.columns, f"a column of the pool {pool.name}"))
        taken[ROW] = "the ids of the pool's rows"
    for place, each in outputs:
        if each.name and each.name in taken:
            text = f"is the name of {taken[each.name]} as well: a table would have two columns of it."
            hint = f"Call what is measured otherwise, such as {each.name}_measured."
            if pool is not None and each.name in pool.columns:
                hint = f"Leave that column out of the pool if it holds what is to be measured. {hint}"
            reader.wrong(f"{place}.name", text, each.name, hint=hint)


def _pool(reader: Reader, body: Any) -> Pool | None:
    if body is None:
        return None
    given = {"name": body} if isinstance(body, str) else reader.object(body, "pool")
    reader.only(given, ("name", "sha256", "rows", "columns"), "pool")
    name = reader.text(given, "name", "pool", limit=LINE_LIMIT)
    if "sha256" not in given:
        return Pool(name)
    columns = tuple(reader.texts(given, "columns", "pool"))
    if ROW in columns:
        reader.wrong("pool.columns", "have one called row, which is the id's name.", ROW)
    return Pool(
        name,
        reader.text(given, "sha256", "pool", limit=64),
        reader.whole(given, "rows", "pool", low=1),
        columns,
    )
