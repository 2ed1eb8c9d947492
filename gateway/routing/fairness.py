"""Fair shares: which of those who want a busy center have more of it than their part.

Theory of operation. While a center is busy, what each *key* (a tenant, or an origin) asks of it
and what it is given are summed in ms of work and fade over ``FADE_S``. The *fair level* is
max-min (Bertsekas and Gallager, Data Networks, 6.5.2): who asks for less than the level is
given all of it, and what that leaves is shared equally by the others. A key that asks for more
than the level and has had it already is *over* its share. As in Approximate Fair Dropping (Pan,
Breslau, Prabhakar and Shenker, 2003) the rates alone decide; nothing is kept of a request, so
there is nothing to give back when it ends.

Sums fade by growing what is added instead (forward decay, Cormode et al., 2009): one
multiplication an event, however many keys there are. At most ``keys_max`` keys are told apart:
all further ones are one key together, so made-up names win nothing.
"""

from __future__ import annotations

from collections.abc import Hashable
from math import exp

import numpy as np

from gateway.api import Array

FADE_S = 1.0
PRESENT_S = 3.0
"""A key that asked for nothing for so long is forgotten."""
LEVEL_EVERY_S, LEVEL_EVERY_S_PER_KEY = 0.02, 3e-4
"""Finding it takes some 0.2 us a key: never more than a thousandth of the time."""
HAD_SHARE = 0.95
"""Of the level: who has had so much has had its part. (All of it would be a matter of digits.)"""
GROWTH_MAX = 1e12
THE_REST: Hashable = ("the rest",)


def fair_level(asked: Array, capacity: float) -> float:
    """The max-min fair level: the sum of ``min(asked, level)`` is ``capacity``.

    ``asked``: float64[K] >= 0. The largest of ``asked`` when all of it fits.
    """
    if not len(asked):
        return 0.0
    ordered = np.sort(asked)
    # With the k smallest given in full, the others have this much each.
    below = np.concatenate(([0.0], np.cumsum(ordered)[:-1]))
    left = (capacity - below) / np.arange(len(ordered), 0, -1)
    first = int(np.argmax(ordered >= left)) if bool((ordered >= left).any()) else -1
    return max(0.0, float(left[first])) if first >= 0 else float(ordered[-1])


class _Key:
    """One key's sums, in grown units, and the instant it asked last."""

    __slots__ = ("asked", "given", "last_s")

    def __init__(self) -> None:
        self.asked = 0.0
        self.given = 0.0
        self.last_s = 0.0


class FairShares:
    """The keys that want one center. Instants are seconds of any clock that does not go back."""

    __slots__ = ("_began_s", "_keys", "_keys_max", "_level", "_level_at")

    def __init__(self, keys_max: int) -> None:
        self._keys: dict[Hashable, _Key] = {}
        self._keys_max = keys_max
        self._began_s = 0.0
        self._level = 0.0
        self._level_at = float("-inf")

    def __len__(self) -> int:
        return len(self._keys)

    def ask(self, key: Hashable, work_ms: float, now: float) -> bool:
        """``key`` asks for work of ``work_ms``; True when it is over its share.

        A key alone is never over: there is nobody to be fair to.
        """
        one = self._of(key)
        one.last_s = now
        one.asked += work_ms * self._growth(now)
        if now >= self._level_at:
            self._settle(now)
        if len(self._keys) < 2:
            return False
        had_it = one.given > 0.0 and one.given >= HAD_SHARE * self._level
        return had_it and one.asked > self._level

    def give(self, key: Hashable, work_ms: float, now: float) -> None:
        """What ``key`` asked for is begun."""
        one = self._of(key)
        one.last_s = now
        one.given += work_ms * self._growth(now)

    def given_ms(self, now: float) -> dict[Hashable, float]:
        """By key: the work given of late, in ms, faded."""
        growth = self._growth(now)
        return {key: one.given / growth for key, one in self._keys.items()}

    def _of(self, key: Hashable) -> _Key:
        one = self._keys.get(key)
        if one is None:
            if len(self._keys) >= self._keys_max:
                key = THE_REST
                one = self._keys.get(key)
            if one is None:
                one = self._keys[key] = _Key()
        return one

    def _growth(self, now: float) -> float:
        return exp(min((now - self._began_s) / FADE_S, 600.0))

    def _settle(self, now: float) -> None:
        """Forget who is gone, keep the numbers small, find the level."""
        self._level_at = now + LEVEL_EVERY_S + len(self._keys) * LEVEL_EVERY_S_PER_KEY
        gone = [key for key, one in self._keys.items() if now - one.last_s > PRESENT_S]
        for key in gone:
            del self._keys[key]
        growth = self._growth(now)
        if growth > GROWTH_MAX:
            for one in self._keys.values():
                one.asked /= growth
                one.given /= growth
            self._began_s = now
        sums = np.array([(one.asked, one.given) for one in self._keys.values()]).reshape(-1, 2)
        self._level = fair_level(sums[:, 0], float(sums[:, 1].sum()))
