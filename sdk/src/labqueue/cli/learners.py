"""labqueue serve-learner, check-learner: a model of one's own for a campaign."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from labqueue.errors import InvalidError

from .connect import Verbs
from .files import read_document
from .show import dump, many
from .targets import load


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    one = verbs.add_parser(
        "serve-learner",
        parents=[common],
        help="train and suggest for a campaign with a Python class of your own",
        description="The class has suggest(problem, rows, pending, count, state, seed) and, if it has a state, "
        "train(problem, rows, state). The campaign's strategy has method learner. While this program is away, the "
        "strategy's fallback chooses.",
    )
    _add_target(one)
    one.add_argument("--campaign", required=True, help="for which it learns")
    one.add_argument("--name", help="the learner's name (default: the one in the campaign's strategy)")
    one.add_argument("--limit", type=int, help="stop after so many answers")
    one.add_argument("--quiet", action="store_true", help="log warnings only")
    one.set_defaults(call=serve)

    one = verbs.add_parser(
        "check-learner", help="try your learner on every kind of problem; no server needed"
    )
    _add_target(one)
    one.add_argument(
        "--problem", metavar="FILE", help="a problem or campaign of yours (JSON or YAML), instead"
    )
    one.add_argument("--only", type=_names, help="of the built-in problems these, by commas")
    one.add_argument("--seconds", type=float, default=30.0, help="that one call may take (default 30)")
    one.add_argument("--json", action="store_true", help="print JSON, for machines")
    one.set_defaults(call=check)


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", help="module:Class or file.py:Class")


def _names(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def serve(args: argparse.Namespace) -> int:
    from labqueue.learning import serve_learner

    level = logging.WARNING if args.quiet else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s")
    taught = serve_learner(
        load(args.target),
        campaign=args.campaign,
        name=args.name,
        url=args.url,
        token=args.token,
        limit=args.limit,
        versions={"class": args.target},
    )
    if not args.quiet:
        done = f"{many(taught.trainings, 'training')}, {many(taught.suggestions, 'suggestion')}"
        failed = f", {many(taught.failures, 'failure')}" if taught.failures else ""
        print(f"Stopped after {done}{failed}.")
    return 0


def check(args: argparse.Namespace) -> int:
    """Exit code 1 when a case failed."""
    from labqueue.learning.check import check_learner

    problem: Any = None
    if args.problem:
        if args.only:
            raise InvalidError("Give --problem or --only, not both.")
        problem = read_document(args.problem)
        problem = problem.get("problem", problem) if isinstance(problem, dict) else problem
    findings = check_learner(
        lambda: load(args.target),
        problem=problem,
        only=args.only,
        seconds=args.seconds,
        report=None if args.json else lambda each: print(each, flush=True),
    )
    passed = len([each for each in findings if each.passed])
    if args.json:
        print(dump([each.to_json() for each in findings]))
    else:
        print(f"{passed} of {len(findings)} cases passed.")
    return 0 if passed == len(findings) else 1
