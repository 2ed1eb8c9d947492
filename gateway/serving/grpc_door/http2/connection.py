"""One connection: its streams, and everything that bounds a peer.

Theory of operation. ``Incoming`` cuts bytes into frames and calls ``data``, ``block`` and
``control`` here; ``Outgoing`` sends. A connection is in one of these states:

    GREETING ── preface, SETTINGS ─▶ OPEN ── ``leave`` ─▶ LEAVING ── no streams ─▶ ENDING
        └───────── a fault, or too slow ────┴──────────────────┴────────────────▶ ENDING

* A fault (RFC 9113, 5.4) ends the connection, with GOAWAY, or one stream, with RST_STREAM.
* Ending: every stream is gone, and what still comes is read and dropped, for a socket that is
  closed with unread bytes in it resets the connection and loses the GOAWAY.
* Frames of a stream that was ended here before the peer had said all are passed over: it may not
  have known. ``_dead`` remembers which these are.
* While the peer does not read (the transport's buffer is full), it is not read from either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from gateway.centers.outbox import Outbox
from gateway.serving.grpc_door.http2 import frames as f
from gateway.serving.grpc_door.http2.budget import Budget
from gateway.serving.grpc_door.http2.control import Control
from gateway.serving.grpc_door.http2.flow import Inflow
from gateway.serving.grpc_door.http2.frames import Code, ConnectionFault, StreamFault
from gateway.serving.grpc_door.http2.headers import Blocks, Field, check_trailers
from gateway.serving.grpc_door.http2.incoming import Incoming
from gateway.serving.grpc_door.http2.life import Life, Verdict
from gateway.serving.grpc_door.http2.outgoing import Outgoing
from gateway.serving.grpc_door.http2.stream import Stream

DEAD_KEPT: Final = 1024
RESETS_AT_ONCE: Final = 200.0
"""Beside twice as many as there may be streams."""
RESETS_PER_S: Final = 50.0
LINGER_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a connection; bytes and seconds. ``list_bytes``: of a block's fields, beyond
    which the connection ends; ``streams``: open at once; windows: what is read ahead.
    """

    list_bytes: int
    streams: int
    stream_window: int
    window: int
    greeting_s: float
    idle_s: float
    unread_s: float


class Owner(Protocol):
    """Who has the connections."""

    clock: Callable[[], float]
    outbox: Outbox
    limits: Limits

    def make_head(self, fields: list[Field], size: int) -> Any:
        """What a stream is opened with; kept for the next with the same fields."""

    def open(self, connection: Connection, number: int, head: Any) -> Stream:
        """A new stream; ``begin`` is called next."""

    def joined(self, connection: Connection) -> None:
        """It is there."""

    def lost(self, connection: Connection) -> None:
        """It is closed."""


