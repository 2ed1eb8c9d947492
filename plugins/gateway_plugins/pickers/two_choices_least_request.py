"""Of a few drawn at random, the one with the fewest requests of ours in flight.

Envoy's default least request load balancer (extensions.load_balancing_policies.
least_request.v3): ``choice_count`` 2, equal weights. Here the choices differ; Envoy may draw
one host twice. The counts are this gateway's own. A center that fails fast has few in flight
and so attracts requests, as it does in the original; health has to stop it.
``ring_ms``: None draws among all; a width draws in the nearest ring.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from gateway.api import F32N, Centers, Choice, Query, check_ring, nearest_ring


@dataclass(frozen=True)
class TwoChoicesLeastRequest:
    """Picks the least loaded of ``choice_count`` centers drawn at random."""

    choice_count: int = 2
    ring_ms: float | None = None

    reads: ClassVar[tuple[str, ...]] = ("in_flight",)

    def __post_init__(self) -> None:
        if self.choice_count < 2:
            raise ValueError(f"choice_count = {self.choice_count}; expected 2 or more")
        check_ring(self.ring_ms)

    @property
    def sample(self) -> int | None:
        """The choices, drawn by routing; all centers when a ring is asked for."""
        return self.choice_count if self.ring_ms is None else None

    def pick(
        self,
        total_ms: F32N,
        candidates: Any,
        centers: Centers,
        query: Query,
        now: float,
        random: Random,
        memory: Any,
    ) -> int | Choice:
        """The first least loaded of the sample."""
        if candidates is not None:
            loads: list[int] = centers["in_flight"][candidates].tolist()
            return loads.index(min(loads))
        ring = nearest_ring(total_ms, self.ring_ms).nonzero()[0].tolist()
        rows = random.sample(ring, min(self.choice_count, len(ring)))
        loads = centers["in_flight"][rows].tolist()
        return Choice(rows[loads.index(min(loads))], tuple(rows))
