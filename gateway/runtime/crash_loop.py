"""When a child that keeps dying is given up: more deaths in a window than are allowed. Pure.

Each death within the window doubles the pause before the next start, up to ``PAUSE_S_MAX``; a
death that is older than the window is forgotten.
"""

from __future__ import annotations

from collections import deque

PAUSE_S, PAUSE_S_MAX = 0.1, 10.0


class CrashLoop:
    """``deaths_max`` within ``window_s`` are followed by another start; the next is not."""

    def __init__(self, deaths_max: int, window_s: float) -> None:
        self.deaths_max = deaths_max
        self.window_s = window_s
        self._deaths: deque[float] = deque()

    def died(self, now: float) -> bool:
        """A death, or a start that failed; True: give up."""
        self._deaths.append(now)
        while now - self._deaths[0] > self.window_s:
            self._deaths.popleft()
        return len(self._deaths) > self.deaths_max

    @property
    def deaths(self) -> int:
        """How many within the window, as of the last one."""
        return len(self._deaths)

    @property
    def pause_s(self) -> float:
        """How long to wait before the next start."""
        return pause_s(self.deaths)


def pause_s(deaths: int) -> float:
    """After so many deaths within the window."""
    return float(min(PAUSE_S * 2.0 ** min(max(deaths, 1) - 1, 32), PAUSE_S_MAX))
