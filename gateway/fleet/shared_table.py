"""One table for several workers: who writes what in memory that all of them see.

Theory of operation. The table is laid over a buffer it is *given*; the runtime makes the
memory and hands it to every process. A worker takes a *seat*: a number that is its row in
every worker block. Two rules make locks needless:

* Every cell has one writer. A worker writes the rows of its own seat, the merging process
  (``shared_merge``) writes the published block and, while a seat is empty, clears its rows.
* Every cell is one aligned word of 4 or 8 bytes, which a processor reads and writes whole. A
  reader may see one cell of a row newer than the next; it comes back within milliseconds.

Worker blocks, a row a seat (W), a column a center (N), a vantage (V) or a model (M):

    work_ns in_flight           int64[W, N]     own work, as integers: refunds return to 0
    charges                     int64[W]        own requests so far
    all_in_flight               i4[W, N]        the sum a worker goes by: its column in_flight
    gathered_s                  f8[W]           when it last added up the others' rows
    told, told_count            int64[W, R], [W]   ring of endings that matter for health
    health_seen                 int64[W]        the published health this worker goes by
    rtt_ms rtt_samples          f4[W, V, N], i4[W, V, N]   own estimates, samples behind them
    paths_told, paths_told_count    int64[W, R], [W]    ring of cells v × N + c that moved
    pace pace_answers           f8, int64[W, N]    log factor of a center's speed
    model_key model_factor model_answers      int64, f8, int64[W, M]

Published by the merging process alone:

    healthy troubled on_trial error_rate    i4[N], i4[N], i4[N], f4[N]
    panic                       i4[1]           1: only refusals take a center out
    probe_asked                 int64[N]        counts probes that are wanted of a center
    prober health_version heard     int64[1], [1], [W]
    rtt_merged rtt_known        f4[V, N], f4[V, N]
    rtt_recent                  f4[W, V, N]     how much of ``rtt_known`` is a seat's own
    paths_merged, paths_merged_count    int64[R], [1]   ring of cells that were merged
    pace_merged pace_known, pace_recent     f8[N], f8[N], f8[W, N]
    factor_merged factor_known, factor_recent  f8[M], f8[M], f8[W, M]; merged_key int64[M]

A model's place in M is a digest of its name, so that workers agree without asking anybody;
of two models that meet in one place the later is not shared. Untouched pages of a large
table cost nothing where the runtime's memory is sparse.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from math import prod

import numpy as np

from gateway.api import Array
from gateway.fleet.cells import Counts, counts_of

VANTAGES_MAX = 512
MODELS_MAX = 1024
RING = 4096
"""Places of a ring: an ending that finds it full is dropped, a cell is written over the oldest."""
ALIGNED_BYTES = 64


@dataclass(frozen=True, slots=True)
class TableSize:
    """How large a shared table is: its centers, seats, vantages and places for models."""

    centers: int
    seats: int
    vantages: int
    models: int = MODELS_MAX

    def fields(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Name -> (dtype, shape) in the order of the memory."""
        n, w, m = self.centers, self.seats, self.models
        v = min(self.vantages, VANTAGES_MAX)
        return {
            "work_ns": ("i8", (w, n)),
            "in_flight": ("i8", (w, n)),
            "charges": ("i8", (w,)),
            "all_in_flight": ("i4", (w, n)),
            "gathered_s": ("f8", (w,)),
            "told": ("i8", (w, RING)),
            "told_count": ("i8", (w,)),
            "health_seen": ("i8", (w,)),
            "rtt_ms": ("f4", (w, v, n)),
            "rtt_samples": ("i4", (w, v, n)),
            "paths_told": ("i8", (w, RING)),
            "paths_told_count": ("i8", (w,)),
            "pace": ("f8", (w, n)),
            "pace_answers": ("i8", (w, n)),
            "model_key": ("i8", (w, m)),
            "model_factor": ("f8", (w, m)),
            "model_answers": ("i8", (w, m)),
            "healthy": ("i4", (n,)),
            "troubled": ("i4", (n,)),
            "on_trial": ("i4", (n,)),
            "error_rate": ("f4", (n,)),
            "panic": ("i4", (1,)),
            "probe_asked": ("i8", (n,)),
            "prober": ("i8", (1,)),
            "health_version": ("i8", (1,)),
            "heard": ("i8", (w,)),
            "rtt_merged": ("f4", (v, n)),
            "rtt_known": ("f4", (v, n)),
            "rtt_recent": ("f4", (w, v, n)),
            "paths_merged": ("i8", (RING,)),
            "paths_merged_count": ("i8", (1,)),
            "pace_merged": ("f8", (n,)),
            "pace_known": ("f8", (n,)),
            "pace_recent": ("f8", (w, n)),
            "merged_key": ("i8", (m,)),
            "factor_merged": ("f8", (m,)),
            "factor_known": ("f8", (m,)),
            "factor_recent": ("f8", (w, m)),
        }

    @property
    def bytes(self) -> int:
        """How much memory the table wants."""
        return sum(_room(dtype, shape) for dtype, shape in self.fields().values())


def _room(dtype: str, shape: tuple[int, ...]) -> int:
    exact = np.dtype(dtype).itemsize * prod(shape)
    return -(-exact // ALIGNED_BYTES) * ALIGNED_BYTES


OWN_ROWS = (
    *("work_ns", "in_flight", "charges", "all_in_flight", "gathered_s", "told_count"),
    *("health_seen", "rtt_ms", "rtt_samples", "paths_told_count", "pace", "pace_answers"),
    *("model_key", "model_factor", "model_answers"),
    *("heard", "rtt_recent", "pace_recent", "factor_recent"),
)
"""What is cleared when a seat is left, its weights in the published block included: what was
learned from there stays published, and is the others' to the next who sits there."""


class SharedTable:
    """Arrays by name over ``buffer``, which must be zero at first; a ``Merger`` comes next.

    Raises ValueError when the buffer is too small.
    """

    def __init__(self, buffer: memoryview, size: TableSize) -> None:
        if len(buffer) < size.bytes:
            raise ValueError(f"the buffer has {len(buffer)} bytes, {size} needs {size.bytes}")
        self.size = size
        self.vantages = min(size.vantages, VANTAGES_MAX)
        self._arrays: dict[str, Array] = {}
        offset = 0
        for name, (dtype, shape) in size.fields().items():
            array = np.frombuffer(buffer, dtype, prod(shape), offset).reshape(shape)
            self._arrays[name] = array
            offset += _room(dtype, shape)

    def __getitem__(self, name: str) -> Array:
        """The array of a field, shared with every process."""
        return self._arrays[name]

    def counts(self, name: str, seat: int) -> Counts:
        """Scalar access to one seat's row of an integer field; of a field [W], one value."""
        array = self._arrays[name]
        return counts_of(array[seat] if array.ndim > 1 else array[seat : seat + 1])

    def clear_seat(self, seat: int) -> None:
        """Make a seat's rows those of a worker that has done nothing; nobody may sit there."""
        for name in OWN_ROWS:
            self._arrays[name][seat] = 0


def model_place(name: str, models: int) -> tuple[int, int]:
    """(place, key) of a model: the key is never 0, which stands for an empty place."""
    digest = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")
    return digest % models, (digest >> 1) | 1
