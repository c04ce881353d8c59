"""The plot of the demo: every experiment, the front that was found and the true one; how the front grew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

Point = tuple[float, float]  # sty, e_factor


def plot(
    measured: Sequence[Point],
    front: Sequence[Point],
    true: Sequence[Point],
    reference: Point,
    shares: Sequence[float],
    path: Path,
) -> None:
    """Writes a PNG. `shares`: of the true front's hypervolume, after each completed experiment."""
    # Imported here: the display is up long before a plot is needed.
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.plot(*zip(*true, strict=True), color="0.6", linestyle="--", label="true front")
    left.plot(*zip(*measured, strict=True), ".", color="C1", label="experiment")
    if front:
        left.plot(*zip(*sorted(front), strict=True), "o", color="C0", label="front found")
    left.plot(*reference, "x", color="0.4", label="reference")
    # Poor points reach waste of 1,000; what matters is near the front.
    least = min(waste for _, waste in true)
    left.set_ylim(least - 0.5, 1.5 * reference[1])
    left.set_xlabel("sty in kg m-3 h-1 (more is better)")
    left.set_ylabel("e_factor (less is better)")
    left.legend(loc="upper left")
    right.step(range(1, len(shares) + 1), [100 * each for each in shares], where="post", color="C0")
    right.axhline(100, color="0.6", linestyle="--")
    right.set_ylim(0, 105)
    right.set_xlabel("completed experiments")
    right.set_ylabel("% of the true front's hypervolume")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
