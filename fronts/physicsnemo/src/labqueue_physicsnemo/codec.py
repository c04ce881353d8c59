"""Queue items as JSON: plain values as they are, tensors and arrays tagged with dtype, shape and bytes.

`decode(encode(item))` is the item again: types, key order, every bit of every number. Nothing is executed to read
one; there is no pickle. What cannot cross is refused with its place. What is read is not trusted: dtypes come from a
list, the bytes must be as many as the shape says, depth and size are limited.

A tagged value is an object with the key "$". JSON in Postgres keeps neither the order of keys nor a minus zero, so
these are tagged too where they matter.
"""

from __future__ import annotations

import base64
import binascii
import math
import sys
from collections.abc import Iterable
from typing import Any, Callable

TAG = "$"
#: The most bytes of one item's tensors and arrays, and how deep it may be nested.
MOST_BYTES = 256 * 1024 * 1024
DEPTH = 64
DIMENSIONS = 32
#: Whole numbers beyond this are refused: JSON readers do not take them.
LARGEST = 10**300
#: From here on a float may come back from JSON in Postgres as a whole number.
EXACT = 1e15

_REAL = ("int8", "int16", "int32", "int64", "uint8", "float16", "float32", "float64")
_COMPLEX = ("complex64", "complex128")
TENSOR_DTYPES = frozenset((*_REAL, *_COMPLEX, "bool", "bfloat16"))
ARRAY_DTYPES = frozenset((*_REAL, *_COMPLEX, "bool", "uint16", "uint32", "uint64"))
_ITEM_BYTES = {"bool": 1, "bfloat16": 2}


class CodecError(ValueError):
    """This value cannot cross, or is no item."""


def encode(item: Any) -> Any:
    """The item as JSON. Raises CodecError that names the place of what cannot cross."""
    return _encode(item, "item", 0)


def decode(value: Any, *, most: int = MOST_BYTES) -> Any:
    """The item that `encode` made this JSON of. most: the bytes that its tensors and arrays may take together.

    Raises CodecError for anything that `encode` does not make.
    """
    return _Decoder(most).decode(value, "item", 0)


# -- there


def _encode(value: Any, place: str, depth: int) -> Any:
    if depth > DEPTH:
        raise CodecError(f"{place} is nested more than {DEPTH} deep.")
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        if abs(value) >= LARGEST:
            raise CodecError(f"{place} is a whole number of more than 300 digits.")
        return value
    if kind is float:
        plain = (
            math.isfinite(value) and abs(value) < EXACT and not (value == 0 and math.copysign(1, value) < 0)
        )
        return value if plain else {TAG: "float", "hex": value.hex()}
    if kind is str:
        return _text(value)
    if kind is bytes:
        return {TAG: "bytes", "data": _packed(value)}
    if kind is list:
        return [_encode(each, f"{place}[{number}]", depth + 1) for number, each in enumerate(value)]
    if kind is tuple:
        items = [_encode(each, f"{place}[{number}]", depth + 1) for number, each in enumerate(value)]
        return {TAG: "tuple", "items": items}
    if kind is dict:
        return _dict(value, place, depth)
    return _numbers(value, place)


def _text(value: str) -> Any:
    try:
        if "\0" not in value:
            value.encode()
            return value
    except UnicodeEncodeError:
        pass
    return {TAG: "text", "data": _packed(value.encode("utf-8", "surrogatepass"))}


def _dict(value: dict[Any, Any], place: str, depth: int) -> Any:
    pairs = [
        (_encode(key, f"the key {key!r:.50} of {place}", depth + 1), _encode(each, f"{place}[{key!r:.50}]", depth + 1))
        for key, each in value.items()
    ]  # fmt: skip
    keys = [key for key, _ in pairs]
    plain = all(type(key) is str for key in keys) and TAG not in keys
    if plain and keys == sorted(keys, key=lambda key: (len(key.encode()), key.encode())):
        return dict(pairs)  # in the order that jsonb has of its own
    return {TAG: "dict", "pairs": [[key, each] for key, each in pairs]}


