"""A ``ModelInferRequest`` as the exchange takes requests: a JSON head, and tensors behind it.

The id stays at the door, which gives it back: without it, requests for the same tensors have the
same head, and whoever reads heads knows it again. Raw contents are copied once, into the body.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.api import InvalidRequest
from gateway.serving.grpc_door.contents import raw_contents
from gateway.wire.parameters import Parameter

SIZE = "binary_data_size"
OUTPUT_FORMS = ("binary_data", "binary_data_output")
"""How outputs come is the door's business; clients of gRPC cannot choose."""
ALL_BINARY = "binary_data_output"
Parameters = dict[str, Parameter]


class _Input(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters


class _Output(msgspec.Struct, omit_defaults=True):
    name: str
    parameters: Parameters | None = None


class _Head(msgspec.Struct, omit_defaults=True):
    inputs: list[_Input]
    parameters: Parameters
    outputs: list[_Output] | None = None


_ENCODE = msgspec.json.Encoder().encode


def oip_body(request: Any) -> tuple[bytes, int]:
    """``(body, head_bytes)``. Raises InvalidRequest naming the field."""
    if not request.model_name:
        raise InvalidRequest("model_name is empty; it names the model to ask")
    raw = request.raw_input_contents
    tensors = list(raw)
    if tensors and len(tensors) != len(request.inputs):
        raise InvalidRequest(
            f"raw_input_contents has {len(tensors)} entries, there are {len(request.inputs)} "
            "inputs; each takes one, in their order"
        )
    inputs = [_input(tensor, index, tensors) for index, tensor in enumerate(request.inputs)]
    parameters = parameters_of("parameters", request.parameters)
    parameters[ALL_BINARY] = True
    outputs = [_output(output) for output in request.outputs] or None
    head = _ENCODE(_Head(inputs, parameters, outputs))
    return b"".join((head, *tensors)), len(head)


def _input(tensor: Any, index: int, tensors: list[bytes]) -> _Input:
    """One input; elements that are not raw are appended to ``tensors``."""
    shape = list(tensor.shape)
    if index < len(tensors):
        if tensor.HasField("contents"):
            raise InvalidRequest(
                f"input {tensor.name!r}: contents and raw_input_contents are both filled; "
                "fill one of them"
            )
    else:
        field = f"input {tensor.name!r}"
        tensors.append(raw_contents(field, tensor.datatype, shape, tensor.contents))
    parameters = parameters_of(f"input {tensor.name!r}: parameters", tensor.parameters)
    parameters[SIZE] = len(tensors[index])
    return _Input(tensor.name, shape, tensor.datatype, parameters)


def _output(output: Any) -> _Output:
    parameters = parameters_of(f"output {output.name!r}: parameters", output.parameters)
    return _Output(output.name, parameters or None)


def parameters_of(field: str, given: Any) -> Parameters:
    """A map of ``InferParameter`` as JSON has it. Raises InvalidRequest: one without a value."""
    read: Parameters = {}
    for name, parameter in given.items() if given else ():
        kind = parameter.WhichOneof("parameter_choice")
        if kind is None:
            raise InvalidRequest(f"{field}.{name[:60]} has no value")
        if name not in OUTPUT_FORMS:
            read[name] = getattr(parameter, kind)
    return read


def timeout_ms(request: Any) -> float | None:
    """The request's own ``timeout``, which is in us; None where there is none to be believed."""
    if "timeout" not in request.parameters:
        return None
    given = request.parameters["timeout"]
    kind = given.WhichOneof("parameter_choice")
    value = getattr(given, kind) if kind in ("int64_param", "uint64_param") else 0
    return value / 1e3 if value > 0 else None
