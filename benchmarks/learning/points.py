"""The first points of every campaign, written by our side and read by all. Reading needs the standard library alone.

They are Labqueue's own Sobol design, decoded to lab units: one list for each problem and seed.
"""

from __future__ import annotations

import json
from pathlib import Path

from .vocabulary import Point

FILE = Path(__file__).with_name("first_points.json")
SEEDS = 20


def first(problem: str, seed: int) -> list[Point]:
    """The points that a campaign begins with. Raises KeyError where the file has none for them."""
    found: list[Point] = json.loads(FILE.read_text(encoding="utf-8"))[problem][str(seed)]
    return found
