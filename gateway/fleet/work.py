"""Work: how long a request would wait at a center, kept exactly and in place.

Theory of operation. Every request charged adds its predicted service time, every ended one
takes back exactly what was added. *Foreign* work is what a center reports beyond ours: so
many requests and so many ms of theirs. With n requests and w ms at c slots in all, the next
one waits

    wait = w / n × max(0, n + 1 - c) / c               (Little's law over c parallel slots)

since n + 1 - c mean executions must end on c slots before it runs. The live column
``queue_ms`` is this and the *tie term*: 1e-5 ms × the sequence number of the last charge, so
that equal centers take turns. With nothing in flight and nobody else it is exactly that.

*Foreign work ages toward what is usual there, not toward zero.* A report is a snapshot; some
service times later it says nothing, except what the center's others usually amount to. Were
old reports faded to zero, the centers longest unheard of would look idle and all gateways
would go there at once. In simulation (24 centers of one slot, 4 gateways, load 0.8) aging to
the usual took 14 % off the 99th percentile, more than any other change; a report may even
weigh little against the usual (``foreign_gain``), and must when it is old: with 16 gateways
and reports every 100 ms, taking reports at their word herds. The usual follows the reports
over seconds, and is forgotten when none come, or a center avoided once would be for ever.

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
from gateway.fleet.kept_rows import KeptRows
from gateway.fleet.tuning import WorkTuning

SLOTS_MAX = 1_000_000
WORK_MS_MAX = 1e6
FADE_S = 0.0019
"""Every other fast tick: nothing ages by more than a third in that time."""
REQUESTS_MIN = 1e-9


def wait_ms(work_ms: float, requests: float, slots: int) -> float:
    """Predicted wait for a slot of the next request, in ms (module docstring)."""
    ahead = requests + 1 - slots
    if ahead <= 0.0 or requests <= 0.0:
        return 0.0
    return work_ms * ahead / (slots * requests)


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
        self._scratch = tuple(np.zeros((3, n)))
        self._slots_array = self._slots_column.astype(np.float64)
        self._slots_less_1 = self._slots_array - 1.0
        self._unfaded_s = 0.0
        self._others = _Others(n, tuning)
        self._foreign_n = cells_of(self._others.requests)
        self._foreign_ms = cells_of(self._others.work_ms)
        self._mean_ms = np.full(n, tuning.foreign_ms_min / tuning.foreign_services)
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
        slots = self._slots[center]
        wait = own * (count + 1 - slots) / (slots * count) if count >= slots else 0.0
        if wait > self._peak[center]:
            self._peak[center] = wait
        if self._foreign_n[center]:
            wait = self._wait_ms(center)
        self._queue[center] = wait + tie
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
        if self._foreign_n[center]:
            wait = self._wait_ms(center)
        else:
            slots = self._slots[center]
            wait = own * (count + 1 - slots) / (slots * count) if count >= slots else 0.0
        self._queue[center] = wait + self._tie[center]

    def reported(self, center: int, report: Report, now: float) -> None:
        """A center spoke of its load: what is beyond our own is foreign."""
        slots = report.slots
        if slots > 0:
            if slots != self._slots[center] and slots < SLOTS_MAX:
                self._set_slots(center, slots)
            there, work = report.in_flight, report.work_ms
            requests = there - self._count[center]
            if requests <= 0 or not 0.0 <= work < WORK_MS_MAX:
                requests, work = 0, 0.0
            else:
                work *= requests / there
        else:
            # No load reported: what this request waited beyond the longest queue of our own.
            waited = report.queue_ms - 1.25 * self._peak[center] - 0.25
            work = waited * self._slots[center] if 0.0 < waited < WORK_MS_MAX else 0.0
            requests = work / max(self._mean_ms.item(center), REQUESTS_MIN)
        others = self._others
        if requests > 0.0 or others.any_at(center):
            others.seen(center, requests, work, now)
            self._write_queue(center)
        elif others.any:
            others.heard(center, now)

    def linger(self, center: int, rest_ms: float) -> None:
        """Keep ``rest_ms`` of a refunded charge as foreign: a fast error earns nothing."""
        if not 0.0 < rest_ms < WORK_MS_MAX:
            return
        self._others.add(center, rest_ms)
        self._write_queue(center)

    # ---- each tick ------------------------------------------------------------------------

    def fade(self, elapsed_s: float) -> None:
        """Let foreign work age, at most each ``FADE_S``; nothing to do while there is none."""
        if not self._others.any or elapsed_s <= 0.0:
            return
        self._unfaded_s += elapsed_s
        if self._unfaded_s < FADE_S:
            return
        self._others.fade(self._unfaded_s)
        self._unfaded_s = 0.0
        self._write_all()

    def settle(self, mean_service_ms: Array, elapsed_s: float, now: float) -> None:
        """Adapt how fast foreign work ages; forget the peak of our own wait."""
        self._mean_ms = mean_service_ms
        self._others.settle(mean_service_ms, elapsed_s, now)
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
        """Predicted service time of others there now."""
        return self._foreign_ms[center]

    def carry_over(self, before: Work, kept: KeptRows) -> None:
        """Begin with what is known of others' work. What is under way of ours at this moment
        stays charged where it was charged; here it counts as foreign, and ages.
        """
        for old, new in kept.pairs:
            if before._slots[old] != max(1, before._table.centers[old].slots):
                self._set_slots(new, before._slots[old])  # as the center itself reported
            self._peak[new] = before._peak[old]
        self._others.carry_over(before._others, kept)
        for old, new in kept.pairs:
            if before._count[old]:
                self._others.add(new, before._own[old], before._count[old])
        self._write_all()

    # ---- its pieces -----------------------------------------------------------------------

    def _wait_ms(self, center: int) -> float:
        requests = self._count[center] + self._foreign_n[center]
        slots = self._slots[center]
        ahead = requests + 1 - slots
        if ahead <= 0.0 or requests <= 0.0:
            return 0.0
        return (self._own[center] + self._foreign_ms[center]) * ahead / (slots * requests)

    def _write_queue(self, center: int) -> None:
        self._queue[center] = self._wait_ms(center) + self._tie[center]

    def _write_all(self) -> None:
        """Every center's wait, as ``_wait_ms`` has it; no array is made."""
        requests, ahead, wait = self._scratch
        np.add(self._in_flight_column, self._others.requests, out=requests)
        np.subtract(requests, self._slots_less_1, out=ahead)
        np.maximum(ahead, 0.0, out=ahead)
        np.add(self._work_column, self._others.work_ms, out=wait)
        np.multiply(wait, ahead, out=wait)
        np.maximum(requests, REQUESTS_MIN, out=requests)
        np.multiply(requests, self._slots_array, out=requests)
        np.divide(wait, requests, out=wait)
        np.add(wait, self._tie_array, out=wait)
        self._queue_column[:] = wait

    def _set_slots(self, center: int, slots: int) -> None:
        self._slots[center] = slots
        self._slots_column[center] = slots
        self._slots_array[center] = slots
        self._slots_less_1[center] = slots - 1.0
        self._table.touch("slots")
        self._write_queue(center)

    def _rank_ties(self) -> None:
        """Sequence numbers become ranks 0..N-1; the order of turns stays."""
        ties = self._tie_array
        order = np.argsort(ties, kind="stable")
        ties[order] = np.arange(len(ties)) * self._tuning.tie_ms
        self._last_tie = len(ties) * self._tuning.tie_ms
        self._write_all()


