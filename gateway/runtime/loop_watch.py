"""Is the loop free? A heartbeat on the delay line, and how late it comes.

A beat that comes later than ``BLOCKED_MS`` means that something held the loop (or that the
machine did not run us): counted, and shown in the admin state and in every verdict.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.telemetry.recent import RecentMs
from gateway.wan import DelayLine

BEAT_S = 0.050
BLOCKED_MS = 0.2


class LoopWatch:
    """Counts late beats; ``stop`` ends it."""

    def __init__(self, line: DelayLine, on_beat: Callable[[float], None]) -> None:
        self._line = line
        self._on_beat = on_beat
        self.lateness = RecentMs()
        self.blocked_count = 0
        self.blocked_ms_max = 0.0
        self._due_s = line.now() + BEAT_S
        self._handle = line.call_at(self._due_s, self._beat)

    def _beat(self) -> None:
        now = self._line.now()
        late_ms = (now - self._due_s) * 1e3
        self.lateness.add(late_ms)
        if late_ms > BLOCKED_MS:
            self.blocked_count += 1
            self.blocked_ms_max = max(self.blocked_ms_max, late_ms)
        self._on_beat(now)
        self._due_s = self._line.now() + BEAT_S
        self._handle = self._line.call_at(self._due_s, self._beat)

    def stop(self) -> None:
        """No beat follows."""
        self._handle.cancel()

    def state(self) -> dict[str, float]:
        """What the admin door and the verdict show."""
        late_p50_ms, late_p99_ms = self.lateness.percentiles_ms()
        return {
            "beats": self.lateness.count,
            "blocked_count": self.blocked_count,
            "blocked_ms_max": self.blocked_ms_max,
            "late_p50_ms": late_p50_ms,
            "late_p99_ms": late_p99_ms,
        }
