"""The lane that serves everything: aiohttp's connections, bounded in time as the hot lane's are.

Theory of operation. aiohttp waits for the rest of a head as long as for the next request, and for
ever for a client that does not read. So its connection notes three instants as bytes come and go,
and one sweep holds them against ``Patience``:

* ``_began_s``: bytes came while no request was under way: a head has begun. What comes during a
  request may be its body or a next head; the latter is taken for begun with its next bytes.
* ``_stuck_s``: the transport's buffer is full, since the client does not read.
* ``_idle_since_s``: nothing of both.

``note_requests`` is the middleware that tells a connection when a request of its begins and ends.
How many requests may wait behind the one under way is aiohttp's own bound.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

from aiohttp import StreamReader, web

from gateway.serving.boundary import farewell
from gateway.serving.front import Front
from gateway.serving.patience import Patience, patience_of
from gateway.serving.sweep import Sweep

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AiohttpLane:
    """Makes connections of ``server`` (``connect`` is a protocol factory) and sweeps them."""

    def __init__(
        self,
        front: Front,
        server: web.Server,
        options: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """``options``: those of each connection, as ``aiohttp.web.RequestHandler`` takes them."""
        self.clock = front.clock
        self.take(front, options)
        self.connections: set[AiohttpConnection] = set()
        self._server = server
        self._loop = loop
        self._sweep = Sweep(loop, lambda: self.clock(), self.connections)

    def take(self, front: Front, options: dict[str, Any]) -> None:
        """Go by ``front`` from now on; ``options`` are for connections to come."""
        self.new_id = front.intake.new_id
        self.patience: Patience = patience_of(front.settings)
        self._options = options

    def connect(self) -> AiohttpConnection:
        """For a socket that was accepted, or one that the hot lane gives away."""
        return AiohttpConnection(self, self._server, self._loop, self._options)

    def stop(self) -> None:
        """Look no more; aiohttp closes what is open."""
        self._sweep.stop()


class AiohttpConnection(web.RequestHandler):
    """One client connection of aiohttp's."""

    __slots__ = (
        "_began_s",
        "_idle_since_s",
        "_lane",
        "_rest",
        "_running",
        "_stuck_s",
        "_used",
    )

    def __init__(
        self,
        lane: AiohttpLane,
        server: web.Server,
        loop: asyncio.AbstractEventLoop,
        options: dict[str, Any],
    ) -> None:
        super().__init__(server, loop=loop, **options)
        self._lane = lane
        self._running = False
        self._used = True
        self._rest: StreamReader | None = None
        self._began_s: float | None = None
        self._stuck_s: float | None = None
        self._idle_since_s = 0.0

    # ---- what the transport says ----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio``."""
        super().connection_made(transport)
        self._lane.connections.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """See ``asyncio``."""
        self._lane.connections.discard(self)
        self._rest = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio``."""
        super().data_received(data)
        if self._running or not data:
            return
        self._forget_frames()
        if self._rest is not None:
            if self._rest.is_eof():
                self._rest = None
        elif self._began_s is None:
            self._began_s = self._lane.clock()

    def _forget_frames(self) -> None:
        """Of a fault in what was read, aiohttp keeps the error, whose traceback holds a frame that
        holds the error and all that was read: megabytes until the next collection."""
        for message, _ in getattr(self, "_messages", ()):
            error = getattr(message, "exc", None)
            if error is not None:
                error.__traceback__ = error.__context__ = None

    def pause_writing(self) -> None:
        """The client does not read what is there for it."""
        super().pause_writing()
        self._stuck_s = self._lane.clock()

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        self._stuck_s = None

    # ---- what the middleware says ---------------------------------------------------------

    def begins(self) -> None:
        """A head is whole, and its request under way."""
        self._running = self._used = True
        self._began_s = self._rest = None

    def ends(self, content: StreamReader) -> None:
        """Its answer is ready; what is missing of its body is read and dropped."""
        self._running = False
        self._rest = None if content.is_eof() else content

    # ---- what the sweep asks --------------------------------------------------------------

    def look(self, now: float) -> None:
        """A few times a second: is anything overdue?"""
        patience, transport = self._lane.patience, self.transport
        if transport is None or transport.is_closing():
            return
        if self._stuck_s is not None:
            if now - self._stuck_s > patience.unread_s:
                transport.abort()
        elif self._running:
            return
        elif self._began_s is not None:
            if now - self._began_s > patience.head_s:
                self._too_slow(transport)
        elif self._used:
            self._used, self._idle_since_s = False, now
        elif now - self._idle_since_s > patience.idle_s:
            self.force_close()

    def idle_s(self, now: float) -> float | None:
        """See ``Looked``."""
        busy = self._running or self._began_s is not None or self._stuck_s is not None
        if busy or self.transport is None:
            return None
        return 0.0 if self._used else now - self._idle_since_s

    def close_if_idle(self) -> None:
        """See ``Looked``."""
        if self.idle_s(0.0) is not None:
            self.force_close()

    def _too_slow(self, transport: asyncio.Transport) -> None:
        date = f"Date: {formatdate(int(time.time()), usegmt=True)}\r\n"
        transport.write(farewell(self._lane.patience.slow("head"), self._lane.new_id(), date))
        self.force_close()


@web.middleware
async def note_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tells the connection when a request of its begins and ends.

    None begins while the client leaves answers unread, or they would pile up.
    """
    connection = request.protocol
    if not isinstance(connection, AiohttpConnection):
        return await handler(request)
    connection.begins()
    try:
        if connection.writing_paused:
            await request.writer.drain()
        return await handler(request)
    finally:
        connection.ends(request.content)
