"""A classifier learns the two moons from few labels: chosen by uncertainty, at random, and by a mixture of both.

make up                                    # or any other Labqueue; LABQUEUE_URL says where
python examples/moons/run.py --steps 8     # prints a learning curve for each, and plots them where matplotlib is
"""

from __future__ import annotations

import argparse
from pathlib import Path
from queue import Queue
from typing import Any

import torch
from labqueue_physicsnemo import Driver, DriverConfig, OptimizerConfig, StrategiesConfig, TrainingConfig
from moons import pools
from strategies import F1, Random, Reveal, Uncertainty
from torch import nn

CHOICES = ("uncertainty", "random", "mixed")


class Classifier(nn.Module):
    """Points (n, 2) to logits (n,)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 16), nn.GELU(), nn.Linear(16, 1))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(points).squeeze(-1)
        return logits


def training_step(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(model(batch["x"]), batch["y"])


def queries(choice: str, samples: int) -> list[Any]:
    """mixed: 60 % uncertain, 40 % random."""
    if choice == "mixed":
        uncertain = round(0.6 * samples)
        return [Uncertainty(uncertain), Random(samples - uncertain)]
    return [Uncertainty(samples) if choice == "uncertainty" else Random(samples)]


def driver_for(
    choice: str, run_id: str, folder: Path, *, steps: int, samples: int = 10, seed: int = 1, seconds: float = 0.0,
    adapters: bool = False, epochs: int = 30, **more: Any,
) -> Driver:  # fmt: skip
    """A driver that has not begun, or goes on. adapters: other processes label, this one does not."""
    torch.manual_seed(seed)
    train, validation, unlabeled = pools(seed)
    label = None if adapters else Reveal(seed, seconds)
    return Driver(
        DriverConfig(
            batch_size=16, max_active_learning_steps=steps, run_id=run_id, root_log_dir=folder, fine_tuning_lr=0.01, **more
        ),
        Classifier(),
        StrategiesConfig(queries(choice, samples), Queue, label, [F1()], unlabeled),
        TrainingConfig(
            train, epochs, validation, OptimizerConfig(optimizer_kwargs={"lr": 0.02}), max_fine_tuning_epochs=epochs
        ),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--samples", type=int, default=10, help="chosen at each step")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--choices", nargs="+", choices=CHOICES, default=CHOICES)
    parser.add_argument("--run", default="moons", help="the same name again goes on where it ended")
    parser.add_argument("--folder", type=Path, default=Path("active_learning_logs"))
    parser.add_argument("--adapters", action="store_true", help="label processes label, not this one")
    given = parser.parse_args()
    curves = {}
    for choice in given.choices:
        driver = driver_for(
            choice, f"{given.run}-{choice}", given.folder, steps=given.steps, samples=given.samples, seed=given.seed,
            adapters=given.adapters,
        )  # fmt: skip
        driver(train_step_fn=training_step)
        [strategy] = driver.metrology_strategies or []
        curves[choice] = [(each["num_train_samples"], each["f1"]) for each in strategy.records]
        print(f"{choice:12}", " ".join(f"{labels}:{f1:.3f}" for labels, f1 in curves[choice]))
    plot(curves, given.folder / f"{given.run}.png")


def plot(curves: dict[str, list[tuple[int, float]]], path: Path) -> None:
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    for name, points in curves.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=name)
    axes.set_xlabel("labelled points")
    axes.set_ylabel("F1")
    axes.legend()
    figure.savefig(path)
    print(f"The learning curves are in {path}.")


if __name__ == "__main__":
    main()
