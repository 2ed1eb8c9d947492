"""Bytes into frames: the preface, the length of each frame, and blocks that come in several.

What is not whole yet is kept: at most one frame, and a block of fields up to its bounds.
"""

from __future__ import annotations

from typing import Final, Protocol

from gateway.serving.grpc_door.http2 import frames as f
from gateway.serving.grpc_door.http2.frames import Code, ConnectionFault, StreamFault

CONTINUATIONS_MAX: Final = 8


class Handler(Protocol):
    """Who is told of frames. Each may raise ConnectionFault, or StreamFault for its stream."""

    def data(self, number: int, size: int, payload: bytes, *, end: bool) -> None:
        """DATA without its padding; ``size``: with it."""

    def block(self, number: int, block: bytes, *, end: bool) -> None:
        """A whole block of fields."""

    def control(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Any other frame of a type that is known."""

    def fault(self, number: int, fault: StreamFault) -> None:
        """A frame was wrong for its stream."""


class Incoming:
    """``feed`` it. ``greeted``: the preface and the first SETTINGS were there. Once ``over`` is
    set, whatever follows is dropped.
    """

    __slots__ = ("_block_bytes_max", "_expected", "_handler", "_preface", "_rest", "greeted",
                 "over")  # fmt: skip

    def __init__(self, handler: Handler, block_bytes_max: int) -> None:
        self._handler = handler
        self._block_bytes_max = block_bytes_max
        self._rest = b""
        self._expected: tuple[int, int, list[bytes]] | None = None
        self._preface = False
        self.greeted = False
        self.over = False

    def feed(self, data: bytes) -> None:
        """What the transport has read. Raises ConnectionFault."""
        if self._rest:
            data = self._rest + data
        at = self._frames(data, 0) if self._preface else self._greet(data)
        self._rest = data[at:]

    def _greet(self, data: bytes) -> int:
        size = len(f.PREFACE)
        if data[:size] != f.PREFACE[: len(data)]:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "no HTTP/2: the preface is missing")
        if len(data) < size:
            return 0
        self._preface = True
        return self._frames(data, size)

    def _frames(self, data: bytes, at: int) -> int:
        """Take every whole frame; returns where the first one begins that is not whole."""
        end = len(data)
        while end - at >= f.HEAD_BYTES and not self.over:
            high, low, kind, flags, number = f.UNPACK_HEAD(data, at)
            size = high << 8 | low
            if size > f.FRAME_BYTES:
                raise ConnectionFault(Code.FRAME_SIZE_ERROR, f"a frame of {size} bytes")
            after = at + f.HEAD_BYTES + size
            if after > end:
                break
            payload = data[at + f.HEAD_BYTES : after]
            at = after
            number &= f.STREAM_MAX
            try:
                self._frame(kind, flags, number, payload)
            except StreamFault as fault:
                self._handler.fault(number, fault)
        return at

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if not self.greeted:
            if kind != f.SETTINGS or flags & f.ACK:
                raise ConnectionFault(Code.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self.greeted = True
        if self._expected is not None and kind != f.CONTINUATION:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a block of fields is interrupted")
        if kind == f.DATA:
            size = len(payload)
            if flags & f.PADDED:
                payload = f.unpadded(flags, payload)
            self._handler.data(number, size, payload, end=bool(flags & f.END_STREAM))
        elif kind == f.HEADERS:
            self._headers(flags, number, payload)
        elif kind == f.CONTINUATION:
            self._continuation(flags, number, payload)
        elif kind <= f.CONTINUATION:  # RFC 9113, 4.1: what is not known is passed over
            self._handler.control(kind, flags, number, payload)

    def _headers(self, flags: int, number: int, payload: bytes) -> None:
        if not number & 1:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "HEADERS on a stream of the server's")
        payload = f.unpadded(flags, payload)
        if flags & f.PRIORITIZED:
            if len(payload) < f.PRIORITY_BYTES:
                raise ConnectionFault(Code.FRAME_SIZE_ERROR, "HEADERS without its priority")
            payload = payload[f.PRIORITY_BYTES :]
        if flags & f.END_HEADERS:
            self._handler.block(number, payload, end=bool(flags & f.END_STREAM))
        else:
            self._expected = number, flags, [payload]

    def _continuation(self, flags: int, number: int, payload: bytes) -> None:
        if self._expected is None or self._expected[0] != number:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "CONTINUATION of nothing")
        _, first, parts = self._expected
        parts.append(payload)
        whole = sum(map(len, parts))
        if len(parts) > CONTINUATIONS_MAX or whole > self._block_bytes_max:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "a block of fields without an end")
        if flags & f.END_HEADERS:
            self._expected = None
            self._handler.block(number, b"".join(parts), end=bool(first & f.END_STREAM))
