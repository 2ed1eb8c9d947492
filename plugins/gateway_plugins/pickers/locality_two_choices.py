"""Locality first, spilling over by load, and the better of two inside.

After Envoy: zone aware routing keeps traffic local and lets the rest go where capacity is
left; its load aware locality policy (a draft) says by load: all stays local while the local
utilization is at most that of the others plus ``margin`` 0.1, beyond that localities are
weighted by hosts x (1 - utilization), and ``remote_share`` 3 % always goes out to keep the
others known. Utilization is averaged over ``tau_s`` 5 s and forgotten after ``stale_s`` 3 min.
Inside a locality Envoy's least request takes the better of two by own requests in flight.

Simplified: a locality is a ring, the centers within ``ring_ms`` of the nearest; the others
are the next ring outward, and from there the same rule leads on; utilization is averaged a
center rather than a locality, at each report rather than each second. A center that fails
fast looks idle and attracts traffic, as it does in the originals.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from math import exp, inf
from random import Random
from typing import Any, ClassVar

import numpy as np

from gateway.api import F32N, Array, Centers, Choice, Query, Report, check_ring, nearest_ring


@dataclass(slots=True)
class Loads:
    """By center: mean utilization, 0 to 1, and when it was last reported, in s."""

    utilization: list[float]
    heard_at: list[float]


@dataclass(frozen=True)
class LocalityTwoChoices:
    """Picks the less loaded of two in the nearest ring that is not fuller than the next."""

    ring_ms: float = 1.0
    margin: float = 0.1
    remote_share: float = 0.03
    tau_s: float = 5.0
    stale_s: float = 180.0

    sample: ClassVar[int | None] = None
    reads: ClassVar[tuple[str, ...]] = ("in_flight",)

    def __post_init__(self) -> None:
        if not (0.0 <= self.margin <= 1.0 and 0.0 <= self.remote_share <= 1.0):
            raise ValueError(f"{self}; expected margin and remote_share from 0 to 1")
        if not (self.tau_s > 0.0 and self.stale_s > 0.0):
            raise ValueError(f"{self}; expected tau_s and stale_s > 0")
        check_ring(self.ring_ms)

    def memory(self, centers: int, random: Random) -> Loads:
        """Nothing was reported."""
        return Loads([0.0] * centers, [-inf] * centers)

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
        """The less loaded of two in the ring that the draws lead to."""
        near = nearest_ring(total_ms, self.ring_ms)
        ring: list[int] = near.nonzero()[0].tolist()
        outside = total_ms
        while True:
            outside = np.where(near, np.float32(inf), outside)
            if not outside.min() < inf:
                break
            near = nearest_ring(outside, self.ring_ms)
            following: list[int] = near.nonzero()[0].tolist()
            if random.random() >= self._share_of_next(memory, ring, following, now):
                break
            ring = following
        rows = random.sample(ring, min(2, len(ring)))
        loads = centers["in_flight"][rows].tolist()
        return Choice(rows[loads.index(min(loads))], tuple(rows))

    def reported(
        self,
        center: int,
        report: Report,
        now: float,
        mine: MutableMapping[str, Array],
        memory: Any,
    ) -> None:
        """Average in the center's utilization; the first one counts in full."""
        keep = exp(-max(0.0, now - memory.heard_at[center]) / self.tau_s)
        known = memory.utilization[center]
        memory.utilization[center] = known * keep + report.utilization * (1.0 - keep)
        memory.heard_at[center] = now

    def _share_of_next(
        self, loads: Loads, ring: list[int], following: list[int], now: float
    ) -> float:
        here, there = self._load(loads, ring, now), self._load(loads, following, now)
        if here <= there + self.margin:
            return self.remote_share
        free_here, free_there = len(ring) * (1.0 - here), len(following) * (1.0 - there)
        return max(self.remote_share, free_there / (free_here + free_there))

    def _load(self, loads: Loads, rows: list[int], now: float) -> float:
        """Mean utilization; who was silent for long counts as idle, that is by number."""
        oldest, known, at = now - self.stale_s, loads.utilization, loads.heard_at
        return min(1.0, sum([known[row] for row in rows if at[row] > oldest]) / len(rows))
