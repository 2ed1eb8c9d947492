"""The emulated centers: slots, one first-come queue each, speeds, faults and what they report.

Theory of operation. A request reaches a center, waits until a slot is free, runs for its own
time × the factor in force as it begins, and its answer sets out with a report of the center at
that moment. State is a list a quantity, a place a center (lists are read twice as fast as
arrays). Nothing here knows policies; a request is its number, an attempt its number k.

* A center that begins to refuse resets everything in it; one that turns into a black hole
  loses it silently. ``_life`` counts such ends: what began to run in an earlier life is lost
  when it would have ended.
* A waiting request whose attempt was given up (``current`` says so) is passed over when its
  turn comes; one that runs is run to its end, for nobody.
"""

from __future__ import annotations

from collections import deque
from heapq import heappush
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.api import Report
from gateway.simulation.agenda import Agenda, Event, Handler
from gateway.simulation.draws import Draws
from gateway.simulation.speeds import SpeedSeries
from gateway.simulation.timeline import FAILS, NORMAL, REFUSES, SWALLOWS, Conditions
from gateway.simulation.world import World

WINDOW_S = 0.05
WINDOW_GAIN = 0.05
"""Rates and utilization are averages that fade with a second, renewed every 50 ms."""

RECENT = 9
RENEWED_EVERY = 4
CROWDED = 1024
RINGS = 20
RING_OF = tuple(
    n if n < 4 else 2 * n.bit_length() - 2 + (n >> (n.bit_length() - 2) & 1) for n in range(CROWDED)
)
"""Times in the center are remembered by how many were there: 0 1 2 3, then two rings an octave."""


Waiting = tuple[int, int, float, float, int]
"""(request, attempt, half_s, reached_s, found)"""


