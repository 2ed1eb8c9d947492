"""The generator's HTTP/1.1 client: callbacks, keep-alive, and as little work as will do.

Theory of operation. A ``Pool`` owns connections to one endpoint. ``send(token, head, body)``
takes an idle connection (the one idle longest, so that load spreads over the server's
processes) or opens one up to the bound; with none free the request waits in line. Each
connection carries one request at a time. For every ``send`` the listener hears ``ended``
exactly once: with the HTTP status, with 0 and a kind (``connect``, ``lost``, ``garbage``,
``too_large``, ``line_full``, ``closed``) or with -1 (``timeout``). A connection that failed,
timed out or said ``Connection: close`` is not used again. Nothing is tried twice: the
generator reports what a client without retries would have seen.

Deadlines are kept in the order of sending and swept, since all have the same timeout: no
timer a request. ``send`` never calls the listener itself except when the pool is closed or
its line is full.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl as tls
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import cast

import httptools

from gateway.measure.endpoint import Endpoint, Limits
from gateway.measure.samples import NO_ANSWER, TIMED_OUT

__all__ = ["Connection", "Ended", "Endpoint", "Limits", "Pool", "Request"]

SWEEP_S = 0.02
WARM_WAIT_S = 5.0


@dataclass(slots=True)
class Ended:
    """How a request ended. ``timing`` and ``center`` are header values, empty when absent;
    ``body`` is there where the pool keeps every one."""

    token: int
    status: int
    kind: str
    at_s: float
    timing: bytes
    center: bytes
    body: bytes = b""


class Request:
    """One request on its way; mutable while it is."""

    __slots__ = ("body", "connection", "done", "due_s", "head", "token")

    def __init__(self, token: int, head: bytes, body: bytes, due_s: float) -> None:
        self.token = token
        self.head = head
        self.body = body
        self.due_s = due_s
        self.connection: Connection | None = None
        self.done = False


class Connection(asyncio.Protocol):
    """One keep-alive connection and the answer being read on it."""

    __slots__ = (
        "_center",
        "_complete",
        "_framed",
        "_head_done",
        "_keep",
        "_kept",
        "_parser",
        "_pool",
        "_request",
        "_seen_bytes",
        "_status",
        "_timing",
        "_transport",
    )

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._request: Request | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._kept = b""
        self._reset()

    def _reset(self) -> None:
        self._status = 0
        self._timing = b""
        self._center = b""
        self._complete = self._keep = self._framed = self._head_done = False
        self._seen_bytes = 0

    # the pool's side

    def carry(self, request: Request) -> None:
        """Send ``request``; the connection must be idle."""
        assert self._transport is not None
        self._request = request
        request.connection = self
        if request.body:
            self._transport.writelines((request.head, request.body))
        else:
            self._transport.write(request.head)

    def abandon(self) -> None:
        """Forget the request, if any, and drop the connection."""
        self._request = None
        if self._transport is not None:
            self._transport.abort()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._pool.opened(self)

    def data_received(self, data: bytes) -> None:
        now = monotonic()
        request = self._request
        if request is None:
            self._pool.unasked(self)
            return
        self._seen_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._keep = False
            if not self._complete:
                self._fail(request, "garbage", now)
                return
        if self._complete:
            self._answered(request, now)
        elif self._seen_bytes > self._pool.limits.answer_bytes_max:
            self._fail(request, "too_large", now)

    def connection_lost(self, exc: Exception | None) -> None:
        request, now = self._request, monotonic()
        self._transport = None
        if request is not None:
            self._request = None
            until_closed = exc is None and self._head_done and not self._framed
            if until_closed:
                self._pool.keep(self._kept)
                self._pool.ended(
                    request, self._status, "", now, self._timing, self._center, self._kept
                )
            else:
                self._pool.ended(request, NO_ANSWER, "lost", now)
        self._pool.lost(self)

    # httptools' side

    def on_header(self, name: bytes, value: bytes) -> None:
        size = len(name)
        if size == 13 and name.lower() == b"server-timing":
            self._timing = self._timing + b", " + value if self._timing else value
        elif size == 16 and name.lower() == b"x-nearway-center":
            self._center = value
        elif (size == 14 and name.lower() == b"content-length") or (
            size == 17 and name.lower() == b"transfer-encoding"
        ):
            self._framed = True

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        self._head_done = True

    def on_body(self, body: bytes) -> None:
        self._pool.body_bytes += len(body)
        if self._pool.keeping:
            self._kept += body

    def on_message_complete(self) -> None:
        if self._status < 200:
            self._reset()
        elif self._complete:
            self._keep = False
        else:
            self._complete = True
            self._keep = bool(self._parser.should_keep_alive())

    def _answered(self, request: Request, now: float) -> None:
        """The answer is whole: tell, then take the next request or stay idle."""
        status, timing, center, keep = self._status, self._timing, self._center, self._keep
        body, self._kept = self._kept, b""
        self._request = None
        self._reset()
        if self._pool.keeping:
            self._pool.keep(body)
        if not keep:
            self.abandon()
        self._pool.ended(request, status, "", now, timing, center, body)
        if keep:
            self._pool.idle(self)

    def _fail(self, request: Request, kind: str, now: float) -> None:
        self.abandon()
        self._pool.ended(request, NO_ANSWER, kind, now)


class Pool:
    """Connections to one endpoint, opened as needed up to a bound."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        endpoint: Endpoint,
        listener: Callable[[Ended], None],
        limits: Limits | None = None,
        *,
        keep_bodies: bool = False,
    ) -> None:
        """``keep_bodies``: the listener gets the body of every answer, not of none."""
        self.limits = limits or Limits()
        self.open_peak = 0
        self.first_body = b""
        self.body_bytes = 0
        self._loop = loop
        self._endpoint = endpoint
        self._listener = listener
        self._tls = tls.create_default_context() if endpoint.secure else None
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._line: deque[Request] = deque()
        self._dues: deque[Request] = deque()
        self.keeping = True
        self._keep_bodies = keep_bodies
        self._closed = False
        self._sweep_timer = loop.call_later(SWEEP_S, self._sweep)

    async def warm(self, count: int) -> int:
        """Open up to ``count`` connections beforehand; returns how many are open."""
        for _ in range(min(count, self.limits.connections_max) - self._started()):
            self._start_opening()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WARM_WAIT_S):
                await asyncio.gather(*self._opening, return_exceptions=True)
        return len(self._open)

    def send(self, token: int, head: bytes, body: bytes = b"") -> None:
        """Send now, or as soon as a connection is free; ``ended`` follows exactly once."""
        request = Request(token, head, body, monotonic() + self.limits.timeout_s)
        if self._closed:
            self.ended(request, NO_ANSWER, "closed", monotonic())
            return
        self._dues.append(request)
        if self._idle:
            self._idle.popleft().carry(request)
        elif len(self._line) >= self.limits.line_max:
            self.ended(request, NO_ANSWER, "line_full", monotonic())
        else:
            self._line.append(request)
            if self._started() < self.limits.connections_max:
                self._start_opening()

    async def close(self) -> None:
        """End everything: what is still on its way ends with 0 and ``closed``."""
        self._closed = True
        self._sweep_timer.cancel()
        for task in tuple(self._opening):
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for request in self._dues:
            self._give_up(request, NO_ANSWER, "closed")
        self._dues.clear()
        self._line.clear()
        for connection in tuple(self._open):
            connection.abandon()
        await asyncio.sleep(0)

    # what connections tell

    def ended(
        self,
        request: Request,
        status: int,
        kind: str,
        at_s: float,
        timing: bytes = b"",
        center: bytes = b"",
        body: bytes = b"",
    ) -> None:
        """Tell the listener, once a request."""
        if request.done:
            return
        request.done = True
        request.connection = None
        request.head = request.body = b""
        if not self._keep_bodies:
            body = b""
        self._listener(Ended(request.token, status, kind, at_s, timing, center, body))

    def keep(self, body: bytes) -> None:
        """The first whole answer's body is kept, all others are only counted, unless told."""
        if not self.first_body:
            self.first_body = body
        self.keeping = self._keep_bodies

    def opened(self, connection: Connection) -> None:
        """A new connection is ready for its first request."""
        self._open.add(connection)
        self.open_peak = max(self.open_peak, len(self._open))
        if self._closed:
            connection.abandon()
        else:
            self.idle(connection)

    def idle(self, connection: Connection) -> None:
        """A connection is free: it takes the next in line."""
        while self._line:
            request = self._line.popleft()
            if not request.done:
                connection.carry(request)
                return
        self._idle.append(connection)

    def unasked(self, connection: Connection) -> None:
        """An idle connection spoke: nobody knows what it will say next, so it is dropped."""
        self._forget(connection)
        connection.abandon()

    def lost(self, connection: Connection) -> None:
        """A connection is gone; those in line may need another."""
        self._forget(connection)
        if self._line and not self._closed and self._started() < self.limits.connections_max:
            self._start_opening()

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)

    def _started(self) -> int:
        return len(self._open) + len(self._opening)

    def _start_opening(self) -> None:
        task = self._loop.create_task(self._connect(), name="load generator: open a connection")
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                await self._loop.create_connection(
                    lambda: Connection(self),
                    self._endpoint.host,
                    self._endpoint.port,
                    ssl=self._tls,
                )
        except (OSError, TimeoutError):
            self._refused()

    def _refused(self) -> None:
        """One that waits in line pays for one failed connection: none waits for ever."""
        while self._line:
            request = self._line.popleft()
            if not request.done:
                self.ended(request, NO_ANSWER, "connect", monotonic())
                break
        if self._line and not self._closed and len(self._opening) <= len(self._line):
            self._start_opening()

    def _sweep(self) -> None:
        """End what is over its time; those sent first are due first."""
        now = monotonic()
        dues = self._dues
        while dues and (dues[0].done or dues[0].due_s <= now):
            self._give_up(dues.popleft(), TIMED_OUT, "timeout")
        self._sweep_timer = self._loop.call_later(SWEEP_S, self._sweep)

    def _give_up(self, request: Request, status: int, kind: str) -> None:
        connection = request.connection
        if not request.done and connection is not None:
            connection.abandon()
        self.ended(request, status, kind, monotonic())
