"""Adapters that need no library: an external program, and a measured table replayed as an instrument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .replay import Replay
    from .subprocess import Subprocess

__all__ = ["Replay", "Subprocess"]


def __getattr__(name: str) -> Any:
    if name == "Replay":
        from .replay import Replay

        return Replay
    if name == "Subprocess":
        from .subprocess import Subprocess

        return Subprocess
    raise AttributeError(name)
