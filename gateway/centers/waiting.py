"""Those who wait for a slot of a center, by what they ask: whoever waits longest is next.

A center has two such lines. *Class C* is work that can wait (``config.toml``, ``latency_class``):
it stands in a line of its own, begins only where it leaves a slot free, and a run of it goes to
threads of its own that the machine serves last (``engine.runner``). So a request of another class
never waits behind it, in a line, for a slot or for a thread; at a center of a single slot, which
class C must take to run at all, it waits for the one run at most.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from gateway.wire import AnswerForm

if TYPE_CHECKING:
    from gateway.centers.local_visit import LocalVisit
    from gateway.centers.served_model import ServedModel


def slots_kept(slots: int) -> int:
    """How many of a center's slots class C leaves free."""
    return 1 if slots > 1 else 0


def makes_late(served: ServedModel, rows: int, now: float, deadline_s: float) -> bool:
    """Would a run of ``rows`` end after ``deadline_s``, though one of a single row would not?"""
    left_s = deadline_s - now
    return served.runs_s(rows) > left_s >= served.runs_s(1)


class Waiting:
    """One line. ``count``: how many stand in it."""

    __slots__ = ("_by_form", "count")

    def __init__(self) -> None:
        self._by_form: dict[AnswerForm, deque[LocalVisit]] = {}
        self.count = 0

    def add(self, visit: LocalVisit) -> None:
        """It is the last."""
        line = self._by_form.get(visit.form)
        if line is None:
            line = self._by_form[visit.form] = deque()
        line.append(visit)
        self.count += 1
        visit.waits = True

    def next(self, now: float) -> list[LocalVisit]:
        """Whoever waits longest, and who asks the same and fits into one run with it.

        The run is closed where one more would make somebody in it late.
        """
        form = min(self._by_form, key=self._since_s)
        line = self._by_form[form]
        first = line.popleft()
        members, rows, rows_max = [first], first.rows, first.served.rows_max
        soonest_s = first.attempt.deadline_s
        while line and rows + line[0].rows <= rows_max:
            rows += line[0].rows
            if makes_late(first.served, rows, now, soonest_s):
                break
            visit = line.popleft()
            members.append(visit)
            soonest_s = min(soonest_s, visit.attempt.deadline_s)
        if not line:
            del self._by_form[form]
        self.count -= len(members)
        for visit in members:
            visit.waits = False
        return members

    def forget(self, visit: LocalVisit) -> None:
        """It is cancelled."""
        visit.waits = False
        self.count -= 1
        line = self._by_form[visit.form]
        line.remove(visit)
        if not line:
            del self._by_form[visit.form]

    def _since_s(self, form: AnswerForm) -> float:
        return self._by_form[form][0].ready_s
