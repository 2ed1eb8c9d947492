"""One request that came in a frame, from its start at the center to its answer's last frame.

An answer of at most ``CHUNK_BYTES`` is one frame. A longer one, or one that the center itself
gives in chunks, is streamed against the gateway's credit; what there is no credit for waits
here, and the center is asked to pause while much of it does.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

from gateway.api import CenterFailed
from gateway.centers.port import Answered, Call, Chunk, Event, Failed, Head, Whole
from gateway.wire import frames

CHUNK_BYTES: Final = 256 * 1024
PENDING_BYTES_MAX: Final = 1024 * 1024


class Outlet(Protocol):
    """The connection, as an answer sees it."""

    writable: bool

    def write(self, data: bytes) -> None:
        """One frame."""

    def over(self, served: ServedCall) -> None:
        """Its last frame is written."""


class ServedCall:
    """Hears the center's events and writes frames. ``size``: the request body's bytes."""

    __slots__ = ("_credit", "_end", "_outlet", "_paused", "_pending", "_waiting", "call", "id",
                 "size")  # fmt: skip

    call: Call

    def __init__(self, outlet: Outlet, number: int, size: int, credit: int) -> None:
        self.id = number
        self.size = size
        self._outlet = outlet
        self._credit = credit
        self._pending: deque[memoryview] | None = None
        self._waiting = 0
        self._end: frames.AnswerEnd | None = None
        self._paused = False

    def hear(self, event: Event) -> None:
        """What the center calls."""
        if type(event) is Whole:
            self._whole(event)
        elif isinstance(event, Head):
            self._begin(event.status, event.content_type, event.head_bytes)
        elif isinstance(event, Chunk):
            self._add(event.payload)
        elif isinstance(event, Answered):
            self._answered(event)
        elif isinstance(event, Failed):
            self._fail(event)

    def grant(self, amount: int) -> None:
        """The gateway takes so many more bytes."""
        self._credit += amount
        self.pump()

    def pump(self) -> None:
        """Write what there is credit and room for."""
        pending, outlet = self._pending, self._outlet
        if pending is None:
            return
        while pending and self._credit > 0 and outlet.writable:
            size = min(len(pending[0]), CHUNK_BYTES, self._credit)
            outlet.write(frames.encode(frames.AnswerChunk(self.id), pending[0][:size]))
            self._credit -= size
            self._waiting -= size
            if size == len(pending[0]):
                pending.popleft()
            else:
                pending[0] = pending[0][size:]
        if pending:
            return
        if self._end is not None:
            outlet.over(self)
            outlet.write(frames.encode(self._end))
        elif self._paused:
            self._paused = False
            self.call.resume()

    # ---- its pieces -----------------------------------------------------------------------

    def _whole(self, event: Whole) -> None:
        payload, report = event.payload, frames.report_fields(event.report)
        if len(payload) > CHUNK_BYTES:
            self._begin(event.status, event.content_type, event.head_bytes)
            self._end = frames.AnswerEnd(self.id, report, event.drawn_ms)
            self._add(payload)
            return
        self._outlet.over(self)
        answer = frames.Answer(
            self.id, event.status, event.content_type, event.head_bytes, report, event.drawn_ms
        )
        self._outlet.write(frames.encode(answer, payload))

    def _begin(self, status: int, content_type: str, head_bytes: int | None) -> None:
        self._pending = deque()
        head = frames.AnswerHead(self.id, status, content_type, head_bytes)
        self._outlet.write(frames.encode(head))

    def _add(self, payload: bytes) -> None:
        if self._pending is None or not payload:
            return
        self._pending.append(memoryview(payload))
        self._waiting += len(payload)
        self.pump()
        if self._waiting > PENDING_BYTES_MAX and self._end is None and not self._paused:
            self._paused = True
            self.call.pause()

    def _answered(self, event: Answered) -> None:
        if self._pending is None:
            self._fail(Failed(CenterFailed("answered without a head"), event.report))
            return
        self._end = frames.AnswerEnd(self.id, frames.report_fields(event.report), event.drawn_ms)
        self.pump()

    def _fail(self, event: Failed) -> None:
        self._pending = None
        self._outlet.over(self)
        told = frames.failure(self.id, event.error, event.report, event.drawn_ms)
        self._outlet.write(frames.encode(told))
