"""labqueue-amlro: runs a script that was written for AMLRO."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Sequence

from . import install

TEXT = (
    "Runs a Python script that imports amlro, with Labqueue in its place. LABQUEUE_URL and LABQUEUE_TOKEN say where "
    "the server is (default http://localhost:8000)."
)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="labqueue-amlro", description=TEXT)
    made.add_argument("--replace", action="store_true", help="also where AMLRO itself is installed")
    made.add_argument("script", help="the script")
    made.add_argument("args", nargs=argparse.REMAINDER, help="its arguments")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    given = parser().parse_args(argv)
    if not os.path.isfile(given.script):
        print(f"labqueue-amlro: there is no script {given.script!r}.", file=sys.stderr)
        return 2
    try:
        install(replace=given.replace)
    except ImportError as error:
        print(f"labqueue-amlro: {error}", file=sys.stderr)
        return 2
    sys.argv = [given.script, *given.args]
    # As Python has it: a script imports what lies beside it.
    sys.path.insert(0, os.path.dirname(os.path.abspath(given.script)))
    runpy.run_path(given.script, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
