"""What a driver does with the program's strategies, whatever they inherit from."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from .codec import encode
from .disk import write

_PLAIN = (type(None), bool, int, float)


def method(strategy: Any, name: str) -> Any:
    """What to call: the method, or the strategy itself where it has none of this name."""
    return getattr(strategy, name, strategy)


def name_of(strategy: Any) -> str:
    return str(getattr(strategy, "__name__", type(strategy).__name__))


def prepare(strategy: Any, driver: Any, logger: logging.Logger, folder: Path) -> None:
    """Attaches it to the driver, and gives it the name, the logger and the directory that it lacks."""
    name = name_of(strategy)
    given = {"__protocol_name__": name, "logger": logger.getChild(name), "strategy_dir": folder / name}
    for attribute, value in given.items():
        if not hasattr(type(strategy), attribute) and attribute not in getattr(strategy, "__dict__", {}):
            try:
                setattr(strategy, attribute, value)
            except AttributeError:
                pass  # it has slots, and so does not expect one
    if callable(getattr(strategy, "attach", None)):
        strategy.attach(driver)


def arguments_of(strategy: Any) -> dict[str, Any]:
    """How the strategy was set up, for people: numbers and short texts as they are, the rest by its type."""
    known = getattr(strategy, "_args", None)
    found = known.get("__args__") if isinstance(known, dict) else None
    if not isinstance(found, dict):
        held = getattr(strategy, "max_samples", None)
        found = {} if held is None else {"max_samples": held}
    return {str(name)[:100]: _shown(value) for name, value in list(found.items())[:50]}


def _shown(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0:
        return repr(value)
    if isinstance(value, _PLAIN):
        return value
    return str(value)[:200] if isinstance(value, (str, Path)) else type(value).__name__


def records_of(strategy: Any) -> Any:
    """Its records as the codec's JSON; None where it has none."""
    records = getattr(strategy, "records", None)
    return None if records is None else encode(list(records))


def restore_records(strategy: Any, records: list[Any]) -> None:
    held = getattr(strategy, "records", None)
    if isinstance(held, list):
        held[:] = records
    else:
        strategy.records = records


def keep_records(strategy: Any, folder: Path) -> None:
    """Where the strategy writes no file of its own: `records.json` in `folder`."""
    serialize = getattr(strategy, "serialize_records", None)
    if callable(serialize):
        serialize()
    elif records_of(strategy) is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / "records.json", records_of(strategy))
