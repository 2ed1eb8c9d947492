"""EWMA of latency alone, the better of two: the ewma balancer of ingress-nginx.

After kubernetes/ingress-nginx, ``rootfs/etc/nginx/lua/balancer/ewma.lua``:

* ewma = ewma x w + rtt x (1 - w) with w = exp(-td / 10 s), td since the last answer.
* The score is the average with an observation of 0 added now, which is *not* kept.
* Requests in flight do not count. Two distinct peers are compared, the first wins a tie.
* A peer that joins is given the mean of the others. Who joins is not told to a picker, so
  here whoever was never heard of is scored with the mean of those that were.

As published an error is a sample like any other, so fast errors attract traffic
(ingress-nginx issue 5540).
``ring_ms``: None compares two of all; a width compares two of the nearest ring, by
the modelled round trip plus the average, in which only the time at the center then counts.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from math import exp, inf
from random import Random
from typing import Any, ClassVar

from gateway.api import F32N, Array, Centers, Choice, Outcome, Query, check_ring, nearest_ring


@dataclass(slots=True)
class Averages:
    """By center: the average in ms (-1: never heard of) and when it last answered, in s.

    ``sum_ms`` and ``heard``: of the centers heard of, for their mean.
    """

    ewma_ms: list[float]
    heard_at: list[float]
    sum_ms: float = 0.0
    heard: int = 0


@dataclass(frozen=True)
class NginxEwma:
    """Picks the smaller average latency of two centers drawn at random."""

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

    def memory(self, centers: int, random: Random) -> Averages:
        """Nobody was heard of."""
        return Averages([-1.0] * centers, [0.0] * centers)

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
        """The first smallest score of two."""
        if candidates is not None:
            scores = [self._score(memory, row, now) for row in candidates.tolist()]
            return scores.index(min(scores))
        ring = nearest_ring(total_ms, self.ring_ms).nonzero()[0].tolist()
        rows = random.sample(ring, min(2, len(ring)))
        scores = [float(total_ms[row]) + self._score(memory, row, now) for row in rows]
        return Choice(rows[scores.index(min(scores))], tuple(rows))

    def ended(self, outcome: Outcome, mine: MutableMapping[str, Array], memory: Any) -> None:
        """Average in what it took, however it ended."""
        averages: Averages = memory
        row, rtt_ms, report = outcome.center, outcome.attempt_ms, outcome.report
        if self.ring_ms is not None and report is not None:
            rtt_ms = report.queue_ms + report.service_ms
        known = averages.ewma_ms[row]
        if known < 0.0:
            ewma, known = rtt_ms, 0.0
            averages.heard += 1
        else:
            keep = exp(-max(0.0, outcome.now - averages.heard_at[row]) / self.tau_s)
            ewma = known * keep + rtt_ms * (1.0 - keep)
        averages.sum_ms += ewma - known
        averages.ewma_ms[row] = ewma
        averages.heard_at[row] = outcome.now

    def _score(self, averages: Averages, row: int, now: float) -> float:
        ewma = averages.ewma_ms[row]
        if ewma < 0.0:
            return averages.sum_ms / averages.heard if averages.heard else 0.0
        return ewma * exp(-max(0.0, now - averages.heard_at[row]) / self.tau_s)