def _numbers(value: Any, place: str) -> Any:
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None and type(value) in (torch.Tensor, torch.nn.Parameter):
        return _tensor(value, place)
    if numpy is not None and type(value) is numpy.ndarray:
        return _array("array", value, place)
    if numpy is not None and isinstance(value, numpy.generic):
        return _array("scalar", numpy.asarray(value), place)
    raise CodecError(
        f"{place} is a {type(value).__module__}.{type(value).__qualname__}, which cannot cross a queue. Allowed: None, bool, "
        "int, float, str, bytes, list, tuple, dict, dense torch tensors, numpy arrays and scalars."
    )  # fmt: skip


def _tensor(value: Any, place: str) -> Any:
    import torch

    name = str(value.dtype).rpartition(".")[2]
    if name not in TENSOR_DTYPES or value.layout is not torch.strided:
        raise CodecError(
            f"{place} is a tensor of {name}, {value.layout}: only dense ones of {_list(TENSOR_DTYPES)} cross."
        )
    flat = value.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    data = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    return {TAG: "tensor", "dtype": name, "shape": list(value.shape), "data": _packed(data, place)}


def _array(tag: str, value: Any, place: str) -> Any:
    name = value.dtype.name
    if name not in ARRAY_DTYPES:
        raise CodecError(f"{place} is an array of {name}: only those of {_list(ARRAY_DTYPES)} cross.")
    data = value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes()
    return {TAG: tag, "dtype": name, "shape": list(value.shape), "data": _packed(data, place)}


def _packed(data: bytes, place: str = "item") -> str:
    if len(data) > MOST_BYTES:
        raise CodecError(
            f"{place} has {len(data):,} bytes; at most {MOST_BYTES:,} cross. Send where it lies instead."
        )
    return base64.b64encode(data).decode("ascii")


# -- and back


