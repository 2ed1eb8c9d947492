"""Inference in MessagePack: the protocol's fields by the same names, tensors as raw bytes.

A request becomes what every door hands on, a JSON head with the tensors behind it; an answer of
that form, or of JSON, becomes MessagePack. A tensor is copied once each way. ``data`` is what the
binary extension sends: little-endian, row-major, BYTES elements each after its 4-byte length.
"""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.api import DTYPES, CenterFailed, InvalidRequest
from gateway.wire.binary import array_to_binary
from gateway.wire.json_tensor import array_from_json
from gateway.wire.parameters import Parameter

MSGPACK = "application/msgpack"
SIZE = "binary_data_size"
ALL_BINARY = "binary_data_output"
TENSORS_MAX = 256
DIMENSIONS_MAX = 32
PARAMETERS_MAX = 64
"""Bounds of what becomes objects: a body within its bound could hold half a million tensors."""
Parameters = dict[str, Parameter]
_Parameters = Annotated[dict[str, Parameter], Meta(max_length=PARAMETERS_MAX)]
_Shape = Annotated[list[int], Meta(max_length=DIMENSIONS_MAX)]


class _Input(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    datatype: str
    shape: _Shape
    data: memoryview
    parameters: _Parameters | None = None


class _Wanted(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    name: str
    parameters: _Parameters | None = None


class PackedRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A request as it is sent."""

    inputs: Annotated[list[_Input], Meta(max_length=TENSORS_MAX)]
    id: str | None = None
    parameters: _Parameters | None = None
    outputs: Annotated[list[_Wanted], Meta(max_length=TENSORS_MAX)] | None = None


class _HeadInput(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    parameters: Parameters


class _Head(msgspec.Struct, omit_defaults=True):
    inputs: list[_HeadInput]
    parameters: Parameters
    id: str | None = None
    outputs: list[_Wanted] | None = None


class _Told(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    parameters: Parameters | None = None
    data: msgspec.Raw = msgspec.Raw()


class _Answer(msgspec.Struct):
    model_name: str
    model_version: str | None = None
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[_Told] = []


class _Output(msgspec.Struct, omit_defaults=True):
    name: str
    datatype: str
    shape: list[int]
    data: bytes | memoryview
    parameters: Parameters | None = None


class _Packed(msgspec.Struct, omit_defaults=True):
    model_name: str
    outputs: list[_Output]
    model_version: str | None = None
    id: str | None = None
    parameters: Parameters | None = None


_REQUEST = msgspec.msgpack.Decoder(PackedRequest)
_ANSWER = msgspec.json.Decoder(_Answer)


def unpack_request(body: bytes, *, packed: bool = True) -> tuple[bytes, int]:
    """``(body, head_bytes)`` of a request in MessagePack. Raises InvalidRequest, with the place.

    ``packed``: the answer goes back in MessagePack too, so the center shall send bytes.
    """
    try:
        request = _REQUEST.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is no inference request in MessagePack: {error}") from None
    return flattened(request, packed=packed)


def flattened(request: PackedRequest, *, packed: bool) -> tuple[bytes, int]:
    """``(body, head_bytes)`` of a request that was read."""
    parameters = dict(request.parameters or {})
    parameters[ALL_BINARY] = packed
    inputs = []
    for one in request.inputs:
        own = dict(one.parameters or {})
        own[SIZE] = one.data.nbytes
        inputs.append(_HeadInput(one.name, one.datatype, one.shape, own))
    head = msgspec.json.encode(_Head(inputs, parameters, request.id, request.outputs))
    return b"".join((head, *(one.data for one in request.inputs))), len(head)


def pack_answer(payload: bytes, head_bytes: int | None) -> bytes:
    """A center's answer in MessagePack. Raises CenterFailed: it is none of the protocol."""
    at = len(payload) if head_bytes is None else head_bytes
    try:
        head = _ANSWER.decode(memoryview(payload)[:at])
    except (ValueError, RecursionError) as error:
        raise CenterFailed(f"the center's answer is none of the protocol: {error}") from None
    view, outputs = memoryview(payload), []
    for told in head.outputs:
        parameters = dict(told.parameters or {})
        size = parameters.pop(SIZE, None)
        if type(size) is int and 0 <= size <= len(payload) - at:
            data: bytes | memoryview = view[at : at + size]
            at += size
        else:
            data = _raw(told)
        outputs.append(_Output(told.name, told.datatype, told.shape, data, parameters or None))
    if at != len(payload):
        raise CenterFailed(f"the center's answer has {len(payload) - at} bytes of no tensor")
    packed = _Packed(head.model_name, outputs, head.model_version, head.id, head.parameters)
    return msgspec.msgpack.encode(packed)


def _raw(told: _Told) -> bytes:
    """The elements of an output that came as JSON."""
    if not told.data or told.datatype not in DTYPES:
        raise CenterFailed(f"output {told.name!r}: the center sent no data of a known datatype")
    try:
        count = math.prod(told.shape)
        field = f"output {told.name!r}"
        return array_to_binary(array_from_json(field, told.datatype, told.shape, count, told.data))
    except InvalidRequest as error:
        raise CenterFailed(f"the center's answer is wrong: {error}") from None
