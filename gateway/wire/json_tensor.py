"""Tensors as JSON: a flat list in row-major order, or lists nested as the shape says.

msgspec reads the list with its element type, so a wrong element is found, with its place,
while reading; ``struct`` then packs it, which checks every number's range on the way and is
the fastest of the ways tried (288 floats: 2.9 us, ``numpy.array`` 6.8, ``fromiter`` 5.9).
Flat lists are tried first; the nested reading is the answer to the flat one's refusal.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from types import GenericAlias
from typing import Any

import msgspec
import numpy as np

from gateway.api import DTYPES, InvalidRequest, NdArray

CODES = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP32": "f",
    "FP64": "d",
}
"""What ``struct`` calls the datatypes that are numbers."""
ELEMENT: dict[str, type] = {
    **dict.fromkeys(CODES, int),
    "BOOL": bool,
    "FP32": float,
    "FP64": float,
    "BYTES": str,
}
"""What JSON calls an element."""
_FLAT: dict[type, msgspec.json.Decoder[Any]] = {
    int: msgspec.json.Decoder(list[int]),
    bool: msgspec.json.Decoder(list[bool]),
    float: msgspec.json.Decoder(list[float]),
    str: msgspec.json.Decoder(list[str]),
}
COUNTED_FROM_BYTES = 64 * 1024
"""From this size on elements are counted by their commas before they are read: a number of
two bytes becomes an object of 32."""


def array_from_json(
    field: str, datatype: str, shape: Sequence[int], count: int, raw: msgspec.Raw
) -> NdArray:
    """The array of ``shape`` (``count`` elements) that ``raw`` spells.

    Returns the dtype of ``DTYPES`` (BYTES: objects that are bytes, UTF-8), maybe read-only.
    Raises InvalidRequest: wrong element type or range, count or nesting; ``field`` names it.
    """
    if datatype == "FP16":
        raise InvalidRequest(
            f"{field}: FP16 has no JSON form; send it as binary data (binary_data_size)"
        )
    if datatype != "BYTES" and memoryview(raw).nbytes >= COUNTED_FROM_BYTES:
        _check_count(field, shape, count, bytes(raw).count(b",") + 1)
    values = _values(field, datatype, shape, raw)
    _check_count(field, shape, count, len(values))
    if datatype == "BYTES":
        elements = np.empty(count, np.object_)
        elements[:] = [value.encode() for value in values]
        return elements.reshape(shape)
    try:
        packed = struct.pack(f"<{count}{CODES[datatype]}", *values)
    except (struct.error, OverflowError):
        raise InvalidRequest(_out_of_range(field, datatype, values)) from None
    return np.frombuffer(packed, DTYPES[datatype]).reshape(shape)


def _check_count(field: str, shape: Sequence[int], count: int, found: int) -> None:
    if found != count:
        raise InvalidRequest(
            f"{field}: data has {found} elements, shape {list(shape)} takes {count}"
        )


def _values(field: str, datatype: str, shape: Sequence[int], raw: msgspec.Raw) -> list[Any]:
    kind = ELEMENT[datatype]
    try:
        values: list[Any] = _FLAT[kind].decode(raw)
        return values
    except msgspec.ValidationError as error:
        if len(shape) < 2 or "got `array` - at `$[0]`" not in str(error):
            raise InvalidRequest(_explain(field, datatype, str(error))) from None
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(_explain(field, datatype, str(error))) from None
    return _nested(field, datatype, shape, raw)


def _nested(field: str, datatype: str, shape: Sequence[int], raw: msgspec.Raw) -> list[Any]:
    try:
        level: list[Any] = [_nested_decoder(ELEMENT[datatype], len(shape)).decode(raw)]
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(_explain(field, datatype, str(error))) from None
    for axis, size in enumerate(shape):
        wrong = next((len(part) for part in level if len(part) != size), None)
        if wrong is not None:
            raise InvalidRequest(
                f"{field}: data has a list of {wrong} at nesting level {axis + 1}, "
                f"shape {list(shape)} takes {size} there"
            )
        level = list(chain.from_iterable(level))
    return level


def nested_list(element: Any, depth: int) -> Any:
    """The type of lists in lists, ``depth`` deep, around ``element``."""
    nested = element
    for _ in range(depth):
        nested = GenericAlias(list, (nested,))
    return nested


@lru_cache(maxsize=64)
def _nested_decoder(element: type, depth: int) -> msgspec.json.Decoder[Any]:
    """To make one takes 4 us; ``depth`` is that of a model's input, so they are few."""
    return msgspec.json.Decoder(nested_list(element, depth))


def _explain(field: str, datatype: str, message: str) -> str:
    """msgspec's sentence, with the place inside ``data`` and the datatype that wants it so."""
    text, _, place = message.partition(" - at ")
    return f"{field}: data{place.strip('`').removeprefix('$')}: {text} (datatype {datatype})"


def _out_of_range(field: str, datatype: str, values: list[Any]) -> str:
    """Names the first value that does not fit."""
    one = struct.Struct(f"<{CODES[datatype]}")
    dtype = DTYPES[datatype]
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    for index, value in enumerate(values):
        try:
            one.pack(value)
        except (struct.error, OverflowError):
            return (
                f"{field}: data[{index}] is {_shown(value)}, outside {datatype} "
                f"({limits.min} to {limits.max})"
            )
    return f"{field}: data holds a value outside {datatype}"


def _shown(value: float) -> str:
    return f"{value:.6g}" if abs(value) >= 1e21 else str(value)


def json_from_array(field: str, datatype: str, array: NdArray) -> msgspec.Raw:
    """The flat JSON list of ``array``, shortest digits that read back to the same value.

    Raises InvalidRequest for what JSON cannot say: NaN, infinities, FP16, BYTES not UTF-8.
    """
    if datatype == "BYTES":
        return _json_from_bytes(field, array)
    if datatype == "FP16":
        raise InvalidRequest(f"{field}: FP16 has no JSON form; ask for it with binary_data")
    encoded = msgspec.json.encode(array.ravel().tolist())
    # msgspec writes a non-finite number as null; no finite one has an "n" (0.1 us for 288
    # floats, isfinite().all() takes 1.3).
    if datatype in ("FP32", "FP64") and b"n" in encoded:
        raise InvalidRequest(
            f"{field}: the answer holds NaN or an infinity, which JSON cannot say; "
            "ask for the output with binary_data"
        )
    return msgspec.Raw(encoded)


def _json_from_bytes(field: str, array: NdArray) -> msgspec.Raw:
    try:
        return msgspec.Raw(msgspec.json.encode([item.decode() for item in array.ravel()]))
    except UnicodeDecodeError:
        raise InvalidRequest(
            f"{field}: the answer holds bytes that are not UTF-8, which JSON cannot say; "
            "ask for the output with binary_data"
        ) from None
