"""A head of a binary request that was found right before: only the tensors behind it are new.

Clients send the same head again and again. What it says is kept once, and shared by all requests
that come with it: their tensors lie at the same places behind it, so those of several requests
become one batch straight from their bodies, without an array for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gateway.api import InferRequest, NdArray


class _Place(NamedTuple):
    """Where an input lies in the bytes behind the head; ``at`` counts from the head's end."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    at: int
    size: int


class KnownHead:
    """What a head of ``head_bytes`` says. ``request`` is without inputs; ``rows``: its examples.

    ``tail_bytes``: so many follow it.
    """

    __slots__ = ("_places", "head_bytes", "request", "rows", "tail_bytes")

    def __init__(self, head_bytes: int, request: InferRequest, places: Sequence[_Place]) -> None:
        self.head_bytes = head_bytes
        self.request = request
        self._places = tuple(places)
        self.tail_bytes = sum(place.size for place in places)
        shape = places[0].shape if places else ()
        self.rows = shape[0] if shape else 1

    def inputs(self, body: bytes) -> dict[str, NdArray]:
        """The tensors of one request; one copy where a tensor is not aligned."""
        inputs: dict[str, NdArray] = {}
        for name, dtype, shape, at, _ in self._places:
            array: NdArray = np.ndarray(shape, dtype, body, self.head_bytes + at)
            inputs[name] = array if array.flags.aligned else array.copy()
        return inputs

    def joined(self, bodies: Sequence[bytes]) -> dict[str, NdArray]:
        """Those of several, one below the other: every byte is copied once."""
        inputs: dict[str, NdArray] = {}
        for name, dtype, shape, at, size in self._places:
            begin = self.head_bytes + at
            end = begin + size
            raw = b"".join([memoryview(body)[begin:end] for body in bodies])
            inputs[name] = np.ndarray((shape[0] * len(bodies), *shape[1:]), dtype, raw)
        return inputs


def known_head(head_bytes: int, tail_bytes: int, request: InferRequest) -> KnownHead | None:
    """What is worth keeping of ``request``, which was read and found right.

    None unless all its tensors lie behind the head as plain numbers. Their sizes add up to
    ``tail_bytes``, or it would have been refused.
    """
    if request.id:
        return None  # it will not come again
    places: list[_Place] = []
    at = 0
    for name, array in request.inputs.items():
        if array.dtype.hasobject or array.dtype.kind == "b":
            return None
        places.append(_Place(name, array.dtype, array.shape, at, array.nbytes))
        at += array.nbytes
    if at != tail_bytes:
        return None
    said = InferRequest({}, request.outputs, "", request.binary_default, dict(request.parameters))
    return KnownHead(head_bytes, said, places)
