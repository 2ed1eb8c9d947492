"""Frames that are about the connection, its windows, and the end of streams (RFC 9113, 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gateway.serving.grpc_door.http2 import frames as f
from gateway.serving.grpc_door.http2.budget import Budget
from gateway.serving.grpc_door.http2.frames import Code, ConnectionFault, StreamFault

if TYPE_CHECKING:
    from gateway.serving.grpc_door.http2.connection import Connection

AT_ONCE: Final = 200.0
PER_S: Final = 20.0
"""Frames that want an answer, beside one for each answer the peer was sent: some clients measure
their way with pings."""


class Control:
    """Acts on what a peer says about its connection."""

    __slots__ = ("_answers", "_budget", "_clock", "_connection")

    def __init__(self, connection: Connection, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._clock = clock
        self._budget = Budget(AT_ONCE, PER_S, clock())
        self._answers = 0

    def take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """One frame. Raises ConnectionFault, StreamFault."""
        size = len(payload)
        if kind == f.WINDOW_UPDATE:
            _check(size == 4, "WINDOW_UPDATE has 4 bytes")
            self._widened(number, f.U32.unpack(payload)[0] & f.WINDOW_MAX)
        elif kind == f.RST_STREAM:
            _check(size == 4, "RST_STREAM has 4 bytes")
            self._reset(number)
        elif kind == f.PRIORITY:
            _check(number != 0, "PRIORITY is of a stream", Code.PROTOCOL_ERROR)
            if size != f.PRIORITY_BYTES:
                raise StreamFault(Code.FRAME_SIZE_ERROR, "PRIORITY has 5 bytes")
        elif kind == f.PUSH_PROMISE:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a client cannot push")
        else:
            _check(number == 0, "a connection's frame on a stream", Code.PROTOCOL_ERROR)
            if kind == f.SETTINGS:
                self._settings(flags, payload)
            elif kind == f.PING:
                self._ping(flags, payload)
            else:  # who says that he goes closes the connection himself, once all is answered
                _check(size >= 8, "GOAWAY has 8 bytes at least")

    def spend(self, what: str) -> None:
        """It has done what costs more here than there. Raises ConnectionFault: too often."""
        answers = self._connection.out.answers
        earned, self._answers = answers - self._answers, answers
        if not self._budget.spend(self._clock(), earned):
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, f"too many {what}")

    def _settings(self, flags: int, payload: bytes) -> None:
        if flags & f.ACK:
            _check(not payload, "SETTINGS that acknowledge have no bytes")
            return
        self.spend("SETTINGS")
        out = self._connection.out
        for number, value in f.read_settings(payload):
            if number == f.INITIAL_WINDOW_SIZE:
                out.start_windows_at(value, self._connection.streams.values())
            elif number == f.MAX_FRAME_SIZE:
                out.allow_frames(value)
        out.write(f.frame(f.SETTINGS, f.ACK, 0))
        out.pump()

    def _ping(self, flags: int, payload: bytes) -> None:
        _check(len(payload) == 8, "PING has 8 bytes")
        if flags & f.ACK:
            self._connection.ping_answered(payload)
            return
        self.spend("PING")
        self._connection.out.write(f.frame(f.PING, f.ACK, 0, payload))

    def _widened(self, number: int, more: int) -> None:
        out = self._connection.out
        if number == 0:
            _check(more > 0, "a window is widened by nothing", Code.PROTOCOL_ERROR)
            out.widen(more)
            return
        stream = self._connection.streams.get(number)
        if stream is None:
            self._connection.closed(number, "WINDOW_UPDATE")
            return
        if not more:
            raise StreamFault(Code.PROTOCOL_ERROR, "a window is widened by nothing")
        if not out.widen_stream(stream, more):
            raise StreamFault(Code.FLOW_CONTROL_ERROR, "a window above 2^31-1")

    def _reset(self, number: int) -> None:
        stream = self._connection.streams.get(number)
        if stream is not None:
            self._connection.peer_reset(stream)
        elif not number:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "RST_STREAM is of a stream")
        else:
            self._connection.closed(number, "RST_STREAM")


def _check(right: bool, why: str, code: Code = Code.FRAME_SIZE_ERROR) -> None:
    if not right:
        raise ConnectionFault(code, why)
