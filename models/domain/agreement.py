"""Do a problem and a strategy go together? What each of them says of the other must be there."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

from labqueue.errors import FieldError
from labqueue.problem import Context, Fixed, Problem, did_you_mean
from labqueue.problem.expression import parse
from labqueue.problem.parameters import Categorical
from labqueue.problem.pool import SHOWN_COLUMNS
from labqueue.strategy import ACQUISITIONS, BAYESIAN, CALLER, DESIGN, Strategy

from .feasibility import never_positive, nowhere, unpriced

#: Acquisition functions that need one number to be made best, and those that need a front.
FOR_A_SCORE = ("log_ei", "log_nei", "ucb", "knowledge_gradient")
FOR_A_FRONT = ("log_nehvi",)
#: Those that make sense where everything is to be known and nothing is better.
FOR_LEARNING = ("auto", "uncertainty", "entropy", "disagreement", "random")
#: Kinds of model for outputs that are told apart by labels.
FOR_LABELS = ("auto", "variational", "ensemble", "forest")

_POSITIVE = "Write what an experiment costs as a positive number."


def check(problem: Problem, strategy: Strategy, texts: Collection[str] = ()) -> list[FieldError]:
    """Everything in which they do not agree; empty where the strategy can be used on the problem. `texts`: the columns
    of the problem's pool that are known to hold no numbers."""
    if problem.opaque:
        if strategy.method == CALLER:
            return []
        text = "must be caller for an opaque problem: its items are suggested by the caller."
        return [FieldError("strategy.method", text, strategy.method, CALLER)]
    return [
        *_wants(problem, strategy),
        *_acquisition(problem, strategy),
        *_surrogate(problem, strategy),
        *_cost(problem, strategy, texts),
        *_target(problem, strategy),
        *_stop(problem, strategy),
    ]


def _wants(problem: Problem, strategy: Strategy) -> Iterator[FieldError]:
    if strategy.models and not problem.objectives:
        hint = (
            ""
            if strategy.method == BAYESIAN
            else f"Or set strategy.fallback to {DESIGN}, which needs no objective."
        )
        yield FieldError("problem.objectives", "must say what is wanted of which output.", hint=hint)


def _acquisition(problem: Problem, strategy: Strategy) -> Iterator[FieldError]:
    if not problem.objectives:
        return
    for place, each in enumerate(strategy.acquisition):
        name = each.acquisition
        field = "strategy.acquisition"
        if len(strategy.acquisition) > 1:
            field = f"{field}[{place}].acquisition"
        if problem.learning and name not in FOR_LEARNING:
            allowed = ", ".join(FOR_LEARNING)
            yield FieldError(field, f"must be one of {allowed} where the goal is to learn.", name, allowed)
        elif problem.pareto and name in FOR_A_SCORE:
            text = "needs one score, and this problem asks for a front."
            yield FieldError(field, text, name, _others(FOR_A_SCORE))
        elif name in FOR_A_FRONT and not problem.pareto:
            text = "is for a front of several objectives, and this problem has one score."
            yield FieldError(field, text, name, _others(FOR_A_FRONT))


def _others(refused: Collection[str]) -> str:
    """All acquisition functions but these: most of them ask neither for one score nor for a front."""
    return ", ".join(each for each in ACQUISITIONS if each not in refused)


def _surrogate(problem: Problem, strategy: Strategy) -> Iterator[FieldError]:
    wanted = {each.output for each in problem.objectives}
    labelled = [each.name for each in problem.outputs if each.classes and each.name in wanted]
    if labelled and strategy.surrogate not in FOR_LABELS:
        allowed = ", ".join(FOR_LABELS)
        text = f"models numbers, and {labelled[0]} is told apart by labels; use one of {allowed}."
        yield FieldError("strategy.surrogate", text, strategy.surrogate, allowed)


