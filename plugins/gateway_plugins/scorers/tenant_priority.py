"""Tenant priority: the last slots of good centers are kept for those who pay for them.

When ``reserved_slots`` or fewer of a center's slots are free, every tenant that is not in
``first`` is charged ``surcharge_ms`` there: it goes elsewhere when elsewhere costs less than
that, and stays when nowhere does. ``at`` says which centers keep slots: ``"core"``, or
``"all"``. Counted are the requests this gateway has in flight.

    { name = "tenant_priority", first = ["hospital"], reserved_slots = 2, surcharge_ms = 15.0 }
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar, Literal

import numpy as np

from gateway.api import F32N, PER_REQUEST, Centers, Query, Varies


@dataclass(frozen=True)
class TenantPriority:
    """Charges tenants without priority for a center's last slots."""

    first: tuple[str, ...]
    reserved_slots: int = 1
    surcharge_ms: float = 20.0
    at: Literal["core", "all"] = "core"

    varies_by: ClassVar[tuple[Varies, ...] | None] = PER_REQUEST
    reads: ClassVar[tuple[str, ...]] = ("in_flight", "slots")
    live: ClassVar[bool] = False
    refresh_ms: ClassVar[float] = 0.0
    is_time: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.first:
            raise ValueError("first is empty; expected the tenants that come first")
        if self.reserved_slots < 0 or not 0.0 <= self.surcharge_ms < inf:
            raise ValueError(f"{self}; expected reserved_slots >= 0 and surcharge_ms >= 0")

    def ms(self, query: Query, centers: Centers, now: float) -> F32N:
        """float32[N], ms."""
        if query.tenant in self.first:
            return np.zeros(len(centers), dtype=np.float32)
        scarce = centers["slots"] - centers["in_flight"] <= self.reserved_slots
        if self.at == "core":
            scarce &= np.fromiter((c.core for c in centers.topology), np.bool_, len(centers))
        return np.where(scarce, np.float32(self.surcharge_ms), np.float32(0.0))
