"""Which Labqueue this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def _version() -> str:
    try:
        return version("labqueue-server")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0"


VERSION = _version()
