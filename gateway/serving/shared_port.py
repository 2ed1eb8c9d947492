"""One port for frames and HTTP: a connection's first byte tells which of the two it is.

A connection for frames begins with the length of its hello, which is short, so its first byte
is 0. No HTTP request begins with that byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

FIRST_BYTE_S: Final = 30.0

Factory = Callable[[], asyncio.Protocol]


class SharedPort(asyncio.Protocol):
    """Waits for the first bytes, then gives the connection to a protocol of its kind."""

    def __init__(self, frames: Factory, http: Factory) -> None:
        self._frames = frames
        self._http = http
        self._transport: asyncio.Transport | None = None
        self._silent: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait, but not for ever."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        loop = asyncio.get_running_loop()
        self._silent = loop.call_later(FIRST_BYTE_S, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """The connection is somebody else's from here on."""
        transport = self._transport
        if transport is None:
            return
        self.connection_lost(None)
        protocol = self._frames() if data[0] == 0 else self._http()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)

    def connection_lost(self, _error: Exception | None) -> None:
        """It closed before it said anything."""
        self._transport = None
        if self._silent is not None:
            self._silent.cancel()
