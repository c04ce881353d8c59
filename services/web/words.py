"""Values, points and stop rules in words, the same on every page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# Whole numbers of so many digits are shown as powers of ten.
_LONG = 10**16


def figure(value: Any) -> str:
    """A number as a person reads it; any other value as it is."""
    if isinstance(value, float) or (isinstance(value, int) and abs(value) >= _LONG):
        return f"{float(value):.5g}"
    return str(value)


def units(problem: Mapping[str, Any]) -> dict[str, str]:
    """The unit of each parameter and output that has one, of a problem as JSON."""
    named = [*(problem.get("parameters") or ()), *(problem.get("outputs") or ())]
    return {each["name"]: str(each["unit"]) for each in named if each.get("unit")}


def point(values: Mapping[str, Any], units: Mapping[str, str]) -> str:
    """`temperature 80 degC, solvent water`; what has no value is left out."""
    shown = {name: figure(value) for name, value in values.items() if value is not None}
    return ", ".join(
        f"{name} {text} {units[name]}" if name in units else f"{name} {text}" for name, text in shown.items()
    )


def stops(rules: Mapping[str, Any], problem: Mapping[str, Any]) -> str:
    """What ends a campaign, and whether one rule is enough; rules and problem as JSON. Nothing where no rule is set."""
    named = list(_rules(rules, problem))
    if len(named) > 1 and rules.get("when") == "all":
        return f"stops when all hold: {', '.join(named)}"
    if len(named) > 1:
        return f"stops at {', '.join(named[:-1])} or {named[-1]}"
    return f"stops at {named[0]}" if named else ""


def _rules(rules: Mapping[str, Any], problem: Mapping[str, Any]) -> Iterator[str]:
    for name, value in rules.items():
        if value is None or name == "when":
            continue
        if name == "hours":
            yield f"{figure(value)} hour{'s' if value != 1 else ''}"
        elif name == "target":
            yield f"target {_target(value, problem)}"
        elif name == "no_improvement":
            yield f"no improvement in {figure(value)} experiment{'s' if value != 1 else ''}"
        elif name == "gain":
            yield f"gain below {figure(value)}"
        elif name == "plateau":
            yield _plateau(value, problem)
        else:
            yield f"{name} {figure(value)}"


def _target(value: Any, problem: Mapping[str, Any]) -> str:
    """A score, or values of outputs, which one experiment must reach together."""
    if not isinstance(value, Mapping):
        return figure(value)
    text = point(value, units(problem))
    return f"({text})" if len(value) > 1 else text


def _plateau(rule: Mapping[str, Any], problem: Mapping[str, Any]) -> str:
    objectives = problem.get("objectives") or ()
    output = rule["output"] or (objectives[0]["output"] if objectives else "")
    of = f" of {output}" if output else ""
    count = rule["versions"]
    better = f"better by less than {100 * rule['tolerance']:.4g} %" if rule["tolerance"] else "no better"
    return f"plateau ({rule['metric']}{of} {better} over {count} model{'s' if count != 1 else ''})"
