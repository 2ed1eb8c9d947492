"""Exemplars: for each bucket of a histogram the last traced answer that fell into it.

So a point of a latency graph leads to a trace of a request that was as slow. Noted for traced
requests alone, told in the OpenMetrics exposition alone.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

from prometheus_client.samples import Exemplar

from gateway.telemetry.histogram import BOUNDS_MS


class Exemplars:
    """Of ``series`` histograms; at most one a bucket. ``wall``: seconds since the epoch."""

    __slots__ = ("_by_bucket", "_wall")

    def __init__(self, series: int, wall: Callable[[], float] = time.time) -> None:
        self._by_bucket: list[dict[int, Exemplar]] = [{} for _ in range(series)]
        self._wall = wall

    def note(self, trace_id: int, values_ms: Sequence[float]) -> None:
        """One answer: a value a histogram, in their order."""
        labels, now = {"trace_id": f"{trace_id:032x}"}, self._wall()
        for by_bucket, value_ms in zip(self._by_bucket, values_ms, strict=True):
            bucket = bisect_left(BOUNDS_MS, value_ms)
            by_bucket[bucket] = Exemplar(labels, value_ms / 1e3, now)

    def of(self, series: int) -> Mapping[int, Exemplar]:
        """By bucket."""
        return self._by_bucket[series]
