"""Keys and values of the texts under way, row by row, in arrays that stay.

Theory of operation. ``key`` and ``value`` are FP32 [rows, layers, room, head]. Rows in use are the
first ones, so that a slice of them is contiguous and goes into a run without a copy; a row that
leaves is replaced by the last. ``room`` grows and shrinks by ``ROOM_STEP`` positions, for a run
looks at all of it. What stands behind a row's ``length`` is old, finite and never looked at.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gateway.api import NdArray
from gateway.engine.generation.language import BEFORE

ROOM_STEP: Final = 64


class Cache:
    """``rows`` are in use. ``length``: tokens read, INT64 [rows]; ``before``: the last two."""

    def __init__(self, rows_max: int, layers: int, head: int) -> None:
        self.rows = 0
        self.length = np.zeros(rows_max, np.int64)
        self.before = np.zeros((rows_max, BEFORE), np.int64)
        self.key = np.zeros((rows_max, layers, ROOM_STEP, head), np.float32)
        self.value = np.zeros_like(self.key)

    @property
    def room(self) -> int:
        """Positions there are for each row."""
        return int(self.key.shape[2])

    def add(self) -> int:
        """A new row, the last; nothing is read in it yet."""
        row = self.rows
        self.rows += 1
        self.length[row] = 0
        self.before[row] = 0
        return row

    def remove(self, row: int) -> int:
        """The last row takes its place; returns which one that was."""
        last = self.rows - 1
        if row != last:
            self._copy(last, row)
        self.rows = last
        return last

    def exchange(self, row: int, other: int) -> None:
        """Two rows change places."""
        if row == other:
            return
        used = int(max(self.length[row], self.length[other]))
        pair, turned = [row, other], [other, row]
        self.length[pair] = self.length[turned]
        self.before[pair] = self.before[turned]
        self.key[pair, :, :used] = self.key[turned, :, :used]
        self.value[pair, :, :used] = self.value[turned, :, :used]

    def write(self, row: int, ids: NdArray, key: NdArray, value: NdArray) -> None:
        """``ids`` INT64 [new] were read in ``row``; key and value are [layers, new, head]."""
        start = int(self.length[row])
        end = start + len(ids)
        self.fit(end)
        self.key[row, :, start:end] = key
        self.value[row, :, start:end] = value
        self.length[row] = end
        self.before[row] = np.concatenate([self.before[row], ids])[-BEFORE:]

    def write_one_each(self, ids: NdArray, key: NdArray, value: NdArray) -> None:
        """One token was read in each of the first rows: ``ids`` [rows], [rows, layers, 1, head]."""
        count = len(ids)
        rows, at = np.arange(count), self.length[:count]
        self.key[rows, :, at] = key[:, :, 0]
        self.value[rows, :, at] = value[:, :, 0]
        self.length[:count] += 1
        self.before[:count, 0] = self.before[:count, 1]
        self.before[:count, 1] = ids

    def fit(self, needed: int) -> None:
        """Room for ``needed`` positions at least."""
        if needed > self.room:
            self._resize(needed)

    def shrink(self) -> None:
        """Give up room that nobody has needed for a while: more than twice what is used."""
        used = int(self.length[: self.rows].max()) if self.rows else 0
        if self.room > 2 * max(used, ROOM_STEP):
            self._resize(used)

    def _resize(self, needed: int) -> None:
        room = max(1, -(-needed // ROOM_STEP)) * ROOM_STEP
        keep = min(room, self.room)
        for name in ("key", "value"):
            old: NdArray = getattr(self, name)
            new = np.zeros((*old.shape[:2], room, old.shape[3]), np.float32)
            new[: self.rows, :, :keep] = old[: self.rows, :, :keep]
            setattr(self, name, new)

    def _copy(self, source: int, target: int) -> None:
        used = int(self.length[source])
        self.length[target] = used
        self.before[target] = self.before[source]
        self.key[target, :, :used] = self.key[source, :, :used]
        self.value[target, :, :used] = self.value[source, :, :used]
