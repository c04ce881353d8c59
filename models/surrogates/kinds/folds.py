"""Foretelling rows by models that have not seen them, for the kinds that have no closed form for it."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from models.surrogates.data import Data
from models.surrogates.encoding import Array

PARTS = 4


def parts(inputs: Array) -> Array:
    """Which of a few parts each row belongs to. It depends on the row alone, so that a model that goes on learning
    from more rows still leaves out the same; replicates, which would give each other away, are in the same part."""
    rows = np.ascontiguousarray(inputs, dtype=np.float64)
    return np.array([zlib.crc32(row.tobytes()) % PARTS for row in rows], dtype=int)


def unseen(members: int, inputs: Array) -> Array:
    """(members, rows): which rows each member of an ensemble leaves out; each row is left out by a quarter of them."""
    return np.asarray(np.arange(members)[:, None] % PARTS == parts(inputs))


def by_strangers(values: Array, left_out: Array) -> Array:
    """(members, rows, outputs) and (members, rows) -> (rows, outputs): the mean over the members that left a row out."""
    shares = left_out[..., None] / np.maximum(left_out.sum(axis=0), 1)[:, None]
    return np.asarray((values * shares).sum(axis=0))


def held_out(data: Data, foretold: Callable[[Data, Data], Array]) -> Array:
    """`foretold(seen, others)` for each part of the rows, put together in the order of the rows; what it returns has
    a row for each of `others`. Where all rows are at one point they are foretold by themselves."""
    part = parts(data.inputs)
    pieces = []
    for each in np.unique(part):
        out = part == each
        seen = data if out.all() else data.take(~out)
        pieces.append((np.flatnonzero(out), foretold(seen, data.take(out))))
    found = np.zeros((len(data), *pieces[0][1].shape[1:]))
    for places, values in pieces:
        found[places] = values
    return found
