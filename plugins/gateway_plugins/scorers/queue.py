"""What waiting costs: the predicted wait for a slot, with every request in flight counted.

The column changes with each request, so it is live: routing adds it as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gateway.api import F32N, Centers, Query, Varies


@dataclass(frozen=True)
class Queue:
    """Charges the predicted wait for a slot at the center."""

    varies_by: ClassVar[tuple[Varies, ...] | None] = ()
    reads: ClassVar[tuple[str, ...]] = ("queue_ms",)
    live: ClassVar[bool] = True
    refresh_ms: ClassVar[float] = 0.0

    def ms(self, query: Query, centers: Centers, now: float) -> F32N:
        """float32[N], ms: the column itself."""
        return centers["queue_ms"]
