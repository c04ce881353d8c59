"""labqueue models: how good a campaign's models became, and whether what they expected came true."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .connect import Verbs, add_json, client
from .show import dump, moment, table

#: Of each output; the others are in --json.
METRICS = ("rmse", "r2", "coverage95", "accuracy", "nll")


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    one = verbs.add_parser(
        "models", parents=[common], help="how good a campaign's models are, and whether they were right"
    )
    one.add_argument("campaign")
    add_json(one)
    one.set_defaults(call=models)


def models(args: argparse.Namespace) -> int:
    server = client(args)
    found, came = server.models(args.campaign), server.calibration(args.campaign)
    if args.json:
        print(dump({"models": found, "calibration": came}))
        return 0
    if not found:
        print("There is no model yet: it needs a few results first.")
        return 0
    print("\n\n".join(_parts(found, came)))
    return 0


def _parts(found: Sequence[Mapping[str, Any]], came: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    names = {metric: None for each in found for metric in _metrics(each)}
    rows = [
        [
            each["version"],
            each["rows"],
            *(_metrics(each).get(name) for name in names),
            each["seconds"],
            moment(each["created_at"]),
        ]
        for each in found
    ]
    yield "Models\n" + table(["version", "results", *names, "seconds", "trained"], rows)
    if came:
        header = ("output", "n", "coverage50", "coverage95", "z_mean", "z_sd", "rmse")
        said = table(header, [[each[name] for name in header] for each in came])
        yield f"Expected against measured (honest: coverage 0.5 and 0.95, z 0 and 1)\n{said}"


def _metrics(model: Mapping[str, Any]) -> dict[str, Any]:
    """By `output metric`, as far as the model's learner says."""
    outputs = (model.get("metrics") or {}).get("outputs")
    if not isinstance(outputs, Mapping):
        return {}
    return {
        f"{output} {metric}": figures[metric]
        for output, figures in outputs.items()
        if isinstance(figures, Mapping)
        for metric in METRICS
        if figures.get(metric) is not None
    }
