"""Virtual time: a clock that jumps to the next thing due, so nothing in a test sleeps.

Stands where the delay line stands: ``now()``, ``call_at(due_s, callback) -> handle``.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


class VirtualHandle:
    """What ``call_at`` returns."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """It will not be called; cancelling twice or afterwards is harmless."""
        self.callback = None


class VirtualTime:
    """Seconds since its own start. ``run`` calls everything due, in order of time."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._due: list[tuple[float, int, VirtualHandle]] = []
        self._order = count()

    def now(self) -> float:
        """The instant everything happens at."""
        return self._now_s

    def call_at(self, due_s: float, callback: Callable[[], object]) -> VirtualHandle:
        """Call back at ``due_s``; an instant of the past means now."""
        handle = VirtualHandle(callback)
        heapq.heappush(self._due, (max(due_s, self._now_s), next(self._order), handle))
        return handle

    def run(self, until_s: float = float("inf")) -> None:
        """Jump from one due call to the next, up to ``until_s`` (then it is that late)."""
        while self._due and self._due[0][0] <= until_s:
            self._now_s, _, handle = heapq.heappop(self._due)
            callback, handle.callback = handle.callback, None
            if callback is not None:
                callback()
        if until_s != float("inf"):
            self._now_s = max(self._now_s, until_s)
