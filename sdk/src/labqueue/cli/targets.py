"""Finds the Python function, class or object that a word names: `module:name` or `path/file.py:name`."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from labqueue.errors import FieldError, InvalidError
from labqueue.problem import did_you_mean

#: Modules that were loaded from files, by path.
_loaded: dict[str, ModuleType] = {}


def load(word: str) -> Any:
    """The object itself; a class is called without arguments. InvalidError says what could not be found."""
    module_name, _, path = word.rpartition(":")
    if not module_name or not path:
        raise _wrong(word, "must be module:name, or file.py:name.")
    module = _module(word, module_name)
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            near = did_you_mean(part, [name for name in dir(found) if not name.startswith("_")])
            raise _wrong(word, f"names {part}, which {module_name} does not have.", near)
        found = getattr(found, part)
    return found() if isinstance(found, type) else found


def _module(word: str, name: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return _from_file(word, Path(name)) if name.endswith(".py") else importlib.import_module(name)
    except InvalidError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (name + ".").startswith(error.name + "."):
            raise _wrong(
                word, f"names the module {name}, which is neither installed nor in {here}."
            ) from None
        raise _broken(word, error) from error
    except Exception as error:
        raise _broken(word, error) from error


def _from_file(word: str, path: Path) -> ModuleType:
    """The file as a module, run once however often it is named."""
    place = str(path.resolve())
    if place in _loaded:
        return _loaded[place]
    spec = importlib.util.spec_from_file_location(_free_name(path.stem), path) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise _wrong(word, f"names the file {path}, which is not there.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    _loaded[place] = module
    return module


def _free_name(stem: str) -> str:
    """A file may be called like a module that is in use (queue.py)."""
    return stem if stem not in sys.modules else f"_labqueue_{len(_loaded)}_{stem}"


def _broken(word: str, error: Exception) -> InvalidError:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return _wrong(
        word, f"cannot be loaded: {type(error).__name__}: {error} ({last.filename}, line {last.lineno})."
    )


def _wrong(word: str, message: str, hint: str = "") -> InvalidError:
    return InvalidError("The target cannot be used.", errors=[FieldError(word, message, None, None, hint)])
