"""What running costs: the model's execution time at each center's speed, as learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gateway.api import F32N, Centers, Query, Varies


@dataclass(frozen=True)
class Service:
    """Charges the time the center takes to run the model."""

    varies_by: ClassVar[tuple[Varies, ...] | None] = ("model",)
    reads: ClassVar[tuple[str, ...]] = ("service_ms",)
    live: ClassVar[bool] = False
    refresh_ms: ClassVar[float] = 5.0

    def ms(self, query: Query, centers: Centers, now: float) -> F32N:
        """float32[N], ms."""
        return centers["service_ms"]
