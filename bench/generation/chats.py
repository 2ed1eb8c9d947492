"""A client of chats that costs little: raw connections, events counted and not parsed."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any, cast

EVENT = b"data: "
DONE = b"data: [DONE]"
END = b"0\r\n\r\n"
ANSWER_WITHIN_S = 60.0
MARKS = 3
"""Events that bear no token: the beginning, the end and ``[DONE]``."""


def request(port: int, body: dict[str, Any]) -> bytes:
    """The bytes of one chat."""
    payload = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload


@dataclass(slots=True)
class Told:
    """What one stream was: ms until its first bytes, and how many events came."""

    first_ms: float = 0.0
    events: int = 0


@dataclass(slots=True, eq=False)
class Chat(asyncio.Protocol):
    """A connection that asks one chat at a time. ``events``: of all chats so far."""

    events: int = 0
    told: Told = field(default_factory=Told)
    _sent_s: float = 0.0
    _end: bytes = b""
    _last: bytes = END
    _over: asyncio.Future[Told] | None = None
    _transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio``."""
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, sent: bytes) -> asyncio.Future[Told]:
        """One chat, to its end."""
        assert self._transport is not None
        self._over = asyncio.get_running_loop().create_future()
        self.told = Told()
        self._sent_s, self._end = time.perf_counter(), b""
        self._transport.write(sent)
        return self._over

    def data_received(self, data: bytes) -> None:
        """See ``asyncio``."""
        told, over = self.told, self._over
        if over is None or over.done():
            return
        if not told.first_ms:
            told.first_ms = (time.perf_counter() - self._sent_s) * 1e3
            if b" 200 " not in data[:20]:
                over.set_exception(RuntimeError(f"refused: {data[:400]!r}"))
                return
            # A short text may be there as a whole, with a length in place of chunks.
            self._last = DONE + b"\n\n" if b"\r\nContent-Length:" in data else END
        found = data.count(EVENT)
        told.events += found
        self.events += found
        self._end = (self._end + data)[-len(DONE) - 16 :]
        if self._end.endswith(self._last) and DONE in self._end:
            over.set_result(told)

    def connection_lost(self, error: Exception | None) -> None:
        """See ``asyncio``."""
        if self._over is not None and not self._over.done():
            self._over.set_exception(ConnectionError(f"the connection was closed: {error}"))

    def close(self) -> None:
        """Leave, in the midst of a chat or not."""
        over, self._over = self._over, None
        if over is not None:
            over.cancel()
        if self._transport is not None:
            self._transport.abort()


async def connected(port: int) -> Chat:
    """A connection of its own."""
    _, chat = await asyncio.get_running_loop().create_connection(Chat, "127.0.0.1", port)
    return chat
