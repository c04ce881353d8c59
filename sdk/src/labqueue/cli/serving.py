"""labqueue serve, run, replay, conformance: this computer as an instrument."""

from __future__ import annotations

import argparse
import json
import logging
from typing import Any

from labqueue.errors import InvalidError
from labqueue.lines import no_number

from .connect import Verbs
from .show import dump, many
from .targets import load

#: How often an external program is looked at, in seconds.
POLL = 0.25


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    one = verbs.add_parser("serve", parents=[common], help="serve an instrument with a Python function")
    one.add_argument(
        "target", help="module:function or file.py:function; a class or an object with start/check"
    )
    _add_instrument(one)
    one.add_argument("--batch", type=int, default=1, help="claim up to so many at once (a plate)")
    one.add_argument("--at-least", type=int, default=1, help="of a batch: wait until so many are there")
    one.add_argument("--within", type=float, default=0, help="... or so many seconds have passed")
    one.add_argument("--slots", type=int, default=1, help="of an object: so many run at the same time")
    one.add_argument("--poll", type=float, default=2.0, help="of an object: seconds between two checks")
    one.add_argument(
        "--heartbeat",
        choices=("thread", "process"),
        default="thread",
        help="process: for vendor code that keeps Python from running anything else",
    )
    one.set_defaults(call=serve)

    one = verbs.add_parser(
        "run",
        parents=[common],
        help="serve with an external program: parameters.json in, result.json out",
        description="Each attempt has a folder, the program's working directory: it reads parameters.json and "
        "writes result.json ({name: number}). {parameters}, {result} and {folder} in its arguments stand for "
        "their paths. Exit code 0: done; 65: these conditions cannot be run; any other: failed.",
    )
    _add_instrument(one)
    one.add_argument("--slots", type=int, default=1, help="so many run at the same time")
    one.add_argument("--folder", default="labqueue-runs", help="where the attempts' folders are made")
    one.add_argument("--time-limit", type=float, help="seconds that one run may take")
    one.add_argument("--discard", action="store_true", help="delete the folders of runs that ended well")
    one.add_argument("command", nargs="+", metavar="-- COMMAND ...", help="the program and its arguments")
    one.set_defaults(call=run)

    one = verbs.add_parser("replay", parents=[common], help="serve with a measured table")
    one.add_argument("table", help="CSV with a header")
    _add_instrument(one)
    one.add_argument("--inputs", required=True, type=_names, help="columns that are parameters, by commas")
    one.add_argument("--outputs", required=True, type=_names, help="columns that are outputs, by commas")
    one.add_argument("--match", choices=("exact", "nearest"), default="exact", help="which row is taken")
    one.add_argument("--delay", type=float, default=0.0, help="seconds that a run takes")
    one.set_defaults(call=replay)

    one = verbs.add_parser(
        "conformance", help="try your adapter against faults, with a server in memory; no hardware needed"
    )
    one.add_argument("target", help="as for serve")
    one.add_argument("--queue", default="bench", help="the queue's name (default bench)")
    one.add_argument("--parameters", type=_object, default=None, help="one point, as JSON")
    one.add_argument("--payload", type=_json, default=None, help="one opaque item, as JSON")
    one.add_argument("--outputs", type=_names, default=["y"], help="the outputs it measures, by commas")
    one.add_argument("--moves", help="module:function that returns how often the hardware has moved so far")
    one.add_argument("--seconds", type=float, default=60.0, help="patience for each scenario")
    one.add_argument("--json", action="store_true", help="print JSON, for machines")
    one.set_defaults(call=conformance)


def _add_instrument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--queue", required=True, help="the kind of work")
    parser.add_argument("--instrument", required=True, help="this device's name in the lab")
    parser.add_argument("--spool", metavar="FOLDER", help="where results are kept until they are accepted")
    parser.add_argument("--limit", type=int, help="stop after so many experiments")
    parser.add_argument("--quiet", action="store_true", help="log warnings only")


def _names(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=no_number)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"no JSON that can be read: {error}") from None


def _object(text: str) -> dict[str, Any]:
    value = _json(text)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError('must be an object, like {"temperature": 80}')
    return value


def serve(args: argparse.Namespace) -> int:
    names = ("batch", "at_least", "within", "slots", "poll", "heartbeat")
    more = {name: getattr(args, name) for name in names}
    return _serve(load(args.target), args, **more)


def run(args: argparse.Namespace) -> int:
    from labqueue.adapters import Subprocess

    target = Subprocess(args.command, folder=args.folder, time_limit=args.time_limit, keep=not args.discard)
    return _serve(target, args, slots=args.slots, poll=POLL)


def replay(args: argparse.Namespace) -> int:
    from labqueue.adapters import Replay

    target = Replay(args.table, inputs=args.inputs, outputs=args.outputs, match=args.match, delay=args.delay)
    return _serve(target, args)


def _serve(target: Any, args: argparse.Namespace, **more: Any) -> int:
    from labqueue import serve as serve_target

    level = logging.WARNING if args.quiet else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s")
    served = serve_target(
        target,
        queue=args.queue,
        instrument=args.instrument,
        url=args.url,
        token=args.token,
        spool=args.spool,
        limit=args.limit,
        **more,
    )
    if not args.quiet:
        left = f"{served.unsent} unsent, {served.refused} refused; see `labqueue spool list`"
        kept = left if served.unsent or served.refused else "the server has it all"
        print(f"{args.instrument} stopped after {many(served.runs, 'run')}: {kept}.")
    return 0


def conformance(args: argparse.Namespace) -> int:
    """Exit code 1 when a scenario failed."""
    from labqueue.conformance import check_adapter

    if args.parameters is not None and args.payload is not None:
        raise InvalidError("Give --parameters or --payload, not both.")
    findings = check_adapter(
        args.target,
        queue=args.queue,
        parameters=args.parameters,
        payload=args.payload,
        outputs=args.outputs,
        moves=args.moves,
        seconds=args.seconds,
        report=None if args.json else lambda each: print(each, flush=True),
    )
    failed = [each for each in findings if not each.passed]
    if args.json:
        print(dump([each.to_json() for each in findings]))
    else:
        print(f"{len(findings) - len(failed)} of {len(findings)} scenarios passed.")
    return 1 if failed else 0
