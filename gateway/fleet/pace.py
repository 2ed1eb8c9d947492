"""How fast a center runs models, as a log factor: a fast and a slow average of its answers.

See ``service`` for the idea.
"""

from __future__ import annotations

from math import log

from gateway.fleet.tuning import ServiceTuning


class Pace:
    """One center's log factor: fast and slow average, and what is published."""

    __slots__ = (
        "alarm",
        "answers",
        "before",
        "fast",
        "floor",
        "last",
        "published",
        "settled_answers",
        "slow",
        "suspect_at",
    )

    def __init__(self, tuning: ServiceTuning) -> None:
        self.floor = log(tuning.fastest)
        self.alarm = tuning.peak
        self.fast = 0.0
        self.slow = 0.0
        self.last = 0.0
        self.before = 0.0
        self.published = 0.0
        self.answers = 0
        self.settled_answers = 0
        self.suspect_at = -1e9

    def learn(self, ratio: float, weight: float, now: float, tuning: ServiceTuning) -> bool:
        """Take in one log(observed/expected); True when the fast average stands out."""
        fast = self.fast
        if ratio > fast + tuning.suspect:
            if now - self.suspect_at < tuning.spacing_s:
                return False
            self.suspect_at = now
        low, high = self.before, self.last
        self.before, self.last = high, ratio
        if low > high:
            low, high = high, low
        middle = high if ratio > high else low if ratio < low else ratio
        self.fast = fast = fast + weight * tuning.fast_gain * (middle - fast)
        self.answers += 1
        return fast > self.alarm or self.published > self.alarm

    def settle(self, elapsed_s: float, tuning: ServiceTuning) -> None:
        """Let the slow average follow the fast one; a peak no answer confirms fades."""
        fresh = self.answers - self.settled_answers
        self.settled_answers = self.answers
        gap = self.fast - self.slow
        if fresh:
            pace_s = tuning.slow_s if gap > -tuning.suspect else tuning.fade_s
            gain = max(elapsed_s / (elapsed_s + pace_s), fresh / (self.answers + tuning.warm_up))
            self.slow += gain * gap
        elif gap > 0.0:
            self.fast -= gap * elapsed_s / (elapsed_s + tuning.fade_s)
        self.alarm = self.slow + tuning.peak

    def believed(self) -> float:
        """The log factor now believed."""
        value = self.fast if self.fast > self.alarm else self.slow
        return max(value, self.floor)

    def relax(self, by: float) -> None:
        """A model's factor took over ``by``: give back what this center held of it."""
        peak = self.alarm - self.slow
        self.fast = _towards_zero(self.fast, by)
        self.slow = _towards_zero(self.slow, by)
        self.last = _towards_zero(self.last, by)
        self.before = _towards_zero(self.before, by)
        self.published = _towards_zero(self.published, by)
        self.alarm = self.slow + peak

    def restart(self, ratio: float, tuning: ServiceTuning) -> None:
        """Believe this value: a center that was slow is back."""
        self.fast = self.slow = self.last = self.before = ratio
        self.alarm = ratio + tuning.peak


def _towards_zero(value: float, by: float) -> float:
    """``value`` - ``by``, but never past zero nor away from it."""
    if by > 0.0:
        return value if value <= 0.0 else value - by if value > by else 0.0
    return value if value >= 0.0 else value - by if value < by else 0.0
