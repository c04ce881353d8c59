"""Units stand beside the values that people read; what programs read (JSON, CSV) has plain names and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .show import cell

Units = Mapping[str, str]


def units_of(campaign: Mapping[str, Any]) -> Units:
    """The unit of each parameter and output that has one."""
    problem = campaign.get("problem") or {}
    named = [*(problem.get("parameters") or ()), *(problem.get("outputs") or ())]
    return {each["name"]: str(each["unit"]) for each in named if each.get("unit")}


def amount(name: str, value: Any, units: Units) -> str:
    text = cell(value)
    return f"{text} {units[name]}" if text and name in units else text


def amounts(values: Any, units: Units) -> str:
    """`temperature 80 degC, solvent water`; of what names no values, as a refused result may, what there is."""
    if not isinstance(values, Mapping):
        return cell(values)
    shown = {name: amount(name, value, units) for name, value in values.items()}
    return ", ".join(f"{name} {text}" for name, text in shown.items() if text)


def titles(names: Iterable[str], units: Units) -> list[str]:
    """Headers of columns: `temperature (degC)`."""
    return [f"{name} ({units[name]})" if name in units else name for name in names]
