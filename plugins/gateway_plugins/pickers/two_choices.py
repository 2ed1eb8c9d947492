"""The better of two eligible centers drawn at random.

Mitzenmacher, The Power of Two Choices in Randomized Load Balancing (2001): with stale
knowledge, many gateways that all take the best center overload it; two random choices do
not, at the price of a worse center when knowledge is fresh.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from gateway.api import F32N, Centers, Query


@dataclass(frozen=True)
class TwoChoices:
    """Picks the smaller sum of two centers drawn at random."""

    sample: ClassVar[int | None] = 2
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
        """The first smallest position of the sample."""
        return int(total_ms.argmin())
