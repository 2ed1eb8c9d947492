"""The smallest sum wins. Exact ties are broken in the queue column, not here."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from gateway.api import F32N, Centers, Query


@dataclass(frozen=True)
class Least:
    """Picks the smallest sum of all centers."""

    sample: ClassVar[int | None] = None
    reads: ClassVar[tuple[str, ...]] = ()
    takes_argmin: ClassVar[bool] = True

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
        """The first smallest position."""
        return int(total_ms.argmin())
