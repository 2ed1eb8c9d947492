"""Looking again: when an estimate that turned bad is tried with one request.

A path or a center that turned slow gets no more answers, so nothing would ever tell that it
has recovered. After ``wait_s`` its published value returns to the usual one (``OFFERED``)
until one request is charged to it (``TAKEN``); the answer settles it, or doubles the wait.

    WAITING ──due──> OFFERED ──charged──> TAKEN ──still slow──> WAITING, wait doubled
                                            ├──no measurement──> WAITING, same wait
                                            └──usual again ────> the revisit is dropped
"""

from __future__ import annotations

from copy import copy
from enum import Enum


class Stage(Enum):
    """Where a revisit stands."""

    WAITING = "waiting"
    OFFERED = "offered"
    TAKEN = "taken"


class Revisit:
    """When one slow estimate is looked at again. ``usual``: what it was, or should be."""

    __slots__ = ("due_at", "stage", "usual", "wait_s")

    def __init__(self, usual: float, now: float, wait_s: float) -> None:
        self.usual = usual
        self.wait_s = wait_s
        self.due_at = now + wait_s
        self.stage = Stage.WAITING

    def offer(self, now: float) -> bool:
        """True once, when the wait is over: publish the usual value."""
        if self.stage is not Stage.WAITING or now < self.due_at:
            return False
        self.stage = Stage.OFFERED
        return True

    def take(self) -> bool:
        """True when this charge takes the offer: publish the slow value again."""
        if self.stage is not Stage.OFFERED:
            return False
        self.stage = Stage.TAKEN
        return True

    def still_slow(self, now: float, wait_s_max: float) -> None:
        """The request that looked was slow."""
        self.wait_s = min(2.0 * self.wait_s, wait_s_max)
        self.not_measured(now)

    def not_measured(self, now: float) -> None:
        """The request that looked was cancelled or failed; look again later."""
        self.due_at = now + self.wait_s
        self.stage = Stage.WAITING

    def carried_over(self, now: float) -> Revisit:
        """A copy for another table; a look that is under way will be told to this one alone."""
        mine = copy(self)
        if mine.stage is Stage.TAKEN:
            mine.not_measured(now)
        return mine
