"""`python -m workers.replay ID`: computes a suggestion again from its stored snapshot, and compares."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from labqueue.errors import LabqueueError, NotFoundError
from services.flow.snapshots import replay
from services.settings import current
from workers.bootstrap import build


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="labqueue-server replay", description=__doc__)
    parser.add_argument("suggestion", type=int)
    number = parser.parse_args(argv).suggestion
    try:
        context = build(current())
        with context.store.begin() as tx:
            found = tx.suggestions.get(number)
            if found is None:  # said before torch is loaded
                raise NotFoundError(f"There is no suggestion {number}.")
        stored, again = replay(context.store, context.learner, number)
    except LabqueueError as error:
        sys.exit(str(error))
    lines = differences(stored, again)
    sys.stdout.write(report(number, len(stored), lines, cut=bool(found.effort.get("cut"))))
    return 1 if lines else 0


def report(number: int, candidates: int, lines: Sequence[str], *, cut: bool = False) -> str:
    """`cut`: its deadline ended it before its effort was spent; computed again, it has the time."""
    if not lines:
        return f"Suggestion {number}: equal, {candidates} candidates.\n"
    head, foot = f"Suggestion {number} differs:", "Other library versions or another device can do that."
    if cut:
        foot = "Its deadline cut it then, and nothing cuts it now."
    return "\n".join([head, *(f"  {line}" for line in lines), foot, ""])


def differences(stored: Sequence[Any], again: Sequence[Any]) -> list[str]:
    """What differs, candidate by candidate, as text."""
    lines = []
    for place, (old, new) in enumerate(zip_longest(stored, again), start=1):
        if old is None or new is None:
            lines.append(
                f"candidate {place}: {'only now' if old is None else 'only then'}: {_text(old or new)}"
            )
            continue
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key):
                lines.append(
                    f"candidate {place}, {key}: then {_text(old.get(key))}, now {_text(new.get(key))}"
                )
    return lines


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main())
