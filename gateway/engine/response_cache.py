"""Answers kept by what was asked: the same inputs are not run twice, nor twice at once.

A key is a digest of the place that answers, the outputs wanted, and every input's name, data type,
shape and bytes; model and version are those of the cache, which is dropped with them. A request's
id, its parameters and the form its answer takes are no part of it: they do not reach the model, and
what is kept are arrays, written anew for each request. The digest is one that nobody can find two
inputs for (SHA-256), for a wrong answer would be given else.

Who asks what is being run for another waits for that run (``joins``). Errors are never kept:
whoever waited for a run that brought no answer is told so and asks for itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

import numpy as np

from gateway.api import NdArray

ENTRY_BYTES = 512
"""What an entry takes beside its elements, about."""
ELEMENT_BYTES = 48
"""What a string takes beside its characters, about."""


@dataclass(slots=True)
class CacheCounts:
    """What became of requests to models that keep answers, over all of them, so far."""

    hits: int = 0
    misses: int = 0
    coalesced: int = 0


class Follower(Protocol):
    """A request that waits for another's run."""

    def shared(self, arrays: Sequence[NdArray] | None) -> None:
        """The other's outputs; None: it has none, and this one asks for itself."""


class ResponseCache:
    """Answers of one version of a model, those used last, that take at most ``bytes_max``."""

    __slots__ = ("_kept", "_under_way", "bytes", "bytes_max", "counts")

    def __init__(self, bytes_max: int, counts: CacheCounts) -> None:
        self.bytes_max = bytes_max
        self.bytes = 0
        self.counts = counts
        self._kept: OrderedDict[bytes, tuple[list[NdArray], int]] = OrderedDict()
        self._under_way: dict[bytes, list[Follower]] = {}

    def get(self, key: bytes) -> Sequence[NdArray] | None:
        """The outputs, when they are kept."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        self.counts.hits += 1
        return kept[0]

    def joins(self, key: bytes, follower: Follower) -> bool:
        """True: the same is under way, ``follower`` is told when that is over.

        False: it is under way from now on, and whoever asked says when it is ``over``.
        """
        followers = self._under_way.get(key)
        if followers is not None:
            followers.append(follower)
            self.counts.coalesced += 1
            return True
        self._under_way[key] = []
        self.counts.misses += 1
        return False

    def over(self, key: bytes, arrays: Sequence[NdArray] | None = None) -> None:
        """What was under way has ended, with ``arrays``, which are kept, or without."""
        followers = self._under_way.pop(key, ())
        if arrays is not None:
            self._keep(key, arrays)
        for follower in followers:
            follower.shared(arrays)

    def _keep(self, key: bytes, arrays: Sequence[NdArray]) -> None:
        size = ENTRY_BYTES + sum(map(_bytes_of, arrays))
        if size > self.bytes_max or key in self._kept:
            return
        # A view would keep the outputs of a whole batch in memory.
        self._kept[key] = [array.copy() for array in arrays], size
        self.bytes += size
        while self.bytes > self.bytes_max:
            _, (_, freed) = self._kept.popitem(last=False)
            self.bytes -= freed


def key_of(place: str, outputs: Sequence[str], inputs: Mapping[str, NdArray]) -> bytes:
    """What stands for a request: the same for the same, whatever the order of its inputs."""
    digest = sha256(repr((place, *outputs)).encode())
    for name in sorted(inputs):
        array = inputs[name]
        digest.update(repr((name, array.dtype.str, array.shape)).encode())
        if array.dtype.hasobject:
            for element in array.ravel():
                digest.update(b"%d:" % len(element))
                digest.update(element)
        else:
            digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


def _bytes_of(array: NdArray) -> int:
    if array.dtype.hasobject:
        return sum(len(element) + ELEMENT_BYTES for element in array.ravel())
    return array.nbytes
