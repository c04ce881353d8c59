"""What the commands share: a client for the server that is meant, and arguments that several have."""

from __future__ import annotations

import argparse
import getpass
from typing import Any

from labqueue.client import Client

Verbs = Any  # argparse publishes no type for what add_subparsers returns

#: A person at a terminal waits this long, in seconds, for a server that does not answer.
PATIENCE = 3.0


def client(args: argparse.Namespace) -> Client:
    """For commands of people: gives up soon, says who acts, and is closed when the command ends."""
    opened: Client = args.stack.enter_context(
        Client(args.url, args.token, retry_for=PATIENCE, actor=_actor())
    )
    return opened


def _actor() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return None  # a user without a name; the server has a default


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")


def add_reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", default="", help="why; kept with your name")
