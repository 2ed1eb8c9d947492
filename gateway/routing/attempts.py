"""The rules of attempts: how long one may take, whether another follows, and what that costs.

Pure: no clock and no I/O. The exchange of the live gateway and the simulator call the same
functions with their own time.

A first attempt is given three times the 99th percentile of what it is predicted to take, and
never so long that a second one would come too late. Each attempt that was cut off before
quadruples the patience: a request heavier than any prediction is answered at the second or
third try, and one that meets a black hole has lost little at the first. The last attempt there
may be has all the time that is left, since cutting it off could win nothing.
"""

from __future__ import annotations

from math import inf

TIMED_OUT = "timed_out"
"""The reason in the outcome of an attempt that was cut off; health counts it as silence."""

QUANTILE = 0.99
TIMEOUT_MS_MIN = 20.0
TIMEOUT_FACTOR = 3.0
PATIENCE_GROWTH = 4.0
HOPELESS_FACTOR = 1.5


def attempt_timeout_ms(
    remaining_ms: float,
    predicted_second_ms: float,
    q99_ms: float,
    *,
    floor_ms: float = TIMEOUT_MS_MIN,
    timeouts: int = 0,
) -> float:
    """How long an attempt may be silent before it counts as lost, in ms.

    ``min(remaining - second, max(floor, 3 q99) x 4^timeouts)``. ``predicted_second_ms`` is
    what an attempt elsewhere would take, +inf when there can be none; ``q99_ms`` the 99th
    percentile of this attempt; ``timeouts`` how many of this request were cut off before.
    When the budget has no room for this attempt's 99th percentile and another one after it,
    the answer is all that remains.
    """
    if predicted_second_ms == inf:
        return remaining_ms
    room_ms = remaining_ms - predicted_second_ms
    if room_ms < q99_ms:
        return remaining_ms
    patience_ms = TIMEOUT_FACTOR * q99_ms
    if patience_ms < floor_ms:
        patience_ms = floor_ms
    if timeouts:
        patience_ms *= PATIENCE_GROWTH**timeouts
    return patience_ms if patience_ms < room_ms else room_ms


def may_retry(
    *,
    another_may_help: bool,
    bytes_sent: bool,
    tries: int,
    tries_max: int,
    remaining_ms: float,
    predicted_ms: float = 0.0,
) -> bool:
    """Whether another center may be tried after a failed attempt.

    Inference changes nothing at a center, so running it twice is safe; what the client has
    seen is not, so nothing follows the first byte (``bytes_sent``). ``another_may_help``: the
    error's own word, false when the request is at fault. ``predicted_ms``: what the next
    attempt would take; one that takes over ``HOPELESS_FACTOR`` of what remains would only
    burden a center. (Not exactly what remains: predictions err, and timers come late.)
    """
    if bytes_sent or not another_may_help or tries >= tries_max:
        return False
    return remaining_ms > 0.0 and predicted_ms <= HOPELESS_FACTOR * remaining_ms


class RetryBudget:
    """How many retries may be under way at once: a share of the requests, never under a least.

    The rule of Envoy's ``circuit_breakers.thresholds.retry_budget`` (``budget_percent`` 20,
    ``min_retry_concurrency``, 3 there): a fleet that fails receives at most that much more
    traffic than a healthy one, and the few retries of a quiet gateway always pass. gRPC's
    throttling (proposal A6) bounds the same by a bucket that successes refill; a bucket says
    nothing of how many retries pile up while answers are slow, so the share is taken.

    It is for retries that multiply work. One that leaves a center which is out of service (it
    refused, was lost, or has been silent or wrong too often) does not: nothing goes there any
    more, so work moves, and no more than was under way there. A region that goes down at once
    would else spend the budget at once. Those are bounded by the attempts of a request and its
    deadline alone. ``take`` and ``release`` must pair.
    """

    __slots__ = ("_least", "_share", "in_flight", "refused")

    def __init__(self, share: float = 0.2, least: int = 10) -> None:
        self._share = share
        self._least = least
        self.in_flight = 0
        self.refused = 0

    def allowed(self, requests_in_flight: int) -> int:
        """How many retries may be in flight with so many requests under way."""
        return max(self._least, int(self._share * requests_in_flight))

    def room(self, requests_in_flight: int) -> bool:
        """Whether one more may begin. An attempt that none may follow is better not cut off."""
        return self.in_flight < self.allowed(requests_in_flight)

    def take(self, requests_in_flight: int) -> bool:
        """A retry begins, or (False) is refused and counted."""
        if self.room(requests_in_flight):
            self.in_flight += 1
            return True
        self.refused += 1
        return False

    def release(self) -> None:
        """A retry has ended."""
        self.in_flight -= 1
