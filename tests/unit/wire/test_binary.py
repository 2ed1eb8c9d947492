"""Raw bytes become arrays and back; what does not add up is told by the field's name."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from gateway.api import DTYPES, InvalidRequest
from gateway.wire.binary import array_from_binary, array_to_binary, pack_bytes

FIXED = sorted(set(DTYPES) - {"BYTES"})
FIELD = "input 'x'"


def some_array(datatype: str) -> np.ndarray:
    random = np.random.default_rng(5)
    if datatype == "BOOL":
        return random.integers(0, 2, (3, 4)).astype(np.bool_)
    dtype = DTYPES[datatype]
    raw = random.integers(0, 256, 12 * dtype.itemsize, np.uint8)
    return np.frombuffer(raw.tobytes(), dtype).reshape(3, 4)


@pytest.mark.parametrize("datatype", FIXED)
@pytest.mark.parametrize("before", [0, 1, 7])
def test_round_trip_at_any_offset(datatype: str, before: int) -> None:
    array = some_array(datatype)
    raw = array_to_binary(array)
    body = b"{" * before + raw + b"tail"
    read = array_from_binary(FIELD, datatype, [3, 4], body, before, len(raw))
    assert read.dtype == DTYPES[datatype]
    assert read.shape == (3, 4)
    assert read.flags.aligned
    assert read.tobytes() == array.tobytes()


def test_aligned_bytes_are_not_copied() -> None:
    body = np.arange(6, dtype="<f4").tobytes()
    read = array_from_binary(FIELD, "FP32", [6], body, 0, 24)
    assert np.shares_memory(read, np.frombuffer(body, np.uint8))


def test_non_finite_bits_survive() -> None:
    array = np.array([np.nan, np.inf, -np.inf, -0.0], "<f4")
    raw = array_to_binary(array)
    assert array_from_binary(FIELD, "FP32", [4], raw, 0, 16).tobytes() == array.tobytes()


def test_bytes_elements_round_trip() -> None:
    elements = np.array([b"", b"\xff\x00", "猫".encode(), b"x" * 300], np.object_)
    raw = array_to_binary(elements.reshape(2, 2))
    read = array_from_binary(FIELD, "BYTES", [2, 2], b"." + raw, 1, len(raw))
    assert read.shape == (2, 2)
    assert read.ravel().tolist() == elements.tolist()
    assert raw[4:8] == struct.pack("<I", 2)


def test_big_endian_and_strided_arrays_are_written_little_endian_row_major() -> None:
    array = np.arange(6, dtype=">i4").reshape(2, 3).T
    assert array_to_binary(array) == struct.pack("<6i", 0, 3, 1, 4, 2, 5)


@pytest.mark.parametrize("size", [0, 11, 13])
def test_size_must_match_the_shape(size: int) -> None:
    with pytest.raises(InvalidRequest, match=r"input 'x'.*takes 12 bytes") as caught:
        array_from_binary(FIELD, "FP32", [3], bytes(16), 0, size)
    assert str(size) in str(caught.value)


def test_a_boolean_is_zero_or_one() -> None:
    with pytest.raises(InvalidRequest, match=r"input 'x': element 2 is byte 7"):
        array_from_binary(FIELD, "BOOL", [3], b"\x00\x01\x07", 0, 3)


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"\x01\x00", "at least 8 bytes"),
        (struct.pack("<I", 9) + b"abcd", "claims 9 bytes, 4 are left"),
        (struct.pack("<I", 4) + b"abcd", "ends before element 1"),
        (pack_bytes([b"a", b"b", b"c"]), "5 bytes are left after 2"),
        (struct.pack("<I", 2**32 - 1) + b"abcd", "claims 4294967295"),
    ],
)
def test_bytes_that_do_not_add_up(raw: bytes, what: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"input 'x'.*{what}"):
        array_from_binary(FIELD, "BYTES", [2], raw + b"next tensor", 0, len(raw))
