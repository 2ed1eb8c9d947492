"""The fleet's fast tick for a worker that is asked nothing: so that its sums stay those of all.

A worker that decides ticks by itself, at most each millisecond. One that has nothing to decide
for some milliseconds would find, at its next request, more to add up and older health. While
anything moved at any worker within ``BUSY_S`` it ticks each ``BUSY_TICK_S``, else each
``IDLE_TICK_S``: a thousand wake-ups a second cost some hundredths of a core, which nobody at
rest should pay.
"""

from __future__ import annotations

import asyncio

from gateway.fleet.shared_fleet import SharedFleet
from gateway.wan import DelayLine

BUSY_S = 0.1
BUSY_TICK_S = 0.001
IDLE_TICK_S = 0.050


class FastTick:
    """Begins at once; ``stop`` ends it."""

    def __init__(self, fleet: SharedFleet, loop: asyncio.AbstractEventLoop) -> None:
        self._fleet = fleet
        self._loop = loop
        self._handle = loop.call_soon(self._tick)

    def _tick(self) -> None:
        fleet, now = self._fleet, DelayLine.now()
        if now >= fleet.tick_at:
            fleet.tick(now)
        pause_s = BUSY_TICK_S if now - fleet.moved_at < BUSY_S else IDLE_TICK_S
        self._handle = self._loop.call_later(pause_s, self._tick)

    def stop(self) -> None:
        """No tick follows."""
        self._handle.cancel()
