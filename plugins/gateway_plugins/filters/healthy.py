"""Only centers that are up: a drained, ejected or lost center gets no request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gateway.api import BoolN, Centers, Query, Varies


@dataclass(frozen=True)
class Healthy:
    """Keeps the centers that health checks call healthy and nobody drains."""

    varies_by: ClassVar[tuple[Varies, ...] | None] = ()
    reads: ClassVar[tuple[str, ...]] = ("healthy",)
    advisory: ClassVar[bool] = False

    def keep(self, query: Query, centers: Centers, now: float) -> BoolN:
        """bool[N]: True where the center is up."""
        keep: BoolN = centers["healthy"] != 0
        return keep