class _Others:
    """Foreign requests and their work in ms, as believed now and as usual; float64[N] each."""

    def __init__(self, centers: int, tuning: WorkTuning) -> None:
        self.any = False
        # What ages together lies together: requests, then work.
        self._believed, self._usual = np.zeros((2, centers)), np.zeros((2, centers))
        self.requests, self.work_ms = self._believed
        self._tuning = tuning
        self._usual_requests, self._usual_work_ms = self._usual
        self._keep = np.zeros(centers)
        self._heard_array = np.full(centers, -np.inf)
        self._heard = cells_of(self._heard_array)
        self._fade_s = np.full(centers, tuning.foreign_ms_max / 1e3)
        self._believed_requests = cells_of(self.requests)
        self._believed_work = cells_of(self.work_ms)
        self._usual_count = cells_of(self._usual_requests)
        self._usual_work = cells_of(self._usual_work_ms)

    def seen(self, center: int, requests: float, work_ms: float, now: float) -> None:
        """A report: it moves what is believed at once, what is usual over ``usual_s``."""
        tuning = self._tuning
        usual_s = tuning.usual_s
        since_s = now - self._heard[center]
        if since_s > usual_s:
            since_s = usual_s  # the first is half believed
        self._heard[center] = now
        share = since_s / (since_s + usual_s)
        if share < tuning.usual_gain_min:
            share = tuning.usual_gain_min
        gain = tuning.foreign_gain
        believed, usual = self._believed_requests, self._usual_count
        believed[center] += gain * (requests - believed[center])
        usual[center] += share * (requests - usual[center])
        believed, usual = self._believed_work, self._usual_work
        believed[center] += gain * (work_ms - believed[center])
        usual[center] += share * (work_ms - usual[center])
        self.any = True

    def any_at(self, center: int) -> bool:
        """Is there anything there that a report of nothing would change?"""
        return self.any and bool(self._believed_requests[center] or self._usual_count[center])

    def heard(self, center: int, now: float) -> None:
        """A report of nothing where nothing is believed: what ``seen`` would make of it."""
        self._heard[center] = now

    def add(self, center: int, work_ms: float, requests: int = 1) -> None:
        """So many requests more, for as long as such things last."""
        self.requests[center] += requests
        self.work_ms[center] += work_ms
        self.any = True

    def carry_over(self, before: _Others, kept: KeptRows) -> None:
        """What was believed of the centers that stay."""
        self._believed[:, kept.after] = before._believed[:, kept.before]
        self._usual[:, kept.after] = before._usual[:, kept.before]
        self._heard_array[kept.after] = before._heard_array[kept.before]
        self.any = self.any or before.any

    def fade(self, elapsed_s: float) -> None:
        """What is believed ages toward what is usual; below ``foreign_ms_gone`` it is 0."""
        keep = np.divide(-elapsed_s, self._fade_s, out=self._keep)
        np.exp(keep, out=keep)
        self._believed -= self._usual
        self._believed *= keep
        self._believed += self._usual

    def settle(self, mean_service_ms: Array, elapsed_s: float, now: float) -> None:
        """Each slow tick: the pace of aging, and what is usual where nothing is heard."""
        tuning = self._tuning
        fade_ms = tuning.foreign_services * mean_service_ms
        self._fade_s = np.clip(fade_ms, tuning.foreign_ms_min, tuning.foreign_ms_max) / 1e3
        if not self.any:
            return
        unheard = now - self._heard_array > tuning.unheard_s
        keep = np.where(unheard, np.exp(-max(0.0, elapsed_s) / tuning.usual_s), 1.0)
        self._usual_requests *= keep
        self._usual_work_ms *= keep
        gone = (self.work_ms < tuning.foreign_ms_gone) & (
            self._usual_work_ms < tuning.foreign_ms_gone
        )
        for believed in (
            self.requests,
            self.work_ms,
            self._usual_requests,
            self._usual_work_ms,
        ):
            believed[gone] = 0.0
        self.any = not bool(gone.all())
