"""A connection over the bound of them: told so at its first bytes, and closed.

It is told with the first bytes because a client that has sent nothing takes an answer for a
broken connection. Who says nothing is closed after a while, and where very many come at once the
last are closed without a word: an answer that nobody can be given costs nothing.
"""

from __future__ import annotations

import asyncio
from typing import cast

from gateway.serving.boundary import JSON, SERVER
from gateway.wire import error_json

REASON = "connections"
RETRY_AFTER_S = 1
SILENT_S = 1.0
LINGER_S = 0.25
AT_ONCE_MAX = 64
"""Connections that are being turned away at a time; each is a socket, too."""


class TurnedAway(asyncio.Protocol):
    """``others``: all connections being turned away now, this one among them while it lasts."""

    def __init__(self, others: set[TurnedAway], answer: bytes) -> None:
        self._others = others
        self._answer = answer
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio``."""
        self._transport = cast(asyncio.Transport, transport)
        if len(self._others) >= AT_ONCE_MAX:
            self._transport.abort()
            return
        self._others.add(self)
        self._close_in(SILENT_S)

    def data_received(self, _data: bytes) -> None:
        """Answer the first bytes; what follows is read and dropped, or the answer were lost."""
        answer, self._answer = self._answer, b""
        if answer and self._transport is not None:
            self._transport.write(answer)
            if self._transport.can_write_eof():
                self._transport.write_eof()
            self._close_in(LINGER_S)

    def eof_received(self) -> bool:
        """The client has said all, or has read all."""
        return False

    def connection_lost(self, _error: Exception | None) -> None:
        """See ``asyncio``."""
        self._transport = None
        self._others.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def abort(self) -> None:
        """At once."""
        if self._transport is not None:
            self._transport.abort()

    def _close_in(self, wait_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(wait_s, self.abort)


def turning_away(connections_max: int) -> bytes:
    """The answer, whole."""
    body = error_json(
        f"{connections_max} connections are open, the most this gateway takes; "
        "try again in a second or raise server.connections_max",
        REASON,
    )
    fields = {
        "Content-Type": JSON,
        "Server": SERVER,
        "x-nearway-reason": REASON,
        "Retry-After": str(RETRY_AFTER_S),
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 503 Service Unavailable\r\n{lines}\r\n".encode() + body
