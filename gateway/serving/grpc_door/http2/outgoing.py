"""What a connection sends: whole answers in one write, and the rest as the windows allow.

Theory of operation. Everything that is written in one turn of the loop goes out in one write
(``TurnWriter``). An answer that fits into the windows and into a frame of each kind is sent at
once; what does not waits in its stream, and is sent a frame of each stream in turn, at most
``BURST_BYTES`` in one turn of the loop. While the transport's buffer is full nothing is sent: an
answer then waits as it is, not as another copy in that buffer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from gateway.centers.outbox import Outbox, TurnWriter
from gateway.serving.grpc_door.http2 import frames as f
from gateway.serving.grpc_door.http2.flow import Outflow
from gateway.serving.grpc_door.http2.frames import Code, ConnectionFault
from gateway.serving.grpc_door.http2.stream import Stream

BURST_BYTES: Final = 256 * 1024
FRAME_BYTES_SENT: Final = 4 * f.FRAME_BYTES
"""The longest frame that is sent, to whoever takes it."""


class Outgoing:
    """``said_all`` is called with a stream that has sent its end. ``answers``: writes of answers,
    counted; ``stuck_s``: since when the peer does not read, None while it does.
    """

    __slots__ = ("_clock", "_pumping", "_said_all", "_waiting", "_window", "_writer", "answers",
                 "frame_bytes", "stream_window", "stuck_s")  # fmt: skip

    def __init__(
        self,
        transport: asyncio.Transport,
        outbox: Outbox,
        clock: Callable[[], float],
        said_all: Callable[[Stream], None],
    ) -> None:
        self._writer = TurnWriter(outbox, transport)
        self._clock = clock
        self._said_all = said_all
        self._window = Outflow(f.WINDOW_START)
        self._waiting: dict[int, Stream] = {}
        self._pumping = False
        self.stream_window = f.WINDOW_START
        self.frame_bytes = f.FRAME_BYTES
        self.stuck_s: float | None = None
        self.answers = 0

    def write(self, data: bytes) -> None:
        """Frames that no window bounds, at the end of this turn."""
        self._writer.write(data)

    def flush(self) -> None:
        """Now what is to go at the end of this turn."""
        self._writer.send()

    # ---- what the peer allows --------------------------------------------------------------

    def widen(self, more: int) -> None:
        """All streams together may send more. Raises ConnectionFault."""
        if not self._window.widen(more):
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "a window above 2^31-1")
        self.pump()

    def widen_stream(self, stream: Stream, more: int) -> bool:
        """One may; False when its window is larger than any may be."""
        if not stream.outflow.widen(more):
            return False
        if stream.id in self._waiting:
            self._pump((stream,))
        return True

    def start_windows_at(self, window: int, streams: Iterable[Stream]) -> None:
        """New ones, and those that are open by the difference. Raises ConnectionFault."""
        more, self.stream_window = window - self.stream_window, window
        for stream in streams:
            if not stream.outflow.widen(more):
                raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "a window above 2^31-1")

    def allow_frames(self, size: int) -> None:
        """The longest frame that the peer takes."""
        self.frame_bytes = min(size, FRAME_BYTES_SENT)

    def unstick(self) -> None:
        """The peer reads again."""
        self.stuck_s = None
        self.pump()

    # ---- what streams send -----------------------------------------------------------------

    def whole(self, stream: Stream, head: bytes, body: bytes, trailers: bytes) -> None:
        """A whole answer: two blocks of fields, and the data between them."""
        size, last, number, most = len(body), len(trailers), stream.id, self.frame_bytes
        if (
            size > self._window.left
            or size > stream.outflow.left
            or size > most
            or last > most
            or self.stuck_s is not None
            or stream.waiting
        ):
            stream.put(head, block=True)
            stream.put(body)
            stream.put(trailers, block=True, last=True)
            self.send(stream)
            return
        self._window.left -= size
        self.answers += 1
        pack = f.PACK_HEAD
        parts = (
            pack(0, len(head), f.HEADERS, f.END_HEADERS, number),
            head,
            pack(size >> 16, size & 0xFFFF, f.DATA, 0, number),
            body,
            pack(last >> 16, last & 0xFFFF, f.HEADERS, f.END_HEADERS | f.END_STREAM, number),
            trailers,
        )
        self._writer.write(b"".join(parts))
        self._said_all(stream)

    def send(self, stream: Stream) -> None:
        """What was put into a stream, as far as is allowed now."""
        stream.moved_s = self._clock()
        self._waiting[stream.id] = stream
        self._pump((stream,))

    def forget(self, stream: Stream) -> None:
        """It is over."""
        self._waiting.pop(stream.id, None)

    def pump(self) -> None:
        """Send what waits, as far as is allowed now."""
        if self._waiting:
            self._pump(tuple(self._waiting.values()))

    def _pump(self, streams: tuple[Stream, ...]) -> None:
        if self.stuck_s is not None:
            return
        into: list[bytes] = []
        sent: list[Stream] = []
        moving, room = list(streams), BURST_BYTES
        while moving and room > 0:
            moving, used = self._turn(moving, room, into, sent)
            room -= used
        if into:
            self.answers += 1
            self._writer.write(b"".join(into))
            self._moved(streams)
        if moving and not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump_on)
        for stream in sent:
            stream.sent()

    def _turn(
        self, streams: list[Stream], room: int, into: list[bytes], sent: list[Stream]
    ) -> tuple[list[Stream], int]:
        """A frame of each: (those that may have another, bytes of data)."""
        still, used = [], 0
        for stream in streams:
            before = len(into)
            most = min(room - used, self._window.left)
            size, whole = stream.next(most, self.frame_bytes, into)
            self._window.left -= size
            used += size
            if whole:
                sent.append(stream)
            if len(into) > before and stream.waiting:
                still.append(stream)
        return still, used

    def _moved(self, streams: Iterable[Stream]) -> None:
        now = self._clock()
        for stream in streams:
            stream.moved_s = now
            if not stream.waiting:
                self.forget(stream)
                if stream.said_all:
                    self._said_all(stream)

    def _pump_on(self) -> None:
        self._pumping = False
        self.pump()
