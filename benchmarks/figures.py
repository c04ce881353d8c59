"""What a benchmark says: figures, each beside what was asked of it and a baseline of the same minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number.

    `most` or `least`: what was asked of it, in `unit`; neither where it only informs. `baseline`: what it
    stands beside, in words, measured in the same minute.
    """

    name: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None
    baseline: str = ""

    @property
    def asked(self) -> str:
        """What was asked, for people; empty where nothing was."""
        if self.most is not None:
            return f"<= {number(self.most)}"
        return "" if self.least is None else f">= {number(self.least)}"

    @property
    def met(self) -> bool | None:
        """None where nothing was asked."""
        if self.most is not None:
            return self.value <= self.most
        return None if self.least is None else self.value >= self.least


def number(value: float) -> str:
    """Three significant digits, and every digit before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def table(groups: Sequence[tuple[str, Sequence[Figure]]]) -> str:
    """A table in Markdown, which a terminal shows well enough."""
    rows = [("benchmark", "figure", "measured", "asked", "", "baseline of the same minute")]
    for group, figures in groups:
        for each in figures:
            said = {True: "met", False: "missed", None: ""}[each.met]
            rows.append(
                (group, each.name, f"{number(each.value)} {each.unit}", each.asked, said, each.baseline)
            )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])
