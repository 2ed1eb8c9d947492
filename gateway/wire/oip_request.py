"""An inference request of the Open Inference Protocol: JSON head, maybe binary tensors behind.

Theory of operation. The head is read once into typed structs with every tensor's ``data``
left raw; names, datatypes and shapes are held against the model's metadata and the bounds
before a single element is read; then each tensor becomes an array. Inputs that are binary
lie behind the head, in the order of the head. Nothing is guessed or coerced: what is wrong
is refused by the name of the field, with what was found and what is expected. Unknown fields
and parameters are ignored, as the protocol says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

import msgspec

from gateway.api import (
    DTYPES,
    InferRequest,
    InvalidRequest,
    ModelMetadata,
    NdArray,
    OutputRequest,
    TensorSpec,
    TooLarge,
    Unsupported,
)
from gateway.wire.binary import array_from_binary
from gateway.wire.json_tensor import array_from_json
from gateway.wire.parameters import (
    Parameter,
    boolean_parameter,
    count_parameter,
    refuse_shared_memory,
)

T = TypeVar("T")

CLASSIFIABLE = frozenset(DTYPES) - {"BOOL", "FP16", "BYTES"}
"""Datatypes whose elements can be ranked, as in Triton's classification extension."""

LARGE_BYTES = 64 * 1024
"""From this size on a head is looked at twice: objects are made only when they are few."""
QUOTES_A_TENSOR = 64
"""More quotation marks than that for each tensor of the model, and it is worth counting."""
PARAMETERS_BYTES_MAX = 64 * 1024

_NO_DATA = b""
_NULL = b"null"


class _Input(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Parameter] | None = None
    data: msgspec.Raw = msgspec.Raw()


class AskedOutput(msgspec.Struct):
    """An entry of ``outputs`` as it is sent."""

    name: str
    parameters: dict[str, Parameter] | None = None


class _Counted(msgspec.Struct):
    """As ``_Head``, with nothing read that need not be to be counted."""

    inputs: list[msgspec.Raw]
    parameters: msgspec.Raw = msgspec.Raw()
    outputs: list[msgspec.Raw] | None = None


class _Head(msgspec.Struct):
    inputs: list[_Input]
    id: str | None = None
    parameters: dict[str, Parameter] | None = None
    outputs: list[AskedOutput] | None = None


class HeadParts(Protocol):
    """What a head says beside its inputs."""

    @property
    def id(self) -> str | None:
        """The client's name for the request."""

    @property
    def parameters(self) -> dict[str, Parameter] | None:
        """Of the whole request."""

    @property
    def outputs(self) -> list[AskedOutput] | None:
        """None: all."""


_HEAD = msgspec.json.Decoder(_Head)
_COUNTED = msgspec.json.Decoder(_Counted)


def decode_request(
    body: bytes,
    head_bytes: int | None,
    metadata: ModelMetadata,
    *,
    tensor_elements_max: int,
    batch_max: int = 0,
) -> InferRequest:
    """Read ``body`` as a request to the model of ``metadata``.

    ``head_bytes``: ``Inference-Header-Content-Length``, None when the whole body is JSON.
    ``batch_max`` bounds the first dimension where the model leaves it free; 0: no bound.
    Arrays have the declared dtypes and may be read-only views of ``body``. Raises
    InvalidRequest, TooLarge or Unsupported, whose message names the field.
    """
    head_end = _head_end(body, head_bytes)
    text = body if head_end == len(body) else body[:head_end]
    if head_end >= LARGE_BYTES:
        _check_counts(text, metadata)
    head = _read_head(text)
    specs = {spec.name: spec for spec in metadata.inputs}
    inputs: dict[str, NdArray] = {}
    at = head_end
    for tensor in head.inputs:
        field = f"input {tensor.name!r}"
        spec = _spec_of(field, tensor.name, specs, inputs, metadata)
        _check_datatype(field, tensor.datatype, spec)
        count = _check_shape(field, tensor.shape, spec, tensor_elements_max)
        size = _binary_size(field, tensor)
        if size is None:
            array = array_from_json(field, spec.datatype, tensor.shape, count, tensor.data)
        else:
            _check_room(field, size, at, len(body), head_bytes)
            array = array_from_binary(field, spec.datatype, tensor.shape, body, at, size)
            at += size
        inputs[tensor.name] = array
    _check_whole(specs, inputs, metadata, at, len(body))
    if batch_max > 0:
        _check_batch(metadata.inputs, inputs, batch_max)
    return request_of(head, inputs, metadata)


# ---- the head -----------------------------------------------------------------------------