class CenterSide:
    """All centers. ``answered`` and ``failed`` are the gateways' handlers; ``copies`` is theirs
    as well: of a request with two open attempts, the one that is not in ``current``.
    """

    answered: Handler
    failed: Handler

    def __init__(
        self,
        world: World,
        draws: Draws,
        agenda: Agenda,
        current: list[int],
        series: SpeedSeries | None,
    ) -> None:
        scenario = world.scenario
        n = len(world.centers)
        self._agenda = agenda
        self._heap = agenda.heap
        self._number = agenda.next_number
        self._current = current
        self._series = series
        self._own = draws.factor
        self._slow: NDArray[np.float64] = np.ones(n)
        self.slots = [center.slots for center in world.centers]
        self._free = list(self.slots)
        self.inside = [0] * n
        self._waiting: list[deque[Waiting]] = [deque() for _ in range(n)]
        self._life = [0] * n
        self._lost_silently = [False] * n
        self.mode = [NORMAL] * n
        self._fails_s = [0.0] * n
        self.speed: list[float] = draws.factor.tolist()
        self._base_s: list[float] = (draws.service_ms / 1e3).tolist()
        self._stalls = None if draws.stalls is None else draws.stalls.tolist()
        self.copies: dict[int, int] = {}
        self._declared = _declared_ms(world)
        self._model: list[int] = draws.model.tolist()
        self._work_ms = [0.0] * n
        self._piggyback = scenario.reports.piggyback
        self._recent: list[list[list[float]]] = [[[] for _ in range(RINGS)] for _ in range(n)]
        self._typical: list[list[float]] = [[0.0] * RINGS for _ in range(n)]
        self.busy_s = [0.0] * n
        self._window_busy_s = [0.0] * n
        self._window_answers = [0] * n
        self._window_errors = [0] * n
        self._rate = [0.0] * n
        self._error_rate = [0.0] * n
        self._used = [0.0] * n
        self._utilization = [0.0] * n
        self._windows = 0
        self.reports = 0
        if series is not None:
            self._new_speeds((0.0, 0, None))
        agenda.plan(WINDOW_S, self._roll_window)

    # ---- requests -------------------------------------------------------------------------

    def reach(self, event: Event) -> None:
        """(…, request, attempt, center, half_s): an attempt arrives."""
        now, _, _, request, attempt, center, half_s = event
        if self.mode[center]:
            self._turn_away(event)
            return
        found = self.inside[center]
        self.inside[center] = found + 1
        self._work_ms[center] += self._declared[self._model[request]][center]
        free = self._free[center]
        if free:
            self._free[center] = free - 1
            service_s = self._base_s[request] * self.speed[center]
            if self._stalls is not None:
                service_s *= self._stalls[attempt][request]
            self.busy_s[center] += service_s
            life = self._life[center]
            run = (request, attempt, center, half_s, now, found, 0.0, service_s, life)
            heappush(self._heap, (now + service_s, self._number(), self._finish, run))
        else:
            self._waiting[center].append((request, attempt, half_s, now, found))

    def _finish(self, event: Event) -> None:
        """A run ends: the answer sets out, the next one waiting begins."""
        now, _, _, run = event
        request, attempt, center, half_s, reached_s, found, queue_s, service_s, life = run
        if life != self._life[center]:
            self._lost(now, center, request, attempt, half_s)
            return
        self.inside[center] -= 1
        self._work_ms[center] -= self._declared[self._model[request]][center]
        if self._waiting[center]:
            self._next(now, center)
        else:
            self._free[center] += 1
        self._window_answers[center] += 1
        self._remember(center, found, (now - reached_s) * 1e3)
        report = (
            self.report(center, queue_s * 1e3, service_s * 1e3)
            if self._piggyback
            else Report(queue_s * 1e3, service_s * 1e3)
        )
        heappush(
            self._heap,
            (now + half_s, self._number(), self.answered, request, attempt, center, report),
        )

    def _next(self, now: float, center: int) -> None:
        """The slot that came free goes to whoever waits longest and is still wanted."""
        waiting, current = self._waiting[center], self._current
        while waiting:
            request, attempt, half_s, reached_s, found = waiting.popleft()
            if current[request] != attempt and self.copies.get(request) != attempt:
                self._forget(request, center)
                continue
            service_s = self._base_s[request] * self.speed[center]
            if self._stalls is not None:
                service_s *= self._stalls[attempt][request]
            self.busy_s[center] += service_s
            queue_s, life = now - reached_s, self._life[center]
            run = (request, attempt, center, half_s, reached_s, found, queue_s, service_s, life)
            heappush(self._heap, (now + service_s, self._number(), self._finish, run))
            return
        self._free[center] += 1

    def _forget(self, request: int, center: int) -> None:
        self.inside[center] -= 1
        self._work_ms[center] -= self._declared[self._model[request]][center]

    def _enter(self, request: int, center: int) -> int:
        found = self.inside[center]
        self.inside[center] = found + 1
        self._work_ms[center] += self._declared[self._model[request]][center]
        return found

    def _lost(self, now: float, center: int, request: int, attempt: int, half_s: float) -> None:
        """What ran in an earlier life: reset when it would have ended, or never heard of."""
        if not self._lost_silently[center]:
            self._agenda.plan(now + half_s, self.failed, request, attempt, "center_down")

    def _turn_away(self, event: Event) -> None:
        """The center is in no mode to serve."""
        now, _, _, request, attempt, center, half_s = event
        mode = self.mode[center]
        if mode == SWALLOWS:
            return
        self._window_errors[center] += 1
        if mode == FAILS:
            at_s = now + self._fails_s[center] + half_s
            self._agenda.plan(at_s, self.failed, request, attempt, "center_failed")
            return
        self._agenda.plan(now + half_s, self.failed, request, attempt, "center_down")

    # ---- what a center says of itself -----------------------------------------------------

    def report(self, center: int, queue_ms: float = 0.0, service_ms: float = 0.0) -> Report:
        """The center now; with the two parts of the answer it travels with."""
        inside = self.inside[center]
        ring = RING_OF[inside] if inside < CROWDED else RINGS - 1
        return Report(
            queue_ms,
            service_ms,
            self._work_ms[center] if inside else 0.0,
            inside,
            self.slots[center],
            self._typical[center][ring] or self._about(center, ring),
            self._rate[center],
            self._error_rate[center],
            self._utilization[center],
        )

    def _remember(self, center: int, found: int, ms: float) -> None:
        """Keep one time in the center, with those that found about as many there."""
        ring = RING_OF[found] if found < CROWDED else RINGS - 1
        recent = self._recent[center][ring]
        recent.append(ms)
        known = len(recent)
        if known <= RENEWED_EVERY or known == RECENT + RENEWED_EVERY:
            del recent[:-RECENT]
            self._typical[center][ring] = sorted(recent)[len(recent) >> 1]

    def _about(self, center: int, ring: int) -> float:
        """The nearest smaller ring that knows, else the nearest larger; 0: none does."""
        if self.mode[center] == FAILS:
            return self._fails_s[center] * 1e3
        typical = self._typical[center]
        known = [n for n in (*range(ring - 1, -1, -1), *range(ring + 1, RINGS)) if typical[n]]
        return typical[known[0]] if known else 0.0

    def answers_probes(self, center: int) -> bool:
        """Whether a probe that reaches the center now comes back."""
        return self.mode[center] in (NORMAL, FAILS)

    def _roll_window(self, event: Event) -> None:
        """Every 50 ms: fold what was counted into rates and utilization."""
        self._windows += 1
        gain = max(WINDOW_GAIN, 1.0 / self._windows)
        for center, slots in enumerate(self.slots):
            busy_s = self.busy_s[center]
            used = (busy_s - self._window_busy_s[center]) / (WINDOW_S * slots)
            self._window_busy_s[center] = busy_s
            answers, errors = self._window_answers[center], self._window_errors[center]
            self._window_answers[center] = self._window_errors[center] = 0
            self._rate[center] += gain * ((answers + errors) / WINDOW_S - self._rate[center])
            self._error_rate[center] += gain * (errors / WINDOW_S - self._error_rate[center])
            self._used[center] += gain * (used - self._used[center])
            self._utilization[center] = min(1.0, self._used[center])
        self._agenda.plan(event[0] + WINDOW_S, self._roll_window)

    # ---- what happens to centers ----------------------------------------------------------

    def change(self, now: float, conditions: Conditions) -> None:
        """Conditions change: modes, slow centers."""
        mode = conditions.mode.tolist()
        for center, (before, after) in enumerate(zip(self.mode, mode, strict=True)):
            if before != after and after in (REFUSES, SWALLOWS):
                self._end_life(now, center, silently=after == SWALLOWS)
        self.mode = mode
        self._fails_s = (conditions.fails_ms / 1e3).tolist()
        self._slow = conditions.slow
        self._set_speeds(now)

    def _end_life(self, now: float, center: int, *, silently: bool) -> None:
        self._life[center] += 1
        self._lost_silently[center] = silently
        for request, attempt, half_s, _, _ in self._waiting[center]:
            if not silently:
                self._agenda.plan(now + half_s, self.failed, request, attempt, "center_down")
        self._waiting[center].clear()
        self.inside[center] = 0
        self._work_ms[center] = 0.0
        self._free[center] = self.slots[center]

    def _set_speeds(self, now: float) -> None:
        moment = 1.0 if self._series is None else self._series.at(now)
        speed: Any = self._own * self._slow * moment
        self.speed[:] = speed.tolist()

    def _new_speeds(self, event: Event) -> None:
        assert self._series is not None
        now = event[0]
        self._set_speeds(now)
        self._agenda.plan(now + self._series.step_s, self._new_speeds)


def _declared_ms(world: World) -> list[list[float]]:
    """What each model takes at each center by its declaration, ms: [models][N]."""
    factors = [center.speed_factor for center in world.centers]
    return [[model.mean_ms * factor for factor in factors] for model in world.models]
