"""Small pictures as SVG, drawn here: no script, no library, and every word in them is escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 520, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 12, 12, 44

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """Points of one kind. kind: dots, line, or steps (a value holds until the next)."""

    name: str
    points: Sequence[Point]
    kind: str = "dots"
    style: str = "one"  # a class of the style sheet


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, -0.05), 1.05) * (self.end - self.start)


def picture(
    title: str, series: Sequence[Series], across: str, up: str, within: Point | None = None
) -> Markup:
    """A chart of all series with both axes; nothing where no series has a point. `within`: what the upward axis
    shows, for data with a few values far away."""
    points = [each for one in series for each in one.points if all(map(math.isfinite, each))]
    if not points:
        return Markup("")
    x = _Scale(*_range([each[0] for each in points]), _LEFT, WIDTH - _RIGHT)
    y = _Scale(*(within or _range([each[1] for each in points])), HEIGHT - _BOTTOM, _TOP)
    parts = [_axes(x, y, across, up)]
    parts += [_draw(each, x, y) for each in series if each.points]
    legend = ", ".join(f"{each.name}: {_MARK[each.kind]}" for each in series if each.points)
    return Markup(
        '<figure><svg viewBox="0 0 {w} {h}" role="img" class="picture"><title>{title}</title>{body}</svg>'
        "<figcaption>{title} ({legend})</figcaption></figure>"
    ).format(w=WIDTH, h=HEIGHT, title=title, body=Markup("").join(parts), legend=legend)


_MARK = {"dots": "dots", "line": "line", "steps": "stepped line"}


def ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers within a range."""
    step = 10 ** math.floor(math.log10((high - low) or 1.0))
    for factor in (0.2, 0.5, 1.0, 2.0, 5.0):
        size = factor * step
        first = math.ceil(low / size)
        if math.floor(high / size) - first + 1 <= 6:
            return [number * size for number in range(first, math.floor(high / size) + 1)]
    return [low, high]


def _range(values: Sequence[float]) -> Point:
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or abs(high) * 0.1 or 1.0
    return low - room, high + room


def _axes(x: _Scale, y: _Scale, across: str, up: str) -> Markup:
    parts = [
        Markup('<path class="axis" d="M{} {}V{}H{}"/>').format(_LEFT, _TOP, HEIGHT - _BOTTOM, WIDTH - _RIGHT)
    ]
    for value in ticks(x.low, x.high):
        parts.append(_text(x.at(value), HEIGHT - _BOTTOM + 16, f"{value:.5g}", "middle"))
    for value in ticks(y.low, y.high):
        parts.append(_text(_LEFT - 6, y.at(value) + 4, f"{value:.5g}", "end"))
        parts.append(
            Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(_LEFT, y.at(value), WIDTH - _RIGHT)
        )
    parts.append(_text((_LEFT + WIDTH) / 2, HEIGHT - 8, across, "middle"))
    parts.append(
        Markup(
            '<text class="label" text-anchor="middle" transform="translate(14 {}) rotate(-90)">{}</text>'
        ).format((HEIGHT - _BOTTOM + _TOP) / 2, up)
    )
    return Markup("").join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text class="label" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, anchor, text
    )


def _draw(series: Series, x: _Scale, y: _Scale) -> Markup:
    placed = [(x.at(each[0]), y.at(each[1])) for each in series.points if all(map(math.isfinite, each))]
    if series.kind == "dots":
        dots = [Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3.5"/>').format(*each) for each in placed]
        return Markup('<g class="{}">{}</g>').format(series.style, Markup("").join(dots))
    path = f"M{placed[0][0]:.1f} {placed[0][1]:.1f}"
    for across, up in placed[1:]:
        path += f"H{across:.1f}V{up:.1f}" if series.kind == "steps" else f"L{across:.1f} {up:.1f}"
    return Markup('<path class="drawn {}" d="{}"/>').format(series.style, escape(path))