def _head_end(body: bytes, head_bytes: int | None) -> int:
    if head_bytes is None:
        return len(body)
    if head_bytes == 0 and body:
        raise Unsupported(
            "Inference-Header-Content-Length is 0: requests of raw bytes without a JSON head "
            "are not offered here; send the JSON head too"
        )
    if not 0 < head_bytes <= len(body):
        raise InvalidRequest(
            f"Inference-Header-Content-Length is {head_bytes}; the body has {len(body)} bytes, "
            f"so 1 to {len(body)} is expected"
        )
    return head_bytes


def _check_counts(head: bytes, metadata: ModelMetadata) -> None:
    """Refuse what would become a hundred thousand objects before it does. Raises as below."""
    tensors = len(metadata.inputs) + len(metadata.outputs)
    if head.count(b'"') <= QUOTES_A_TENSOR * (tensors + 1):
        return
    counted = _read(_COUNTED, head)
    _check_count("inputs", len(counted.inputs), len(metadata.inputs))
    _check_count("outputs", len(counted.outputs or ()), len(metadata.outputs))
    size = memoryview(counted.parameters).nbytes
    if size > PARAMETERS_BYTES_MAX:
        raise TooLarge(f"parameters: have {size} bytes; at most {PARAMETERS_BYTES_MAX} are taken")


def _check_count(field: str, found: int, most: int) -> None:
    if found > most:
        raise InvalidRequest(f"{field}: there are {found}; the model has {most}")


def _read_head(head: bytes) -> _Head:
    return _read(_HEAD, head)


def _read(decoder: msgspec.json.Decoder[T], head: bytes) -> T:
    try:
        return decoder.decode(head)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at ")
        where = place.strip("`").removeprefix("$.") or "JSON"
        raise InvalidRequest(f"body: {where}: {text}") from None
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"body: the JSON is not UTF-8 ({error.reason})") from None
    except RecursionError:
        raise InvalidRequest("body: the JSON is nested too deep") from None
    except ValueError as error:
        raise InvalidRequest(f"body: {error}{_hint(head, str(error))}") from None


def _hint(head: bytes, message: str) -> str:
    """Why JSON was refused, where the place shows it: a number JSON does not have."""
    position = re.search(r"\(byte (\d+)\)", message)
    if position is None:
        return ""
    at = int(position.group(1))
    around = head[max(0, at - 1) : at + 10].lstrip(b"-[, ")
    if around[:3].lower() in (b"nan", b"inf"):
        return "; JSON has no NaN or Infinity, send the tensor as binary data"
    return ""


# ---- one input ----------------------------------------------------------------------------


def _spec_of(
    field: str,
    name: str,
    specs: dict[str, TensorSpec],
    seen: dict[str, NdArray],
    metadata: ModelMetadata,
) -> TensorSpec:
    spec = specs.get(name)
    if spec is None:
        raise InvalidRequest(
            f"{_short(field)}: model {metadata.name!r} has no such input; it takes {_list(specs)}"
        )
    if name in seen:
        raise InvalidRequest(f"{field}: given twice; once is expected")
    return spec


def _check_datatype(field: str, datatype: str, spec: TensorSpec) -> None:
    if datatype == spec.datatype:
        return
    if datatype == "BF16":
        raise Unsupported(f"{field}: datatype BF16 is not offered here; expected {spec.datatype}")
    raise InvalidRequest(
        f"{field}: datatype is {_short(datatype)!r}; the model takes {spec.datatype}"
    )


def _check_shape(field: str, shape: list[int], spec: TensorSpec, elements_max: int) -> int:
    """The number of elements. Raises when the shape is not one the model takes."""
    if len(shape) != len(spec.shape):
        raise InvalidRequest(
            f"{field}: shape has {len(shape)} dimensions; "
            f"the model takes {len(spec.shape)}: {list(spec.shape)} (-1 is free)"
        )
    for size, declared in zip(shape, spec.shape, strict=True):
        if size < 1 or (size != declared and declared >= 0):
            expected = "every dimension >= 1" if size < 1 else f"{list(spec.shape)} (-1 is free)"
            raise InvalidRequest(f"{field}: shape is {_short(str(shape))}; expected {expected}")
    count = math.prod(shape)
    if count > elements_max:
        raise TooLarge(
            f"{field}: shape {_short(str(shape))} has more than the {elements_max} elements "
            "that are taken (server.tensor_elements_max)"
        )
    return count


def _binary_size(field: str, tensor: _Input) -> int | None:
    """Bytes behind the head, or None when the data is JSON."""
    data = bytes(memoryview(tensor.data)[:4])
    has_data = data not in (_NO_DATA, _NULL)
    size = None
    if tensor.parameters is not None:
        refuse_shared_memory(field, tensor.parameters)
        size = count_parameter(field, tensor.parameters, "binary_data_size")
    if size is not None and has_data:
        raise InvalidRequest(f"{field}: both data and binary_data_size are given; expected one")
    if size is None and not has_data:
        raise InvalidRequest(f"{field}: neither data nor binary_data_size is given; expected one")
    return size


