"""Arrays as JSON: shape, type and base64 of little-endian numbers. No pickle; checked when read."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .values import LearningError

_TYPES = ("<f4", "<f8", "<i4")


def pack(values: NDArray[Any], kind: str = "<f4") -> dict[str, Any]:
    """`kind` is one of <f4, <f8, <i4."""
    body = np.ascontiguousarray(values).astype(kind)
    return {
        "type": kind,
        "shape": list(body.shape),
        "data": base64.b64encode(body.tobytes()).decode("ascii"),
    }


def unpack(body: Mapping[str, Any], shape: Sequence[int | None], kind: str = "<f4") -> NDArray[Any]:
    """Float64 (int64 of integers) of this shape; None where any length will do. Raises LearningError."""
    try:
        given = tuple(int(each) for each in body["shape"])
        fits = len(given) == len(shape) and all(
            length >= 0 and wanted in (None, length) for length, wanted in zip(given, shape, strict=True)
        )
        if body["type"] != kind or kind not in _TYPES or not fits:
            raise LearningError("The model state holds an array of another shape.")
        raw = base64.b64decode(body["data"], validate=True)
        if len(raw) != math.prod(given) * np.dtype(kind).itemsize:
            raise LearningError("The model state holds an array of another size.")
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise LearningError("The model state holds an array that cannot be read.") from error
    found = np.frombuffer(raw, kind).reshape(given)
    if kind == "<i4":
        return found.astype(np.int64)
    if not np.isfinite(found).all():
        raise LearningError("The model state holds numbers that no fit gives.")
    return found.astype(np.float64)
