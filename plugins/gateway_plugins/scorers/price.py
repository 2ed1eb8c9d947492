"""What a request costs in money, as milliseconds at a stated rate.

``cents_per_1000`` maps regions (shell patterns; the first that matches counts) to the price
of 1000 requests; ``ms_per_cent`` says how many milliseconds a cent per 1000 requests is worth.
With 2 ms a cent, a region that is 5 cents dearer is chosen when it answers 10 ms sooner.
A region without a price counts as the dearest: what nobody priced attracts nothing.

    { name = "price", ms_per_cent = 2.0, cents_per_1000 = { "cn-north-*" = 12, "cn-*" = 20 } }
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import inf
from typing import ClassVar

import numpy as np

from gateway.api import F32N, Centers, Query, Varies


@dataclass(frozen=True)
class Price:
    """Charges the price of the region in milliseconds."""

    cents_per_1000: dict[str, float]
    ms_per_cent: float

    varies_by: ClassVar[tuple[Varies, ...] | None] = ()
    reads: ClassVar[tuple[str, ...]] = ()
    live: ClassVar[bool] = False
    refresh_ms: ClassVar[float] = 1000.0
    is_time: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.cents_per_1000:
            raise ValueError("cents_per_1000 is empty; expected a price for at least one region")
        for region, cents in self.cents_per_1000.items():
            if not 0.0 <= cents < inf:
                raise ValueError(f"cents_per_1000.{region} = {cents}; expected a price >= 0")
        if not 0.0 <= self.ms_per_cent < inf:
            raise ValueError(f"ms_per_cent = {self.ms_per_cent}; expected ms >= 0")

    def ms(self, query: Query, centers: Centers, now: float) -> F32N:
        """float32[N], ms."""
        regions = {center.region for center in centers.topology}
        cents = {region: self._cents(region) for region in regions}
        prices = np.array([cents[center.region] for center in centers.topology])
        return (prices * self.ms_per_cent).astype(np.float32)

    def _cents(self, region: str) -> float:
        for pattern, cents in self.cents_per_1000.items():
            if fnmatchcase(region, pattern):
                return cents
        return max(self.cents_per_1000.values())
