"""Health: when a center is taken out, and how it comes back. A pure state machine.

    ok ──refused once────────────> ejected ──probe alive──> half_open ──answer──> returning
    ok ──silence reaches 3───────>    ^                         │                  │     │
    ok ──errors: CUSUM reaches 3─>    │<──any error─────────────┴──────────────────┘     │
    ok ──its zone, region trips──>    └── (ok <── 1, 2, 4, 8 answered in rounds) <───────┘

* *Refused* (``center_down``: refused or lost) ejects at once and always.
* *Silent*: an attempt was cut off, or ran into its deadline, without a word. Each counts by
  the patience it was given, and an answer wipes the count out: a center that answers others is
  not dead, and one black hole is found after three attempts.
* *Other errors* of the center are summed, S = max(0, S + e - 0.1) with e = 1 for an error
  and 0 for an answer. They eject at 3, but no more than 30 % of a zone or region.
* *Breakers*: more than half of a zone or region gone bad within a second takes out the rest.
  When more than half of it is silent at once, three silent attempts among them all will do.
* *Panic*: while fewer than half of all centers are in service, or all that are left are on trial,
  only refusals count. Silence and errors everywhere may be the gateway's own trouble.
* A *penalty* lasts a second, doubling with each ejection or unanswered probe that follows
  within ``forgive_s`` of peace, spread by 20 %. When a center that was out answers a request
  (a probe may pass where requests fail), those of its region are probed soon.
* *Slow start*: what returns is given one request, then two at once, four, eight; between two
  rounds it is out of the choice, so nothing is asked of the requests of others.
* What the request did wrong, or a budget too small, is not the center's error.

A center that is slow without errors is not ejected: its time is predicted, it is chosen when
it is the best nonetheless, and looked at again by single requests (``service``, ``revisit``).

Nothing here knows a table: ``in_service`` says what the column should hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
from numpy.typing import NDArray

from gateway.fleet.breakers import Breakers
from gateway.fleet.condition import Cause, Condition
from gateway.fleet.kept_rows import KeptRows
from gateway.fleet.tuning import HealthTuning

REFUSED = frozenset({"center_down"})
SILENT = frozenset({"timed_out", "deadline_exceeded"})
OUTRUN = "outrun"  # called back because a copy elsewhere was faster: silence, as far as it goes
REQUEST_FAULTS = frozenset(
    {
        "invalid_request",
        "not_found",
        "not_here",
        "too_large",
        "unsupported_media",
        "unsupported",
        "refused",
    }
)
NOT_ITS_FAULT = REQUEST_FAULTS | {"overloaded", "center_busy", "no_center", *SILENT}


def blames_center(reason: str) -> bool:
    """Whether an error that the center itself told is its own."""
    return reason not in NOT_ITS_FAULT


def silence_of(attempt_ms: float, predicted_ms: float, tuning: HealthTuning) -> float:
    """What an attempt without a word proves, 0 to 1, by how patient it was.

    Nothing when it was given up before the answer was predicted, everything from
    ``silent_factor`` times the prediction on.
    """
    if not 0.0 <= predicted_ms <= attempt_ms:
        return 0.0
    patient_ms = tuning.silent_factor * predicted_ms
    return 1.0 if attempt_ms >= patient_ms else attempt_ms / patient_ms


class Health:
    """The condition of every center. Events change it, and return True when ``in_service``
    reads differently or a stage changed.

    ``places``: (region, zone) of every center, in row order.
    """

    def __init__(
        self, places: Sequence[tuple[str, str]], random: Random, tuning: HealthTuning
    ) -> None:
        self._breakers = Breakers(places, tuning)
        self._random = random
        self._tuning = tuning
        self._out: set[int] = set()
        self._drained = 0
        self._standing = len(places)  # neither ejected nor draining
        self._whole = len(places)  # of these, not on trial either
        self._panic = False
        self._serving = np.ones(len(places), dtype=np.int32)
        self.conditions = [Condition() for _ in places]
        self.troubled = bytearray(len(places))  # 1: an answer has something to heal
        self.on_trial: set[int] = set()  # half open or returning: charges count

    # ---- events ---------------------------------------------------------------------------

    def erred(self, center: int, reason: str, now: float) -> bool:
        """An error that is the center's own."""
        it = self._note(center, reason, now)
        if reason not in REFUSED:
            it.silence, it.proven = 0.0, False
        self._count_error(it)
        if reason in REFUSED:
            return self._goes_bad(center, "refused", now)
        if it.stage in ("half_open", "returning"):
            return self._eject(center, "errors", now)
        return self._has_many_errors(center, now)

    def silent(self, center: int, proof: float, now: float) -> bool:
        """An attempt was given up without a word from the center; ``proof``: ``silence_of``."""
        if proof <= 0.0:
            return self.unjudged(center)
        it = self._note(center, "silent", now)
        it.silence = min(it.silence + proof, self._tuning.silent_limit)
        it.proven = it.proven or proof >= 1.0
        if it.silence >= self._tuning.silent_limit:
            return self._goes_bad(center, "silent", now)
        if self._fall_silent_together(center, now):
            return True
        if it.stage in ("half_open", "returning"):
            return self._eject(center, "silent", now)
        if proof < 1.0:
            return False
        self._count_error(it)
        return self._has_many_errors(center, now)

    def answered(self, center: int, now: float) -> bool:
        """A good answer; call when ``troubled[center]``, otherwise it changes nothing."""
        it = self.conditions[center]
        it.in_a_row = 0
        it.silence, it.proven = 0.0, False
        it.cusum = max(0.0, it.cusum - self._tuning.drift)
        it.error_rate -= self._tuning.error_gain * it.error_rate
        changed = it.waiting > 0 and self._round_goes_on(center, now)
        if it.stage == "ok" and it.cusum == 0.0 and it.error_rate < 1e-3:
            it.error_rate = 0.0
            self.troubled[center] = 0
        return changed

    def reached(self, center: int, now: float) -> None:
        """Its connection is back: when it is out for want of one it is probed at once."""
        it = self.conditions[center]
        if it.stage == "ejected" and it.cause == "refused":
            it.probe_at = min(it.probe_at, now)

    def unjudged(self, center: int) -> bool:
        """An attempt ended that says nothing of the center: a returning one is owed another."""
        it = self.conditions[center]
        if center not in self.on_trial or not it.waiting:
            return False
        it.waiting -= 1
        it.allowed += 1
        return self._refresh(center)

    def charged(self, center: int) -> bool:
        """A request goes to a center that is ``on_trial``."""
        it = self.conditions[center]
        it.waiting += 1
        it.allowed = max(0, it.allowed - 1)
        return self._refresh(center)

    def probed(self, center: int, now: float, *, alive: bool) -> bool:
        """The answer of a probe; meaningful for an ejected center only."""
        it = self.conditions[center]
        if it.stage != "ejected":
            return False
        if not alive:
            it.strikes += 1
            it.probe_at = now + self._penalty_s(it.strikes)
            return False
        it.stage, it.since = "half_open", now
        it.round, it.allowed, it.waiting = 1, 1, 0
        self._out.discard(center)
        self.on_trial.add(center)
        if not it.draining:
            self._standing += 1
        self._settle(center)
        return True

    def due(self, now: float) -> list[int]:
        """Ejected centers to probe now; each is named once until its probe is overdue."""
        centers = [
            center for center in sorted(self._out) if now >= self.conditions[center].probe_at
        ]
        for center in centers:
            self.conditions[center].probe_at = now + self._tuning.probe_s
        return centers

    def drain(self, center: int, *, draining: bool) -> bool:
        """Take it out by hand, or put it back."""
        it = self.conditions[center]
        if it.draining == draining:
            return False
        step = -1 if draining else 1
        it.draining = draining
        self._drained -= step
        self._standing += step * (it.stage != "ejected")
        self._whole += step * (it.stage == "ok")
        return self._settle(center)

    def carry_over(self, before: Health, kept: KeptRows) -> None:
        """Begin with the conditions of the centers that stay. Whoever was on trial is owed the
        requests that are under way, since their ends are told elsewhere.
        """
        self._breakers.carry_over(before._breakers, kept)
        for old, new in kept.pairs:
            it = self.conditions[new] = replace(before.conditions[old])
            self.troubled[new] = before.troubled[old]
            if it.stage in ("half_open", "returning"):
                it.allowed, it.waiting = it.allowed + it.waiting, 0
                self.on_trial.add(new)
            if it.stage == "ejected":
                self._out.add(new)
        self._drained = sum(it.draining for it in self.conditions)
        self._standing = sum(it.stage != "ejected" and not it.draining for it in self.conditions)
        self._whole = sum(it.stage == "ok" and not it.draining for it in self.conditions)
        self._panic = before._panic  # brought up to date by the first that changes
        for center in range(len(self.conditions)):
            self._settle(center)

    # ---- what it means --------------------------------------------------------------------

    def in_service(self) -> NDArray[np.int32]:
        """int32[N]: 1 where a center may be chosen, in row order. A view, not to be written."""
        return self._serving

    @property
    def panic(self) -> bool:
        """So few are in service that only refusals count."""
        return self._panic

    def unwell(self) -> list[int]:
        """The centers that are not simply ok: in another stage, or draining."""
        if self._whole == len(self.conditions):
            return []
        return [
            center for center, it in enumerate(self.conditions) if it.draining or it.stage != "ok"
        ]

    # ---- its pieces -----------------------------------------------------------------------

    def _note(self, center: int, reason: str, now: float) -> Condition:
        it = self.conditions[center]
        self.troubled[center] = 1
        it.in_a_row += 1
        it.last_error = reason
        it.last_error_at = now
        it.waiting = max(0, it.waiting - 1)
        return it

    def _count_error(self, it: Condition) -> None:
        it.error_rate += self._tuning.error_gain * (1.0 - it.error_rate)
        it.cusum = min(it.cusum + 1.0 - self._tuning.drift, self._tuning.limit + 1.0)

    def _has_many_errors(self, center: int, now: float) -> bool:
        it = self.conditions[center]
        if it.stage != "ok" or it.cusum < self._tuning.limit:
            return False
        room = self._breakers.has_room(center, self._out.__contains__)
        return self._goes_bad(center, "errors", now, eject=room)

    def _fall_silent_together(self, center: int, now: float) -> bool:
        """Its zone or region is silent as a whole: all of it goes.

        Silent is who has met a whole proof and not answered since. Parts of one do not make it: a
        pause of the machine that lets a few copies win is no region that went dark.
        """
        since, tuning = now - self._tuning.breaker_s, self._tuning
        for members in self._breakers.domains(center):
            silent = [
                each
                for each in members
                if self.conditions[each].proven and self.conditions[each].last_error_at >= since
            ]
            proof = sum(self.conditions[each].silence for each in silent)
            if len(silent) > tuning.breaker_share * len(members) and proof >= tuning.silent_limit:
                for each in silent:
                    self._goes_bad(each, "silent", now)
                return True
        return False

    def _goes_bad(self, center: int, cause: Cause, now: float, *, eject: bool = True) -> bool:
        """Take it out, and with it what its zone or region has left when that trips."""
        it = self.conditions[center]
        changed = False
        if it.stage != "ejected":
            changed = eject and self._eject(center, cause, now)
        elif cause == "refused" and it.cause != "refused":
            it.cause = cause
            changed = self._refresh(center)
        tripped = self._breakers.went_bad(center, now)
        if tripped is not None:
            for member in tripped.members:
                if self.conditions[member].stage != "ejected":
                    changed |= self._eject(member, tripped.kind, now)
        return changed

    def _eject(self, center: int, cause: Cause, now: float) -> bool:
        it = self.conditions[center]
        if it.stage == "ok" and now - it.since > self._tuning.forgive_s:
            it.strikes = 0
        it.strikes += 1
        was_whole = it.stage == "ok"
        it.stage, it.cause, it.since = "ejected", cause, now
        it.allowed = it.waiting = it.round = 0
        it.probe_at = now + self._penalty_s(it.strikes)
        self.troubled[center] = 1
        self._out.add(center)
        self.on_trial.discard(center)
        if not it.draining:
            self._standing -= 1
            self._whole -= was_whole
        self._settle(center)
        return True

    def _round_goes_on(self, center: int, now: float) -> bool:
        """A request of a slow start was answered; the next round begins when all were."""
        it = self.conditions[center]
        it.waiting -= 1
        if it.waiting or it.allowed:
            return False
        if it.stage == "half_open":
            self._ask_mates(center, now)
        it.round *= 2
        it.cusum = 0.0
        if it.round > self._tuning.return_max:
            it.stage, it.cause, it.since, it.round = "ok", "", now, 0
            self.on_trial.discard(center)
            self._whole += not it.draining
        else:
            it.stage, it.allowed = "returning", it.round
        self._settle(center)
        return True

    def _ask_mates(self, center: int, now: float) -> None:
        """It answers requests again, so its region may: the others are probed soon."""
        for mate in self._breakers.mates(center):
            soon = now + self._tuning.mates_s * self._random.random()
            other = self.conditions[mate]
            other.probe_at = min(other.probe_at, soon)

    def _penalty_s(self, strikes: int) -> float:
        """Doubling from ``penalty_s``, spread so that many do not return in step."""
        penalty = self._tuning.penalty_s * 2.0 ** min(strikes - 1, 16)
        spread = 1.0 + self._tuning.jitter * (2.0 * self._random.random() - 1.0)
        return min(penalty, self._tuning.penalty_s_max) * spread

    def _settle(self, center: int) -> bool:
        """One center stands or no longer does: is it panic, and who serves?"""
        asked = len(self.conditions) - self._drained
        few = self._standing < self._tuning.panic_share * asked
        panic = few or (self._whole == 0 and asked > 0)
        if panic == self._panic:
            return self._refresh(center)
        self._panic = panic
        changed = [self._refresh(each) for each in range(len(self.conditions))]
        return any(changed)

    def _refresh(self, center: int) -> bool:
        it = self.conditions[center]
        if it.draining:
            serves = False
        elif it.stage == "ok":
            serves = True
        elif it.stage == "ejected":
            serves = self._panic and it.cause != "refused"
        else:
            serves = self._panic or it.allowed > 0
        if bool(self._serving[center]) == serves:
            return False
        self._serving[center] = serves
        return True
