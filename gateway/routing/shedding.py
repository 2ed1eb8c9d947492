"""The rules of shedding: how long who may wait for a slot when there is no room for all.

Pure: no clock and no I/O. Overload shows as predicted waiting, as in DAGOR (Zhou et al.,
Overload Control for Scaling WeChat Microservices, 2018), whose signal is the time requests
wait, not how loaded a machine is; here the wait is known before it happens, at the best center
for the very request. Centers serve in order of arrival, so a request of a high class waits
behind all that was let in before it. What protects it is how little others may wait:

* Who stands first (``rank`` 0: no higher class is about, no tenant's share is exceeded) is begun
  while the wait is below ``wait_ms_max``, or below ``WAIT_ANSWERS`` answers of a slow model.
* Who stands second is begun, at any center, to keep slots busy, and no earlier: one more than
  there are slots, and as many as are on the wire, since a freed slot is heard of and filled a
  round trip later (the wait is predicted with what is on the wire ahead). Each rank below it is
  one request behind, so it is given what the rank above leaves. ``yield_share / rank`` of a
  service more may wait, since services do not end one after another.

A class nobody uses takes nothing from the others: only classes that are *about* count.

Requests come in bunches, and a bunch is no overload. As in CoDel (Nichols and Jacobson, 2012; RFC
8289) only a queue that stands is: what is over the allowed wait is let in for a while, up to one
service more, unless it was over it a moment ago (``Standing``). At a load of
0.7 (three centers of four slots, simulated) that leaves the lower class two refusals in a
thousand of fourteen, and costs the higher one a tenth of a second at the begin of an overload.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf

import numpy as np

from gateway.api import Array

WAIT_ANSWERS = 4.0
CALM_MS = 1.0
"""Waits below it are nobody's trouble, and are not looked into."""
ROOMY_SHARE = 0.75
"""The last quarter of a bound is for who stands first."""
RETRY_AFTER_S_MAX = 60
GRACE_S = 0.1
"""How long a bunch may be over the allowed wait, or for twice as long as an answer takes."""
RESTED_S = 0.1
"""After so long within the allowed wait, the next bunch is one."""


def first_wait_ms(alone_ms: float, wait_ms_max: float) -> float:
    """The longest predicted wait for who stands first; ``alone_ms``: its answer without one."""
    slow_ms = WAIT_ANSWERS * alone_ms
    return slow_ms if slow_ms > wait_ms_max else wait_ms_max


def second_wait_ms(
    rank: int, network_ms: Array, service_ms: Array, slots: Array, yield_share: float
) -> Array:
    """float[N]: the longest predicted wait at each center for who has ``rank`` > 0 before it.

    ``network_ms``: float[N] round trips, ``service_ms``: float[N] what the model runs there.
    """
    spare = (2.0 - rank) / slots + yield_share / rank
    return np.maximum(network_ms + service_ms * spare, CALM_MS)


class Standing:
    """For each of N centers: since when waits there are over what is allowed."""

    __slots__ = ("_last_s", "_since_s")

    def __init__(self, centers: int) -> None:
        self._since_s = np.full(centers, -inf)
        self._last_s = np.full(centers, -inf)

    def is_over(self, over: Array, center: int, now: float, grace_s: float) -> bool:
        """A request meets waits over what it is allowed; True when that has lasted longer at
        ``center`` than a bunch.

        ``over``: int[K], the rows of all such centers, ``center`` among them. All are noted, as
        a center that others are better than is asked for by nobody, and has not rested for that.
        """
        last_s = self._last_s[over]
        self._since_s[over[now - last_s > RESTED_S]] = now
        self._last_s[over] = now
        return bool(now - self._since_s[center] >= grace_s)


def retry_after_s(wait_ms: float, allowed_ms: float) -> int:
    """Whole seconds until the wait will have fallen to what is allowed, were nothing added."""
    seconds = ceil(max(0.0, wait_ms - allowed_ms) / 1e3)
    return min(max(1, seconds), RETRY_AFTER_S_MAX)


def rank_of(number: int, seen_s: Sequence[float], now: float, presence_s: float) -> int:
    """How many higher classes than ``number`` are about.

    ``seen_s[n]``: when class ``n`` asked last, -inf for never; classes count from 1.
    """
    since_s = now - presence_s
    rank = 0
    for higher in range(1, number):
        if seen_s[higher] >= since_s:
            rank += 1
    return rank
