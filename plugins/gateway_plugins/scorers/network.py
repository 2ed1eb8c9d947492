"""What the way costs: the round trip from the vantage to each center, as learned.

The row moves with the answers, so it is live: routing adds it as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gateway.api import F32N, Centers, Query, Varies


@dataclass(frozen=True)
class Network:
    """Charges the round trip between the vantage and the center."""

    varies_by: ClassVar[tuple[Varies, ...] | None] = ("vantage",)
    reads: ClassVar[tuple[str, ...]] = ("rtt_ms",)
    live: ClassVar[bool] = True
    refresh_ms: ClassVar[float] = 0.0

    def ms(self, query: Query, centers: Centers, now: float) -> F32N:
        """float32[N], ms: the row itself."""
        return centers["rtt_ms"]