class Connection(asyncio.Protocol):
    """Made for each accepted socket."""

    __slots__ = ("_blocks", "_control", "_dead", "_ending_s", "_incoming", "_inflow", "_last",
                 "_last_taken", "_life", "_made_s", "_owner", "_resets", "_transport", "limits",
                 "out", "peer", "streams")  # fmt: skip

    _transport: asyncio.Transport
    _control: Control
    _life: Life
    out: Outgoing

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._made_s = owner.clock()
        self.limits = limits = owner.limits
        self.peer: str | None = None
        self.streams: dict[int, Stream] = {}
        self._blocks: Blocks[Any] = Blocks(owner.make_head, limits.list_bytes)
        self._incoming = Incoming(self, limits.list_bytes)
        self._inflow = Inflow(limits.window)
        at_once = 2.0 * limits.streams + RESETS_AT_ONCE
        self._resets = Budget(at_once, RESETS_PER_S, self._made_s)
        self._dead: dict[int, None] = {}
        self._last = 0
        self._last_taken = f.STREAM_MAX
        self._ending_s: float | None = None

    # ---- what the transport says ----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio``. The server's SETTINGS need not wait for the client's."""
        owner, limits = self._owner, self.limits
        self._transport = cast(asyncio.Transport, transport)
        self.out = Outgoing(self._transport, owner.outbox, owner.clock, self._said_all)
        self._life = Life(owner.clock(), limits.idle_s, self.out.write)
        self._control = Control(self, owner.clock)
        owner.joined(self)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if isinstance(peer, tuple) and peer and peer[0] else None
        secure = transport.get_extra_info("ssl_object")
        if secure is not None and secure.selected_alpn_protocol() != "h2":
            self._ending_s, self._incoming.over = self._made_s, True
            self._transport.abort()  # who has not said h2 would read no GOAWAY either
            return
        told = {
            f.MAX_CONCURRENT_STREAMS: limits.streams,
            f.INITIAL_WINDOW_SIZE: limits.stream_window,
            f.MAX_HEADER_LIST_SIZE: limits.list_bytes,
        }
        self.out.write(f.settings(told) + f.window_update(0, limits.window - f.WINDOW_START))

    def data_received(self, data: bytes) -> None:
        """See ``asyncio``."""
        incoming = self._incoming
        self._life.heard = True
        if not incoming.over:
            try:
                incoming.feed(data)
            except ConnectionFault as fault:
                self._end(fault.code, str(fault))

    def eof_received(self) -> None:
        """See ``asyncio``: the transport closes itself next."""
        self.out.flush()

    def connection_lost(self, _error: Exception | None) -> None:
        """See ``asyncio``."""
        self._ending_s, self._incoming.over = self._made_s, True
        self._drop_streams()
        self._owner.lost(self)

    def pause_writing(self) -> None:
        """The peer does not read what is there for it: no more is read of its own."""
        self.out.stuck_s = self._owner.clock()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        if not self._transport.is_closing():
            self._transport.resume_reading()
        self.out.unstick()

    # ---- frames: see ``Handler`` ----------------------------------------------------------

    def data(self, number: int, size: int, payload: bytes, *, end: bool) -> None:
        """DATA counts for the connection's window, whatever becomes of it."""
        if not self._inflow.take(size):
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "more data than the window allows")
        more = self._inflow.free(size)
        if more:
            self.out.write(f.window_update(0, more))
        if not payload and not end:
            self._control.spend("frames without data")
        stream = self.streams.get(number)
        if stream is not None:
            stream.take(payload, size, end=end)
        elif self.closed(number, "DATA"):
            raise StreamFault(Code.STREAM_CLOSED, "data on a stream that is closed")

    def block(self, number: int, block: bytes, *, end: bool) -> None:
        """Opens a stream, or ends one."""
        if number <= self._last:
            self._trailers(number, block, end=end)
            return
        self._last = number
        head = self._blocks.known.get(block) or self._blocks.read(block)
        if number > self._last_taken:  # it was told that nobody would look at it
            self._remember(number)
            return
        if len(self.streams) >= self.limits.streams:
            self._remember(number)
            raise StreamFault(Code.REFUSED_STREAM, "too many streams at once")
        self._life.worked()
        stream = self.streams[number] = self._owner.open(self, number, head)
        stream.heard_all = end
        stream.begin(end=end)

    def _trailers(self, number: int, block: bytes, *, end: bool) -> None:
        fields = self._blocks.fields(block)
        stream = self.streams.get(number)
        if stream is None:
            if self.closed(number, "HEADERS"):
                raise ConnectionFault(Code.STREAM_CLOSED, "HEADERS on a stream that is closed")
            return
        if stream.heard_all:
            raise StreamFault(Code.STREAM_CLOSED, "fields behind the end of a stream")
        if not end:
            raise StreamFault(Code.PROTOCOL_ERROR, "trailers that do not end their stream")
        check_trailers(fields)
        stream.take(b"", 0, end=True)

    def control(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Frames that are about streams and windows."""
        self._control.take(kind, flags, number, payload)

    def fault(self, number: int, fault: StreamFault) -> None:
        """End the stream; whoever has many of them ended pays for it (CVE-2025-8671)."""
        stream = self.streams.get(number)
        if stream is None:
            self.out.write(f.rst_stream(number, fault.code))
        else:
            self.reset(stream, fault.code)
        self._pay_for_reset()

    # ---- what control frames ask ----------------------------------------------------------

    def closed(self, number: int, what: str) -> bool:
        """A frame of no open stream: is it one that the peer knows to be closed?

        Raises ConnectionFault for one that was never opened.
        """
        if number > self._last or not number & 1:
            raise ConnectionFault(Code.PROTOCOL_ERROR, f"{what} on a stream that is idle")
        return number not in self._dead

    def peer_reset(self, stream: Stream) -> None:
        """The peer has ended a stream, maybe one that it has just opened (CVE-2023-44487)."""
        self._over(stream)
        self._pay_for_reset()

    def ping_answered(self, payload: bytes) -> None:
        """One of ours."""
        if self._life.answered(payload):
            self._last_goaway()

    def _pay_for_reset(self) -> None:
        if not self._resets.spend(self._owner.clock()):
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "too many streams that were reset")

    # ---- the end of streams ---------------------------------------------------------------

    def reset(self, stream: Stream, code: Code) -> None:
        """End it, telling the peer."""
        self.out.write(f.rst_stream(stream.id, code))
        self._remember(stream.id)
        self._over(stream)

    def _said_all(self, stream: Stream) -> None:
        """Answered; what the peer has not said yet nobody wants (RFC 9113, 8.1)."""
        stream.said_all = True
        if not stream.heard_all:
            self.out.write(f.rst_stream(stream.id, Code.NO_ERROR))
            self._remember(stream.id)
        self._over(stream)

    def _remember(self, number: int) -> None:
        self._dead[number] = None
        if len(self._dead) > DEAD_KEPT:
            del self._dead[next(iter(self._dead))]

    def _over(self, stream: Stream) -> None:
        if stream.over:
            return
        stream.over = True
        self.streams.pop(stream.id, None)
        self.out.forget(stream)
        stream.waiting.clear()
        stream.ended()
        if not self.streams and self._last_taken < f.STREAM_MAX:
            self._end(Code.NO_ERROR, "")

    def _drop_streams(self) -> None:
        for stream in tuple(self.streams.values()):
            self._over(stream)

    # ---- now and then, and the end --------------------------------------------------------

    def look(self, now: float) -> None:
        """A few times a second: is anything overdue?"""
        if self._ending_s is not None:
            if now >= self._ending_s:
                self._transport.abort()
        elif self.out.stuck_s is not None:
            if now - self.out.stuck_s > self.limits.unread_s:
                self._transport.abort()
        elif not self._incoming.greeted:
            if now - self._made_s > self.limits.greeting_s:
                self._end(Code.SETTINGS_TIMEOUT, "the preface and SETTINGS did not come in time")
        else:
            self._look_at_streams(now)
            verdict = self._life.look(now, busy=bool(self.streams))
            if verdict is Verdict.LEAVE:
                self.leave()
            elif verdict is Verdict.LAST:
                self._last_goaway()
            elif verdict is Verdict.DEAD:
                self._transport.abort()

    def _look_at_streams(self, now: float) -> None:
        for stream in tuple(self.streams.values()):
            stream.look(now)
            if stream.waiting and now - stream.moved_s > self.limits.unread_s:
                stream.reset(Code.CANCEL)

    def idle_s(self, now: float) -> float | None:
        """See ``gateway.serving.sweep.Looked``."""
        if self.streams or self._ending_s is not None:
            return None
        return self._life.rested_s(now)

    def close_if_idle(self) -> None:
        """No stream is open here."""
        if not self.streams:
            self._end(Code.NO_ERROR, "")

    def leave(self) -> None:
        """Let streams end, take no more once the peer knows, and close."""
        if self._ending_s is None:
            self._life.leave(self._owner.clock())

    def _last_goaway(self) -> None:
        if self._last_taken == f.STREAM_MAX and self._ending_s is None:
            self._last_taken = self._last
            self.out.write(f.goaway(self._last, Code.NO_ERROR))
            if not self.streams:
                self._end(Code.NO_ERROR, "")

    def abort(self) -> None:
        """Nobody waits any longer; the peer is told."""
        for stream in tuple(self.streams.values()):
            self.reset(stream, Code.CANCEL)
        self._end(Code.NO_ERROR, "")

    def drop(self) -> None:
        """Nobody waits for what the peer has not read, either."""
        self._transport.abort()

    def _end(self, code: Code, why: str) -> None:
        """GOAWAY, and nothing more is said or heard."""
        if self._ending_s is not None:
            return
        self._ending_s = self._owner.clock() + LINGER_S
        self._incoming.over = True
        if code or self._last_taken == f.STREAM_MAX:
            self.out.write(f.goaway(self._last, code, why))
        self._drop_streams()
        self.out.flush()
        if code and self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()
