"""labqueue amend, withdraw: a result that was wrong gets right values, or counts no longer. Nothing is overwritten."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from typing import Any

from labqueue.errors import ConflictError, FieldError, InvalidError
from labqueue.problem import Problem, did_you_mean

from .connect import Verbs, client
from .files import pairs
from .show import cell


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    one = verbs.add_parser(
        "amend", parents=[common], help="correct what was measured, or what a parameter really was"
    )
    _which(one)
    one.add_argument(
        "values", nargs="+", metavar="NAME=VALUE", help="outputs or parameters, as they are right"
    )
    one.set_defaults(call=amend)
    one = verbs.add_parser(
        "withdraw", parents=[common], help="take a result back: it is kept and counts no longer"
    )
    _which(one)
    one.set_defaults(call=withdraw)


def _which(one: argparse.ArgumentParser) -> None:
    one.add_argument("experiment", help="its number or its code")
    one.add_argument("--result", help="the id of the result, where the experiment has several")
    one.add_argument("--reason", required=True, help="why; kept with your name")


def amend(args: argparse.Namespace) -> int:
    server = client(args)
    experiment = server.experiment(args.experiment)
    problem = Problem.from_json(server.campaign(experiment["campaign"])["problem"])
    outputs, actual = _values(args.values, problem)
    result = _result(experiment, args.result, outputs)
    server.amend(result, outputs, args.reason, actual)
    said = cell({**outputs, **actual})
    print(f"{experiment['code']} is corrected: {said}. What was said before stays in its history.")
    return 0


def withdraw(args: argparse.Namespace) -> int:
    server = client(args)
    experiment = server.experiment(args.experiment)
    server.withdraw(_result(experiment, args.result, ()), args.reason)
    code = experiment["code"]
    print(f"The result of {code} counts no longer; it stays in its history. `labqueue show {code}` shows it.")
    return 0


def _values(words: Collection[str], problem: Problem) -> tuple[dict[str, Any], dict[str, Any]]:
    """Outputs, and parameters as they really were. A label may look like a number."""
    given = pairs(list(words), problem)
    labelled = {each.name for each in problem.outputs if each.classes}
    texts = dict(word.split("=", 1) for word in words)
    outputs = {
        name: texts[name] if name in labelled else value
        for name, value in given.items()
        if name in problem.output_names
    }
    actual = {name: value for name, value in given.items() if name in problem.names and name not in outputs}
    known = (*problem.output_names, *problem.names)
    wrong = [
        FieldError(name, "is no output and no parameter.", value, ", ".join(known), did_you_mean(name, known))
        for name, value in given.items()
        if name not in known
    ]
    if wrong:
        raise InvalidError("The arguments cannot be used as they stand.", errors=wrong)
    return outputs, actual


def _result(experiment: Mapping[str, Any], named: str | None, outputs: Collection[str]) -> str:
    """The id of the one that is meant: the only one that counts, or the only one of them that has these outputs."""
    if named:
        return named
    found = [
        each
        for each in experiment.get("results") or ()
        if each.get("kind") != "withdraw" and each.get("standing") != "withdrawn"
    ]
    counting = [each for each in found if each.get("standing") == "stands"] or found
    saying = [each for each in counting if set(outputs) & set(each.get("outputs") or ())]
    meant = saying if len(saying) == 1 else counting
    if len(meant) == 1:
        return str(meant[0]["id"])
    if not meant:
        raise ConflictError(f"{experiment['code']} has no result that could be corrected or taken back.")
    listed = "".join(f"\n  --result {each['id']}   {cell(each.get('outputs'))}" for each in meant)
    raise InvalidError(f"{experiment['code']} has {len(meant)} results; say which one is meant:{listed}")
