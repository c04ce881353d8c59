"""One program's campaign on the server: made when it is first needed, and what the server holds of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labqueue.client import Client
from labqueue.errors import KeyReusedError, NotFoundError

from .files import cells_of
from .scope import Scope, Value

#: Between two calls of a program nobody is there to say that it lives: a lease lasts a week from the last call, and
#: what is lost after that is run again. A condition that failed is handed out once more, then given up, visibly.
POLICY = {"lease_seconds": 7 * 86400, "on_lost": "requeue", "max_attempts": 2, "people": True}
#: How long a request waits for a server that is away, in seconds: at the first contact, and once it was there.
FIRST, LATER = 20.0, 600.0
#: What stands before a row as its program gave it, in the comment of its result.
AS_GIVEN = "as given: "
TRAINING, SUGGESTION = "AMLRO training set", "AMLRO suggestion"
BATCH, OPEN = 500, ("proposed", "staged", "leased", "held", "partial")


@dataclass(frozen=True)
class Experiment:
    """A condition of the campaign and how it stands. `planned`: as the grid has it."""

    id: int
    code: str
    state: str
    reason: str
    planned: tuple[Value, ...]


@dataclass(frozen=True)
class Row:
    """A measured condition. `cells`: features, then objectives, as they were given; `actual`, `outputs`: their values."""

    experiment: int
    cells: tuple[str, ...]
    actual: tuple[Value, ...]
    outputs: tuple[float, ...]


@dataclass(frozen=True)
class Held:
    """What the server holds at one moment; `rows` in the order in which they were accepted."""

    experiments: tuple[Experiment, ...]
    rows: tuple[Row, ...]
    by_plan: dict[tuple[Value, ...], Experiment] = field(compare=False, repr=False)


@dataclass(frozen=True)
class Campaign:
    """The campaign `name`, which has a queue of the same name."""

    client: Client
    name: str
    scope: Scope

    def look(self) -> Held:
        """Everything that was staged and measured."""
        raw = list(self.client.experiments(self.name))
        found = tuple(
            Experiment(
                each["id"], each["code"], each["state"], each["reason"], self._point(each["parameters"])
            )
            for each in raw
        )
        by_id = {each["id"]: each for each in raw}
        rows: dict[int, Row] = {}
        for result in self.client.results(self.name):
            experiment = by_id.get(result["experiment"])
            if result["verdict"] != "accepted" or result["outcome"] != "measured" or experiment is None:
                continue
            known = all(each in experiment["outputs"] for each in self.scope.objectives)
            if known and experiment["outcome"] == "measured" and experiment["id"] not in rows:
                rows[experiment["id"]] = self._row(experiment, result)
        # Where a condition is there several times, the one that still is to be measured stands for it last.
        by_plan = {each.planned: each for each in sorted(found, key=lambda one: (one.state in OPEN, -one.id))}
        return Held(found, tuple(rows.values()), by_plan)

    def stage(self, conditions: Sequence[Sequence[Value]], reasons: Sequence[str], key: str) -> list[int]:
        """The experiments of these conditions, by id; the same key again is one effect."""
        items = [
            {"parameters": dict(zip(self.scope.features, each)), "reason": why}
            for each, why in zip(conditions, reasons)
        ]
        staged = []
        for first in range(0, len(items), BATCH):
            answer = self.client.stage(self.name, items[first : first + BATCH], key=f"{key}-{first}")
            staged += [each["id"] for each in answer["experiments"]]
        return staged

    def _point(self, parameters: dict[str, Any]) -> tuple[Value, ...]:
        return tuple(parameters[each] for each in self.scope.features)

    def _row(self, experiment: dict[str, Any], result: dict[str, Any]) -> Row:
        """As its program spelt it, unless a value was amended since."""
        outputs = tuple(float(experiment["outputs"][each]) for each in self.scope.objectives)
        actual = self._point({**experiment["parameters"], **result["actual"]})
        if result["comment"].startswith(AS_GIVEN):
            cells = tuple(cells_of(result["comment"][len(AS_GIVEN) :]))
            given = cells[len(self.scope.features) :]
            if len(given) == len(outputs) and all(
                float(text) == value for text, value in zip(given, outputs)
            ):
                return Row(experiment["id"], cells, actual, outputs)
        return Row(experiment["id"], tuple(map(str, (*actual, *outputs))), actual, outputs)


def campaign_name(folder: Path, filename: str) -> str:
    """Of an experiment's folder and data file: readable, and different for every pair."""
    digest = hashlib.sha256(f"{folder}\0{filename}".encode()).hexdigest()[:10]
    stem = filename.rpartition(".")[0] or filename
    words = [folder.name] if stem == "reactions_data" else [folder.name, stem]
    readable = "-".join(
        filter(None, (re.sub(r"[^A-Za-z0-9_]+", "-", each).strip("-")[:30] for each in words))
    )
    return f"amlro-{readable}-{digest}" if readable else f"amlro-{digest}"


def open_campaign(client: Client, folder: Path, filename: str, scope: Scope) -> Campaign:
    """Makes it where it is missing. Raises ValueError that says what differs where the configuration is another one
    than the campaign was made with."""
    name = campaign_name(folder, filename)
    try:
        _same(client.campaign(name)["problem"], scope, folder, name)
    except NotFoundError:
        _make(client, name, scope, folder)
    client.transport.retry_for = LATER
    return Campaign(client, name, scope)


def _make(client: Client, name: str, scope: Scope, folder: Path) -> None:
    try:
        client.queue(name)
    except NotFoundError:
        client.put_queue(name, **POLICY)
    try:
        client.create_campaign(name, queue=name, problem=scope.problem(), strategy={"method": "caller"})
    except KeyReusedError:  # made in this moment by another copy, with another configuration
        _same(client.campaign(name)["problem"], scope, folder, name)


def _same(problem: dict[str, Any], scope: Scope, folder: Path, name: str) -> None:
    wanted = scope.problem()
    before, now = _meaning(problem), _meaning(wanted)
    differs = [
        f"{key}: {_short(before.get(key))} before, {_short(now.get(key))} now"
        for key in [*before, *(each for each in now if each not in before)]
        if before.get(key) != now.get(key)
    ]
    if not differs and list(before) != list(now):
        differs = [f"order: {', '.join(before)} before, {', '.join(now)} now"]
    if differs:
        raise ValueError(
            f"The configuration is not the one that {folder} was begun with (campaign {name}): {'; '.join(differs)}. "
            "Use the old configuration, or another exp_dir or filename for the new one."
        )


def _meaning(problem: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in problem["parameters"]:
        values = [float(one) for one in each["values"]] if "values" in each else each.get("categories")
        found[f"feature {each['name']}"] = values
    for each in problem["objectives"]:
        found[f"objective {each['output']}"] = "max" if each["goal"] == "maximize" else "min"
    return found


def _short(values: Any) -> str:
    if values is None:
        return "not there"
    if not isinstance(values, list):
        return str(values)
    shown = [f"{each:g}" if isinstance(each, float) else str(each) for each in values]
    return (
        ", ".join(shown)
        if len(shown) <= 6
        else f"{', '.join(shown[:3])}, ... {shown[-1]} ({len(shown)} values)"
    )
