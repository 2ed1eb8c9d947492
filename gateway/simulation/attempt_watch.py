"""Timeouts, for nearly nothing.

An attempt that is given up has an event of its own; but hardly any is, and an event each would
be a third more on the agenda. So attempts stand in a line in the order in which they began,
are looked at 15 ms later, and those still open move on to lines of 60 and 240 ms. Only what may
end before the next look gets an event. How long an attempt is waited for is asked at the first
look: nothing the rules allow is shorter, but for a deadline, and that is planned at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from gateway.simulation.agenda import Agenda, Event, Handler

WATCH_S = 0.015
LOOKS_S = (WATCH_S, 0.06, 0.24)
LOOK_EVERY_S = 0.005


class AttemptWatch:
    """Calls ``late`` with (…, request, attempt, patience_s) when an open attempt's time is up.

    ``first`` receives (began_s, request, attempt) from whoever begins attempts.
    """

    def __init__(
        self,
        agenda: Agenda,
        current: list[int],
        late: Handler,
        patience_s: Callable[[float, int, int], float],
    ) -> None:
        self._agenda = agenda
        self._current = current
        self._late = late
        self._patience_s = patience_s
        self.first: deque[tuple[float, int, int]] = deque()
        self._later: tuple[deque[tuple[float, int, int, float]], ...] = (deque(), deque())
        agenda.plan(LOOK_EVERY_S, self._look)

    def plan(self, began_s: float, request: int, attempt: int) -> None:
        """Give an attempt that may end before its first look an event at once."""
        patience_s = self._patience_s(began_s, request, attempt)
        self._agenda.plan(began_s + patience_s, self._late, request, attempt, patience_s)

    def _look(self, event: Event) -> None:
        now, current, first = event[0], self._current, self.first
        # A look ahead of time by one interval, so that nothing is ever found too late.
        before = now + LOOK_EVERY_S - LOOKS_S[0]
        while first and first[0][0] <= before:
            began_s, request, attempt = first.popleft()
            if current[request] == attempt:
                patience_s = self._patience_s(began_s, request, attempt)
                self._move_on(now, -1, (began_s, request, attempt, patience_s))
        self._look_later(now, 0)
        self._look_later(now, 1)
        self._agenda.plan(now + LOOK_EVERY_S, self._look)

    def _look_later(self, now: float, line: int) -> None:
        waiting, current = self._later[line], self._current
        before = now + LOOK_EVERY_S - LOOKS_S[line + 1]
        while waiting and waiting[0][0] <= before:
            open_one = waiting.popleft()
            if current[open_one[1]] == open_one[2]:
                self._move_on(now, line, open_one)

    def _move_on(self, now: float, line: int, open_one: tuple[float, int, int, float]) -> None:
        """To the next line when the attempt's time is not up before it is looked at there."""
        began_s, request, attempt, patience_s = open_one
        if line + 1 < len(self._later) and patience_s > LOOKS_S[line + 2]:
            self._later[line + 1].append(open_one)
            return
        at_s = max(now, began_s + patience_s)
        self._agenda.plan(at_s, self._late, request, attempt, patience_s)
