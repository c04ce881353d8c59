"""The convergence plot: each completed experiment, the best so far and the known optimum."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path


def plot(scores: Sequence[float], optimum: float, path: Path) -> None:
    """Writes a PNG."""
    # Imported here: the display is up long before a plot is needed.
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    numbers = range(1, len(scores) + 1)
    best = list(accumulate(scores, max))
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    axes.axhline(optimum, color="0.6", linestyle="--", label=f"known optimum {optimum:,.0f}")
    axes.step(numbers, best, where="post", color="C0", label="best so far")
    axes.plot(numbers, scores, ".", color="C1", label="experiment")
    # Poor points reach far below; what matters is near the top.
    axes.set_ylim(max(min(scores), optimum - 4 * abs(optimum)), optimum + 0.1 * abs(optimum))
    axes.set_xlabel("completed experiments")
    axes.set_ylabel("sty - 1000 x e_factor")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
