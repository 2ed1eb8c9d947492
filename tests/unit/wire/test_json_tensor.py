"""JSON lists become arrays and back, flat or nested; wrong elements are told with their place."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest

from gateway.api import DTYPES, InvalidRequest, NdArray
from gateway.wire.json_tensor import COUNTED_FROM_BYTES, array_from_json, json_from_array

FIELD = "input 'x'"
INTEGERS = [name for name, dtype in DTYPES.items() if dtype.kind in "iu"]


def read(datatype: str, shape: list[int], data: Any) -> NdArray:
    raw = data if isinstance(data, str) else json.dumps(data)
    return array_from_json(FIELD, datatype, shape, math.prod(shape), msgspec.Raw(raw.encode()))


def refused(datatype: str, shape: list[int], data: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        read(datatype, shape, data)
    assert str(caught.value).startswith(FIELD)
    return str(caught.value)


@pytest.mark.parametrize("datatype", INTEGERS)
def test_the_whole_range_of_every_integer(datatype: str) -> None:
    limits = np.iinfo(DTYPES[datatype])
    array = read(datatype, [3], [int(limits.min), 1, int(limits.max)])
    assert array.dtype == DTYPES[datatype]
    assert array.tolist() == [limits.min, 1, limits.max]
    for beyond in (int(limits.min) - 1, int(limits.max) + 1):
        message = refused(datatype, [2], [0, beyond])
        assert f"data[1] is {beyond}" in message
        assert datatype in message


def test_floats_are_rounded_as_numpy_rounds_them() -> None:
    values = [0.1, 1 / 3, 1e-45, 3.4028235e38, -0.0, 16777217]
    assert read("FP32", [6], values).tobytes() == np.array(values, "<f4").tobytes()
    assert read("FP64", [6], values).tobytes() == np.array(values, "<f8").tobytes()


def test_flat_and_nested_are_the_same_tensor() -> None:
    array = np.arange(24, dtype="<i4").reshape(2, 3, 4)
    flat, nested = array.ravel().tolist(), array.tolist()
    assert read("INT32", [2, 3, 4], flat).tolist() == nested
    assert read("INT32", [2, 3, 4], nested).tolist() == nested
    assert read("FP64", [2, 3, 4], nested).tolist() == nested


def test_booleans_strings_and_a_scalar() -> None:
    assert read("BOOL", [2, 1], [[True], [False]]).tolist() == [[True], [False]]
    texts = read("BYTES", [2, 2], [["a", "猫"], ["", '"\n']])
    assert texts.tolist() == [[b"a", "猫".encode()], [b"", b'"\n']]
    assert read("FP32", [], [2.5]).shape == ()


def test_a_number_alone_is_no_tensor() -> None:
    assert "Expected `array`, got `float`" in refused("FP32", [], "2.5")


@pytest.mark.parametrize(
    ("datatype", "data", "what"),
    [
        ("INT32", [1, 2.5], "data[1]: Expected `int`, got `float` (datatype INT32)"),
        ("INT32", [1.0, 2], "data[0]: Expected `int`, got `float`"),
        ("INT32", ["1", 2], "data[0]: Expected `int`, got `str`"),
        ("INT32", [True, 2], "data[0]: Expected `int`, got `bool`"),
        ("BOOL", [True, 1], "data[1]: Expected `bool`, got `int`"),
        ("FP32", [0.0, None], "data[1]: Expected `float`, got `null`"),
        ("FP32", [0.0, "1"], "data[1]: Expected `float`, got `str`"),
        ("FP32", [0.0, 1e39], "data[1] is 1e+39, outside FP32"),
        ("FP64", "[0.0, 1e400]", "data[1]: Number out of range"),
        ("BYTES", ["a", 1], "data[1]: Expected `str`, got `int`"),
        ("FP32", {"0": 1}, "Expected `array`, got `object`"),
        ("FP32", "[0.0, NaN]", "malformed"),
        ("UINT8", [0] * 3, "3 elements, shape [2] takes 2"),
        ("UINT8", [], "0 elements"),
        ("UINT8", [[0], [1]], "data[0]: Expected `int`, got `array`"),
    ],
)
def test_wrong_elements_are_named(datatype: str, data: Any, what: str) -> None:
    assert what in refused(datatype, [2], data)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ([[1, 2, 3]], "a list of 1 at nesting level 1"),
        ([[1, 2, 3], [4, 5]], "a list of 2 at nesting level 2"),
        ([[1, 2], [3, 4], [5, 6]], "a list of 3 at nesting level 1"),
        ([[1, 2, 3], [4, 5, "6"]], "data[1][2]: Expected `int`, got `str`"),
        ([[[1, 2, 3]], [[4, 5, 6]]], "data[0][0]: Expected `int`, got `array`"),
        ([1, [2]], "data[1]: Expected `int`, got `array`"),
    ],
)
def test_nesting_must_be_the_shape(data: Any, what: str) -> None:
    assert what in refused("INT64", [2, 3], data)


@pytest.mark.parametrize("nested", [True, False])
def test_big_data_is_counted_before_it_is_read(nested: bool) -> None:
    array = np.arange(COUNTED_FROM_BYTES, dtype="<i4").reshape(-1, 4)
    data = array.tolist() if nested else array.ravel().tolist()
    assert read("INT32", list(array.shape), data).tolist() == array.tolist()
    assert f"{array.size} elements" in refused("INT32", [7, 4], data)


def test_fp16_is_not_read_from_json() -> None:
    assert "binary" in refused("FP16", [1], [1.0])


def test_text_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="input 'x'"):
        array_from_json(FIELD, "BYTES", [1], 1, msgspec.Raw(b'["\xff"]'))
    assert "input 'x'" in refused("BYTES", [1], '["\\ud800"]')


@pytest.mark.parametrize("datatype", sorted(set(DTYPES) - {"FP16", "BYTES"}))
def test_what_is_written_reads_back_bit_for_bit(datatype: str) -> None:
    raw = np.random.default_rng(9).integers(0, 2, 6).astype(DTYPES[datatype])
    array = (raw / np.array(3)).astype(DTYPES[datatype]).reshape(2, 3)
    spelled = json_from_array(FIELD, datatype, array)
    assert array_from_json(FIELD, datatype, [2, 3], 6, spelled).tobytes() == array.tobytes()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_say_asks_for_binary(value: float) -> None:
    for datatype in ("FP32", "FP64"):
        with pytest.raises(InvalidRequest, match=r"output 'y'.*binary_data"):
            json_from_array("output 'y'", datatype, np.array([1, value], DTYPES[datatype]))


def test_fp16_and_raw_bytes_are_not_written_as_json() -> None:
    with pytest.raises(InvalidRequest, match=r"output 'y'.*FP16.*binary_data"):
        json_from_array("output 'y'", "FP16", np.zeros(1, "<f2"))
    with pytest.raises(InvalidRequest, match=r"output 'y'.*UTF-8.*binary_data"):
        json_from_array("output 'y'", "BYTES", np.array([b"\xff"], np.object_))
