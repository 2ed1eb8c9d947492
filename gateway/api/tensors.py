"""Tensors as the Open Inference Protocol speaks of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "BYTES": np.dtype(np.object_),
}
"""Open Inference Protocol datatype -> numpy dtype, little-endian. BYTES elements are bytes.
BF16 has no numpy type: it is carried as its raw bytes, uint16."""

NdArray = NDArray[Any]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A declared input or output; -1 in ``shape`` is a free dimension.

    ``optional``: an input that a request may leave out; the model has a value for it.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What a model says of itself (Open Inference Protocol, model metadata)."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True)
class OutputRequest:
    """One requested output and how it is wanted."""

    name: str
    binary: bool = False
    classification: int = 0


@dataclass(slots=True)
class InferRequest:
    """A decoded request: arrays by input name, outputs in the order they are wanted.

    ``outputs`` empty means all, in the model's order, with ``binary_default``.
    """

    inputs: Mapping[str, NdArray]
    outputs: tuple[OutputRequest, ...] = ()
    id: str = ""
    binary_default: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
