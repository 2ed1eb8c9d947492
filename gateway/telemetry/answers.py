"""The last answers: from where, by whom, how long, and which part of it.

Theory of operation. A ring of ``KEPT`` answers; adding one writes one packed row and keeps no
object. Whoever looks (the dashboard, a few times a second at most) works on the columns with
numpy: shares in time by origin with their interval, flows by origin and center, quantiles and
parts by second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
KEPT = 16_384
Z_95 = 1.959964
PARTS = ("gateway", "network", "queue", "service")
ROW = np.dtype(
    [("at_s", "f8"), ("vantage", "i4"), ("center", "i4"), *((f"{part}_ms", "f4") for part in PARTS)]
)
ROW_BYTES = ROW.itemsize
_pack = Struct("=diiffff").pack_into


class RecentAnswers:
    """Ring of the last ``KEPT`` answers; see ``since`` for what is known of them."""

    __slots__ = ("_bytes", "_rows", "count")

    def __init__(self) -> None:
        self._rows = np.zeros(KEPT, ROW)
        self._bytes = self._rows.view(np.uint8).data
        self.count = 0

    def add(
        self,
        at_s: float,
        vantage: int,
        center: int,
        gateway_ms: float,
        network_ms: float,
        queue_ms: float,
        service_ms: float,
    ) -> None:
        """One more. ``at_s``: the process's monotonic clock."""
        count = self.count
        self.count = count + 1
        _pack(
            self._bytes,
            count % KEPT * ROW_BYTES,
            at_s,
            vantage,
            center,
            gateway_ms,
            network_ms,
            queue_ms,
            service_ms,
        )

    def since(self, at_s: float) -> Window:
        """The answers kept that ended at ``at_s`` or later, oldest first."""
        return window_of(self.rows_since(at_s))

    def rows_since(self, at_s: float) -> NDArray[np.void]:
        """The same as rows of ``ROW``: what one process tells another."""
        kept = min(self.count, KEPT)
        rows = self._rows[np.arange(self.count - kept, self.count) % KEPT]
        return rows[rows["at_s"] >= at_s]


def window_of(rows: NDArray[np.void]) -> Window:
    """Rows of ``ROW``, in the order of time, as a window."""
    parts_ms = np.stack([rows[f"{part}_ms"] for part in PARTS], axis=1)
    return Window(rows["at_s"], rows["vantage"], rows["center"], parts_ms)


