"""Health: when a center is taken out, and how it comes back. A pure state machine.

    ok ──refused once──────────────> ejected ──probe alive──> half_open ──answer──> ok
    ok ──errors: CUSUM reaches 3──>  ejected <──any error──── half_open

* *Refused* (``center_down``: refused, lost, silent) ejects at once and always.
* *Other errors* of the center are summed, S = max(0, S + e - 0.1) with e = 1 for an error
  and 0 for an answer. They eject at 3, unless half of the region is out already; and while
  fewer than half of all centers are in service such ejections are ignored (panic).
* Each ejection without ``forgive_s`` of peace before it lasts twice as long as the last.
* What the request did wrong, or a budget too small, is not the center's error.

Nothing here knows a table: ``in_service`` says what the column should hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from gateway.fleet.tuning import HealthTuning

Stage = Literal["ok", "ejected", "half_open"]
Cause = Literal["", "refused", "errors"]

REFUSED = frozenset({"center_down"})
REQUEST_FAULTS = frozenset(
    {"invalid_request", "not_found", "too_large", "unsupported_media", "unsupported"}
)
NOT_ITS_FAULT = REQUEST_FAULTS | {"overloaded", "center_busy", "no_center"}


@dataclass(slots=True)
class Condition:
    """What is known of one center's health. Times are monotonic seconds."""

    stage: Stage = "ok"
    cause: Cause = ""
    since: float = 0.0
    draining: bool = False
    cusum: float = 0.0
    error_rate: float = 0.0
    in_a_row: int = 0
    last_error: str = ""
    last_error_at: float = 0.0
    strikes: int = 0
    probe_at: float = 0.0


def blames_center(
    reason: str, attempt_ms: float, predicted_ms: float, tuning: HealthTuning
) -> bool:
    """Whether an error with this reason is the center's."""
    if reason == "deadline_exceeded":
        return attempt_ms > tuning.late_factor * predicted_ms + tuning.late_ms
    return reason not in NOT_ITS_FAULT


class Health:
    """The condition of every center. Events change it, and return True when a stage changed:
    then ``in_service`` may read differently.
    """

    def __init__(self, regions: Sequence[str], random: Random, tuning: HealthTuning) -> None:
        self._members: dict[str, list[int]] = {}
        for center, region in enumerate(regions):
            self._members.setdefault(region, []).append(center)
        self._regions = tuple(regions)
        self._random = random
        self._tuning = tuning
        self.conditions = [Condition() for _ in regions]
        self.troubled = bytearray(len(regions))  # 1: an answer has something to heal

    # ---- events ---------------------------------------------------------------------------

    def erred(self, center: int, reason: str, now: float) -> bool:
        """An error that is the center's own."""
        it = self.conditions[center]
        self.troubled[center] = 1
        it.in_a_row += 1
        it.last_error = reason
        it.last_error_at = now
        it.error_rate += self._tuning.error_gain * (1.0 - it.error_rate)
        it.cusum = min(it.cusum + 1.0 - self._tuning.drift, self._tuning.limit + 1.0)
        if reason in REFUSED:
            if it.stage != "ejected":
                return self._eject(center, "refused", now)
            changed, it.cause = it.cause != "refused", "refused"
            return changed
        full = it.cusum >= self._tuning.limit and self._region_has_room(center)
        if it.stage == "half_open" or (it.stage == "ok" and full):
            return self._eject(center, "errors", now)
        return False

    def answered(self, center: int, now: float) -> bool:
        """A good answer; call when ``troubled[center]``, otherwise it changes nothing."""
        it = self.conditions[center]
        it.in_a_row = 0
        it.cusum = max(0.0, it.cusum - self._tuning.drift)
        it.error_rate -= self._tuning.error_gain * it.error_rate
        back = it.stage == "half_open"
        if back:
            it.stage, it.cause, it.since, it.cusum = "ok", "", now, 0.0
        if it.stage == "ok" and it.cusum == 0.0 and it.error_rate < 1e-3:
            it.error_rate = 0.0
            self.troubled[center] = 0
        return back

    def probed(self, center: int, now: float, *, alive: bool) -> bool:
        """The answer of a probe; meaningful for an ejected center only."""
        it = self.conditions[center]
        if it.stage != "ejected":
            return False
        if alive:
            it.stage, it.since = "half_open", now
            return True
        it.strikes += 1
        it.probe_at = now + self._penalty_s(it.strikes)
        return False

    def due(self, now: float) -> list[int]:
        """Ejected centers to probe now; each is named once until its probe is overdue."""
        centers = [
            center
            for center, it in enumerate(self.conditions)
            if it.stage == "ejected" and now >= it.probe_at
        ]
        for center in centers:
            self.conditions[center].probe_at = now + self._tuning.probe_s
        return centers

    def drain(self, center: int, *, draining: bool) -> None:
        """Take it out by hand, or put it back."""
        self.conditions[center].draining = draining

    # ---- what it means --------------------------------------------------------------------

    def in_service(self) -> list[bool]:
        """Which centers may be chosen, in row order."""
        asked = [it for it in self.conditions if not it.draining]
        standing = sum(1 for it in asked if it.stage != "ejected")
        panic = standing < self._tuning.panic_share * len(asked)
        return [
            not it.draining and (it.stage != "ejected" or (panic and it.cause == "errors"))
            for it in self.conditions
        ]

    def why(self, center: int, now: float) -> str:
        """The condition in words, empty when there is nothing to tell."""
        it = self.conditions[center]
        parts = ["draining"] if it.draining else []
        ago = f"last {max(0.0, now - it.last_error_at):.1f} s ago"
        if it.stage == "ejected":
            what = (
                f"refused {it.in_a_row} times in a row"
                if it.cause == "refused"
                else f"{it.error_rate:.0%} recent errors ({it.last_error})"
            )
            parts.append(f"{what}, {ago}; next probe in {max(0.0, it.probe_at - now):.1f} s")
        elif it.stage == "half_open":
            parts.append(f"a probe was answered, waiting for the first answer; {it.last_error}")
        elif it.cusum > 0.0:
            parts.append(f"{it.error_rate:.0%} recent errors ({it.last_error}), {ago}")
        return "; ".join(parts)

    # ---- its pieces -----------------------------------------------------------------------

    def _eject(self, center: int, cause: Cause, now: float) -> bool:
        it = self.conditions[center]
        if it.stage == "ok" and now - it.since > self._tuning.forgive_s:
            it.strikes = 0
        it.strikes += 1
        it.stage, it.cause, it.since = "ejected", cause, now
        it.probe_at = now + self._penalty_s(it.strikes)
        return True

    def _penalty_s(self, strikes: int) -> float:
        """Doubling from ``penalty_s``, spread so that many do not return in step."""
        penalty = self._tuning.penalty_s * 2.0 ** min(strikes - 1, 16)
        spread = 1.0 + self._tuning.jitter * (2.0 * self._random.random() - 1.0)
        return min(penalty, self._tuning.penalty_s_max) * spread

    def _region_has_room(self, center: int) -> bool:
        """One more may be ejected for errors: at most half of a region, at least one."""
        members = self._members[self._regions[center]]
        out = sum(1 for member in members if self.conditions[member].stage == "ejected")
        return out + 1 <= max(1, int(self._tuning.region_share * len(members)))
