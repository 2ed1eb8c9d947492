"""Connections in memory: transports that behave as a kernel's sockets do.

Theory of operation. A connection has two ``End``s, each an asyncio transport, and a ``Pipe``
each way (``ways``). What the receiver has not read fills the window, and then the sender's
buffer; and as in a kernel

* bytes for an end that is closed are answered with a reset; so is a close with bytes unread
* a reset is noticed by who reads or writes. Who has seen the end of file, or has paused, does
  not notice (``TCP_INFO`` tells), until it writes or reads again
* a process that dies resets its connections, a machine that dies does not: what is sent to it
  is lost until it is back, and then answered with a reset
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from gateway.testing.adversary.loop import VirtualLoop
from gateway.testing.adversary.ways import END_OF_FILE, RESET, Pipe

WINDOW_BYTES = 64 * 1024
HIGH_BYTES = 64 * 1024
TCP_CLOSE = 7
TCP_ESTABLISHED = 1
MIN_RTT_AT = 148

Tap = Callable[[bytes], None]


class KernelSocket:
    """What ``get_extra_info("socket")`` gives: options, and TCP_INFO as far as it is read."""

    def __init__(self, end: End, rtt_s: float) -> None:
        self._end = end
        self._rtt_us = max(1, round(rtt_s * 1e6))

    def setsockopt(self, _level: int, option: int, value: int) -> None:
        """A user timeout, in ms, makes the end look whether its peer is still there."""
        if option == getattr(socket, "TCP_USER_TIMEOUT", None):
            self._end.keep_alive(value / 1e3)

    def getsockopt(self, _level: int, _option: int, size: int) -> bytes:
        """The state, and the least round trip."""
        told = bytearray(size)
        told[0] = TCP_CLOSE if self._end.is_reset else TCP_ESTABLISHED
        if size >= MIN_RTT_AT + 4:
            told[MIN_RTT_AT : MIN_RTT_AT + 4] = self._rtt_us.to_bytes(4, "little")
        return bytes(told)


class End(asyncio.Transport):
    """One end of a connection: an asyncio transport.

    ``tap`` is shown what is written, ``on_heard`` told how much is about to be handed over.
    ``window_bytes``: what the peer's kernel holds unread; ``had_room_s``: when the buffer last
    had room again.
    """

    def __init__(self, loop: VirtualLoop, out: Pipe, peername: tuple[str, int], rtt_s: float):
        super().__init__({"peername": peername})
        self.tap: Tap | None = None
        self.on_heard: Callable[[int], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self.peer: End | None = None
        self._keep_s = 0.0
        self._missed = 0
        self._keeping: asyncio.TimerHandle | None = None
        self.window_bytes = WINDOW_BYTES
        self.had_room_s = 0.0
        self.is_reset = False
        self.machine_down = False
        self.closed = False
        self._extra: dict[str, Any] = {
            "peername": peername,
            "socket": KernelSocket(self, rtt_s),
        }
        self._loop = loop
        self._out = out
        self._protocol: asyncio.Protocol | None = None
        self._buffer: deque[bytes] = deque()
        self._buffered = 0
        self._unread_by_peer = 0
        self._inbox: deque[bytes | str] = deque()
        self._high, self._low = HIGH_BYTES, HIGH_BYTES // 4
        self._closing = self._paused = self._told_full = False
        self._eof_seen = self._eof_written = self._eof_sent = False

    def keep_alive(self, within_s: float) -> None:
        """Find out within about so long when the peer is gone, as TCP's keepalive does."""
        self._keep_s = within_s
        if self._keeping is None and not self.closed:
            self._keeping = self._loop.call_later(within_s / 2.0, self._look_for_peer)

    def _look_for_peer(self) -> None:
        self._keeping = None
        peer = self.peer
        if peer is None or self.closed:
            return
        if peer.machine_down:
            self._missed += 1
        elif peer.closed:
            self.reset()
        if self._missed > 1 and peer.machine_down:
            self._lose(TimeoutError(110, "Connection timed out"))
        self.keep_alive(self._keep_s)

    def join(self, peer: End, protocol: asyncio.Protocol) -> None:
        """Whom it talks to, and who hears it."""
        self.peer, self._protocol = peer, protocol
        peer._out.receiver = self

    # ---- as a transport ---------------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``peername`` and ``socket``."""
        return self._extra.get(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Somebody else hears from now on."""
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who hears."""
        assert self._protocol is not None
        return self._protocol

    def is_closing(self) -> bool:
        """Closed, or about to."""
        return self._closing

    def is_reading(self) -> bool:
        """Neither paused nor closed."""
        return not self._paused and not self._closing

    def can_write_eof(self) -> bool:
        """As TCP can."""
        return True

    def get_write_buffer_size(self) -> int:
        """Bytes the kernel has not taken."""
        return self._buffered

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """(low, high)."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See asyncio."""
        self._high = HIGH_BYTES if high is None else high
        self._low = self._high // 4 if low is None else low

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See asyncio; to who has reset it, a write is how that is found out."""
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        if self.is_reset:
            self._closing = True
            self._loop.call_soon(self._lose, BrokenPipeError("broken pipe"))
            return
        told = bytes(data)
        if self.tap is not None:
            self.tap(told)
        self._buffer.append(told)
        self._buffered += len(told)
        self._pump()
        if self._buffered > self._high and not self._told_full and self._protocol is not None:
            self._told_full = True
            self._protocol.pause_writing()

    def write_uncut(self, data: bytes) -> None:
        """Arrives in one read."""
        if not self._closing and not self._buffer:
            self._unread_by_peer += len(data)
            self._out.send(data, cuts=False)

    def writelines(self, list_of_data: Any) -> None:
        """As one write."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """All is said."""
        self._eof_written = True
        self._pump()

    def pause_reading(self) -> None:
        """What comes waits in the window."""
        self._paused = True

    def resume_reading(self) -> None:
        """Read what has come meanwhile, in a turn of its own."""
        if self._paused and not self._closing:
            self._paused = False
            self._loop.call_soon(self._read_inbox)

    def close(self) -> None:
        """When what was written has left."""
        if not self._closing:
            self._closing = True
            self._pump()
            if self.is_reset:
                self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        """At once; what the kernel has not taken is lost."""
        if self.closed:
            return
        self._closing = True
        self._buffer.clear()
        self._buffered = 0
        self._loop.call_soon(self._lose, None)

    # ---- out --------------------------------------------------------------------------------

    def _pump(self) -> None:
        """What the window has room for."""
        while self._buffer and self._unread_by_peer < self.window_bytes:
            data = self._buffer.popleft()
            room = self.window_bytes - self._unread_by_peer
            if len(data) > room:
                self._buffer.appendleft(data[room:])
                data = data[:room]
            self._buffered -= len(data)
            self._unread_by_peer += len(data)
            self._out.send(data)
        if self._told_full and self._buffered <= self._low and self._protocol is not None:
            self._told_full = False
            self.had_room_s = self._loop.time()
            if not self._closing:
                self._protocol.resume_writing()
        if self._buffer:
            return
        if self._eof_written and not self._eof_sent:
            self._eof_sent = True
            self._out.send(END_OF_FILE)
        if self._closing and not self.closed:
            self._loop.call_soon(self._lose, None)

    def _taken(self, size: int) -> None:
        """The peer has read so much."""
        self._unread_by_peer -= size
        if not self.closed:
            self._pump()

    # ---- in ---------------------------------------------------------------------------------

    def arrive(self, what: bytes | str) -> None:
        """From the network."""
        if self.machine_down:
            return
        if self.closed:
            if isinstance(what, bytes):
                self._out.send(RESET)
        elif what == RESET:
            self._hear_reset()
        elif self._paused or self._closing or self._eof_seen:
            self._inbox.append(what)
        else:
            self._take(what)

    def _hear_reset(self) -> None:
        self.is_reset = True
        if not (self._paused or self._eof_seen or self._closing) or self._buffer:
            self._closing = True
            self._lose(ConnectionResetError(104, "Connection reset by peer"))

    def _take(self, what: bytes | str) -> None:
        assert self._protocol is not None
        if isinstance(what, bytes):
            if self.on_heard is not None:
                self.on_heard(len(what))
            self._protocol.data_received(what)
            if self.peer is not None:
                self.peer._taken(len(what))
        elif what == END_OF_FILE:
            self._eof_seen = True
            if not self._protocol.eof_received():
                self.close()

    def _read_inbox(self) -> None:
        while self._inbox and not self._paused and not self._closing:
            self._take(self._inbox.popleft())
        if self.is_reset and not self._paused and not self._eof_seen and not self.closed:
            self._closing = True
            self._lose(ConnectionResetError(104, "Connection reset by peer"))

    # ---- the end ----------------------------------------------------------------------------

    def _lose(self, error: Exception | None) -> None:
        if self.closed:
            return
        self.closed = self._closing = True
        if self._keeping is not None:
            self._keeping.cancel()
        unread = any(isinstance(what, bytes) for what in self._inbox)
        self._inbox.clear()
        self._buffer.clear()
        self._buffered = 0
        if not self.is_reset and not self.machine_down:
            if unread:
                self._out.send(RESET)
            elif not self._eof_sent:
                self._out.send(END_OF_FILE)
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(error)
        if self.on_lost is not None:
            self.on_lost()
        if self.peer is not None and self.peer.closed:
            self._out.forget()
            self.peer._out.forget()

    def reset(self) -> None:
        """Somebody between the two says it is over."""
        if not self.closed:
            self._hear_reset()

    def die(self, *, machine: bool) -> None:
        """Its process is gone: its protocol hears the loss, for it shares our memory."""
        self.machine_down = machine
        if not self.closed:
            if not machine:
                self._out.send(RESET)
            self.is_reset = True
            self._lose(ConnectionResetError("the process died"))
