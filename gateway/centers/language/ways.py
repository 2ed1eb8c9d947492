"""The way to a center of this process and back, for an answer in many parts.

``EmulatedWay`` takes half of one drawn round trip each way; what the way out overshoots is taken
off every part of the way back. Parts stay in order: of two with one instant the earlier goes first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gateway.wan import DelayLine


class Way(Protocol):
    """``drawn_ms``: the round trip, None where there is no network, and nothing waits on the way
    back (``at_once``).
    """

    drawn_ms: float | None
    at_once: bool

    def out(self, arrive: Callable[[], None]) -> None:
        """Call ``arrive`` when the request is there."""

    def back(self, deliver: Callable[[], None]) -> None:
        """Call ``deliver`` when a part of the answer is there."""


class EmulatedWay:
    """Through the delay line."""

    __slots__ = ("_due_s", "_line", "_one_way_s", "at_once", "drawn_ms")

    def __init__(self, line: DelayLine, drawn_ms: float) -> None:
        self.drawn_ms: float | None = drawn_ms
        self.at_once = False
        self._line = line
        self._one_way_s = drawn_ms * 5e-4
        self._due_s = 0.0

    def out(self, arrive: Callable[[], None]) -> None:
        """See ``Way``."""
        self._due_s = self._line.now() + self._one_way_s

        def arrived() -> None:
            overshoot_s = self._line.now() - self._due_s
            self._one_way_s = max(0.0, self._one_way_s - overshoot_s)
            arrive()

        self._line.call_at(self._due_s, arrived)

    def back(self, deliver: Callable[[], None]) -> None:
        """See ``Way``."""
        self._line.call_at(self._line.now() + self._one_way_s, deliver)


class NoWay:
    """The request is there in the next thing the loop calls; an answer at once."""

    __slots__ = ("_call_soon", "at_once", "drawn_ms")

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self.drawn_ms: float | None = None
        self.at_once = True
        self._call_soon = call_soon

    def out(self, arrive: Callable[[], None]) -> None:
        """See ``Way``."""
        self._call_soon(arrive)

    def back(self, deliver: Callable[[], None]) -> None:
        """See ``Way``: only ever called from outside ``start``, so nothing has to wait."""
        deliver()
