"""C3: the smallest of response time less service time plus the queue's cube of services.

Suresh, Canini, Schmid, Feldmann, C3: Cutting Tail Latency in Cloud Data Stores via Adaptive
Replica Selection (NSDI 2015), as elastic/elasticsearch has it (ResponseCollectorService), so
without the paper's rate control: psi = R - 1/mu + (1 + os x n + q)^3 / mu, in ms.

R: mean response time seen here; 1/mu and q: mean service time and number waiting for a slot,
as reported; os: own requests outstanding there; n: ``clients``. Means are by request, alpha
0.3, and begin at ``start_ms``. All are ranked. An error counts as no faster than the mean.
``ring_ms``: None ranks all, R has the network in it; a width ranks the nearest ring
by the modelled round trip plus psi of the time at the center.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Any, ClassVar

import numpy as np

from gateway.api import (
    F32N,
    Array,
    Centers,
    Decision,
    Outcome,
    Query,
    Report,
    check_ring,
    nearest_ring,
)


class Ranks:
    """psi by center, float32[N], kept up to date one row at a time, and what it is made of."""

    def __init__(self, centers: int, start_ms: float) -> None:
        self.psi_ms: F32N = np.full(centers, start_ms, dtype=np.float32)
        self.cells: Any = self.psi_ms.data  # writes a scalar in a third of an array's time
        self.response_ms = [start_ms] * centers
        self.service_ms = [start_ms] * centers
        self.queue, self.outstanding = [0.0] * centers, [0] * centers


@dataclass(frozen=True)
class C3:
    """Picks the smallest psi."""

    alpha: float = 0.3
    clients: int = 1
    start_ms: float = 1.0
    ring_ms: float | None = None
    sample: ClassVar[int | None] = None
    reads: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if not (0.0 < self.alpha <= 1.0 and self.clients >= 1 and 0.0 < self.start_ms < inf):
            raise ValueError(f"{self}; expected 0 < alpha <= 1, clients >= 1 and start_ms > 0")
        check_ring(self.ring_ms)

    def memory(self, centers: int, random: Random) -> Ranks:
        """Nobody was heard of."""
        return Ranks(centers, self.start_ms)

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
        """The first smallest."""
        near = nearest_ring(total_ms, self.ring_ms)
        psi_ms = memory.psi_ms if self.ring_ms is None else memory.psi_ms + total_ms
        return int(np.where(near, psi_ms, np.float32(inf)).argmin())

    def chosen(self, decision: Decision, mine: MutableMapping[str, Array], memory: Any) -> None:
        """One more outstanding."""
        memory.outstanding[decision.center] += 1
        self._rank(memory, decision.center)

    def ended(self, outcome: Outcome, mine: MutableMapping[str, Array], memory: Any) -> None:
        """One fewer outstanding; an answer and an error are responses."""
        ranks, center, report = memory, outcome.center, outcome.report
        ranks.outstanding[center] -= 1
        response_ms, service_ms = outcome.attempt_ms, ranks.service_ms[center]
        if outcome.ending == "error":
            response_ms = max(response_ms, ranks.response_ms[center])
        elif report is not None:
            service_ms += self.alpha * (report.service_ms - service_ms)
            if self.ring_ms is not None:
                response_ms = report.queue_ms + report.service_ms
        if outcome.ending != "cancelled":
            ranks.response_ms[center] += self.alpha * (response_ms - ranks.response_ms[center])
            ranks.service_ms[center] = service_ms
        self._rank(ranks, center)

    def reported(
        self,
        center: int,
        report: Report,
        now: float,
        mine: MutableMapping[str, Array],
        memory: Any,
    ) -> None:
        """Average in how many wait there."""
        waiting = max(0, report.in_flight - max(1, report.slots))
        memory.queue[center] += self.alpha * (waiting - memory.queue[center])
        self._rank(memory, center)

    def _rank(self, ranks: Ranks, center: int) -> None:
        service_ms = ranks.service_ms[center]
        queue = 1.0 + ranks.outstanding[center] * self.clients + ranks.queue[center]
        ranks.cells[center] = ranks.response_ms[center] - service_ms + queue**3 * service_ms
