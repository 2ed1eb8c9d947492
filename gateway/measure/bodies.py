"""Bodies: what to send to a model that nobody gave us a request for.

From the model's own metadata (Open Inference Protocol) a JSON request of the declared inputs
is made, free dimensions taken as 1; or the ``example.json`` that lies beside a shipped model.
Values are small and drawn from a seed, or zeros: they must be accepted, they need not make
sense. BYTES get a short word; FP16 goes as JSON numbers, which some servers take only as
binary: give a body of your own there.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from gateway.api import DTYPES, ConfigError, ModelMetadata, TensorSpec

Fill = Literal["random", "zeros"]

ELEMENTS_MAX = 4_000_000
WORD = "nearway"


class _Tensor(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]


class _Metadata(msgspec.Struct):
    name: str
    inputs: list[_Tensor] = []
    outputs: list[_Tensor] = []
    versions: list[str] = []
    platform: str = ""


def read_metadata(answer: bytes, *, told_by: str) -> ModelMetadata:
    """A metadata answer as the protocol defines it; ``told_by`` (an address) is for the message.

    Raises ConfigError when it is none, or declares no inputs.
    """
    try:
        said = msgspec.json.decode(answer, type=_Metadata)
    except msgspec.DecodeError as wrong:
        raise ConfigError(
            f"{told_by} answered no model metadata ({wrong}); is it an Open Inference Protocol "
            "server? Give a body of your own to ask it nothing"
        ) from wrong
    if not said.inputs:
        raise ConfigError(f"{told_by} declares no inputs; give a body of your own")
    return ModelMetadata(
        said.name,
        tuple(said.versions),
        said.platform,
        tuple(_spec(t) for t in said.inputs),
        tuple(_spec(t) for t in said.outputs),
    )


def body_for(metadata: ModelMetadata, *, fill: Fill = "random", seed: int = 0) -> bytes:
    """A JSON infer request for every declared input; the same seed gives the same bytes.

    Raises ConfigError for a datatype that is unknown or more than ``ELEMENTS_MAX`` elements.
    """
    random = np.random.default_rng(seed)
    inputs = [_input(spec, random, fill) for spec in metadata.inputs]
    return msgspec.json.encode({"inputs": inputs})


def example_body(models_dir: Path, model: str) -> bytes | None:
    """The bytes of ``<models_dir>/<model>/example.json``; None when there is none.

    Raises ConfigError when it is not JSON, or the model's name is a path.
    """
    if Path(model).name != model or model in ("", ".", ".."):
        raise ConfigError(f"a model's name is a plain name, got {model!r}")
    file = models_dir / model / "example.json"
    if not file.is_file():
        return None
    body = file.read_bytes()
    try:
        msgspec.json.decode(body)
    except msgspec.DecodeError as wrong:
        raise ConfigError(f"{file} is not JSON: {wrong}") from wrong
    return body


def _spec(tensor: _Tensor) -> TensorSpec:
    return TensorSpec(tensor.name, tensor.datatype, tuple(tensor.shape))


def _input(spec: TensorSpec, random: np.random.Generator, fill: Fill) -> dict[str, Any]:
    shape = [1 if d < 0 else d for d in spec.shape]
    count = math.prod(shape)
    if count > ELEMENTS_MAX:
        raise ConfigError(
            f"input {spec.name!r} of shape {shape} has {count} elements, more than "
            f"{ELEMENTS_MAX}; give a body of your own"
        )
    return {
        "name": spec.name,
        "datatype": spec.datatype,
        "shape": shape,
        "data": _values(spec, count, random, fill),
    }


def _values(spec: TensorSpec, count: int, random: np.random.Generator, fill: Fill) -> list[Any]:
    """``count`` JSON values of the datatype: bool, small whole numbers, numbers in -1..1."""
    if spec.datatype == "BYTES":
        return [WORD] * count
    dtype = DTYPES.get(spec.datatype)
    if dtype is None:
        raise ConfigError(
            f"input {spec.name!r} has datatype {spec.datatype!r}; a body can be made for "
            f"{', '.join(DTYPES)}: give one of your own"
        )
    if fill == "zeros":
        zeros: list[Any] = np.zeros(count, dtype).tolist()
        return zeros
    if dtype.kind == "b":
        values = random.integers(0, 2, count).astype(bool)
    elif dtype.kind in "iu":
        values = random.integers(0, 10, count)
    else:
        values = random.uniform(-1.0, 1.0, count).round(4)
    drawn: list[Any] = values.tolist()
    return drawn


def binary_form(body: bytes) -> tuple[bytes, dict[str, str]]:
    """A JSON request as the binary tensor extension writes it, and the headers it needs.

    This is how ``tritonclient`` sends by default, answers asked for as binary too. Raises
    ConfigError when an input holds strings or its data do not fit its shape.
    """
    request = msgspec.json.decode(body)
    blobs = []
    for tensor in request["inputs"]:
        try:
            dtype = DTYPES[tensor["datatype"]]
            if dtype.hasobject:
                raise ValueError("its elements are strings")
            array = np.asarray(tensor.pop("data"), dtype=dtype)
            blob = array.reshape(tensor["shape"]).tobytes()
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"the body's input {tensor.get('name')!r} has no binary form: {error}; "
                "send it as JSON (--wire json)"
            ) from None
        tensor["parameters"] = {"binary_data_size": len(blob)}
        blobs.append(blob)
    request["parameters"] = {**request.get("parameters", {}), "binary_data_output": True}
    head = msgspec.json.encode(request)
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    return head + b"".join(blobs), headers
