"""One stream: what came and what is to go, and whose turn it is to end it (RFC 9113, 5.1).

Theory of operation. A stream is opened by the client's head and is then open, until each side
has said all (``heard_all``, ``said_all``); or it is reset by either. It is ``over`` once, in
whatever way. What cannot be sent at once waits in ``waiting``, in order: blocks of fields, which
no window bounds, and data, which the windows bound. Who makes use of it derives a class and
hears of everything in the methods at the end.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from gateway.serving.grpc_door.http2.flow import Inflow, Outflow
from gateway.serving.grpc_door.http2.frames import (
    DATA,
    END_STREAM,
    PACK_HEAD,
    Code,
    StreamFault,
    header_frames,
    window_update,
)

if TYPE_CHECKING:
    from gateway.serving.grpc_door.http2.connection import Connection


class Waiting(NamedTuple):
    """What is to be sent: a block of fields, or data; ``last``: the stream ends with it."""

    payload: memoryview
    block: bool
    last: bool


class Stream:
    """See the module."""

    __slots__ = ("connection", "heard_all", "id", "inflow", "moved_s", "outflow", "over",
                 "said_all", "waiting")  # fmt: skip

    def __init__(self, connection: Connection, number: int) -> None:
        self.connection = connection
        self.id = number
        self.inflow = Inflow(connection.limits.stream_window)
        self.outflow = Outflow(connection.out.stream_window)
        self.waiting: deque[Waiting] = deque()
        self.moved_s = 0.0
        self.heard_all = False
        self.said_all = False
        self.over = False

    # ---- in -------------------------------------------------------------------------------

    def take(self, payload: bytes, size: int, *, end: bool) -> None:
        """Data of the peer's; ``size`` counts its padding. Raises StreamFault."""
        if self.heard_all:
            raise StreamFault(Code.STREAM_CLOSED, "data behind the end of a stream")
        if not self.inflow.take(size):
            raise StreamFault(Code.FLOW_CONTROL_ERROR, "more data than the window allows")
        if size > len(payload):
            self.free(size - len(payload))
        self.heard_all = end
        self.hear(payload, end=end)

    def free(self, size: int) -> None:
        """So many bytes of data are dealt with: the peer may send as many more."""
        more = self.inflow.free(size)
        if more and not self.heard_all and not self.over:
            self.connection.out.write(window_update(self.id, more))

    # ---- out ------------------------------------------------------------------------------

    def put(self, payload: bytes, *, block: bool = False, last: bool = False) -> None:
        """Send it behind what waits; ``Outgoing.send`` follows."""
        self.waiting.append(Waiting(memoryview(payload), block, last))

    def next(self, most: int, frame_bytes: int, into: list[bytes]) -> tuple[int, bool]:
        """One frame into ``into``, with at most ``most`` bytes of data.

        Returns (bytes of data in it, whether it was the end of what was put together); a frame
        that the windows do not allow is none.
        """
        first = self.waiting[0]
        if first.block:
            self.waiting.popleft()
            told = bytes(first.payload)
            into.append(header_frames(self.id, told, frame_bytes, end=first.last))
            self.said_all = first.last
            return 0, False
        size = len(first.payload)
        sent = min(size, most, self.outflow.left, frame_bytes)
        if sent <= 0 < size:
            return 0, False
        whole = sent == size
        flags = END_STREAM if whole and first.last else 0
        into.append(PACK_HEAD(sent >> 16, sent & 0xFFFF, DATA, flags, self.id))
        into.append(bytes(first.payload[:sent]))
        self.outflow.left -= sent
        if whole:
            self.waiting.popleft()
            self.said_all = first.last
        else:
            self.waiting[0] = Waiting(first.payload[sent:], block=False, last=first.last)
        return sent, whole

    def reset(self, code: Code) -> None:
        """End it at once, telling the peer; harmless when it is over."""
        if not self.over:
            self.connection.reset(self, code)

    # ---- what is heard: for a class of its own ---------------------------------------------

    def begin(self, *, end: bool) -> None:
        """The head is there; ``end``: nothing follows it."""
        raise NotImplementedError

    def hear(self, payload: bytes, *, end: bool) -> None:
        """Data; ``free`` must follow for all of it, once it is dealt with, unless it ends."""
        raise NotImplementedError

    def sent(self) -> None:
        """What was put has been sent, or never will be."""

    def ended(self) -> None:
        """It is over, in whatever way; once."""

    def look(self, now: float) -> None:
        """A few times a second: is anything overdue?"""
