"""Tensors as raw bytes: the binary tensor data extension.

Little-endian, row-major, no padding. A fixed-size element is its native bytes, BOOL one byte
0 or 1; a BYTES element is a 4-byte length and then its bytes. A tensor is a view into the
body when its bytes happen to be aligned, else one copy: compiled kernels may assume alignment,
and a client chooses the length of the JSON head before the tensor freely.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterable, Sequence

import numpy as np

from gateway.api import DTYPES, InvalidRequest, NdArray

_LENGTH = struct.Struct("<I")
_LITTLE = sys.byteorder == "little"


def array_from_binary(
    field: str, datatype: str, shape: Sequence[int], body: bytes, start: int, size: int
) -> NdArray:
    """``size`` bytes of ``body`` from ``start`` on as an array of ``shape`` (dims >= 1).

    Returns the dtype of ``DTYPES`` (BYTES: objects that are bytes), aligned, maybe read-only.
    Raises InvalidRequest when size, shape and contents do not add up; ``field`` names it.
    """
    count = math.prod(shape)
    if datatype == "BYTES":
        return unpack_bytes(field, body, start, size, count).reshape(shape)
    dtype = DTYPES[datatype]
    if size != count * dtype.itemsize:
        raise InvalidRequest(
            f"{field}: binary_data_size is {size}, but {datatype} of shape {list(shape)} "
            f"takes {count * dtype.itemsize} bytes"
        )
    if datatype == "BOOL":
        return _booleans(field, body, start, count).reshape(shape)
    array = np.frombuffer(body, dtype, count, start).reshape(shape)
    return array if array.flags.aligned else array.copy()


def _booleans(field: str, body: bytes, start: int, count: int) -> NdArray:
    raw = np.frombuffer(body, np.uint8, count, start)
    if raw.max(initial=0) > 1:
        at = int(np.argmax(raw > 1))
        raise InvalidRequest(f"{field}: element {at} is byte {raw[at]}; a BOOL is one byte, 0 or 1")
    return raw.view(np.bool_)


def unpack_bytes(field: str, body: bytes, start: int, size: int, count: int) -> NdArray:
    """``count`` length-prefixed elements that fill ``size`` bytes exactly; shape [count]."""
    if size < count * _LENGTH.size:
        raise InvalidRequest(
            f"{field}: binary_data_size is {size}, but {count} BYTES elements "
            f"take at least {count * _LENGTH.size} bytes (4 for each length)"
        )
    elements = np.empty(count, np.object_)
    at, end = start, start + size
    for index in range(count):
        first = at + _LENGTH.size
        if first > end:
            raise InvalidRequest(
                f"{field}: binary data ends before element {index} of {count}; "
                f"binary_data_size is {size}"
            )
        at = first + _LENGTH.unpack_from(body, at)[0]
        if at > end:
            raise InvalidRequest(
                f"{field}: element {index} claims {at - first} bytes, "
                f"{end - first} are left of binary_data_size {size}"
            )
        elements[index] = body[first:at]
    if at != end:
        raise InvalidRequest(
            f"{field}: {end - at} bytes are left after {count} BYTES elements; "
            f"binary_data_size is {size}"
        )
    return elements


def array_to_binary(array: NdArray) -> bytes:
    """The raw bytes of ``array``; objects are BYTES elements (bytes)."""
    if array.dtype.hasobject:
        return pack_bytes(array.ravel())
    if not (_LITTLE and array.dtype.isnative):
        array = array.astype(array.dtype.newbyteorder("<"))
    return array.tobytes()


def pack_bytes(elements: Iterable[bytes]) -> bytes:
    """BYTES elements one after another, each after its 4-byte length."""
    parts: list[bytes] = []
    for element in elements:
        parts.append(_LENGTH.pack(len(element)))
        parts.append(element)
    return b"".join(parts)
