"""Typed contents of a tensor as raw bytes, and raw bytes of what came as JSON.

The protocol has one list for all integers of up to 32 bits, so their range is looked at here;
shapes are the model's to judge, behind the door, with the count of elements said here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gateway.api import DTYPES, InvalidRequest
from gateway.wire.binary import array_to_binary, pack_bytes

LISTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""In which list of ``InferTensorContents`` the elements of a datatype stand."""
WIDE = {"int_contents": np.int32, "uint_contents": np.uint32}


def raw_contents(field: str, datatype: str, shape: Sequence[int], contents: Any) -> bytes:
    """The elements as the binary extension has them. Raises InvalidRequest naming ``field``."""
    name = LISTS.get(datatype)
    if name is None:
        known = ", ".join(LISTS)
        raise InvalidRequest(
            f"{field}: datatype {datatype[:60]!r} has no typed contents (those of {known} have); "
            "send it in raw_input_contents"
        )
    values = getattr(contents, name)
    expected = math.prod(shape)
    if len(values) != expected:
        raise InvalidRequest(
            f"{field}: contents.{name} has {len(values)} elements, shape {list(shape)[:16]} takes "
            f"{expected}{_elsewhere(contents, name, datatype)}"
        )
    if datatype == "BYTES":
        return pack_bytes(values)
    array = np.fromiter(values, WIDE.get(name, DTYPES[datatype]), len(values))
    if name in WIDE:
        limits = np.iinfo(DTYPES[datatype])
        outside = (array < limits.min) | (array > limits.max)
        if outside.any():
            at = int(np.argmax(outside))
            raise InvalidRequest(
                f"{field}: contents.{name}[{at}] is {array[at]}, outside {datatype} "
                f"({limits.min} to {limits.max})"
            )
    return array_to_binary(array.astype(DTYPES[datatype], copy=False))


def _elsewhere(contents: Any, expected: str, datatype: str) -> str:
    """A hint, where another list is filled instead."""
    filled = [field.name for field, _ in contents.ListFields() if field.name != expected]
    if not filled or len(getattr(contents, expected)):
        return ""
    return f"; {filled[0]} is filled, but {datatype} stands in {expected}"