def _check_room(field: str, size: int, at: int, body_bytes: int, head_bytes: int | None) -> None:
    if head_bytes is None:
        raise InvalidRequest(
            f"{field}: binary_data_size is {size}, but the request has no "
            "Inference-Header-Content-Length, which says where the JSON ends"
        )
    if size > body_bytes - at:
        raise InvalidRequest(
            f"{field}: binary_data_size is {size}; {body_bytes - at} bytes are left in the body"
        )


# ---- the whole ----------------------------------------------------------------------------


def _check_whole(
    specs: dict[str, TensorSpec],
    inputs: dict[str, NdArray],
    metadata: ModelMetadata,
    at: int,
    body_bytes: int,
) -> None:
    if len(inputs) != len(specs):
        missing = [n for n, spec in specs.items() if n not in inputs and not spec.optional]
    else:
        missing = []
    if missing:
        raise InvalidRequest(f"input {_list(missing)}: missing; model {metadata.name!r} takes it")
    if at != body_bytes:
        raise InvalidRequest(
            f"body: {body_bytes - at} bytes are left after the last binary input; the sizes in "
            "binary_data_size must add up to the bytes behind the JSON"
        )


def _check_batch(specs: Sequence[TensorSpec], inputs: dict[str, NdArray], batch_max: int) -> None:
    batch, of = 0, ""
    for spec in specs:
        if not spec.shape or spec.shape[0] >= 0 or spec.name not in inputs:
            continue
        size = inputs[spec.name].shape[0]
        if size > batch_max:
            raise TooLarge(
                f"input {spec.name!r}: batch of {size}; the model takes at most {batch_max}"
            )
        if batch and size != batch:
            raise InvalidRequest(
                f"input {spec.name!r}: batch of {size}, but input {of!r} has {batch}; "
                "the first dimensions must agree"
            )
        batch, of = size, spec.name


def request_of(
    head: HeadParts, inputs: dict[str, NdArray], metadata: ModelMetadata
) -> InferRequest:
    """Inputs that were found right, with what else the head says. Raises InvalidRequest."""
    _check_count("outputs", len(head.outputs or ()), len(metadata.outputs))
    parameters = head.parameters or {}
    binary = boolean_parameter("body", parameters, "binary_data_output") or False
    outputs = tuple(_output(asked, binary_default=binary) for asked in head.outputs or ())
    for output in outputs or _all_outputs(metadata, binary_default=binary):
        _check_form(output, metadata)
    if len({output.name for output in outputs}) != len(outputs):
        raise InvalidRequest(f"outputs: {_list([o.name for o in outputs])}: one is named twice")
    return InferRequest(inputs, outputs, head.id or "", binary, parameters)


def _all_outputs(metadata: ModelMetadata, *, binary_default: bool) -> Iterable[OutputRequest]:
    """What an empty list asks for, as far as it may have to be refused."""
    if binary_default:
        return ()
    return (OutputRequest(spec.name) for spec in metadata.outputs if spec.datatype == "FP16")


def _output(asked: AskedOutput, *, binary_default: bool) -> OutputRequest:
    parameters = asked.parameters
    if parameters is None:
        return OutputRequest(asked.name, binary_default)
    field = _short(f"output {asked.name!r}")
    refuse_shared_memory(field, parameters)
    binary = boolean_parameter(field, parameters, "binary_data")
    classes = count_parameter(field, parameters, "classification") or 0
    return OutputRequest(asked.name, binary_default if binary is None else binary, classes)


def _check_form(output: OutputRequest, metadata: ModelMetadata) -> None:
    """Refuses what could not be answered, before the model runs."""
    field = _short(f"output {output.name!r}")
    spec = next((spec for spec in metadata.outputs if spec.name == output.name), None)
    if spec is None:
        raise InvalidRequest(
            f"{field}: model {metadata.name!r} has no such output; "
            f"it gives {_list(spec.name for spec in metadata.outputs)}"
        )
    if output.classification and spec.datatype not in CLASSIFIABLE:
        raise InvalidRequest(
            f"{field}: classification needs numbers to rank; this output is {spec.datatype}"
        )
    if spec.datatype == "FP16" and not output.binary:
        raise InvalidRequest(
            f"{field}: FP16 has no JSON form; ask for it with binary_data or binary_data_output"
        )


def _list(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _short(text: str) -> str:
    """A client's text, short enough for a message."""
    return text if len(text) <= 100 else f"{text[:97]}..."
