"""Rings that name cells: one process says which cells of a large array moved, others read on.

What a reader costs goes with how many cells moved and not with how large the array is. A
reader that was away for more than a turn of the ring misses the oldest; estimates are
published again soon, so a cell that was missed is only late.
"""

from __future__ import annotations

import numpy as np

from gateway.api import Array

NONE: Array = np.empty(0, dtype=np.int64)


class CellsWriter:
    """Adds numbers of cells to ``ring`` int64[R]; ``count`` int64[1] says how many ever."""

    def __init__(self, ring: Array, count: Array) -> None:
        self._ring = ring
        self._count = count

    def add(self, cells: Array) -> None:
        """int64[K]; of more than the ring holds the last."""
        size = len(self._ring)
        cells = cells[-size:]
        count = int(self._count[0])
        self._ring[np.arange(count, count + len(cells)) % size] = cells
        self._count[0] = count + len(cells)


class CellsReader:
    """Reads on from where it was; at first from the beginning."""

    def __init__(self, ring: Array, count: Array) -> None:
        self._ring = ring
        self._count = count
        self._at = 0

    def fresh(self) -> Array:
        """int64[K]: what was added since the last call, as far as the ring still holds it."""
        count = int(self._count[0])
        if count == self._at:
            return NONE
        size = len(self._ring)
        first = max(self._at, count - size)
        self._at = count
        fresh: Array = self._ring[np.arange(first, count) % size]
        return fresh

    def forget(self) -> None:
        """The writer begins anew."""
        self._at = 0
