"""An answer of the exchange, JSON head and tensors behind it, as a ``ModelInferResponse``.

Theory of operation. Answers to one kind of request have the same head again and again. So a head
becomes the bytes of its protobuf fields once, and is known by its own bytes from then on: an
answer is those bytes, the request's id, and the tensors, each behind its length. Protobuf reads
fields in any order. A center that answers in JSON, as one that cannot do otherwise may, has its
numbers turned into bytes here. The memory is bounded and forgets everything when it is full.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import msgspec

from gateway.api import DTYPES, CenterFailed, InvalidRequest
from gateway.serving.grpc_door.messages import ModelInferResponse, ModelStreamInferResponse
from gateway.serving.grpc_door.protobuf_bytes import opening
from gateway.wire.binary import array_to_binary
from gateway.wire.json_tensor import array_from_json
from gateway.wire.parameters import Parameter

ID_FIELD = ModelInferResponse.DESCRIPTOR.fields_by_name["id"].number
RAW_FIELD = ModelInferResponse.DESCRIPTOR.fields_by_name["raw_output_contents"].number
STREAMED_FIELD = ModelStreamInferResponse.DESCRIPTOR.fields_by_name["infer_response"].number
HEADS_KEPT = 256
HEAD_BYTES_KEPT = 4096
SIZE = "binary_data_size"


class _Output(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Parameter] | None = None
    data: msgspec.Raw = msgspec.Raw()  # a default, so empty where there is none


class _Head(msgspec.Struct):
    model_name: str
    outputs: list[_Output] = []
    model_version: str | None = None
    parameters: dict[str, Parameter] | None = None


class _Known(NamedTuple):
    """A head as protobuf, and the sizes of the tensors behind it."""

    fields: bytes
    sizes: tuple[int, ...]


_HEAD = msgspec.json.Decoder(_Head)
FINAL = "triton_final_response"


def _final() -> bytes:
    message = ModelInferResponse()
    message.parameters[FINAL].bool_param = True
    return bytes(message.SerializeToString())


FINAL_FIELDS = _final()
"""Every answer of a stream is the last of its request, and says so as Triton's do."""


class ResponseWriter:
    """Makes responses; any thread may."""

    def __init__(self) -> None:
        self._known: dict[bytes, _Known] = {}

    def response(self, payload: bytes, head_bytes: int | None, request_id: str) -> bytes:
        """A serialized ``ModelInferResponse``. Raises CenterFailed: not an answer."""
        if head_bytes is None:
            return _with_id(self._from_json(payload), request_id)
        head = payload[:head_bytes]
        known = self._known.get(head)
        if known is None:
            known = self._learn(head)
            if known is None:
                return _with_id(self._from_json(head, payload, head_bytes), request_id)
        parts: list[bytes | memoryview] = [known.fields]
        at = head_bytes
        view = memoryview(payload)
        for size in known.sizes:
            parts.append(opening(RAW_FIELD, size))
            parts.append(view[at : at + size])
            at += size
        if at != len(payload):
            raise CenterFailed(
                f"the center's answer has {len(payload) - head_bytes} bytes of tensors, "
                f"its head says {at - head_bytes}"
            )
        return _with_id(b"".join(parts), request_id)

    def streamed(self, response: bytes) -> bytes:
        """A serialized ``ModelStreamInferResponse`` of a serialized response."""
        size = len(response) + len(FINAL_FIELDS)
        return b"".join((opening(STREAMED_FIELD, size), response, FINAL_FIELDS))

    def _learn(self, head: bytes) -> _Known | None:
        """None where some output is JSON."""
        read = _read(head)
        sizes = [_size(output) for output in read.outputs]
        if any(size is None for size in sizes):
            return None
        known = _Known(_fields(read), tuple(size for size in sizes if size is not None))
        if len(head) <= HEAD_BYTES_KEPT:
            if len(self._known) >= HEADS_KEPT:
                self._known.clear()
            self._known[head] = known
        return known

    def _from_json(self, head: bytes, payload: bytes = b"", at: int = 0) -> bytes:
        """Of an answer that is JSON, or partly."""
        read = _read(head)
        parts = [_fields(read)]
        for output in read.outputs:
            size = _size(output)
            if size is None:
                raw = _raw(output)
            else:
                raw = payload[at : at + size]
                at += size
            parts.append(opening(RAW_FIELD, len(raw)))
            parts.append(raw)
        return b"".join(parts)


def stream_error(message: str, model: str, request_id: str) -> bytes:
    """A serialized ``ModelStreamInferResponse`` for a request that was not answered."""
    told = ModelStreamInferResponse(error_message=message)
    told.infer_response.model_name = model
    told.infer_response.id = request_id
    return bytes(told.SerializeToString())


def _read(head: bytes) -> _Head:
    try:
        return _HEAD.decode(head)
    except (ValueError, RecursionError) as error:
        raise CenterFailed(f"the center's answer is none of the protocol: {error}") from None


def _fields(head: _Head) -> bytes:
    """All but id and tensors."""
    message = ModelInferResponse(model_name=head.model_name, model_version=head.model_version or "")
    _set_parameters(message.parameters, head.parameters or {})
    for output in head.outputs:
        told = message.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
        parameters = dict(output.parameters or {})
        parameters.pop(SIZE, None)
        _set_parameters(told.parameters, parameters)
    return bytes(message.SerializeToString())


def _set_parameters(into: Any, given: dict[str, Parameter]) -> None:
    for name, value in given.items():
        if isinstance(value, bool):
            into[name].bool_param = value
        elif isinstance(value, int):
            into[name].int64_param = value
        elif isinstance(value, float):
            into[name].double_param = value
        else:
            into[name].string_param = value


def _size(output: _Output) -> int | None:
    size = (output.parameters or {}).get(SIZE)
    return size if type(size) is int and size >= 0 else None


def _raw(output: _Output) -> bytes:
    """The numbers of a JSON output as bytes."""
    field, datatype = f"output {output.name!r}", output.datatype
    if not output.data or datatype not in DTYPES:
        raise CenterFailed(f"{field}: the center sent no data of a datatype that is known here")
    count = math.prod(output.shape)
    try:
        return array_to_binary(array_from_json(field, datatype, output.shape, count, output.data))
    except InvalidRequest as error:
        raise CenterFailed(f"the center's answer is wrong: {error}") from None


def _with_id(fields: bytes, request_id: str) -> bytes:
    if not request_id:
        return fields
    encoded = request_id.encode()
    return b"".join((fields, opening(ID_FIELD, len(encoded)), encoded))
