"""The fewest requests of ours in flight, among all.

Envoy's least request load balancer with ``selection_method: FULL_SCAN``
(extensions.load_balancing_policies.least_request.v3): every host is looked at, ties are
broken at random. The counts are this gateway's own. A center that fails fast has few in
flight and so attracts requests, as it does in the original; health has to stop it.
``ring_ms``: None looks at all; a width looks at the nearest ring, as a load balancer of one
site does: it never leaves it, and so overloads it when demand is greater there.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from gateway.api import F32N, Centers, Query, check_ring, nearest_ring


@dataclass(frozen=True)
class LeastRequest:
    """Picks the center with the fewest own requests in flight; ties at random."""

    ring_ms: float | None = None

    sample: ClassVar[int | None] = None
    reads: ClassVar[tuple[str, ...]] = ("in_flight",)

    def __post_init__(self) -> None:
        check_ring(self.ring_ms)

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
        """One of the least loaded."""
        rows = nearest_ring(total_ms, self.ring_ms).nonzero()[0]
        loads = centers["in_flight"][rows]
        least = rows[loads == loads.min()]
        return int(least[int(random.random() * len(least))])
