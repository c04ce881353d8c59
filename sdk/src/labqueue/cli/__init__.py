"""The `labqueue` command: serve an instrument, look after campaigns, repair a spool, find what is wrong.

Exit codes: 0 done; 1 it could not be done, said in a short paragraph on stderr; 2 the command was not understood.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from typing import Any

from labqueue.errors import LabqueueError, UnavailableError
from labqueue.problem.numbers import did_you_mean

from . import (
    campaigns,
    corrections,
    decisions,
    doctor,
    edits,
    learners,
    models,
    pools,
    queues,
    serving,
    spools,
    tables,
)
from .show import explain

DESCRIPTION = "Labqueue: claim experiments, run them, never lose a result."
EPILOG = """\
LABQUEUE_URL and LABQUEUE_TOKEN say which server is meant (default http://localhost:8000, no token).

  labqueue status                                     what needs a person, then everything else
  labqueue serve lab:measure --queue q --instrument i  run a Python function as an instrument
  labqueue serve-learner own:Model --campaign c        let a Python class of your own choose
  labqueue doctor                                     what is wrong here, and what to do
"""
HELP = "`labqueue --help` lists what there is."
AWAY = "--url or LABQUEUE_URL says which server is meant; `labqueue doctor` looks closer."


class _Parser(argparse.ArgumentParser):
    """Says which command is the nearest to one that there is not; argparse would list them all."""

    commands: Collection[str] = ()

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        words = sys.argv[1:] if args is None else list(args)
        if self.commands and words and not words[0].startswith("-") and words[0] not in self.commands:
            hint = did_you_mean(words[0], self.commands)
            self.exit(2, " ".join(filter(None, [f"There is no command {words[0]!r}.", hint, HELP])) + "\n")
        return super().parse_args(words, namespace)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    whole = _Parser(
        "labqueue",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = whole.add_subparsers(metavar="COMMAND", required=True)
    common = argparse.ArgumentParser(add_help=False)
    where = common.add_argument_group("server")
    where.add_argument("--url", help="the server's address (default: LABQUEUE_URL)")
    where.add_argument("--token", help="the token (default: LABQUEUE_TOKEN, which others cannot see)")
    for part in (
        serving,
        learners,
        campaigns,
        tables,
        edits,
        models,
        pools,
        queues,
        decisions,
        corrections,
        spools,
        doctor,
    ):
        part.add(verbs, common)
    whole.commands = verbs.choices
    return whole


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    args = parser().parse_args(argv)
    try:
        with ExitStack() as args.stack:
            code: int = args.call(args)
            sys.stdout.flush()
            return code
    except LabqueueError as error:
        said = explain(error)
        print(f"{said} {AWAY}" if isinstance(error, UnavailableError) else said, file=sys.stderr)
    except BrokenPipeError:
        # Whoever read our output has enough (`labqueue results ... | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{where}{error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
    return 1
