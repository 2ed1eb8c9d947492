"""What a center knows of its own load: kept at every visit, told in every report.

Rates and utilization are averages that fade with ``WINDOW_S``, divided by the share of the
window that has been seen, so that a young meter tells the truth as well.

Latency is told as in Prequal (Wieder et al., NSDI 2024): the median time in the center of
recent requests that found about as many in flight as there are now. Their times stand in
rings by that number, two rings an octave; a median is worked out anew after every few
answers, or when a probe asks. Where nothing was seen, that of the latest answer is told.
"""

from __future__ import annotations

from collections import deque
from math import exp

from gateway.api import Report

WINDOW_S = 1.0
STEP_S = 1e-5  # what happens closer together fades as one, for one exponential
SEEN_MIN = 0.1
RING = 9
ANSWERS_A_MEDIAN = 4
FEW = 4
RINGS_MAX = 48


def ring_of(in_flight: int) -> int:
    """0, 1, 2, 3, then two an octave: 4-5, 6-7, 8-11, 12-15 ..."""
    if in_flight < FEW:
        return in_flight
    bits = in_flight.bit_length()
    return min(2 * bits - 2 + (in_flight >> (bits - 2) & 1), RINGS_MAX - 1)


class _Ring:
    """The last times of requests that found about as many in flight, ms."""

    __slots__ = ("fresh", "median_ms", "times_ms")

    def __init__(self) -> None:
        self.times_ms: deque[float] = deque(maxlen=RING)
        self.fresh = 0
        self.median_ms = 0.0

    def settle(self) -> None:
        """Work the median out; of an even number the upper one."""
        self.fresh = 0
        self.median_ms = sorted(self.times_ms)[len(self.times_ms) // 2]


class LoadMeter:
    """The load of one center. ``in_flight`` and ``work_ms`` are exact, the rest is recent."""

    __slots__ = (
        "_answers",
        "_at_s",
        "_busy",
        "_errors",
        "_latest",
        "_rings",
        "_seen",
        "_used",
        "in_flight",
        "work_ms",
    )

    def __init__(self, now: float) -> None:
        self.in_flight = 0
        self.work_ms = 0.0
        self._at_s = now
        self._busy = 0
        self._answers = 0.0  # faded counts
        self._errors = 0.0
        self._used = 0.0  # faded mean of the slots in use, times _seen
        self._seen = 0.0  # share of the window that has been seen
        self._rings: list[_Ring | None] = [None] * RINGS_MAX
        self._latest: _Ring | None = None

    # ---- a visit --------------------------------------------------------------------------

    def entered(self, work_ms: float) -> int:
        """A request came in; returns how many it found in flight."""
        found = self.in_flight
        self.in_flight = found + 1
        self.work_ms += work_ms
        return found

    def left(self, work_ms: float, count: int = 1) -> None:
        """``count`` requests of ``work_ms`` together are out again, however they ended."""
        self.in_flight -= count
        self.work_ms = self.work_ms - work_ms if self.in_flight else 0.0

    def slot_taken(self, now: float) -> None:
        """An execution begins."""
        if now - self._at_s >= STEP_S:
            self._fade(now)
        self._busy += 1

    def slot_freed(self, now: float) -> None:
        """Its slot is free."""
        if now - self._at_s >= STEP_S:
            self._fade(now)
        self._busy -= 1

    def answered(self, now: float, found: int, took_ms: float, count: int = 1) -> None:
        """An answer goes out, after ``took_ms`` in the center.

        ``count`` that go out at once found ``found`` in flight, and one another; they are one
        time for each number of them that is told apart.
        """
        if now - self._at_s >= STEP_S:
            self._fade(now)
        self._answers += count
        if count == 1:
            self._remember(ring_of(found), took_ms)
            return
        for number in range(ring_of(found), ring_of(found + count - 1) + 1):
            self._remember(number, took_ms)

    def _remember(self, number: int, took_ms: float) -> None:
        ring = self._rings[number]
        if ring is None:
            ring = self._rings[number] = _Ring()
        self._latest = ring
        ring.times_ms.append(took_ms)
        ring.fresh += 1
        if ring.fresh >= ANSWERS_A_MEDIAN or len(ring.times_ms) < ANSWERS_A_MEDIAN:
            ring.settle()

    def erred(self, now: float) -> None:
        """An error of the center's own goes out."""
        if now - self._at_s >= STEP_S:
            self._fade(now)
        self._answers += 1.0
        self._errors += 1.0

    # ---- what it says ---------------------------------------------------------------------

    def report(self, now: float, slots: int, queue_ms: float, service_ms: float) -> Report:
        """With an answer: the two durations are its own."""
        if now - self._at_s >= STEP_S:
            self._fade(now)
        seen = self._seen if self._seen > SEEN_MIN else SEEN_MIN
        used = self._used / (seen * slots)
        return Report(
            queue_ms,
            service_ms,
            self.work_ms,
            self.in_flight,
            slots,
            self._latency_ms(),
            self._answers / (seen * WINDOW_S),
            self._errors / (seen * WINDOW_S),
            used if used < 1.0 else 1.0,
        )

    def probed(self, now: float, slots: int) -> Report:
        """Alone: asked by a probe, with medians up to date."""
        for ring in self._rings:
            if ring is not None and ring.fresh:
                ring.settle()
        return self.report(now, slots, 0.0, 0.0)

    # ---- its pieces -----------------------------------------------------------------------

    def _fade(self, now: float) -> None:
        elapsed_s = now - self._at_s
        self._at_s = now
        keep = exp(-elapsed_s / WINDOW_S)
        self._answers *= keep
        self._errors *= keep
        self._used = self._used * keep + self._busy * (1.0 - keep)
        self._seen = self._seen * keep + 1.0 - keep

    def _latency_ms(self) -> float:
        ring = self._rings[ring_of(self.in_flight)] or self._latest
        return 0.0 if ring is None else ring.median_ms
