"""Typed elements become the bytes the binary extension has, or are refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.api import DTYPES, InvalidRequest
from gateway.serving.grpc_door.contents import LISTS, raw_contents
from gateway.serving.grpc_door.messages import InferTensorContents
from gateway.wire.binary import pack_bytes


def filled(name: str, values: list[Any]) -> Any:
    contents = InferTensorContents()
    getattr(contents, name).extend(values)
    return contents


@pytest.mark.parametrize("datatype", [name for name in LISTS if name != "BYTES"])
def test_elements_stand_row_by_row_in_their_own_width(datatype: str) -> None:
    values = [0, 1, 1, 0, 1, 0]
    told = filled(LISTS[datatype], [bool(v) if datatype == "BOOL" else v for v in values])
    raw = raw_contents("x", datatype, [2, 3], told)
    assert np.frombuffer(raw, DTYPES[datatype]).tolist() == values


def test_bytes_stand_behind_their_lengths() -> None:
    told = filled("bytes_contents", [b"a", b"", "é".encode()])
    assert raw_contents("x", "BYTES", [3], told) == pack_bytes([b"a", b"", "é".encode()])


@pytest.mark.parametrize(
    ("datatype", "value"), [("INT8", 128), ("INT16", -32769), ("UINT8", 256), ("UINT16", 65536)]
)
def test_an_integer_out_of_range_is_named_with_its_place(datatype: str, value: int) -> None:
    told = filled(LISTS[datatype], [1, value])
    with pytest.raises(InvalidRequest, match=rf"contents\[1\] is {value}, outside {datatype}"):
        raw_contents("input 'x'", datatype, [2], told)


def test_a_wrong_count_is_told() -> None:
    with pytest.raises(InvalidRequest, match=r"has 3 elements, shape \[2, 2\] takes 4"):
        raw_contents("x", "FP32", [2, 2], filled("fp32_contents", [1.0] * 3))


def test_a_wrong_list_is_pointed_at() -> None:
    with pytest.raises(InvalidRequest, match="fp64_contents is filled, but FP32 stands in fp32_"):
        raw_contents("x", "FP32", [1], filled("fp64_contents", [1.0]))


@pytest.mark.parametrize("datatype", ["FP16", "BF16", "FLOAT"])
def test_a_datatype_without_a_list_is_sent_raw(datatype: str) -> None:
    with pytest.raises(InvalidRequest, match=f"'{datatype}' has no typed contents"):
        raw_contents("x", datatype, [1], filled("fp32_contents", [1.0]))
