"""Peak EWMA: the better of two by recent latency, sensitive to peaks, times requests waiting.

After twitter/finagle, ``loadbalancer/PeakEwma.scala``, rule for rule:

* An attempt that took longer than the cost sets the cost to it; a shorter one is averaged in
  with weight 1 - exp(-td / tau), where td is the time since the cost was last touched.
* *Reading* touches: both centers looked at are given an observation of 0, so an unused one
  grows attractive again, and their stamps move (that is why ``chosen`` commits the reading).
* load = cost x (pending + 1); without history and with something pending it is a penalty.
* Two distinct centers are compared. Finagle's decay time is 10 s.

As published every ending is an observation, an error like an answer: errors that come fast
make a center look fast and attract traffic.
``ring_ms``: None compares two of all; a width compares two of the nearest ring, by
the modelled round trip plus the load, in which only the time at the center then counts.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from math import exp, inf
from random import Random
from typing import Any, ClassVar

from gateway.api import (
    F32N,
    Array,
    Centers,
    Choice,
    Decision,
    Outcome,
    Query,
    check_ring,
    nearest_ring,
)

PENALTY_MS = ((2**63 - 1) >> 16) / 1e6  # Finagle's, which counts in ns


@dataclass(slots=True)
class Metrics:
    """By center: the cost in ms, when it was last touched in s, requests pending."""

    cost_ms: list[float]
    touched_at: list[float]
    pending: list[int]


@dataclass(frozen=True)
class PeakEwma:
    """Picks the smaller load of two centers drawn at random."""

    tau_s: float = 10.0
    ring_ms: float | None = None

    reads: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if not 0.0 < self.tau_s < inf:
            raise ValueError(f"tau_s = {self.tau_s}; expected seconds > 0")
        check_ring(self.ring_ms)

    @property
    def sample(self) -> int | None:
        """Two, drawn by routing; all centers when a ring is asked for."""
        return 2 if self.ring_ms is None else None

    def memory(self, centers: int, random: Random) -> Metrics:
        """Nothing is known of any center."""
        return Metrics([0.0] * centers, [0.0] * centers, [0] * centers)

    def pick(
        self,
        total_ms: F32N,
        candidates: Any,
        centers: Centers,
        query: Query,
        now: float,
        random: Random,
        memory: Any,
    ) -> Choice:
        """The first smallest load of two."""
        if candidates is not None:
            rows: list[int] = candidates.tolist()
            loads = [self._load(memory, row, now) for row in rows]
            return Choice(loads.index(min(loads)), tuple(rows))
        ring = nearest_ring(total_ms, self.ring_ms).nonzero()[0].tolist()
        rows = random.sample(ring, min(2, len(ring)))
        loads = [float(total_ms[row]) + self._load(memory, row, now) for row in rows]
        return Choice(rows[loads.index(min(loads))], tuple(rows))

    def chosen(self, decision: Decision, mine: MutableMapping[str, Array], memory: Any) -> None:
        """Commit the reading of both, and count the request as pending."""
        for row in decision.looked_at:
            self._observe(memory, row, 0.0, decision.now)
        memory.pending[decision.center] += 1

    def ended(self, outcome: Outcome, mine: MutableMapping[str, Array], memory: Any) -> None:
        """One fewer pending; what it took is observed, however it ended."""
        rtt_ms, report = outcome.attempt_ms, outcome.report
        if self.ring_ms is not None and report is not None:
            rtt_ms = report.queue_ms + report.service_ms
        memory.pending[outcome.center] -= 1
        self._observe(memory, outcome.center, rtt_ms, outcome.now)

    def _load(self, metrics: Metrics, row: int, now: float) -> float:
        cost, pending = metrics.cost_ms[row], metrics.pending[row]
        cost *= exp(-max(0.0, now - metrics.touched_at[row]) / self.tau_s)
        return PENALTY_MS + pending if cost == 0.0 and pending else cost * (pending + 1)

    def _observe(self, metrics: Metrics, row: int, rtt_ms: float, now: float) -> None:
        cost = metrics.cost_ms[row]
        keep = exp(-max(0.0, now - metrics.touched_at[row]) / self.tau_s)
        metrics.cost_ms[row] = rtt_ms if rtt_ms > cost else cost * keep + rtt_ms * (1.0 - keep)
        metrics.touched_at[row] = now
