"""The load: gRPC over HTTP/2 as plain bytes, cheap enough to be no part of what is measured.

A connection has one request under way. Its head and its message are made once, as literals
that need no table; of the answers only the frames' types and flags are looked at, and the
status in the trailers of the first one.
"""

from __future__ import annotations

import asyncio
import struct
from typing import cast

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
WINDOW_MAX = 2**31 - 1
INITIAL_WINDOW = 4


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame (RFC 9113, 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name: str, value: str) -> bytes:
    """A field without indexing and without Huffman's code (RFC 7541, 6.2.2)."""
    assert len(name) < 127
    assert len(value) < 127
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def request_head(authority: str, path: str, timeout: str = "30S") -> bytes:
    """The fields of a unary call."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": authority,
        "te": "trailers",
        "content-type": "application/grpc",
        "user-agent": "grpc-load",
        "grpc-timeout": timeout,
    }
    return b"".join(literal(*field) for field in fields.items())


class Caller(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, head: bytes, message: bytes) -> None:
        self._head = head
        self._framed = b"\x00" + struct.pack(">I", len(message)) + message
        self._stream = 1
        self._kept = b""
        self._transport: asyncio.Transport | None = None
        self._stopping = False
        self.done = 0
        self.failed = ""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The preface, windows without bounds, and the first request."""
        self._transport = cast(asyncio.Transport, transport)
        settings = struct.pack(">HI", INITIAL_WINDOW, WINDOW_MAX)
        window = struct.pack(">I", WINDOW_MAX - 65535)
        self._transport.write(
            PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW, 0, 0, window)
        )
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        """Too early, unless it was told to stop."""
        self._transport = None
        if not self.ended.done():
            self._fail(f"the connection was lost: {error}")

    def stop(self) -> None:
        """Ask no more."""
        self._stopping = True

    def close(self) -> None:
        """Let it go."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Frames."""
        data = self._kept + data if self._kept else data
        at, end = 0, len(data)
        while end - at >= 9:
            size = int.from_bytes(data[at : at + 3], "big")
            if end - at < 9 + size:
                break
            self._take(data[at + 3], data[at + 4], data[at + 9 : at + 9 + size])
            at += 9 + size
        self._kept = data[at:]

    def _take(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == HEADERS and flags & END_STREAM:
            self._answered(payload)
        elif kind == SETTINGS and not flags & ACK:
            self._write(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self._write(frame(PING, ACK, 0, payload))
        elif kind in (RESET, GOAWAY):
            self._fail(f"frame of kind {kind}: {payload!r}")

    def _answered(self, trailers: bytes) -> None:
        if not self.done and b"grpc-status" in trailers and b"grpc-status\x010" not in trailers:
            self._fail(f"trailers {trailers!r}")
            return
        self.done += 1
        if not self._stopping:
            self._ask()
        elif not self.ended.done():
            self.ended.set_result(None)

    def _ask(self) -> None:
        stream, self._stream = self._stream, self._stream + 2
        self._write(
            frame(HEADERS, END_HEADERS, stream, self._head)
            + frame(DATA, END_STREAM, stream, self._framed)
        )

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _fail(self, why: str) -> None:
        self._stopping = True
        if not self.ended.done():
            self.ended.set_exception(RuntimeError(why))


async def connect(
    host: str, port: int, connections: int, message: bytes, path: str
) -> list[Caller]:
    """So many callers, asking already."""
    loop = asyncio.get_running_loop()
    head = request_head(f"{host}:{port}", path)
    callers = []
    for _ in range(connections):
        _, caller = await loop.create_connection(lambda: Caller(head, message), host, port)
        callers.append(caller)
    return callers
