"""One attempt over a framed connection, as the gateway holds it: events out, credit back.

A whole answer goes straight through. A streamed one is handed on chunk by chunk; while it is
paused, what comes is kept, and no credit is given for it, so at most ``stream_bytes`` of the
hello are ever kept. Credit is given in steps, for what has been handed on.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from gateway.api import NearwayError
from gateway.centers.port import Answered, Attempt, Chunk, Event, Failed, Head, OnEvent


class Line(Protocol):
    """The connection, as a call sees it."""

    credit_step: int

    def cancelled(self, call: FramedCall) -> None:
        """The call is not wanted any more."""

    def credit(self, call: FramedCall, amount: int) -> None:
        """``amount`` more bytes of its answer may come."""

    def soon(self, call: FramedCall) -> None:
        """Call ``call.hand_on`` in a turn of its own."""


class FramedCall:
    """Implements ``gateway.centers.port.Call``. ``open`` until its last event or ``cancel``.

    ``attempt``: what is still to be sent; None once it is on its way.
    """

    __slots__ = (
        "_held",
        "_line",
        "_owed",
        "_paused",
        "attempt",
        "center",
        "id",
        "on_event",
        "open",
        "vantage",
    )

    def __init__(
        self,
        line: Line | None,
        number: int,
        center: str,
        vantage: str,
        attempt: Attempt,
        on_event: OnEvent,
    ) -> None:
        self._line = line
        self.id = number
        self.center = center
        self.vantage = vantage
        self.attempt: Attempt | None = attempt
        self.on_event = on_event
        self.open = True
        self._paused = False
        self._owed = 0
        self._held: deque[Event] | None = None

    # ---- what the gateway calls -----------------------------------------------------------

    def cancel(self) -> None:
        """No event follows; the center is told."""
        if not self.open:
            return
        self.open = False
        self._held = None
        if self._line is not None:
            self._line.cancelled(self)

    def pause(self) -> None:
        """Keep what comes."""
        self._paused = True

    def resume(self) -> None:
        """Hand on what was kept, in a turn of its own: whoever resumes is in the midst of it."""
        if self._paused:
            self._paused = False
            if self._held and self._line is not None:
                self._line.soon(self)

    # ---- what the connection calls --------------------------------------------------------

    def take(self, event: Head | Chunk | Answered | Failed) -> None:
        """An event of a streamed answer, or a failure."""
        if self._held is not None or self._paused:
            if self._held is None:
                self._held = deque()
            self._held.append(event)
        else:
            self._pass(event)

    def fail(self, error: NearwayError) -> None:
        """The attempt is over, unless it was cancelled meanwhile."""
        if self.open:
            self.take(Failed(error))

    def hand_on(self) -> None:
        """What was kept, until it is paused again or cancelled."""
        while self._held and self.open and not self._paused:
            self._pass(self._held.popleft())
        if not self._held:
            self._held = None

    def _pass(self, event: Event) -> None:
        if not isinstance(event, Chunk):
            self.open = isinstance(event, Head)
            self.on_event(event)
            return
        self.on_event(event)
        self._owed += len(event.payload)
        line = self._line
        if self.open and line is not None and self._owed >= line.credit_step:
            amount, self._owed = self._owed, 0
            line.credit(self, amount)
