"""One client connection: bytes in, requests out to its ``Turn``, one after the other.

Theory of operation. Whatever has been read and belongs to no request yet is ``unread``. A
connection is in one of these states:

    IDLE ── whole request in one read, known head ─▶ RUNNING ─ over ─▶ IDLE     (the short way)
      └─ bytes ─▶ READING (head, then body) ─▶ RUNNING ─ over ─▶ READING or IDLE
                     │            └─▶ SKIPPING (refused at its head: the body is dropped)
                     ├─▶ handed to aiohttp with all that is unread; it is not ours any more
                     └─▶ ENDING (malformed, too slow): answered, then nothing is read any more

* Requests run one at a time, in order, as behind nginx: what is pipelined waits unread, up to
  ``READ_AHEAD_BYTES_MAX``, then the client is not read from.
* While the client does not read (the transport's buffer is full), no request is begun, and a
  stream's center is told to pause.
* A client that has said all (end of file) is still answered. Whether it left is found out by an
  interim answer (``Turn.knock``): the kernel of who left resets the connection. Within a stream
  there is no such answer, and an end of file there is taken for leaving.
* Nothing here has a timer: the lane calls ``look`` a few times a second.
"""

from __future__ import annotations

import asyncio
import re
import socket
from typing import TYPE_CHECKING, cast

from gateway.api import InvalidRequest, NearwayError
from gateway.centers.outbox import TurnWriter
from gateway.serving.app import LINGER_S
from gateway.serving.boundary import farewell
from gateway.serving.hot_lane.turn import Turn
from gateway.serving.strictness import length_fault

if TYPE_CHECKING:
    from gateway.serving.hot_lane.head import RequestHead
    from gateway.serving.hot_lane.lane import HotLane

HEAD_END = b"\r\n\r\n"
READ_AHEAD_BYTES_MAX = 64 * 1024
KNOCKED_S = (0.001, 0.01, 0.1)
"""When to see whether a knock was answered by a reset, which takes a round trip."""
TCP_CLOSE = 7
"""State of a reset connection (``tcpi_state``, linux/tcp.h)."""
# What can stand in no head: it is refused without waiting for the head's end.
_NO_HEAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r[^\n]")


