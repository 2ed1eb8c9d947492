"""Work: how long a request would wait at a center, kept exactly and in place.

Theory of operation. Every request charged adds its predicted service time, every ended one
takes back exactly what was added. With n of ours in flight at c slots, the next one waits

    wait = own_ms / n × max(0, n + 1 - c) / c          (Little's law over c parallel slots)

since n + 1 - c mean executions must end on c slots before it runs. To this add *foreign*
work (what a report shows beyond ours, fading exponentially) and the *tie term*: 1e-5 ms ×
the sequence number of the last charge, so that equal centers take turns. The sum is the
live column ``queue_ms``. With nothing in flight the own part is exactly zero.

What is on the wire counts as ahead, so where the way takes longer than the model runs the
wait is overestimated. That is kept on purpose: it closes the loop (a center that stops
answering fills up at once) and prices the room a request takes from later ones. A fluid
backlog that drains by the clock predicts better while load is low, but in simulation (12
centers, round trips of 2–10 ms, 0.3 ms of service, load 0.6) its mean latency was several
times higher.
"""

from __future__ import annotations

from random import Random

import numpy as np

from gateway.api import Array, Report, Table
from gateway.fleet.cells import cells_of
from gateway.fleet.tuning import WorkTuning

SLOTS_MAX = 1_000_000
WORK_MS_MAX = 1e6


def wait_ms(own_ms: float, in_flight: int, slots: int) -> float:
    """Predicted wait for a slot of the next request, in ms (module docstring)."""
    ahead = in_flight + 1 - slots
    if ahead <= 0 or in_flight <= 0:
        return 0.0
    return own_ms * ahead / (slots * in_flight)


