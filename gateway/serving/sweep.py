"""Looking at every connection a few times a second: what is overdue, and who idles longest.

Theory of operation. A timer a connection would cost more than most requests do. One coarse timer
goes round instead, a few connections in one turn of the loop, so that ten thousand of them never
hold it up. What is overdue is therefore found up to ``SWEEP_S`` late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from heapq import nlargest
from typing import Protocol

SWEEP_S = 0.25
SWEPT_AT_ONCE = 256
"""Connections looked at in one turn of the loop, about 50 us."""


class Looked(Protocol):
    """A connection, as the sweep sees it."""

    def look(self, now: float) -> None:
        """Close it if it is overdue."""

    def idle_s(self, now: float) -> float | None:
        """How long it has been without a request; None when it has one, or is being closed."""

    def close_if_idle(self) -> None:
        """Nobody waits for an answer here, so it may go."""


class Sweep:
    """Calls ``each_time``, and ``look`` of all ``connections``, every ``SWEEP_S``."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        connections: Collection[Looked],
        each_time: Callable[[], None] = lambda: None,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._connections = connections
        self._each_time = each_time
        self._timer = loop.call_later(SWEEP_S, self._sweep)

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _sweep(self) -> None:
        self._each_time()
        self._timer = self._loop.call_later(SWEEP_S, self._sweep)
        self._look_at(list(self._connections))

    def _look_at(self, connections: list[Looked]) -> None:
        now = self._clock()
        for connection in connections[:SWEPT_AT_ONCE]:
            connection.look(now)
        if len(connections) > SWEPT_AT_ONCE:
            self._loop.call_soon(self._look_at, connections[SWEPT_AT_ONCE:])


def close_idlest(connections: Collection[Looked], now: float, count: int) -> int:
    """Close up to ``count`` idle ones, the longest idle first; returns how many."""
    ages = ((connection.idle_s(now), connection) for connection in connections)
    idle = [(age, connection) for age, connection in ages if age is not None]
    chosen = nlargest(count, idle, key=lambda one: one[0])
    for _, connection in chosen:
        connection.close_if_idle()
    return len(chosen)
