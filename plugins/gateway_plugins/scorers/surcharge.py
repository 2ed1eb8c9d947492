"""What an operator adds: milliseconds on a center, to move traffic away gently.

The values come from the source ``surcharge_file``; a policy that lists this scorer lists
that source too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gateway.api import F32N, Centers, Query, Varies


@dataclass(frozen=True)
class Surcharge:
    """Charges what the surcharge file says."""

    varies_by: ClassVar[tuple[Varies, ...] | None] = ()
    reads: ClassVar[tuple[str, ...]] = ("surcharge_file.ms",)
    live: ClassVar[bool] = False
    refresh_ms: ClassVar[float] = 100.0
    is_time: ClassVar[bool] = False

    def ms(self, query: Query, centers: Centers, now: float) -> F32N:
        """float32[N], ms."""
        return centers["surcharge_file.ms"]