class Work:
    """Owns the columns ``slots``, ``in_flight``, ``work_ms`` and ``queue_ms`` (live)."""

    def __init__(self, table: Table, random: Random, tuning: WorkTuning) -> None:
        self._table = table
        self._tuning = tuning
        n = len(table)
        self._slots = [max(1, center.slots) for center in table.centers]
        self._count = [0] * n
        self._own = [0.0] * n
        self._slots_column = table.add_column("slots", "i4")
        self._slots_column[:] = self._slots
        self._in_flight_column = table.add_column("in_flight", "i4")
        self._in_flight = cells_of(self._in_flight_column)
        self._work_column = table.add_column("work_ms", "f4")
        self._work = cells_of(self._work_column)
        self._queue_column = table.add_column("queue_ms", "f4")
        self._queue = cells_of(self._queue_column)
        self._foreign_array = np.zeros(n)
        self._foreign = cells_of(self._foreign_array)
        self._any_foreign = False
        self._fade_s = np.full(n, tuning.foreign_ms_max / 1e3)
        self._peak_array = np.zeros(n)
        self._peak = cells_of(self._peak_array)
        self._tie_array = np.array(random.sample(range(n), n), dtype=np.float64) * tuning.tie_ms
        self._tie = cells_of(self._tie_array)
        self._tie_step = tuning.tie_ms
        self._last_tie = n * tuning.tie_ms
        self._tie_limit = max(tuning.tie_ms_max, 2.0 * n * tuning.tie_ms)
        self._queue_column[:] = self._tie_array

    # ---- per request ----------------------------------------------------------------------

    def charge(self, center: int, service_ms: float) -> None:
        """One more in flight."""
        self._count[center] = count = self._count[center] + 1
        self._own[center] = own = self._own[center] + service_ms
        self._last_tie = tie = self._last_tie + self._tie_step
        self._tie[center] = tie
        self._in_flight[center] = count
        self._work[center] = own
        queue = self._foreign[center] + tie if self._any_foreign else tie
        slots = self._slots[center]
        if count >= slots:
            wait = own * (count + 1 - slots) / (slots * count)
            if wait > self._peak[center]:
                self._peak[center] = wait
            queue += wait
        self._queue[center] = queue
        if tie > self._tie_limit:
            self._rank_ties()

    def refund(self, center: int, service_ms: float) -> None:
        """One fewer in flight: take back exactly what was charged."""
        count = self._count[center] - 1
        if count > 0:
            own = self._own[center] - service_ms
            if own < 0.0:
                own = 0.0
        else:
            count, own = 0, 0.0
        self._count[center] = count
        self._own[center] = own
        self._in_flight[center] = count
        self._work[center] = own
        queue = self._foreign[center] if self._any_foreign else 0.0
        slots = self._slots[center]
        if count >= slots:
            queue += own * (count + 1 - slots) / (slots * count)
        self._queue[center] = queue + self._tie[center]

    def reported(self, center: int, report: Report) -> None:
        """A center spoke of its load: what is beyond our own is foreign."""
        slots = report.slots
        if slots > 0:
            if slots != self._slots[center] and slots < SLOTS_MAX:
                self._set_slots(center, slots)
            there = report.in_flight
            if not self._any_foreign and (there < slots or there <= self._count[center]):
                return
            seen = self._beyond_own(center, report)
        else:
            seen = report.queue_ms - 1.25 * self._peak[center] - 0.25
        if seen > 0.0 or self._any_foreign:
            self._blend(center, seen)

    def linger(self, center: int, rest_ms: float) -> None:
        """Keep ``rest_ms`` of a refunded charge as foreign: a fast error earns nothing."""
        if not 0.0 < rest_ms < WORK_MS_MAX:
            return
        self._foreign[center] += rest_ms
        self._any_foreign = True
        self._write_queue(center)

    # ---- each tick ------------------------------------------------------------------------

    def fade(self, elapsed_s: float) -> None:
        """Let foreign work pass; nothing to do while there is none."""
        if not self._any_foreign or elapsed_s <= 0.0:
            return
        foreign = self._foreign_array
        foreign *= np.exp(-elapsed_s / self._fade_s)
        foreign[foreign < self._tuning.foreign_ms_gone] = 0.0
        self._write_all()
        self._any_foreign = bool(foreign.any())

    def settle(self, mean_service_ms: Array, elapsed_s: float) -> None:
        """Adapt how fast foreign work fades; forget the peak of our own wait."""
        tuning = self._tuning
        fade_ms = tuning.foreign_services * mean_service_ms
        self._fade_s = np.clip(fade_ms, tuning.foreign_ms_min, tuning.foreign_ms_max) / 1e3
        keep_s = 5e-3 * (self._peak_array + mean_service_ms + 20.0)
        self._peak_array *= np.exp(-max(0.0, elapsed_s) / keep_s)

    # ---- what is known --------------------------------------------------------------------

    def in_flight(self, center: int) -> int:
        """Requests of ours there now."""
        return self._count[center]

    def own_ms(self, center: int) -> float:
        """Predicted service time of ours there now."""
        return self._own[center]

    def foreign_ms(self, center: int) -> float:
        """Wait there that is not ours."""
        return self._foreign[center]

    # ---- its pieces -----------------------------------------------------------------------

    def _beyond_own(self, center: int, report: Report) -> float:
        """Predicted wait with everything the center reports, minus that of ours alone."""
        count, own, slots = self._count[center], self._own[center], self._slots[center]
        there = report.in_flight
        if there <= count or not 0.0 <= report.work_ms < WORK_MS_MAX:
            return 0.0
        mean_ms = max(report.work_ms / there, own / count if count else 0.0)
        return wait_ms(mean_ms * there, there, slots) - wait_ms(own, count, slots)

    def _blend(self, center: int, seen_ms: float) -> None:
        if not seen_ms < WORK_MS_MAX:
            return
        known = self._foreign[center]
        foreign = known + self._tuning.foreign_gain * (max(0.0, seen_ms) - known)
        self._foreign[center] = foreign if foreign > self._tuning.foreign_ms_gone else 0.0
        self._any_foreign = True
        self._write_queue(center)

    def _write_queue(self, center: int) -> None:
        wait = wait_ms(self._own[center], self._count[center], self._slots[center])
        self._queue[center] = wait + self._foreign[center] + self._tie[center]

    def _write_all(self) -> None:
        count, slots = self._in_flight_column, self._slots_column
        ahead = np.maximum(count + 1 - slots, 0)
        wait = self._work_column * ahead / (slots * np.maximum(count, 1).astype(np.float64))
        self._queue_column[:] = wait + self._foreign_array + self._tie_array

    def _set_slots(self, center: int, slots: int) -> None:
        self._slots[center] = slots
        self._slots_column[center] = slots
        self._table.touch("slots")
        self._write_queue(center)

    def _rank_ties(self) -> None:
        """Sequence numbers become ranks 0..N-1; the order of turns stays."""
        ties = self._tie_array
        order = np.argsort(ties, kind="stable")
        ties[order] = np.arange(len(ties)) * self._tuning.tie_ms
        self._last_tie = len(ties) * self._tuning.tie_ms
        self._write_all()
