"""What the page of one campaign shows: the best or the front, how it got there, what is queued, how good the models are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from markupsafe import Markup

from labqueue.problem import Problem
from models.domain import records as r
from models.domain.as_run import as_run
from models.domain.lifecycle import WAITING
from services.api.listings import campaign_json
from services.flow.allowing import allowed
from services.flow.shared import problem_of
from services.ports import Store
from services.web.pictures import Series, picture
from services.web.quality import curves, quality, titles
from services.web.words import stops, units

STAGED_SHOWN = 10
FRONT_SHOWN = 50
MODELS_SHOWN = 200  # the newest


def campaign_page(store: Store, campaign: r.Campaign) -> dict[str, Any]:
    """Plain values for the template."""
    found = campaign_json(store, campaign)
    problem = problem_of(campaign)
    with store.begin() as tx:
        rows = sorted(
            tx.results.training(campaign.id, campaign.data_revision), key=lambda each: each.revision
        )
        staged = tx.experiments.of_campaign(campaign.id, WAITING, 1000)
        models = tx.models.all(campaign.id)[-MODELS_SHOWN:]
        codes = {each.id: each.code for each in tx.experiments.get([row.experiment_id for row in rows])}
    reachable = allowed(campaign, problem, rows)
    front = (
        [reachable[place] for place in problem.front([row.outputs for row in reachable])]
        if problem.pareto
        else []
    )
    newest = quality(models[-1]) if models else {}
    queued = sorted(staged, key=lambda each: (-each.priority, each.tag, each.id))
    return {
        "campaign": found,
        "problem": problem,
        "units": units(campaign.problem),
        "stops": stops(campaign.strategy["stop"], campaign.problem),
        "front": [_row(problem, each, codes) for each in _by_first(problem, front)[:FRONT_SHOWN]],
        "front_size": len(front),
        "staged": [
            {"of": each, "point": problem.ordered(each.planned or {})} for each in queued[:STAGED_SHOWN]
        ],
        "staged_count": len(staged),
        "pictures": [each for each in (_progress(problem, rows, reachable), *curves(models)) if each],
        "model": newest,
        "figures": titles(newest),
    }


def _row(problem: Problem, row: r.TrainingRow, codes: Mapping[int, str]) -> dict[str, Any]:
    shown = {name: problem.output(name).decode(value) for name, value in row.outputs.items()}
    return {
        "code": codes[row.experiment_id],
        "point": as_run(problem, row.parameters),
        "outputs": {name: shown[name] for name in problem.output_names if name in shown},
    }


def _by_first(problem: Problem, rows: Sequence[r.TrainingRow]) -> list[r.TrainingRow]:
    return sorted(rows, key=lambda row: row.outputs[problem.objectives[0].output])


def _progress(problem: Problem, rows: Sequence[r.TrainingRow], reachable: Sequence[r.TrainingRow]) -> Markup:
    """One objective: each score and the best so far, of what the problem still allows. Two on a front: one against the
    other."""
    if problem.pareto:
        return _against(problem, rows, reachable) if len(problem.objectives) == 2 else Markup("")
    counted = {each.experiment_id for each in reachable}
    scored = [
        (place, score, row)
        for place, row in enumerate(rows, 1)
        if (score := problem.score(row.outputs)) is not None
    ]
    dots = [(float(place), score) for place, score, _ in scored]
    good = [
        (float(place), score)
        for place, score, row in scored
        if row.experiment_id in counted and problem.admissible(row.outputs)
    ]
    best = accumulate((score for _, score in good), max)
    line = [(place, top) for (place, _), top in zip(good, best, strict=True)]
    if not dots:
        return Markup("")
    series = [Series("experiments", dots), Series("best so far", line, "steps", "two")]
    return picture("Progress", series, "results, in the order in which they came", "score", _near(dots))


def _against(problem: Problem, rows: Sequence[r.TrainingRow], reachable: Sequence[r.TrainingRow]) -> Markup:
    one, other = (each.output for each in problem.objectives)

    def at(outputs: Sequence[Mapping[str, float]]) -> list[tuple[float, float]]:
        return sorted((each[one], each[other]) for each in outputs)

    points = at([row.outputs for row in rows if problem.values(row.outputs) is not None])
    candidates = [row.outputs for row in reachable]
    front = at([candidates[place] for place in problem.front(candidates)])
    series = [
        Series("experiments", points),
        Series("front", front, "line", "two"),
        Series("on the front", front, "dots", "two"),
    ]
    return picture("Pareto front", series, _label(problem, one), _label(problem, other), _near(points))


def _near(points: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """A few values far off would press all others flat: then the middle nine tenths and some room are shown."""
    values = sorted(value for _, value in points)
    if len(values) < 10:
        return None
    low, high = values[len(values) // 20], values[-1 - len(values) // 20]
    if values[-1] - values[0] <= 4 * (high - low) or high <= low:
        return None
    return low - 0.2 * (high - low), high + 0.2 * (high - low)


def _label(problem: Problem, name: str) -> str:
    unit = problem.output(name).unit
    return f"{name} in {unit}" if unit else name