def joined(told: Sequence[bytes]) -> Window:
    """What several processes of one machine told (they share its monotonic clock) as one."""
    rows = np.concatenate([np.frombuffer(one, ROW) for one in told] or [np.zeros(0, ROW)])
    return window_of(rows[np.argsort(rows["at_s"], kind="stable")])


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Some answers. ``at_s`` float64[n], ``vantage`` and ``center`` int32[n], ``parts_ms``
    float32[n, 4] in the order of ``PARTS``.
    """

    at_s: F64
    vantage: NDArray[np.int32]
    center: NDArray[np.int32]
    parts_ms: NDArray[np.float32]

    @property
    def total_ms(self) -> NDArray[np.float32]:
        """float32[n]: the whole time of each."""
        total_ms: NDArray[np.float32] = self.parts_ms.sum(axis=1)
        return total_ms

    def by_origin(self, target_ms: float) -> list[dict[str, Any]]:
        """A row a vantage: answers, share within ``target_ms`` with its interval, median."""
        groups = _Groups.of(self.vantage, self.total_ms)
        shares = groups.sums(groups.values <= target_ms) / groups.counts
        rows = []
        columns = (groups.keys, groups.counts, shares, groups.quantiles(0.5))
        for vantage, answers, share, p50_ms in zip(*(c.tolist() for c in columns), strict=True):
            low, high = wilson(share, answers)
            rows.append(
                {
                    "vantage": vantage,
                    "answers": answers,
                    "share": share,
                    "low": low,
                    "high": high,
                    "p50_ms": p50_ms,
                }
            )
        return rows

    def flows(self, centers: int, most: int | None = None) -> list[dict[str, Any]]:
        """A row a pair of vantage and center: answers and median time; ``centers`` in all.

        Busiest first, ``most`` of them; None: all.
        """
        groups = _Groups.of(self.vantage.astype(np.int64) * centers + self.center, self.total_ms)
        busiest = np.argsort(-groups.counts, kind="stable")[:most]
        vantage, center = np.divmod(groups.keys[busiest], centers)
        columns = (vantage, center, groups.counts[busiest], groups.quantiles(0.5)[busiest])
        names = ("vantage", "center", "answers", "p50_ms")
        return [
            dict(zip(names, row, strict=True))
            for row in zip(*(column.tolist() for column in columns), strict=True)
        ]

    def by_second(self, now: float, seconds: int) -> list[dict[str, Any]]:
        """The last ``seconds``, oldest first: answers, quantiles and the mean of each part."""
        groups = _Groups.of((now - self.at_s).astype(np.int64), self.total_ms)
        means = groups.sums(self.parts_ms[groups.order]) / groups.counts[:, None]
        columns = (groups.keys, groups.counts, groups.quantiles(0.5), groups.quantiles(0.99), means)
        told = {
            age: {
                "answers": answers,
                "p50_ms": p50,
                "p99_ms": p99,
                "parts": dict(zip(PARTS, parts, strict=True)),
            }
            for age, answers, p50, p99, parts in zip(*(c.tolist() for c in columns), strict=True)
        }
        return [told.get(age, {"answers": 0}) for age in range(seconds - 1, -1, -1)]

    def histogram(self, edges_ms: F64) -> list[int]:
        """How many answers took between two edges, the last bin open to above."""
        counts, _ = np.histogram(self.total_ms, bins=np.append(edges_ms, np.inf))
        return [int(count) for count in counts]


def wilson(share: float, count: int, z: float = Z_95) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score (JASA 22, 1927); (0, 1) of nothing."""
    if not count:
        return 0.0, 1.0
    weight = z * z / count
    middle = (share + weight / 2) / (1 + weight)
    half = z * sqrt(share * (1 - share) / count + weight / (4 * count)) / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True, eq=False)
class _Groups:
    """Values sorted by key and then by size: figures of every group without a loop over them.

    ``keys`` int64[g], ``counts`` and ``starts`` int64[g], ``order`` int64[n] into what was given,
    ``values`` float64[n] in that order. A loop that calls ``numpy.median`` for each of 2 900 flows
    took 60 ms.
    """

    keys: NDArray[np.int64]
    counts: NDArray[np.int64]
    starts: NDArray[np.int64]
    order: NDArray[np.int64]
    values: F64

    @classmethod
    def of(cls, keys: NDArray[Any], values: NDArray[Any]) -> _Groups:
        """``values`` [n] in groups of equal ``keys`` [n]."""
        order = np.lexsort((values, keys))
        found, starts, counts = np.unique(keys[order], return_index=True, return_counts=True)
        return cls(found.astype(np.int64), counts, starts, order, values[order].astype(np.float64))

    def sums(self, values: NDArray[Any]) -> F64:
        """Sums by group of ``values`` [n] or [n, m], given in ``order``."""
        if not len(self.keys):
            return np.zeros((0, *values.shape[1:]))
        summed: F64 = np.add.reduceat(values.astype(np.float64), self.starts, axis=0)
        return summed

    def quantiles(self, share: float) -> F64:
        """float64[g], between the two nearest values, as ``numpy.percentile`` does."""
        if not len(self.keys):
            return np.zeros(0)
        place = (self.counts - 1) * share
        below = place.astype(np.int64)
        above = np.minimum(below + 1, self.counts - 1)
        low, high = self.values[self.starts + below], self.values[self.starts + above]
        between: F64 = low + (high - low) * (place - below)
        return between
