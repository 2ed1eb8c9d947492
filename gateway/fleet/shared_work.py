"""Work that several workers share: ours is what all of them have in flight.

Theory of operation. Each worker writes what *it* has under way into its own row of the
shared table, as integers (requests, and nanoseconds of predicted service): what a charge
adds its refund takes back to the last digit, so a worker at rest leaves zeros. The counters
that ``Work`` keeps hold the sum over all workers: own charges move it at once, the others'
rows are added anew each fast tick (``gather``) and, for a center that speaks of its load,
just before it is heard, so that no request of a sibling is taken for a stranger's.

A charge here costs three scalar writes more than alone, a gathering some microseconds a
thousand centers, and one more for each center where a sibling's work changed.
"""

from __future__ import annotations

from random import Random

import numpy as np

from gateway.api import Report, Table
from gateway.fleet.cells import cells_of, counts_of
from gateway.fleet.shared_table import SharedTable
from gateway.fleet.tuning import WorkTuning
from gateway.fleet.work import Work

NS_PER_MS = 1e6


class SharedWork(Work):
    """``Work`` of one seat among several."""

    def __init__(
        self, table: Table, random: Random, tuning: WorkTuning, shared: SharedTable, seat: int
    ) -> None:
        super().__init__(table, random, tuning)
        n = len(table)
        # The column stands in shared memory: two workers' sums can be held side by side.
        table.columns["in_flight"] = self._in_flight_column = shared["all_in_flight"][seat]
        self._in_flight = cells_of(self._in_flight_column)
        self._charges = shared.counts("charges", seat)
        self._all_in_flight = shared["in_flight"]
        self._all_ns = shared["work_ns"]
        self._seat = seat
        self._row_in_flight = shared.counts("in_flight", seat)
        self._row_ns = shared.counts("work_ns", seat)
        others = [each for each in range(shared.size.seats) if each != seat]
        self._rows_of_others = [
            (shared.counts("in_flight", each), shared.counts("work_ns", each)) for each in others
        ]
        self._mine = [0] * n
        self._mine_ns = [0] * n
        self._charged = 0
        self._charged_before = 0
        self._gathered = cells_of(shared["gathered_s"][seat : seat + 1])
        self._siblings_n = np.zeros(n, dtype=np.int64)
        self._siblings_ns = np.zeros(n, dtype=np.int64)
        self._known_n = counts_of(self._siblings_n)
        self._known_ns = counts_of(self._siblings_ns)
        self._sum_n = np.zeros(n, dtype=np.int64)
        self._sum_ns = np.zeros(n, dtype=np.int64)

    def charge(self, center: int, service_ms: float) -> None:
        """One more in flight, of this worker."""
        self._mine[center] = mine = self._mine[center] + 1
        self._mine_ns[center] = ns = self._mine_ns[center] + int(service_ms * NS_PER_MS)
        self._row_in_flight[center] = mine
        self._row_ns[center] = ns
        self._charged = charged = self._charged + 1
        self._charges[0] = charged
        super().charge(center, service_ms)

    def refund(self, center: int, service_ms: float) -> None:
        """One fewer of this worker."""
        self._mine[center] = mine = self._mine[center] - 1
        self._mine_ns[center] = ns = self._mine_ns[center] - int(service_ms * NS_PER_MS)
        self._row_in_flight[center] = mine
        self._row_ns[center] = ns
        super().refund(center, service_ms)

    def reported(self, center: int, report: Report, now: float) -> None:
        """A center spoke: what is beyond all workers' own is foreign."""
        n = ns = 0
        for in_flight, work_ns in self._rows_of_others:
            n += in_flight[center]
            ns += work_ns[center]
        if n != self._known_n[center] or ns != self._known_ns[center]:
            self._take(center, n, ns)
        super().reported(center, report, now)

    def gather(self, now: float) -> bool:
        """Add up the other workers' rows; what changed there moves the columns.

        True when anything moved since the last time, there or here.
        """
        np.add.reduce(self._all_in_flight, axis=0, out=self._sum_n)
        np.add.reduce(self._all_ns, axis=0, out=self._sum_ns)
        self._sum_n -= self._all_in_flight[self._seat]
        self._sum_ns -= self._all_ns[self._seat]
        moved = (self._sum_n != self._siblings_n) | (self._sum_ns != self._siblings_ns)
        centers = np.flatnonzero(moved).tolist()
        for center in centers:
            self._take(center, self._sum_n.item(center), self._sum_ns.item(center))
        self._gathered[0] = now
        before, self._charged_before = self._charged_before, self._charged
        return bool(centers) or before != self._charged

    def _take(self, center: int, siblings: int, siblings_ns: int) -> None:
        """The siblings have so much at ``center`` now."""
        self._known_n[center] = siblings
        self._known_ns[center] = siblings_ns
        count = max(0, self._mine[center] + siblings)
        own_ns = self._mine_ns[center] + siblings_ns
        own = own_ns / NS_PER_MS if count and own_ns > 0 else 0.0
        self._count[center] = count
        self._own[center] = own
        self._in_flight[center] = count
        self._work[center] = own
        self._write_queue(center)
