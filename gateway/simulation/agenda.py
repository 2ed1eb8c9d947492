"""The agenda: what happens next, in virtual time.

An event is a tuple (instant in s, number, handler, ...): the number makes equal instants
happen in the order in which they were planned and keeps tuples from comparing handlers. The
handler is called with the tuple itself. Whoever plans very often pushes onto ``heap`` itself:
a method call per event is a tenth of the simulator's time.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any

Event = tuple[Any, ...]
Handler = Callable[[Event], None]


class Agenda:
    """A heap of events. ``next_number`` numbers them."""

    __slots__ = ("heap", "next_number")

    def __init__(self) -> None:
        self.heap: list[Event] = []
        self.next_number = count().__next__

    def plan(self, at_s: float, handler: Handler, *arguments: Any) -> None:
        """Call ``handler`` with the event at ``at_s``; arguments begin at its fourth place."""
        heappush(self.heap, (at_s, self.next_number(), handler, *arguments))

    def until(self, end_s: float) -> None:
        """Let everything happen that is due by ``end_s``."""
        heap = self.heap
        while heap and heap[0][0] <= end_s:
            event = heappop(heap)
            event[2](event)

    def one(self) -> bool:
        """Let the next thing happen; False when nothing is planned."""
        if not self.heap:
            return False
        event = heappop(self.heap)
        event[2](event)
        return True
