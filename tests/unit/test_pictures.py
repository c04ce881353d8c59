"""The pages' small charts: everything is drawn where it belongs, and nothing hostile gets through."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from services.web.pictures import HEIGHT, WIDTH, Series, picture, ticks


def circles(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([-\d.]+)" cy="([-\d.]+)"', text)]


def test_more_is_further_up_and_later_is_further_right() -> None:
    drawn = picture("t", [Series("s", [(1, 10.0), (2, 30.0), (3, 20.0)])], "x", "y")
    (one, two, three) = circles(drawn)
    assert one[0] < two[0] < three[0] and two[1] < three[1] < one[1]
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in (one, two, three))


def test_it_is_well_formed_and_words_stay_words() -> None:
    evil = '<script>"&'
    drawn = picture(evil, [Series(evil, [(0, 0.0), (1, 1.0)], "line", evil)], evil, evil)
    tree = ElementTree.fromstring(drawn)
    assert not any("script" in each.tag for each in tree.iter())
    assert sum(1 for each in tree.iter() if each.text == evil) == 3, "title and both axes"


def test_steps_hold_until_the_next() -> None:
    drawn = picture("t", [Series("s", [(0, 0.0), (1, 1.0), (2, 1.0)], "steps")], "x", "y")
    (path,) = re.findall(r'class="drawn one" d="([^"]+)"', drawn)
    assert re.fullmatch(r"M[\d.]+ [\d.]+(H[\d.]+V[\d.]+){2}", path)


def test_nothing_to_draw_is_nothing() -> None:
    assert picture("t", [Series("s", [])], "x", "y") == ""
    assert picture("t", [Series("s", [(1, math.nan), (2, math.inf)])], "x", "y") == ""


def test_one_point_and_equal_values_can_be_drawn() -> None:
    assert len(circles(picture("t", [Series("s", [(1, 0.0)])], "x", "y"))) == 1
    assert len(circles(picture("t", [Series("s", [(1, 5.0), (2, 5.0)])], "x", "y"))) == 2


def test_what_is_far_outside_stays_near_the_frame() -> None:
    drawn = picture("t", [Series("s", [(1, -1e6), (2, 1.0)])], "x", "y", within=(0.0, 2.0))
    assert all(-50 < y < HEIGHT + 50 for _, y in circles(drawn))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.0, 17.0), (1e-9, 2e-9), (-1e9, 1e9), (0.98, 1.0)])
def test_ticks_are_few_round_and_within(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 6 and found == sorted(found)
    assert low - 1e-9 * abs(low) <= found[0] and found[-1] <= high + 1e-9 * abs(high)
    step = found[1] - found[0]
    assert float(f"{step:.1e}") == pytest.approx(step)
