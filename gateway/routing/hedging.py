"""The rules of hedging: when a second copy of a request is worth sending, and who pays for it.

Pure: no clock and no I/O; one object is shared by all exchanges of a process.

A request that has waited longer than nearly all of its kind may be sent once more, to another
zone; the first answer counts and the other copy is called back (Dean and Barroso, "The Tail at
Scale", CACM 56(2), 2013: the p99.9 of a BigTable read fell from 1 800 to 74 ms for 2 % more
requests). An attempt is looked at twice:

* *Early*, at ``quantile`` of what it is predicted to take, times ``stretch``. The copy is sent if
  it would be back before the time in which nearly all attempts like the first are back by
  themselves (``LAST_QUANTILE``).
* *Late*, at a quantile that half of the share pays for (99 % for a share of 2 %), whatever that
  time is: so few are that slow by themselves that the first is likely to be stuck, and to wait
  for the last thousandth only makes the copy late.

Two rules keep that cheap:

* *A hard share.* Each request earns ``share`` of a copy and a copy costs a whole one, so there
  are never more copies than ``share`` of the requests. What is earned is kept up to
  ``KEPT_MAX``, or a quiet hour would pay for a storm; an early copy leaves ``RESERVE`` of it to
  the late ones.
* *It tunes itself.* When fewer than a tenth of the last copies won, the stretch doubles; when that
  is at its end the late look waits for the last thousandth, until copies win again. While early
  copies are asked for that nobody pays for the stretch creeps up, so the share goes to the
  slowest requests; while there is plenty it creeps back to 1.
"""

from __future__ import annotations

KEPT_MAX = 10.0
RESERVE = 4.0
LAST_QUANTILE = 0.999
JUDGED_AFTER = 50
WIN_SHARE_MIN = 0.1
STRETCH_MAX = 8.0
STRETCH_UP = 1.02
STRETCH_DOWN = 0.98
FIRST_LOOK_UP = 1.01

OUTRUN = "outrun"
"""The reason in the outcome of an attempt called back because another was faster."""


def can_help(
    elapsed_ms: float, second_ms: float, remaining_ms: float, last_ms: float, *, late: bool
) -> bool:
    """Whether a copy predicted to take ``second_ms`` can still be of use.

    ``elapsed_ms``: how long the first has taken; ``remaining_ms``: until the deadline;
    ``last_ms``: what an attempt like the first takes at most, but for one in a thousand;
    ``late``: the first has taken longer already than there is to hope for.
    """
    if second_ms > remaining_ms:
        return False
    return late or elapsed_ms >= last_ms or elapsed_ms + second_ms <= last_ms


class Hedging:
    """The budget of copies, and after how long one is sent.

    ``share``: copies for each request, 0 for none at all; ``quantile``: of the attempt's
    predicted time, for the early look; 0 where there are no copies. ``late``: for the late one.
    ``first_look``: of what is predicted, no early look is due sooner; it follows a lesser one at
    once and creeps up to greater ones.
    """

    __slots__ = (
        "_earned_for",
        "_judged",
        "_paid_for",
        "_won",
        "first_look",
        "kept",
        "late",
        "quantile",
        "share",
        "stretch",
    )

    def __init__(self, share: float, quantile: float, begun: int = 0) -> None:
        """``begun``: requests that another budget has been earned by already."""
        self.share = share
        self.quantile = quantile if share > 0.0 else 0.0
        self.kept = 0.0
        self.stretch = 1.0
        self.first_look = 1.0
        self._paid_for = min(max(quantile, 1.0 - 0.5 * share), LAST_QUANTILE)
        self.late = self._paid_for
        self._earned_for = begun
        self._judged = 0
        self._won = 0

    def delay_ms(self, early_ms: float, late_ms: float) -> float:
        """How long the first attempt is waited for until the early look.

        ``early_ms``, ``late_ms``: what it takes at most with the probabilities of the two.
        """
        early_ms *= self.stretch
        return early_ms if early_ms < late_ms else late_ms

    def looked(self, delay_ms: float, predicted_ms: float) -> None:
        """An attempt predicted to take ``predicted_ms`` had its early look due at ``delay_ms``."""
        if predicted_ms <= 0.0:
            return
        first_look = self.first_look * FIRST_LOOK_UP
        if delay_ms < first_look * predicted_ms:
            first_look = max(delay_ms / predicted_ms, 1.0)
        self.first_look = first_look

    def take(self, requests: int, *, late: bool) -> bool:
        """A copy is sent, or (False) nobody has paid for it. ``requests`` so far, in all."""
        earned = self.kept + self.share * (requests - self._earned_for)
        self._earned_for = requests
        self.kept = kept = min(earned, KEPT_MAX)
        if kept < (1.0 if late else 1.0 + RESERVE):
            if not late:
                self.stretch = min(self.stretch * STRETCH_UP, STRETCH_MAX)
            return False
        if kept > 0.8 * KEPT_MAX:
            self.stretch = max(self.stretch * STRETCH_DOWN, 1.0)
        self.kept = kept - 1.0
        return True

    def ended(self, *, won: bool) -> None:
        """A copy brought the answer, or did not."""
        self._won += won
        self._judged += 1
        if self._judged < JUDGED_AFTER:
            return
        if self._won >= WIN_SHARE_MIN * self._judged:
            self.late = self._paid_for
        elif self.stretch < STRETCH_MAX:
            self.stretch = min(self.stretch * 2.0, STRETCH_MAX)
        else:
            self.late = LAST_QUANTILE
        self._judged = self._won = 0
