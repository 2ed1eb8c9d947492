"""A line in the log whenever a center's health changes: what an operator greps for first."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from gateway.fleet import Fleet

log = logging.getLogger("nearway.health")
LINES_MAX = 20
"""Of one look; a region that goes dark is told as so many more."""
SLOW_FOR_S = 2.0
"""Who is slow for less is not told of: on a busy machine centers pause now and then."""


class HealthLog:
    """Compares the stages of now with those of the last look."""

    def __init__(self, centers: Sequence[str]) -> None:
        self.centers = centers
        self._stages = ["ok"] * len(centers)
        self._slow_since: dict[int, float] = {}

    def look(self, fleet: Fleet, now: float) -> None:
        """Tell what has changed, at ``now`` in monotonic seconds."""
        stages = self._settled(fleet.stages(), now)
        if stages == self._stages:
            return
        before, self._stages = self._stages, stages
        changed = [row for row, stage in enumerate(stages) if stage != before[row]]
        for row in changed[:LINES_MAX]:
            why = fleet.why(row)
            level = logging.WARNING if stages[row] == "ejected" else logging.INFO
            told = f"{stages[row]}{': ' if why else ''}{why}"
            log.log(level, "center %s is %s (was %s)", self.centers[row], told, before[row])
        if len(changed) > LINES_MAX:
            log.warning("and %d more centers changed", len(changed) - LINES_MAX)

    def _settled(self, stages: list[str], now: float) -> list[str]:
        """``stages``, without those who have been slow for a moment."""
        slow = [row for row, stage in enumerate(stages) if stage == "slow"]
        since = self._slow_since = {row: self._slow_since.get(row, now) for row in slow}
        for row in slow:
            if now - since[row] < SLOW_FOR_S:
                stages[row] = "ok"
        return stages
