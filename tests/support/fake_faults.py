"""What can happen to a worker in the middle of its work."""

from __future__ import annotations


class Killed(BaseException):
    """kill -9: nothing of ours runs any more, no `except` and no clean-up in the database."""


def killed() -> None:
    raise Killed
