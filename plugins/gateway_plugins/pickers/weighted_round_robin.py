"""Client-side weighted round robin: turns by what a center does for the load it carries.

gRPC proposal A58 (``weighted_round_robin``) on ORCA load reports, with its constants:
weight = qps / (utilization + eps / qps x error_utilization_penalty). Errors lower it.

A weight counts from ``blackout_s`` of continuous reports on and until none came for
``expiration_s``; who has none gets the mean of the others, and with fewer than two weights all
are equal. Every ``update_s`` the weights are taken over into an earliest-deadline-first
schedule: the period is 1 / weight, the first deadline is random in it, the earliest is
picked and gets its period added. Who was left out by a filter gets one turn on its return,
not all it missed. ``ring_ms``: None schedules all; a width takes the nearest ring.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Any, ClassVar

import numpy as np

from gateway.api import F32N, Array, Centers, Decision, Query, Report, check_ring, nearest_ring


class Schedule:
    """Deadlines, float64[N], periods, and the reports that make the next ones."""

    def __init__(self, centers: int, random: Random) -> None:
        self.random = random
        self.period = [1.0] * centers
        self.deadline = np.array([random.random() for _ in range(centers)])
        self.cells: Any = self.deadline.data
        self.turn = 0.0
        self.update_at = -inf
        self.weight = [0.0] * centers
        self.reported_at = [-inf] * centers
        self.steady_since = [inf] * centers


@dataclass(frozen=True)
class WeightedRoundRobin:
    """Picks the earliest deadline of a schedule weighted by load reports."""

    blackout_s: float = 10.0
    expiration_s: float = 180.0
    update_s: float = 1.0
    error_utilization_penalty: float = 1.0
    ring_ms: float | None = None

    sample: ClassVar[int | None] = None
    reads: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if not (self.blackout_s >= 0.0 and self.expiration_s > 0.0 and self.update_s >= 0.1):
            raise ValueError(f"{self}; expected blackout_s >= 0, expiration_s > 0, update_s >= 0.1")
        if not 0.0 <= self.error_utilization_penalty < inf:
            raise ValueError(f"{self}; expected error_utilization_penalty >= 0")
        check_ring(self.ring_ms)

    def memory(self, centers: int, random: Random) -> Schedule:
        """All equal, in random order."""
        return Schedule(centers, random)

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
        """The earliest deadline."""
        near = nearest_ring(total_ms, self.ring_ms)
        return int(np.where(near, memory.deadline, inf).argmin())

    def chosen(self, decision: Decision, mine: MutableMapping[str, Array], memory: Any) -> None:
        """The turn is taken; when it is time, the weights are taken over."""
        plan: Schedule = memory
        center = decision.center
        plan.turn = max(plan.turn, plan.cells[center])
        plan.cells[center] = plan.turn + plan.period[center]
        if decision.now >= plan.update_at:
            plan.update_at = decision.now + self.update_s
            self._reschedule(plan, decision.now)

    def reported(
        self,
        center: int,
        report: Report,
        now: float,
        mine: MutableMapping[str, Array],
        memory: Any,
    ) -> None:
        """A weight, if the report has both a rate and a utilization."""
        plan: Schedule = memory
        qps = report.rate_per_s
        if not (qps > 0.0 and report.utilization > 0.0):
            return
        penalty = report.errors_per_s / qps * self.error_utilization_penalty
        plan.weight[center] = qps / (report.utilization + penalty)
        plan.reported_at[center] = now
        plan.steady_since[center] = min(plan.steady_since[center], now)

    def _reschedule(self, plan: Schedule, now: float) -> None:
        weights = [self._weight(plan, center, now) for center in range(len(plan.weight))]
        known = [weight for weight in weights if weight > 0.0]
        mean = sum(known) / len(known) if len(known) > 1 else 0.0
        plan.period = [mean / (weight or mean) if mean else 1.0 for weight in weights]
        plan.deadline[:] = [plan.random.random() * period for period in plan.period]
        plan.turn = 0.0

    def _weight(self, plan: Schedule, center: int, now: float) -> float:
        if now - plan.reported_at[center] >= self.expiration_s:
            plan.steady_since[center] = inf
        steady_s = now - plan.steady_since[center]
        return plan.weight[center] if steady_s >= max(0.0, self.blackout_s) else 0.0
