"""Who must be looked at when: one heap and one coarse timer for all open tries.

Theory of operation. Nearly every try is over long before it is due, so nothing is done when one
ends: its entry stays and is passed over when its turn comes, or is swept out when the heap has
doubled since it was last swept. One timer stands for the earliest entry that is still open. It
comes at most once each ``STEP_S``, so a try is looked at up to that much late; and a millisecond
more where it is the loop's own (``loop_timer``), which needs no system call where the delay line's
needs one to be set and one to be heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Protocol

STEP_S = 0.001
SWEPT_FROM = 512
ROUNDED_S = 0.00051
"""uvloop rounds to the next millisecond, up or down: with this added never down."""


class Watched(Protocol):
    """What is looked at when it is due."""

    open: bool

    def on_timer(self) -> None:
        """It is due, and open."""


def loop_timer(
    loop: asyncio.AbstractEventLoop,
) -> Callable[[float, Callable[[], None]], object]:
    """A ``call_at`` by the loop's own timers, for instants of the monotonic clock: never early."""

    def call_at(due_s: float, callback: Callable[[], None]) -> object:
        return loop.call_at(due_s + ROUNDED_S, callback)

    return call_at


class Deadlines:
    """``add`` what is due; its ``on_timer`` is called then, unless it is no longer ``open``."""

    __slots__ = ("_call_at", "_clock", "_entries", "_next", "_sweep_at", "_wakes_s")

    def __init__(
        self, clock: Callable[[], float], call_at: Callable[[float, Callable[[], None]], object]
    ) -> None:
        self._clock = clock
        self._call_at = call_at
        self._entries: list[tuple[float, int, Watched]] = []
        self._next = count().__next__
        self._sweep_at = SWEPT_FROM
        self._wakes_s = inf

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, due_s: float, watched: Watched) -> None:
        """Look at ``watched`` at ``due_s`` of the clock, or up to ``STEP_S`` later."""
        heappush(self._entries, (due_s, self._next(), watched))
        if len(self._entries) > self._sweep_at:
            self._sweep()
        if due_s < self._wakes_s:
            self._wake_at(due_s)

    def _sweep(self) -> None:
        """Drop what has ended: where deadlines are far away, that is nearly all there is."""
        entries = self._entries
        entries[:] = [entry for entry in entries if entry[2].open]
        heapify(entries)
        self._sweep_at = max(SWEPT_FROM, 2 * len(entries))

    def _wake_at(self, due_s: float) -> None:
        self._wakes_s = due_s
        self._call_at(due_s, self._wake)

    def _wake(self) -> None:
        entries, now = self._entries, self._clock()
        if now < self._wakes_s:  # a timer that an earlier one has replaced,
            if self._wakes_s - now < STEP_S:  # or one that came early: loops round instants
                self._wake_at(self._wakes_s)
            return
        self._wakes_s = now + STEP_S  # what is added meanwhile and due sooner needs no timer
        while entries and (entries[0][0] <= now or not entries[0][2].open):
            watched = heappop(entries)[2]
            if watched.open:
                watched.on_timer()
        self._wakes_s = inf
        if entries:
            self._wake_at(max(entries[0][0], now + STEP_S))
