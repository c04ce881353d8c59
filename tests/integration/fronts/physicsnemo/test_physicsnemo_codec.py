"""Items cross unchanged, and what is no item is refused."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from labqueue_physicsnemo.codec import ARRAY_DTYPES, DEPTH, TENSOR_DTYPES, CodecError, decode, encode
from labqueue_physicsnemo.items import item_of, text_of

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


def same(one: Any, two: Any) -> bool:
    """Equal in type, order and every bit."""
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return list(one) == list(two) and all(same(one[key], two[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, float):
        return one.hex() == two.hex()
    return bool(one == two)


@given(PLAIN)
def test_plain_values_come_back(item: Any) -> None:
    assert same(item_of(text_of(item)), item)


@given(PLAIN)
def test_nothing_is_left_to_the_order_of_keys(item: Any) -> None:
    """Postgres sorts the keys of objects."""
    assert same(decode(json.loads(json.dumps(encode(item), sort_keys=True))), item) or any_object(
        encode(item)
    )


def any_object(value: Any) -> bool:
    """An untagged object: its keys are in the order that jsonb has, which is not Python's."""
    if isinstance(value, dict):
        return "$" not in value or any(map(any_object, value.values()))
    return isinstance(value, list) and any(map(any_object, value))


@pytest.mark.parametrize("value", [math.inf, -math.inf, -0.0, 1e22, 5e-324, 2.0**60])
def test_floats_that_json_or_postgres_change(value: float) -> None:
    assert same(item_of(text_of({"x": value})), {"x": value})
    assert math.isnan(item_of(text_of(math.nan)))


@pytest.mark.parametrize("name", sorted(TENSOR_DTYPES))
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4)])
def test_tensors_come_back(name: str, shape: tuple[int, ...]) -> None:
    tensor = (torch.randn(shape) * 3).to(getattr(torch, name))
    found = item_of(text_of({"x": [tensor]}))["x"][0]
    assert found.dtype == tensor.dtype and found.shape == tensor.shape and torch.equal(found, tensor)
    found.reshape(-1)[:1] = 1  # it is one's own, to be changed


def test_tensors_that_are_views_of_others() -> None:
    grid = torch.arange(12.0).reshape(3, 4)
    wave = torch.randn(4, dtype=torch.complex64)
    for tensor in (
        grid.T,
        grid[:, 1],
        grid[1, 2],
        wave.conj(),
        torch.nn.Parameter(grid),
        grid.expand(2, 3, 4),
    ):
        assert torch.equal(item_of(text_of(tensor)), tensor.detach())


@pytest.mark.parametrize("name", sorted(ARRAY_DTYPES))
def test_arrays_and_scalars_come_back(name: str) -> None:
    for array in (np.arange(6).reshape(2, 3).astype(name), np.zeros((0, 2), name)):
        found = item_of(text_of(array))
        assert found.dtype == array.dtype and found.shape == array.shape and (found == array).all()
    [scalar] = np.ones(1, name)
    found = item_of(text_of(scalar))
    assert type(found) is type(scalar) and found == scalar
    swapped = np.arange(3, dtype=">i4")
    assert (item_of(text_of(swapped)) == swapped).all()


class Strange:
    def __reduce__(self) -> Any:
        raise AssertionError("nothing is pickled")


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (Strange(), "Strange, which cannot cross"),
        ({"mesh": [1, Strange()]}, r"item\['mesh'\]\[1\]"),
        (np.array([object()]), "array of object"),
        (np.array(["text"]), "array of str"),
        (torch.eye(3).to_sparse(), "sparse"),
        ({1, 2}, "set"),
        (10**300, "300 digits"),
    ],
)
def test_what_cannot_cross_is_named(item: Any, words: str) -> None:
    with pytest.raises(CodecError, match=words):
        encode(item)


def test_depth_is_limited_both_ways() -> None:
    deep: Any = 0
    for _ in range(DEPTH + 1):
        deep = [deep]
    for work in (encode, decode):
        with pytest.raises(CodecError, match="deep"):
            work(deep)
    with pytest.raises(CodecError):
        item_of("[" * 100_000)


def tensor(**changes: Any) -> dict[str, Any]:
    return {
        "$": "tensor",
        "dtype": "float32",
        "shape": [2],
        "data": base64.b64encode(bytes(8)).decode(),
        **changes,
    }


@pytest.mark.parametrize(
    "body",
    [
        tensor(dtype="object"),
        tensor(dtype="float32; import os"),
        tensor(dtype=["float32"]),
        tensor(dtype="nn"),
        tensor(shape=[3]),
        tensor(shape=[-1, -2]),
        tensor(shape=[2.0]),
        tensor(shape=[True, 2]),
        tensor(shape="2"),
        tensor(shape=[2] * 40),
        tensor(shape=[2**62, 2**62, 0], data=""),
        tensor(shape=[10**12], data=""),
        tensor(data="AAAA"),
        tensor(data="!" * 12),
        tensor(data=8),
        tensor(data=None),
        tensor(more=1),
        {"$": "tensor"},
        {"$": "pickle", "data": "gASVAAAA"},
        {"$": ["tensor"]},
        {"$": None},
        {"$": "bytes", "data": "ä"},
        {"$": "text", "data": "/////w=="},
        {"$": "float", "hex": "0x" + "f" * 100},
        {"$": "float", "hex": "0x1p99999"},
        {"$": "float", "hex": 3},
        {"$": "tuple", "items": {}},
        {"$": "dict", "pairs": [[1]]},
        {"$": "dict", "pairs": [[[], 1]]},
        {"$": "dict", "pairs": [["a", 1], ["a", 2]]},
        {"$": "array", "dtype": "bfloat16", "shape": [1], "data": "AAA="},
        {"$": "array", "dtype": "bool", "shape": [1], "data": "Ag=="},
        {"$": "scalar", "dtype": "int8", "shape": [1], "data": "AA=="},
        object(),
    ],
)
def test_hostile_values_are_refused(body: Any) -> None:
    with pytest.raises(CodecError):
        decode({"x": [body]})


def test_the_bytes_of_an_item_are_limited_together() -> None:
    body = encode([torch.zeros(100), torch.zeros(100)])
    assert len(decode(body, most=800)) == 2
    with pytest.raises(CodecError, match="limit of bytes"):
        decode(body, most=799)
