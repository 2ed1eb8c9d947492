"""Reads the requests to one model: short ways for what nearly all of them look like.

Theory of operation. ``oip_request.decode_request`` reads every request and refuses the wrong
ones; a reader answers as it does, only sooner. It keeps what it has once found right:

* *JSON*: where every input is of one kind (floats, integers, booleans), one decoder with that
  type reads head and elements in one pass; of flat and nested data that is tried first which
  was right the last time. Shapes are looked up among those that passed the bounds before.
* *binary*: clients send the same head again and again. A head that was read and found right is
  known by its bytes, and only the tensors behind it are new (``known_head``).

Whatever does not fit a short way, or fails on it, is read by ``decode_request`` from the
beginning, so that there is one place that refuses and one wording. Both memories are bounded
and forget everything when they are full.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from gateway.api import DTYPES, InferRequest, ModelMetadata, NdArray, TensorSpec
from gateway.wire.json_tensor import CODES, COUNTED_FROM_BYTES, ELEMENT, nested_list
from gateway.wire.known_head import KnownHead, known_head
from gateway.wire.oip_request import AskedOutput, decode_request, request_of
from gateway.wire.parameters import Parameter

SHAPES_KEPT = 64
"""Shapes of an input that are known to be right; the client chooses them."""
HEADS_KEPT = 64
HEAD_BYTES_KEPT = 2048
"""A longer head is read anew each time."""
OF_BINARY = frozenset({"binary_data_size", "shared_memory_region"})
"""Parameters of an input whose elements are not in the JSON."""

_UNFIT = (KeyError, OverflowError, RecursionError, TypeError, ValueError, struct.error)
"""What is raised where a request does not fit the short way."""

_Decoder = msgspec.json.Decoder[Any]
_JsonForm = tuple[_Decoder, bool]
"""A decoder of request heads, and whether it takes nested data."""
_Sized = tuple[int, Callable[..., bytes]]
"""The number of elements of a shape that passed the bounds, and what packs them."""


class _Known:
    """One input of the model, with the shapes that passed."""

    __slots__ = ("datatype", "dtype", "shapes", "spec")

    def __init__(self, spec: TensorSpec) -> None:
        self.spec = spec
        self.datatype = spec.datatype
        self.dtype = DTYPES[spec.datatype]
        self.shapes: dict[tuple[int, ...], _Sized] = {}


class RequestReader:
    """``decode_request`` for one model; the bounds are as there."""

    def __init__(
        self, metadata: ModelMetadata, *, tensor_elements_max: int, batch_max: int = 0
    ) -> None:
        self._metadata = metadata
        self._elements_max = tensor_elements_max
        self._batch_max = batch_max
        self._inputs = {spec.name: _Known(spec) for spec in metadata.inputs}
        self._rows_must_agree = (
            batch_max > 0 and sum(s.shape[:1] == (-1,) for s in metadata.inputs) > 1
        )
        self._json_outputs = all(spec.datatype != "FP16" for spec in metadata.outputs)
        self._json_forms = _json_forms(metadata.inputs)
        self._heads: dict[bytes, KnownHead] = {}

    def decode(self, body: bytes, head_bytes: int | None) -> InferRequest:
        """The request in ``body``; arrays may be read-only views of it.

        ``head_bytes``: as in ``decode_request``. Raises as it does.
        """
        if head_bytes is None:
            if len(body) < COUNTED_FROM_BYTES:
                for form in self._json_forms:
                    request = self._typed(body, form)
                    if request is not None:
                        if form is not self._json_forms[0]:
                            self._json_forms = self._json_forms[::-1]
                        return request
        elif 0 < head_bytes <= HEAD_BYTES_KEPT:
            known = self.known(body, head_bytes)
            if known is None:
                request = self._decode(body, head_bytes)
                self._remember(body, head_bytes, request)
                return request
            said = known.request
            return InferRequest(
                known.inputs(body), said.outputs, "", said.binary_default, said.parameters
            )
        return self._decode(body, head_bytes)

    def known(self, body: bytes, head_bytes: int | None) -> KnownHead | None:
        """The head of ``body``, when it was found right before and fits what follows it."""
        if head_bytes is None or not 0 < head_bytes <= HEAD_BYTES_KEPT:
            return None
        known = self._heads.get(body[:head_bytes])
        if known is None or len(body) - head_bytes != known.tail_bytes:
            return None
        return known

    def _decode(self, body: bytes, head_bytes: int | None) -> InferRequest:
        return decode_request(
            body,
            head_bytes,
            self._metadata,
            tensor_elements_max=self._elements_max,
            batch_max=self._batch_max,
        )

    # ---- JSON -----------------------------------------------------------------------------

    def _typed(self, body: bytes, form: _JsonForm) -> InferRequest | None:
        """None: not a request for the short way, or not of this form."""
        decoder, nested = form
        known_inputs = self._inputs
        inputs: dict[str, NdArray] = {}
        try:
            head = decoder.decode(body)
            for tensor in head.inputs:
                known = known_inputs[tensor.name]
                shape = tensor.shape
                elements, pack = known.shapes.get(shape) or self._size(known, shape)
                values = _flattened(tensor.data, shape) if nested else tensor.data
                if tensor.datatype != known.datatype or len(values) != elements:
                    return None
                if tensor.parameters and not OF_BINARY.isdisjoint(tensor.parameters):
                    return None
                inputs[tensor.name] = np.ndarray(shape, known.dtype, pack(*values))
        except _UNFIT:
            return None
        if len(inputs) != len(known_inputs) or len(head.inputs) != len(inputs):
            return None
        if self._rows_must_agree and not self._rows_agree(inputs):
            return None
        if self._json_outputs and head.parameters is None and head.outputs is None:
            return InferRequest(inputs, (), head.id or "", False, {})
        return request_of(head, inputs, self._metadata)

    def _size(self, known: _Known, shape: tuple[int, ...]) -> _Sized:
        """Hold ``shape`` against the bounds and keep it. Raises ValueError: outside."""
        declared = known.spec.shape
        for size, wanted in zip(shape, declared, strict=True):
            if size < 1 or (size != wanted and wanted >= 0):
                raise ValueError(size)
        elements = math.prod(shape)
        if elements > self._elements_max or elements > COUNTED_FROM_BYTES:
            raise ValueError(elements)
        if self._batch_max > 0 and declared[:1] == (-1,) and shape[0] > self._batch_max:
            raise ValueError(shape[0])
        if len(known.shapes) >= SHAPES_KEPT:
            known.shapes.clear()
        pack = struct.Struct(f"<{elements}{CODES[known.datatype]}").pack
        known.shapes[shape] = elements, pack
        return elements, pack

    def _rows_agree(self, inputs: dict[str, NdArray]) -> bool:
        rows = {
            len(inputs[name])
            for name, known in self._inputs.items()
            if known.spec.shape[:1] == (-1,)
        }
        return len(rows) == 1

    # ---- binary ---------------------------------------------------------------------------

    def _remember(self, body: bytes, head_bytes: int, request: InferRequest) -> None:
        known = known_head(head_bytes, len(body) - head_bytes, request)
        if known is None:
            return
        if len(self._heads) >= HEADS_KEPT:
            self._heads.clear()
        self._heads[body[:head_bytes]] = known


def _flattened(values: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """The elements of lists nested as ``shape`` says. Raises ValueError when they are not."""
    if len(values) != shape[0]:
        raise ValueError(len(values))
    for size in shape[1:]:
        if any(len(inner) != size for inner in values):
            raise ValueError(size)
        values = values[0] if len(values) == 1 else list(chain.from_iterable(values))
    return values


def _json_forms(specs: tuple[TensorSpec, ...]) -> tuple[_JsonForm, ...]:
    """Flat data and, where all inputs are of one depth, nested; none where they differ in kind."""
    kinds = {ELEMENT[spec.datatype] if spec.datatype in CODES else None for spec in specs}
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is None:
        return ()
    depths = {len(spec.shape) for spec in specs}
    depth = depths.pop() if len(depths) == 1 else 0
    flat = (_decoder(kind, 1), False)
    return (flat, (_decoder(kind, depth), True)) if depth > 1 else (flat,)


def _decoder(element: type, depth: int) -> _Decoder:
    """A decoder of request heads whose tensors hold lists of ``element``."""
    tensor = msgspec.defstruct(
        "_TypedInput",
        [
            ("name", str),
            ("shape", tuple[int, ...]),
            ("datatype", str),
            ("data", nested_list(element, depth)),
            ("parameters", dict[str, Parameter] | None, None),
        ],
        gc=False,
    )
    head = msgspec.defstruct(
        "_TypedHead",
        [
            ("inputs", nested_list(tensor, 1)),
            ("id", str | None, None),
            ("parameters", dict[str, Parameter] | None, None),
            ("outputs", list[AskedOutput] | None, None),
        ],
        gc=False,
    )
    return msgspec.json.Decoder(head)
