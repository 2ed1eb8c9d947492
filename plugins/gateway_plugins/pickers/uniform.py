"""A center drawn at random, each eligible one as likely as the others: the floor of baselines.

``ring_ms``: None draws among all; a width draws in the nearest ring.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from gateway.api import F32N, Centers, Query, check_ring, nearest_ring


@dataclass(frozen=True)
class Uniform:
    """Picks any eligible center."""

    ring_ms: float | None = None

    reads: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_ring(self.ring_ms)

    @property
    def sample(self) -> int | None:
        """One center, drawn by routing; all of them when a ring is asked for."""
        return 1 if self.ring_ms is None else None

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
        """The one drawn."""
        if candidates is not None:
            return 0
        rows = nearest_ring(total_ms, self.ring_ms).nonzero()[0]
        return int(rows[int(random.random() * len(rows))])
