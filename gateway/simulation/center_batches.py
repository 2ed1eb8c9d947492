"""Emulated centers whose slots run batches: L(b) = alpha + beta × b.

A slot that is free takes whoever comes at once, alone; one that comes free takes all that wait,
up to the batch's bound. So batches form by load and nobody is held back for company. A batch
takes L(b) × the factor in force × the draw of its first request over the mean.
"""

from __future__ import annotations

from heapq import heappush

from gateway.api import Report
from gateway.simulation.agenda import Event
from gateway.simulation.center_side import CenterSide, Waiting
from gateway.simulation.scenario import Batch


class BatchingCenters(CenterSide):
    """As ``CenterSide``, with ``batch`` set before the first request."""

    batch: Batch
    mean_s: float

    def reach(self, event: Event) -> None:
        """An attempt arrives."""
        now, _, _, request, attempt, center, half_s = event
        if self.mode[center]:
            self._turn_away(event)
            return
        found = self._enter(request, center)
        arrived = (request, attempt, half_s, now, found)
        if self._free[center]:
            self._free[center] -= 1
            self._run(now, center, [arrived])
        else:
            self._waiting[center].append(arrived)

    def _run(self, now: float, center: int, members: list[Waiting]) -> None:
        luck = self._base_s[members[0][0]] / self.mean_s
        takes_s = (self.batch.alpha_ms + self.batch.beta_ms * len(members)) / 1e3
        service_s = takes_s * luck * self.speed[center]
        if self._stalls is not None:
            service_s *= self._stalls[members[0][1]][members[0][0]]
        self.busy_s[center] += service_s
        run = (center, members, now, service_s, self._life[center])
        heappush(self._heap, (now + service_s, self._number(), self._end_batch, run))

    def _end_batch(self, event: Event) -> None:
        now, _, _, run = event
        center, members, begun_s, service_s, life = run
        if life != self._life[center]:
            for request, attempt, half_s, _, _ in members:
                self._lost(now, center, request, attempt, half_s)
            return
        for request, *_ in members:
            self._forget(request, center)
        self._take_next(now, center)
        self._window_answers[center] += len(members)
        for request, attempt, half_s, reached_s, found in members:
            self._remember(center, found, (now - reached_s) * 1e3)
            queue_ms, service_ms = (begun_s - reached_s) * 1e3, service_s * 1e3
            report = (
                self.report(center, queue_ms, service_ms)
                if self._piggyback
                else Report(queue_ms, service_ms)
            )
            answer = (now + half_s, self._number(), self.answered, request, attempt, center, report)
            heappush(self._heap, answer)

    def _take_next(self, now: float, center: int) -> None:
        waiting, current = self._waiting[center], self._current
        members: list[Waiting] = []
        while waiting and len(members) < self.batch.max:
            arrived = waiting.popleft()
            request, attempt = arrived[:2]
            if current[request] == attempt or self.copies.get(request) == attempt:
                members.append(arrived)
            else:
                self._forget(request, center)
        if members:
            self._run(now, center, members)
        else:
            self._free[center] += 1
