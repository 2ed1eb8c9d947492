"""Can the predictions be trusted? A ruling from sums over answers, made off any request's path.

    TRUSTED ──error above the bound for ten seconds───> DOUBTED
    TRUSTED <──error below half the bound for as long── DOUBTED

The error is exp(mean |ln(actual / predicted)|) - 1, the mean fading with two seconds: 1.0
says that a typical answer takes twice, or half, of what was predicted. A ruling also needs
200 answers in the time it rests on, so that a quiet night decides nothing.
"""

from __future__ import annotations

from math import exp

LASTING_S = 10.0
ANSWERS_MIN = 200
MEMORY_S = 2.0
LOOK_EVERY_S = 0.25
ERROR_LOG_MAX = 50.0


class PredictionWatch:
    """``error_share`` is the smoothed error, ``doubted`` the ruling in force."""

    __slots__ = (
        "_answers",
        "_answers_since",
        "_at",
        "_log_sum",
        "_since",
        "_smoothed",
        "_weight",
        "doubted",
        "error_share",
        "error_share_max",
    )

    def __init__(self, error_share_max: float) -> None:
        self.error_share_max = error_share_max
        self.error_share = 0.0
        self.doubted = False
        self._answers = 0
        self._log_sum = 0.0
        self._weight = 0.0
        self._smoothed = 0.0
        self._at: float | None = None
        self._since: float | None = None
        self._answers_since = 0

    def look(self, answers: int, error_log_sum: float, now: float) -> bool:
        """Take the sums so far: answers, and |ln(actual / predicted)|. True: a new ruling."""
        if self._at is not None and now - self._at < LOOK_EVERY_S:
            return False
        before, self._answers = self._answers, answers
        self._smooth(answers - before, error_log_sum - self._log_sum, now)
        self._log_sum = error_log_sum
        if answers == before:
            return False
        if self.doubted:
            against = self.error_share < self.error_share_max / 2
        else:
            against = self.error_share > self.error_share_max
        if not against:
            self._since = None
            return False
        if self._since is None:
            self._since, self._answers_since = now, before
        if now - self._since < LASTING_S or answers - self._answers_since < ANSWERS_MIN:
            return False
        self.doubted = not self.doubted
        self._since = None
        return True

    def _smooth(self, answers: int, log_sum: float, now: float) -> None:
        keep = 0.0 if self._at is None else exp(-max(0.0, now - self._at) / MEMORY_S)
        self._at = now
        self._weight = keep * self._weight + answers
        self._smoothed = keep * self._smoothed + log_sum
        if self._weight >= 1.0:
            self.error_share = exp(min(self._smoothed / self._weight, ERROR_LOG_MAX)) - 1.0
