"""An inference response of the Open Inference Protocol: JSON head, maybe binary tensors behind.

The head is encoded once; a JSON tensor is spliced in as it was spelled, a binary one follows
the head in the order of the outputs, and then ``head_bytes`` says where the head ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from gateway.api import (
    CenterFailed,
    InferRequest,
    ModelMetadata,
    NdArray,
    OutputRequest,
    TensorSpec,
)
from gateway.wire.binary import array_to_binary
from gateway.wire.classification import top_classes
from gateway.wire.json_tensor import json_from_array


class _BinarySize(msgspec.Struct):
    binary_data_size: int


class _Output(msgspec.Struct, omit_defaults=True):
    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: _BinarySize | None = None
    data: msgspec.Raw | None = None


class _Head(msgspec.Struct, omit_defaults=True):
    model_name: str
    model_version: str = ""
    id: str = ""
    outputs: list[_Output] | None = None


_ENCODER = msgspec.json.Encoder()


def encode_response(
    model_name: str,
    version: str,
    request: InferRequest,
    arrays: Mapping[str, NdArray],
    metadata: ModelMetadata,
    labels: Mapping[str, Sequence[str]],
) -> tuple[bytes, int | None]:
    """``(payload, head_bytes)``; ``head_bytes`` is None when the payload is all JSON.

    ``arrays``: one for every requested output (for every output when none is requested), in
    the dtypes of ``DTYPES``. ``labels``: by output, a label a class. Raises InvalidRequest
    where an array cannot be said as JSON, CenterFailed when one is absent.
    """
    specs = {spec.name: spec for spec in metadata.outputs}
    wanted = request.outputs or [
        OutputRequest(name, binary=request.binary_default) for name in specs
    ]
    outputs: list[_Output] = []
    tensors: list[bytes] = []
    for ask in wanted:
        array = arrays.get(ask.name)
        spec = specs.get(ask.name)
        if array is None or spec is None:
            raise CenterFailed(f"output {ask.name!r}: model {model_name!r} did not give it")
        outputs.append(_encode_output(ask, spec, array, labels.get(ask.name, ()), tensors))
    head = _ENCODER.encode(_Head(model_name, version, request.id, outputs))
    if not any(output.parameters is not None for output in outputs):
        return head, None
    return b"".join((head, *tensors)), len(head)


def _encode_output(
    ask: OutputRequest,
    spec: TensorSpec,
    array: NdArray,
    labels: Sequence[str],
    tensors: list[bytes],
) -> _Output:
    """The output's head; a binary tensor is appended to ``tensors``."""
    datatype = spec.datatype
    if ask.classification:
        # Triton asks whether the model batches; here a free first dimension says it.
        batched = array.ndim > 1 and spec.shape[0] < 0
        array = top_classes(array, ask.classification, labels, batched=batched)
        datatype = "BYTES"
    if not ask.binary:
        spelled = json_from_array(f"output {ask.name!r}", datatype, array)
        return _Output(ask.name, datatype, array.shape, None, spelled)
    raw = array_to_binary(array)
    tensors.append(raw)
    return _Output(ask.name, datatype, array.shape, _BinarySize(len(raw)))
