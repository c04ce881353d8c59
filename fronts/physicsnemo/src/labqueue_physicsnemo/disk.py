"""Files that a kill or a power cut leaves whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, BinaryIO, Union


def write(path: Path, body: Any) -> None:
    """Text, or a value as JSON: whole or not at all, and on the disk when this returns."""
    part = path.with_name(f".{path.name}")
    with part.open("w", encoding="utf-8") as file:
        file.write(body if isinstance(body, str) else json.dumps(body))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync(path.parent)


def digest_of(source: Union[Path, BinaryIO]) -> str:
    """The SHA-256 of a file, or of what is left of an open one."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return digest_of(file)
    digest = hashlib.sha256()
    while part := source.read(1 << 20):
        digest.update(part)
    return digest.hexdigest()


def sync(folder: Path) -> None:
    """So that a new name in this folder survives a power cut."""
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(number)
    finally:
        os.close(number)
