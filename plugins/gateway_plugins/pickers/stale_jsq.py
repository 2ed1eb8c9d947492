"""Join the shortest queue, as last reported: what a full scan of stale knowledge does.

Every gateway takes the center that reported the fewest requests in flight and counts
nothing of its own, so until the next report all take the same one: a herd. Mitzenmacher,
How Useful Is Old Information? (IEEE TPDS 2000), describes the effect. Ties are broken at
random, a center never heard of counts as idle. Reports do not tell errors, so a center that
fails fast looks idle and attracts traffic: that is part of what this baseline shows.
``ring_ms``: None looks at all; a width looks at the nearest ring.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

import numpy as np

from gateway.api import F32N, Array, Centers, Query, Report, check_ring, nearest_ring


@dataclass(frozen=True)
class StaleJsq:
    """Picks the fewest requests in flight by the last reports."""

    ring_ms: float | None = None

    sample: ClassVar[int | None] = None
    reads: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_ring(self.ring_ms)

    def memory(self, centers: int, random: Random) -> Array:
        """int32[N]: requests in flight, as last reported."""
        return np.zeros(centers, dtype=np.int32)

    def pick(
        self,
        total_ms: F32N,
        candidates: Any,
        centers: Centers,
        query: Query,
        now: float,
        random: Random,
        memory: Any,
    ) -> int:
        """One of the shortest."""
        rows = nearest_ring(total_ms, self.ring_ms).nonzero()[0]
        loads = memory[rows]
        least = rows[loads == loads.min()]
        return int(least[int(random.random() * len(least))])

    def reported(
        self,
        center: int,
        report: Report,
        now: float,
        mine: MutableMapping[str, Array],
        memory: Any,
    ) -> None:
        """Believe it until the next."""
        memory[center] = report.in_flight
