"""A histogram of milliseconds in logarithmic buckets, cheap enough for every request.

Bounds grow by a factor of 2^(1/2) from 0.01 ms to 84 s with exact steps at 1, 2, 5 and 10 ms,
the values people draw lines at. Counts are a Python list, not an array: adding one to a list
item costs 0.03 us, to a numpy item 0.1; arrays are made when somebody reads.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from prometheus_client.samples import Exemplar

_STEPS = {0.01 * 2 ** (step / 2) for step in range(47)}
_MARKS = {1.0, 2.0, 5.0, 10.0}
BOUNDS_MS: tuple[float, ...] = tuple(sorted({round(bound, 6) for bound in _STEPS} | _MARKS))
"""Upper bounds (inclusive) of the buckets; one more bucket holds everything above."""

Bucket = tuple[str, float] | tuple[str, float, Exemplar]


def empty_cells() -> list[int]:
    """A count a bucket."""
    return [0] * (len(BOUNDS_MS) + 1)


class Histogram:
    """Counts by bucket, and the sum. Negative values count as zero.

    ``cells`` and ``sum_ms``: counts kept elsewhere, by whoever saves the call.
    """

    __slots__ = ("_counts", "_sum_ms")

    def __init__(self, cells: list[int] | None = None, sum_ms: float = 0.0) -> None:
        self._counts = empty_cells() if cells is None else cells
        self._sum_ms = sum_ms

    def record(self, value_ms: float) -> None:
        """Count one value, in ms."""
        self._counts[bisect_left(BOUNDS_MS, value_ms)] += 1
        if value_ms > 0.0:
            self._sum_ms += value_ms

    @property
    def counts(self) -> NDArray[np.int64]:
        """int64[len(BOUNDS_MS) + 1], a copy: how many values fell into each bucket."""
        return np.asarray(self._counts, dtype=np.int64)

    @property
    def sum_ms(self) -> float:
        """The sum of all values, ms."""
        return self._sum_ms

    def buckets_s(self, exemplars: Mapping[int, Exemplar] | None = None) -> list[Bucket]:
        """Prometheus buckets: (upper bound in seconds as text, cumulative count), and the exemplar
        of those that have one.
        """
        cumulative = np.cumsum(self.counts).tolist()
        bounds = [*(repr(round(bound / 1000.0, 9)) for bound in BOUNDS_MS), "+Inf"]
        buckets: list[Bucket] = list(zip(bounds, map(float, cumulative), strict=True))
        for place, exemplar in (exemplars or {}).items():
            bound, count = buckets[place][:2]
            buckets[place] = (bound, count, exemplar)
        return buckets