def _cost(problem: Problem, strategy: Strategy, texts: Collection[str]) -> Iterator[FieldError]:
    if strategy.cost is not None:
        numbers = [each for each in _numeric(problem) if each not in texts]
        if problem.pool is not None and not problem.pool.sha256:
            return  # its columns are known when its name is looked up
        node = parse(strategy.cost)
        if problem.pool is None and {*node.names} <= {*numbers}:
            if nowhere(problem, node):
                text = "is no real number anywhere in the ranges of its parameters."
                hint = "Look at the signs under roots and logarithms."
                yield FieldError("strategy.cost", text, strategy.cost, hint=hint)
            elif never_positive(problem, node):
                text = "is never above 0 in the ranges of its parameters."
                yield FieldError("strategy.cost", text, strategy.cost, hint=_POSITIVE)
            elif found := unpriced(problem, node):
                value, point = found
                at = ", ".join(f"{name} is {point.get(name, 0):g}" for name in node.names)
                what = f"is {value:.4g}" if math.isfinite(value) else "is no finite number"
                text = f"{what} where {at}."
                yield FieldError("strategy.cost", text, strategy.cost, hint=_POSITIVE)
        for name in node.names:
            if name not in numbers:
                hint, text = did_you_mean(name, numbers), f"mentions {name}, which is no numeric parameter."
                if name in texts:
                    text = f"mentions {name}, which is a column of texts."
                    hint = "A cell that is no number makes a column one of texts: look at it, and upload the table again."
                elif problem.pool is not None and name in problem.pool.columns:
                    text = (
                        f"mentions {name}, which is not among the first {SHOWN_COLUMNS} columns of the pool."
                    )
                    hint = "Put that column further to the front of the table, and upload it again."
                yield FieldError("strategy.cost", text, strategy.cost, ", ".join(numbers), hint)
    elif strategy.stop.cost is not None:
        yield FieldError("strategy.stop.cost", "needs strategy.cost: what one experiment costs.")


def _numeric(problem: Problem) -> list[str]:
    if problem.pool is not None:
        return list(problem.pool.columns[:SHOWN_COLUMNS])
    return [
        each.name
        for each in problem.parameters
        if not isinstance(each, (Categorical, Context))
        and not (isinstance(each, Fixed) and isinstance(each.value, str))
    ]


def _target(problem: Problem, strategy: Strategy) -> Iterator[FieldError]:
    target, field = strategy.stop.target, "strategy.stop.target"
    wanted = [each.output for each in problem.objectives]
    if target is None:
        return
    if not wanted or problem.learning:
        yield FieldError(field, "needs an objective that is to be made best.", target)
    elif isinstance(target, Mapping):
        if not problem.pareto:
            yield FieldError(field, "must be one number: this problem has one score.", dict(target))
        for name in target:
            if name not in wanted:
                hint = did_you_mean(name, wanted)
                text = "is not the output of an objective."
                yield FieldError(f"{field}.{name}", text, name, ", ".join(wanted), hint)
        if not target:
            yield FieldError(field, "must name at least one objective's output.", {}, ", ".join(wanted))
    elif problem.pareto:
        text = "must be {output: value}, since this problem asks for a front."
        yield FieldError(field, text, target, ", ".join(wanted))


def _stop(problem: Problem, strategy: Strategy) -> Iterator[FieldError]:
    stop = strategy.stop
    better = bool(problem.objectives) and not problem.learning
    if stop.no_improvement is not None and not better:
        text = "needs an objective that is to be made best."
        yield FieldError("strategy.stop.no_improvement", text, stop.no_improvement)
    if stop.gain is not None and (not better or strategy.method in (DESIGN, CALLER)):
        text = "needs an objective that is to be made best, and a method with a model."
        yield FieldError("strategy.stop.gain", text, stop.gain)
    plateau = stop.plateau
    if plateau is None:
        return
    field = "strategy.stop.plateau"
    outputs = {each.name: each for each in problem.outputs}
    modelled = list(dict.fromkeys(each.output for each in problem.objectives))
    if not modelled or strategy.method in (DESIGN, CALLER):
        yield FieldError(field, "needs an objective and a method with a model.", plateau.to_json())
        return
    name = plateau.output or modelled[0]
    if name not in modelled:
        hint = did_you_mean(name, modelled)
        yield FieldError(
            f"{field}.output", "is not the output of an objective.", name, ", ".join(modelled), hint
        )
    elif bool(outputs[name].classes) and plateau.metric not in ("accuracy", "nll"):
        text = f"must be accuracy or nll: {name} is told apart by labels."
        yield FieldError(f"{field}.metric", text, plateau.metric, "accuracy, nll")
    elif not outputs[name].classes and plateau.metric == "accuracy":
        text = f"is for labels, and {name} is a number."
        yield FieldError(f"{field}.metric", text, plateau.metric, "rmse, nll, r2, rank")