class _Decoder:
    def __init__(self, most: int) -> None:
        self.left = most
        self.known: dict[str, tuple[frozenset[str], Callable[[dict[str, Any], str, int], Any]]] = {
            "float": (frozenset({"hex"}), self.read_float),
            "text": (frozenset({"data"}), self.read_text),
            "bytes": (frozenset({"data"}), lambda body, place, _depth: self.read_bytes(body["data"], place)),
            "tuple": (frozenset({"items"}), self.read_tuple),
            "dict": (frozenset({"pairs"}), self.read_dict),
            "tensor": (frozenset({"dtype", "shape", "data"}), self.read_tensor),
            "array": (frozenset({"dtype", "shape", "data"}), self.read_array),
            "scalar": (frozenset({"dtype", "shape", "data"}), self.read_scalar),
        }

    def decode(self, value: Any, place: str, depth: int) -> Any:
        if depth > DEPTH:
            raise CodecError(f"{place} is nested more than {DEPTH} deep.")
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, list):
            return [self.decode(each, f"{place}[{number}]", depth + 1) for number, each in enumerate(value)]
        if not isinstance(value, dict):
            raise CodecError(f"{place} is no JSON: {type(value).__name__}.")
        if TAG not in value:
            return {key: self.decode(each, f"{place}[{key!r:.50}]", depth + 1) for key, each in value.items()}
        tag = value[TAG]
        known = self.known.get(tag) if isinstance(tag, str) else None
        if known is None or known[0] != value.keys() - {TAG}:
            raise CodecError(f"{place} is tagged {tag!r:.50}, with other fields than such a value has.")
        return known[1](value, place, depth)

    def read_float(self, body: dict[str, Any], place: str, _depth: int) -> float:
        text = body["hex"]
        try:
            return float.fromhex(text if isinstance(text, str) and len(text) < 40 else "?")
        except (ValueError, OverflowError):
            raise CodecError(f"{place} is no number: {text!r:.50}.") from None

    def read_text(self, body: dict[str, Any], place: str, _depth: int) -> str:
        try:
            return self.read_bytes(body["data"], place).decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise CodecError(f"{place} is no text.") from None

    def read_tuple(self, body: dict[str, Any], place: str, depth: int) -> tuple[Any, ...]:
        if not isinstance(body["items"], list):
            raise CodecError(f"{place} is a tuple without a list of items.")
        return tuple(self.decode(body["items"], place, depth))

    def read_dict(self, body: dict[str, Any], place: str, depth: int) -> dict[Any, Any]:
        pairs = body["pairs"]
        if not isinstance(pairs, list) or not all(
            isinstance(each, list) and len(each) == 2 for each in pairs
        ):
            raise CodecError(f"{place} is a dict without a list of pairs.")
        found = {}
        for key, each in pairs:
            name = self.decode(key, place, depth + 1)
            try:
                found[name] = self.decode(each, f"{place}[{name!r:.50}]", depth + 1)
            except TypeError:
                raise CodecError(f"{place} has a key that cannot be one.") from None
        if len(found) != len(pairs):
            raise CodecError(f"{place} has the same key twice.")
        return found

    def read_bytes(self, data: Any, place: str, expected: int | None = None) -> bytes:
        """expected: the number of bytes that it must be; checked before anything is unpacked."""
        if not isinstance(data, str):
            raise CodecError(f"{place} has no base64 text.")
        size = len(data) // 4 * 3 - data[-2:].count("=")
        if expected is not None and size != expected:
            raise CodecError(f"{place} has {size} bytes where its shape and dtype say {expected}.")
        if size > self.left:
            raise CodecError(f"{place} takes the item over the limit of bytes.")
        self.left -= size
        try:
            return base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            raise CodecError(f"{place} has no base64 text.") from None

    def numbers(
        self, body: dict[str, Any], place: str, allowed: frozenset[str]
    ) -> tuple[str, list[int], bytes]:
        """dtype, shape and bytes that agree with each other."""
        dtype, shape = body["dtype"], body["shape"]
        if not isinstance(dtype, str) or dtype not in allowed:
            raise CodecError(f"{place} has the dtype {dtype!r:.50}; allowed: {_list(allowed)}.")
        if not isinstance(shape, list) or len(shape) > DIMENSIONS:
            raise CodecError(f"{place} has no shape of at most {DIMENSIONS} dimensions.")
        if not all(type(each) is int and 0 <= each <= MOST_BYTES for each in shape):
            raise CodecError(f"{place} has a shape with an impossible dimension.")
        data = self.read_bytes(body["data"], place, math.prod(shape) * _bytes_of(dtype))
        if dtype == "bool" and data.translate(None, b"\0\1"):
            raise CodecError(f"{place} has truth values that are neither.")
        return dtype, shape, data

    def read_tensor(self, body: dict[str, Any], place: str, _depth: int) -> Any:
        dtype, shape, data = self.numbers(body, place, TENSOR_DTYPES)
        try:
            import torch
        except ImportError:
            raise CodecError(f"{place} is a tensor, and torch is not installed here.") from None
        kind = getattr(torch, dtype)
        try:
            return (
                torch.frombuffer(bytearray(data), dtype=kind).reshape(shape)
                if data
                else torch.empty(shape, dtype=kind)
            )
        except (RuntimeError, ValueError) as error:
            raise CodecError(f"{place} is no tensor: {error}") from None

    def read_array(self, body: dict[str, Any], place: str, _depth: int) -> Any:
        dtype, shape, data = self.numbers(body, place, ARRAY_DTYPES)
        try:
            import numpy
        except ImportError:
            raise CodecError(f"{place} is an array, and numpy is not installed here.") from None
        try:
            return numpy.frombuffer(data, numpy.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)
        except ValueError as error:
            raise CodecError(f"{place} is no array: {error}") from None

    def read_scalar(self, body: dict[str, Any], place: str, depth: int) -> Any:
        if body["shape"] != []:
            raise CodecError(f"{place} is a scalar with a shape.")
        return self.read_array(body, place, depth)[()]


def _bytes_of(dtype: str) -> int:
    return _ITEM_BYTES.get(dtype) or int(dtype.lstrip("abcdefghijklmnopqrstuvwxyz")) // 8


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
