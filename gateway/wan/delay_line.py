"""The delay line: runs callbacks at instants, exact to a few hundredths of a millisecond.

Theory of operation. Callbacks wait in a heap ordered by (due, order of arrival). One alarm
(``alarms``) is armed for the head and again only when the head changes. A wake-up runs all
that is due, looking at the clock before each one, so what became due meanwhile runs too;
when the next is due within ``spin_s`` it is waited for in place, because a new wake-up would
come later than that. After ``RUN_S`` the loop gets its turn, so a burst does not keep
sockets waiting. In the end, whatever happened, the alarm is armed or disarmed.

A wake-up takes 0.05-0.15 ms to arrive, so the alarm is armed early by a *lead*: the time
that four wake-ups in five take at least, learned from each of them. Callbacks never run
early; a wake-up that comes far too soon arms the alarm again, without a lead. This brings
the median lateness of 8 callbacks in flight from 0.06 to 0.02 ms; at 6 000 callbacks a
second it costs about a twentieth of a core.

A callback may call ``call_at`` and ``cancel`` freely. One that raises ends the wake-up: the
loop's exception handler hears of it, and the alarm, armed in the past, wakes for the rest.
Cancelled entries stay in the heap until they come up or are the greater part of it.

Everything happens in the loop's thread. The clock is ``time.monotonic()`` and never
``loop.time()``, which uvloop caches and rounds to milliseconds. Lateness (got minus asked)
is kept for the last 65 536 callbacks, so that emulation can answer for its own error.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from array import array
from collections.abc import Callable
from math import inf
from typing import Literal, NamedTuple

import numpy as np

from gateway.api import Overloaded
from gateway.wan.alarms import Alarm, ThreadAlarm, TimerFdAlarm, timerfd_offered

PENDING_MAX = 1_000_000
RUN_S = 500e-6
SPIN_S = 30e-6
LEAD_S_MAX = 200e-6
LEAD_STEP_S = 1e-6
LEAD_FALLS_BY = 4
LATENESS_KEPT = 65_536
COMPACT_MIN = 64


class Lateness(NamedTuple):
    """Got minus asked, in ms, of the last 65 536 callbacks; ``ran`` counts all there were."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    ran: int


class Handle:
    """A callback that waits; ``cancel()`` before it ran means that it never runs."""

    __slots__ = ("_callback", "_line")

    def __init__(self, callback: Callable[[], object], line: DelayLine) -> None:
        self._callback: Callable[[], object] | None = callback
        self._line = line

    def cancel(self) -> None:
        """Forget the callback; nothing happens when it has run or is cancelled."""
        if self._callback is not None:
            self._callback = None
            self._line._note_cancelled()

    @property
    def pending(self) -> bool:
        """True until it runs or is cancelled."""
        return self._callback is not None


class DelayLine:
    """``call_at`` on the monotonic clock, for one event loop; bounded."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        alarm: Literal["best", "timerfd", "thread"] = "best",
        pending_max: int = PENDING_MAX,
        spin_s: float = SPIN_S,
    ) -> None:
        """``alarm``: "best" is a timerfd on Linux and a thread elsewhere."""
        if alarm == "best":
            alarm = "timerfd" if timerfd_offered() else "thread"
        self._pending_max = pending_max
        self._spin_s = spin_s
        self._heap: list[tuple[float, int, Handle]] = []
        self._arrivals = 0
        self._cancelled = 0
        self._armed_s = inf
        self._lead_s = 0.0
        self._running = False
        self._closed = False
        self._late_ms = array("f", bytes(4 * LATENESS_KEPT))
        self._ran = 0
        kind = TimerFdAlarm if alarm == "timerfd" else ThreadAlarm
        self._alarm: Alarm = kind(loop, self._wake)

    def __len__(self) -> int:
        """How many callbacks wait."""
        return len(self._heap) - self._cancelled

    now = staticmethod(time.monotonic)
    """Seconds of the clock that ``due_s`` is on. The clock itself: it is read six times a request,
    and a function around it costs as much again.
    """

    def call_at(self, due_s: float, callback: Callable[[], object]) -> Handle:
        """Run ``callback`` at ``due_s``; soon, never at once, when that is over.

        Of two with the same instant the earlier call runs first. Raises Overloaded when
        ``pending_max`` callbacks wait, RuntimeError after ``close``.
        """
        if self._closed:
            raise RuntimeError("call_at on a closed delay line; close it after its users")
        if len(self._heap) - self._cancelled >= self._pending_max:
            raise Overloaded(
                f"the emulated network holds {self._pending_max} messages, its bound; "
                "lower the load or the emulated delays"
            )
        handle = Handle(callback, self)
        self._arrivals += 1
        heapq.heappush(self._heap, (due_s, self._arrivals, handle))
        if not self._running and due_s < self._armed_s:
            self._arm(due_s)
        return handle

    def lateness_ms(self) -> Lateness:
        """How late callbacks ran; zeros before the first."""
        kept = np.frombuffer(self._late_ms, dtype=np.float32, count=min(self._ran, LATENESS_KEPT))
        if not kept.size:
            return Lateness(0.0, 0.0, 0.0, 0)
        p50_ms, p99_ms, max_ms = np.percentile(kept, (50, 99, 100)).tolist()
        return Lateness(p50_ms, p99_ms, max_ms, self._ran)

    def close(self) -> None:
        """Drop what waits and free the alarm; may be called twice."""
        if not self._closed:
            self._closed = True
            self._heap.clear()
            self._cancelled = 0
            self._alarm.close()

    def _wake(self) -> None:
        self._running = True
        self._learn_lead(time.monotonic() - self._armed_s)
        try:
            self._run_due()
        finally:
            self._running = False
            self._rearm()

    def _run_due(self) -> None:
        heap, clock, spin_s = self._heap, time.monotonic, self._spin_s
        turn_ends_s = clock() + RUN_S
        while heap:
            due_s, _, handle = heap[0]
            callback = handle._callback
            if callback is None:
                heapq.heappop(heap)
                self._cancelled -= 1
                continue
            now_s = clock()
            if now_s < due_s:
                if due_s - now_s > spin_s:
                    return
                continue
            heapq.heappop(heap)
            handle._callback = None
            self._late_ms[self._ran % LATENESS_KEPT] = (now_s - due_s) * 1e3
            self._ran += 1
            callback()
            if now_s >= turn_ends_s:
                return

    def _rearm(self) -> None:
        if self._closed:
            return
        if self._heap:
            self._arm(self._heap[0][0])
        else:
            self._armed_s = inf
            self._alarm.disarm()

    def _arm(self, due_s: float) -> None:
        early_s = due_s - self._lead_s
        self._armed_s = early_s if early_s > time.monotonic() else due_s
        self._alarm.arm(self._armed_s)

    def _learn_lead(self, late_s: float) -> None:
        """Follow the 20th percentile of ``late_s``: one step up for four of them down."""
        if late_s > self._lead_s:
            self._lead_s = min(self._lead_s + LEAD_STEP_S, LEAD_S_MAX)
        else:
            self._lead_s = max(self._lead_s - LEAD_FALLS_BY * LEAD_STEP_S, 0.0)

    def _note_cancelled(self) -> None:
        """Drop the cancelled ones when they are the greater part of the heap."""
        if self._closed:
            return
        self._cancelled += 1
        heap = self._heap
        if self._cancelled > COMPACT_MIN and self._cancelled * 2 > len(heap):
            heap[:] = [entry for entry in heap if entry[2].pending]
            heapq.heapify(heap)
            self._cancelled = 0
