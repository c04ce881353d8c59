"""What may change in the problem of a running campaign: what was measured must stay what it was.

Names and units stay, and so does everything that experiments hold: a category or a label that was used, an output
that was measured, a parameter that was set. Everything else may change: bounds, steps, constraints, goals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labqueue.errors import FieldError
from labqueue.problem import Categorical, Context, Fixed, Output, Parameter, Problem, Value

Point = Mapping[str, Any]


@dataclass(frozen=True)
class Used:
    """What a campaign's experiments hold.

    points    the planned parameters of every experiment
    reported  the actual parameters of every result that named some
    measured  outputs that have, or had, a value
    """

    points: Sequence[Point] = ()
    reported: Sequence[Point] = ()
    measured: frozenset[str] = frozenset()

    def values(self, name: str) -> set[Any]:
        return {point[name] for point in (*self.points, *self.reported) if name in point}


def needed_of(versions: Sequence[Problem]) -> tuple[str, ...]:
    """The outputs that an experiment must bring: those of the problem that it was staged under (the first of
    `versions`) which every later version measures, too. One that went and came back is a new one."""
    first, *later = versions
    return tuple(name for name in first.output_names if all(name in each.output_names for each in later))


def introduced(old: Problem, new: Problem) -> dict[str, Value]:
    """What new fixed parameters have been all along: every experiment so far had this value."""
    known = set(old.names)
    return {
        each.name: each.value
        for each in new.parameters
        if isinstance(each, Fixed) and each.when is None and each.name not in known
    }


def looks_back(old: Problem, new: Problem) -> bool:
    """Must this edit be held against what experiments hold? Bounds, constraints and goals need not."""
    return _shape(old) != _shape(new)


def check_edit(old: Problem, new: Problem, used: Used) -> list[FieldError]:
    """Everything that forbids this edit. Fields are those of the new problem (`parameters[2].unit`)."""
    if old.opaque != new.opaque:
        return [FieldError("opaque", "cannot change while the campaign runs: create another one.")]
    if old.pool != new.pool:
        return [FieldError("pool", "cannot change while the campaign runs: create another one.")]
    return [
        *_parameters(old, new, used),
        *_outputs(old, new, used.measured),
    ]


def _shape(problem: Problem) -> list[Any]:
    """Of what experiments hold values."""
    parameters = [
        (each.name, each.unit, each.kind, each.when, getattr(each, "categories", ()), _fixed(each))
        for each in problem.parameters
    ]
    outputs = [(each.name, each.unit, each.classes) for each in problem.outputs]
    return [problem.opaque, problem.pool, parameters, outputs]


def _fixed(parameter: Parameter) -> Value | None:
    return parameter.value if isinstance(parameter, Fixed) else None


# -- parameters


def _parameters(old: Problem, new: Problem, used: Used) -> Iterator[FieldError]:
    before = {each.name: each for each in old.parameters}
    added = [each for each in new.parameters if each.name not in before]
    for each in old.parameters:
        if each.name not in new.names:
            yield _left_out("parameters", each, added, _retire(each))
    lacking = _lacking(new, used.points)
    for place, each in enumerate(new.parameters):
        field = f"parameters[{place}]"
        if each.name in before:
            yield from _changed(before[each.name], each, field, used)
        if lacking[each.name]:
            yield FieldError(
                f"{field}.name",
                f"is {each.name}, of which {_experiments(lacking[each.name])} so far have no value.",
                each.name,
                hint="Add it as fixed, at the value that it had all along; a later edit can open it.",
            )


def _lacking(new: Problem, points: Sequence[Point]) -> Counter[str]:
    """How many experiments have no value of a parameter that would be active there."""
    return Counter(
        each.name
        for point in points
        for each in new.active(point)
        if not isinstance(each, Fixed) and each.name not in point
    )


def _changed(old: Parameter, new: Parameter, field: str, used: Used) -> Iterator[FieldError]:
    if old.unit and new.unit != old.unit:
        yield _unit(old.name, old.unit, new.unit, field)
    if isinstance(old, Context) != isinstance(new, Context):
        text = "cannot turn what is chosen into what is only measured, nor the other way round."
        yield FieldError(f"{field}.kind", text, new.kind)
    elif _names(old) != _names(new):
        text = f"cannot change: experiments hold {'names' if _names(old) else 'numbers'} of {old.name}."
        yield FieldError(f"{field}.kind", text, new.kind)
    elif isinstance(new, Fixed):
        others = used.values(new.name) - {new.value}
        if others:
            text = f"is not what {new.name} was in every experiment so far: they would be taken for it."
            yield FieldError(f"{field}.value", text, new.value, hint=_retire(old))
    elif isinstance(new, (Categorical, Context)) and new.categories:
        for gone in sorted(used.values(new.name) - set(new.categories)):
            hint = f"Keep it, and name it as unavailable: experiments with it go on teaching {new.name}."
            yield FieldError(f"{field}.categories", f"leave out {gone}, which was used.", gone, hint=hint)


def _names(parameter: Parameter) -> bool:
    """Are its values names rather than numbers?"""
    return isinstance(_fixed(parameter), str) or bool(getattr(parameter, "categories", ()))


def _retire(parameter: Parameter) -> str:
    if isinstance(parameter, Context):
        return "Keep it: it need not be reported."
    if _names(parameter):
        return "Keep it as categorical, and name all but one category as unavailable."
    return 'Keep it, as {"kind": "discrete", "values": [...]} with the one value that is left.'


# -- outputs


def _outputs(old: Problem, new: Problem, measured: frozenset[str]) -> Iterator[FieldError]:
    before = {each.name: each for each in old.outputs}
    added = [each for each in new.outputs if each.name not in before]
    for each in old.outputs:
        if each.name not in new.output_names and each.name in measured:
            yield _left_out("outputs", each, added, "Keep it; an objective need not name it.")
    for place, now in enumerate(new.outputs):
        then = before.get(now.name)
        if then is None:
            continue
        field = f"outputs[{place}]"
        if then.unit and now.unit != then.unit:
            yield _unit(now.name, then.unit, now.unit, field)
        if bool(then.classes) != bool(now.classes) and now.name in measured:
            held = "labels" if then.classes else "numbers"
            yield FieldError(f"{field}.classes", f"cannot change: results hold {held}.", list(now.classes))
        elif now.classes[: len(then.classes)] != then.classes:
            text = "must begin with the labels so far, in their order; new ones are appended."
            yield FieldError(f"{field}.classes", text, list(now.classes), list(then.classes))


def _left_out(
    field: str, gone: Parameter | Output, added: Sequence[Parameter | Output], hint: str
) -> FieldError:
    for each in added:
        if replace(each, name=gone.name) == gone:
            hint = f"If {each.name} is its new name: names stay, since results and adapters know them."
            break
    return FieldError(
        field, f"leave out {gone.name}, of which experiments have values.", gone.name, hint=hint
    )


def _unit(name: str, old: str, new: str, field: str) -> FieldError:
    text = f"cannot change from {old}: numbers are never converted, and those so far are in {old}."
    return FieldError(f"{field}.unit", text, new, old, f"Give {name} in {old}.")


def _experiments(count: int) -> str:
    return "1 experiment" if count == 1 else f"{count} experiments"
