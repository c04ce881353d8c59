"""`labqueue-physicsnemo label module:Class`: a label strategy as an adapter, in as many processes as wanted."""

from __future__ import annotations

import argparse
import getpass
import importlib
import inspect
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import labqueue
from labqueue.errors import ConflictError, InstrumentTakenError, LabqueueError, NotFoundError
from labqueue.experiment import Experiment
from labqueue.spool import Spool, default_folder

from .folders import NAMES
from .labelling import Labeller
from .strategies import prepare

log = logging.getLogger("labqueue_physicsnemo")

QUEUE = "physicsnemo"
#: So many failed attempts in a row pause this process's instrument.
FAILURES = 20


class Site:
    """What a label strategy is attached to where there is no driver: a place for files, and the step."""

    def __init__(self, folder: Path) -> None:
        self.log_dir, self.active_learning_step_idx = folder, 0

    def begin(self, experiment: Experiment) -> None:
        step = experiment.payload.get("step") if isinstance(experiment.payload, dict) else None
        self.active_learning_step_idx = step if isinstance(step, int) else 0

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"A label process has no {name!r}: it runs apart from the driver and knows log_dir and "
            "active_learning_step_idx. Give what labelling needs to the strategy's constructor (--arguments)."
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 served, 1 the server or the queue refused, 2 the arguments cannot be used."""
    given = _parser().parse_args(argv)
    try:
        return _label(given)
    except LabqueueError as error:
        print(error, file=sys.stderr)
        return 1
    except _Unusable as error:
        print(error, file=sys.stderr)
        return 2


class _Unusable(Exception):
    """What was asked cannot be done with these arguments."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="labqueue-physicsnemo", description="Labels for active learning on Labqueue."
    )
    verbs = parser.add_subparsers(required=True, metavar="label")
    label = verbs.add_parser("label", help="label the items of a queue with a label strategy")
    label.add_argument("strategy", help="where the class is: package.module:Class, or file.py:Class")
    label.add_argument("--queue", default=QUEUE, help=f"the queue of items; default: {QUEUE}")
    label.add_argument(
        "--instrument", help="this process's name in the lab; default: the computer's, and a number"
    )
    label.add_argument("--arguments", default="{}", help="what the constructor is given, as a JSON object")
    label.add_argument(
        "--folder", type=Path, default=Path("labels"), help="below it, each attempt has its directory"
    )
    label.add_argument(
        "--failures", type=int, default=FAILURES, help="failed attempts in a row that pause it"
    )
    label.add_argument("--limit", type=int, help="ends after so many attempts")
    label.add_argument("--heartbeat", choices=("thread", "process"), default="thread")
    label.add_argument("--url", help="the server; default: LABQUEUE_URL")
    return parser


def _label(given: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    folder = given.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    strategy, site = _strategy(given.strategy, given.arguments, folder), Site(folder)
    prepare(strategy, site, log, folder)
    number = 1
    while True:
        # A name for each process of a user on a computer; the same again after a restart, with what its spool holds.
        name = given.instrument or f"{given.queue}-{socket.gethostname()}-{getpass.getuser()}-{number}"
        try:
            Spool(default_folder(name)).close()
            with labqueue.Client(given.url) as client:
                _await_queue(client, given.queue)
                work = Labeller(client, strategy, folder, name, failures=given.failures, about=site.begin)
                labqueue.serve(
                    work, queue=given.queue, instrument=name, url=given.url, limit=given.limit,
                    heartbeat=given.heartbeat,
                )  # fmt: skip
            return 0
        except ConflictError as error:
            if given.instrument or isinstance(error, InstrumentTakenError):
                raise
            number += 1  # that one is at work already


def _await_queue(client: labqueue.Client, queue: str) -> None:
    """A driver makes its queue when it chooses for the first time, which may be hours away."""
    said = False
    while True:
        try:
            client.queue(queue)
            return
        except NotFoundError:
            if not said:
                log.info("There is no queue %s yet; waiting for the driver that makes it.", queue)
            said = True
            time.sleep(1.0)


def _strategy(where: str, arguments: str, folder: Path) -> Any:
    kind = _class(where)
    try:
        found = json.loads(arguments)
    except ValueError as error:
        raise _Unusable(f"--arguments is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise _Unusable('--arguments must be a JSON object: {"name": value}.')
    for name in inspect.signature(kind).parameters:
        if name in NAMES and name not in found:
            found[name] = str(folder)
    try:
        return kind(**found)
    except TypeError as error:
        raise _Unusable(f"{where} cannot be made with --arguments {arguments}: {error}") from None


def _class(where: str) -> Any:
    module, _, name = where.rpartition(":")
    if not module:
        raise _Unusable(f"{where} names no class: write package.module:Class or file.py:Class.")
    if module.endswith(".py"):
        path = Path(module).absolute()
        sys.path.insert(0, str(path.parent))
        module = path.stem
    else:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        hint = " Install it, or see `stand_in` in the documentation." if error.name == "physicsnemo" else ""
        raise _Unusable(f"{where} cannot be imported: {error}.{hint}") from None
    except AttributeError:
        raise _Unusable(f"{module} has no {name}.") from None
    if not callable(getattr(found, "label", None)):
        raise _Unusable(f"{where} is no label strategy: it has no label().")
    return found