class Connection(asyncio.Protocol):
    """Made for each accepted socket; gone when it is closed or handed over."""

    __slots__ = (
        "_advancing",
        "_began_s",
        "_ending_s",
        "_eof",
        "_head",
        "_heads",
        "_idle",
        "_idle_since_s",
        "_lane",
        "_reading",
        "_scanned",
        "_secure",
        "_skip",
        "_stuck_s",
        "_transport",
        "_turn",
        "_unread",
        "_used",
        "_writer",
    )

    _transport: asyncio.Transport
    _turn: Turn
    _writer: TurnWriter

    def __init__(self, lane: HotLane) -> None:
        self._lane = lane
        self._heads = lane.heads_of(None)
        self._unread = bytearray()
        self._head: RequestHead | None = None
        self._skip = 0
        self._scanned = 0
        self._idle = True
        self._used = True
        self._advancing = False
        self._eof = False
        self._secure = False
        self._reading = True
        self._began_s = 0.0
        self._idle_since_s = 0.0
        self._stuck_s: float | None = None
        self._ending_s: float | None = None

    @property
    def running(self) -> bool:
        """A request is under way."""
        return self._turn.running

    # ---- what the transport says ----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio``."""
        self._transport = cast(asyncio.Transport, transport)
        self._writer = TurnWriter(self._lane.outbox, self._transport)
        self._turn = Turn(self._lane, self, self._transport, self._writer)
        self._secure = transport.get_extra_info("ssl_object") is not None
        peer = transport.get_extra_info("peername")
        self._heads = self._lane.heads_of(peer[0] if peer and peer[0] else None)
        self._lane.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """The short way is a whole request in one read."""
        if self._idle:
            body_at = data.find(HEAD_END) + 4
            text = data[:body_at]
            head = self._heads.known.get(text) or self._look_up(text)
            if head is not None and len(data) - body_at == head.body_bytes:
                self._idle = False
                self._used = True
                if self._turn.admit(head):
                    self._turn.run(data[body_at:])
                return
        if self._ending_s is None:
            self._unread += data
            self._advance()

    def eof_received(self) -> bool:
        """The client has said all; True keeps the connection for what it still gets."""
        self._eof = True
        if self._ending_s is not None:
            return False
        if self._turn.running:
            if self._turn.streaming or self._secure:
                return False  # under TLS there is no half of a connection
            if self._turn.knock():
                for after_s in KNOCKED_S:
                    self._lane.call_later(after_s, self._look_for_peer)
            return True
        self._writer.send()  # an answer of this very turn, for the transport is closed next
        return self._stuck_s is not None and bool(self._unread)

    def connection_lost(self, _exc: Exception | None) -> None:
        """See ``asyncio``."""
        self._idle = False
        self._ending_s = 0.0
        self._unread.clear()
        self._turn.gone()
        self._lane.lost(self)

    def pause_writing(self) -> None:
        """The client does not read what is there for it."""
        self._stuck_s = self._lane.clock()
        self._idle = False
        self._turn.pause()

    def resume_writing(self) -> None:
        """It reads again."""
        self._stuck_s = None
        self._turn.resume()
        self._advance()

    # ---- what the lane and the turn say ---------------------------------------------------

    def over(self, *, close: bool) -> None:
        """The request is answered."""
        if close:
            self._end()
        elif self._unread or self._eof or self._advancing or not self._reading or self._skip:
            self._advance()
        else:
            self._idle = self._stuck_s is None

    def look(self, now: float) -> None:
        """A few times a second: is anything overdue?"""
        patience = self._lane.patience
        if self._ending_s is not None:
            if now >= self._ending_s:
                self._transport.abort()
        elif self._stuck_s is not None:
            if now - self._stuck_s > patience.unread_s:
                self._transport.abort()
        elif self._turn.running:
            if self._eof:
                self._look_for_peer()
        elif self._head is not None or self._unread or self._skip:
            head = self._head is None and not self._skip
            if now - self._began_s > (patience.head_s if head else patience.body_s):
                self._too_slow()
        elif self._used:
            self._used, self._idle_since_s = False, now
        elif now - self._idle_since_s > patience.idle_s:
            self._transport.abort()

    def idle_s(self, now: float) -> float | None:
        """See ``gateway.serving.sweep.Looked``."""
        if not self._idle:
            return None
        return 0.0 if self._used else now - self._idle_since_s

    def close_if_idle(self) -> None:
        """The lane closes: nobody waits for an answer here."""
        if self._idle:
            self._close()

    def abort(self) -> None:
        """The lane waits no longer."""
        self._transport.abort()

    # ---- reading --------------------------------------------------------------------------

    def _advance(self) -> None:
        """Take requests out of what is unread, until one runs or bytes are missing."""
        if self._advancing:
            return
        self._advancing = True
        self._idle = False
        try:
            while self._free() and self._step():
                pass
        finally:
            self._advancing = False
        if self._ending_s is None:
            self._settle()

    def _free(self) -> bool:
        return self._ending_s is None and self._stuck_s is None and not self._turn.running

    def _step(self) -> bool:
        """One step; False when more bytes are needed."""
        unread = self._unread
        if self._skip:
            dropped = min(self._skip, len(unread))
            del unread[:dropped]
            self._skip -= dropped
            return not self._skip
        if self._head is not None:
            return self._take_body(self._head)
        while unread.startswith(b"\r\n"):
            del unread[:2]  # an empty line before a request is passed over (RFC 9112, 2.2)
        if not unread:
            self._scanned = 0
            return False
        end = unread.find(HEAD_END, max(0, self._scanned - 3)) + 4
        if end < 4:
            self._wait_for_head()
            return False
        self._scanned = 0
        self._take_head(bytes(unread[:end]))
        return True

    def _wait_for_head(self) -> None:
        unread = self._unread
        if not self._scanned:
            self._began_s = self._lane.clock()
        broken = _NO_HEAD.search(unread, max(0, self._scanned - 1))
        too_long = length_fault(len(unread), self._lane.head_bytes_max)
        self._scanned = len(unread)
        if broken is not None:
            found = bytes(unread[broken.start() : broken.end()])
            self._break_off(InvalidRequest(f"the head is no HTTP: {found!r} stands in it"))
        elif too_long is not None:
            self._break_off(InvalidRequest(too_long))

    def _look_up(self, text: bytes) -> RequestHead | None:
        """A head that is not known; what is not to be run is left to ``_take_head``."""
        if len(text) < len(HEAD_END):
            return None
        try:
            return self._heads.find(text)
        except InvalidRequest:
            return None

    def _take_head(self, text: bytes) -> None:
        try:
            head = self._heads.find(text)
        except InvalidRequest as error:
            self._break_off(error)
            return
        if head is None:
            self._hand_over()
            return
        self._used = True
        del self._unread[: len(text)]
        if len(self._unread) < head.body_bytes:
            self._began_s = self._lane.clock()
        self._skip = head.body_bytes
        if self._turn.admit(head):
            self._skip, self._head = 0, head

    def _take_body(self, head: RequestHead) -> bool:
        size = head.body_bytes
        if len(self._unread) < size:
            return False
        body = bytes(memoryview(self._unread)[:size])
        del self._unread[:size]
        self._head = None
        self._turn.run(body)
        return True

    def _settle(self) -> None:
        """No further step is possible now: what next?"""
        free = self._free()
        if self._eof:
            if free:
                self._end()
            return
        enough = not free and len(self._unread) > READ_AHEAD_BYTES_MAX
        if enough and self._reading:
            self._reading = False
            self._transport.pause_reading()
        elif not enough and not self._reading:
            self._reading = True
            self._transport.resume_reading()
        self._idle = free and not self._unread and self._head is None and not self._skip

    def _hand_over(self) -> None:
        """The connection becomes aiohttp's, with all that was read and not answered."""
        self._writer.send()
        handler = self._lane.make_handler()
        if handler is None:
            self._end()
            return
        data, transport = bytes(self._unread), self._transport
        self._unread.clear()
        self._ending_s = 0.0
        self._turn.gone()
        self._lane.lost(self)
        transport.set_protocol(handler)
        handler.connection_made(transport)
        if not self._reading:
            transport.resume_reading()
        handler.data_received(data)
        if self._eof:
            handler.close()

    # ---- the end --------------------------------------------------------------------------

    def _look_for_peer(self) -> None:
        """After a knock: a connection that was reset is lost, which nobody else notices."""
        if not self._transport.is_closing() and is_reset(self._transport):
            self._transport.abort()

    def _too_slow(self) -> None:
        patience = self._lane.patience
        if self._skip:
            self._transport.abort()
        elif self._head is None:
            self._break_off(patience.slow("head"))
        else:
            self._turn.refuse(patience.slow("body"), close=True)

    def _break_off(self, error: NearwayError) -> None:
        """Answer what was no request, and read no further."""
        self._writer.write(farewell(error, self._lane.new_id(), self._lane.date[2:]))
        self._end()

    def _end(self) -> None:
        """Nothing more is said. Where bytes of the client are unread, they are read and dropped.

        A socket that is closed with unread bytes in it resets the connection, and the client
        may lose the answer: it is closed when the client has closed, or after ``LINGER_S``.
        """
        if self._ending_s is not None:
            return
        unread = self._unread or self._skip or not self._reading or self._head is not None
        if self._eof or not unread or not self._transport.can_write_eof():
            self._close()
            return
        self._idle = False
        self._unread.clear()
        self._ending_s = self._lane.clock() + LINGER_S
        self._writer.send()
        self._transport.write_eof()
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()

    def _close(self) -> None:
        """Once what was written is sent, or the client has not read it for too long."""
        self._idle = False
        self._ending_s = self._lane.clock() + self._lane.patience.unread_s
        self._writer.send()
        self._transport.close()


def is_reset(transport: asyncio.Transport) -> bool:
    """Has the peer's kernel reset the connection? False where the system does not tell."""
    raw = transport.get_extra_info("socket")
    option = getattr(socket, "TCP_INFO", None)
    if raw is None or option is None:
        return False
    try:
        return bool(raw.getsockopt(socket.IPPROTO_TCP, option, 1)[0] == TCP_CLOSE)
    except OSError:
        return False
