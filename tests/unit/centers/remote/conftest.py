"""Little servers that say exactly what a test tells them, and a center that asks them.

Everything here runs on both event loops.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvloop

from gateway.api import Center, Location
from gateway.centers.port import Answered, Attempt, Call, Chunk, Event, Failed, Whole
from gateway.centers.remote import Endpoint, RemoteCenter
from gateway.config.settings import Remote

Handler = Callable[["Peer"], Awaitable[None]]


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Both loops close, cancel and time transports in their own ways."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@dataclass
class Peer:
    """One connection as the server sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    server: Server

    async def request(self) -> tuple[str, dict[str, str], bytes]:
        """The next request: first line, headers in lower case, body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.rstrip().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        self.server.requests.append((first, headers, body))
        return first, headers, body

    async def say(self, *pieces: bytes) -> None:
        """Each piece in a packet of its own."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    def close(self) -> None:
        """In good order."""
        self.writer.close()

    def reset(self) -> None:
        """Not in good order."""
        self.writer.transport.abort()


@dataclass
class Server:
    """Counts connections, keeps requests."""

    handler: Handler
    url: str = ""
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    connections: int = 0
    open: set[asyncio.Task[None]] = field(default_factory=set)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.open.add(task)
        try:
            await self.handler(Peer(reader, writer, self.connections, self))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open.discard(task)
            writer.close()


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Awaitable[Server]]]:
    """handler -> a running server."""
    running: list[tuple[asyncio.Server, Server]] = []

    async def start(handler: Handler) -> Server:
        server = Server(handler)
        listening = await asyncio.start_server(server, "127.0.0.1", 0)
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        running.append((listening, server))
        return server

    yield start
    for listening, server in running:
        listening.close()
        await asyncio.sleep(0.01)  # what has been accepted begins before it is ended
        for task in tuple(server.open):
            task.cancel()
        await asyncio.gather(*server.open, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(listening.wait_closed(), 5)


@dataclass
class Listener:
    """Hears the events of one attempt."""

    events: list[Event] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    call: Call | None = None
    on: Callable[[Event], None] = lambda _: None

    def __call__(self, event: Event) -> None:
        assert not self.ended.is_set(), f"{event} after the end"
        self.events.append(event)
        if isinstance(event, Whole | Answered | Failed):
            self.ended.set()
        self.on(event)

    async def end(self) -> Event:
        """The last event."""
        await asyncio.wait_for(self.ended.wait(), 20)
        return self.events[-1]

    @property
    def body(self) -> bytes:
        """All that came, whichever way."""
        pieces = [e.payload for e in self.events if isinstance(e, Chunk | Whole)]
        return b"".join(pieces)


@dataclass
class Reached:
    """A remote center and how to ask it."""

    center: RemoteCenter

    def ask(self, body: bytes = b"{}", **changed: Any) -> Listener:
        """Start one attempt."""
        listener = Listener()
        attempt = Attempt("id-1", 0, "m", "", body, None, time.monotonic() + 30.0)
        for name, value in changed.items():
            setattr(attempt, name, value)
        listener.call = self.center.start(attempt, listener)
        assert listener.events == []
        return listener

    async def answer(self, body: bytes = b"{}", **changed: Any) -> Event:
        """The last event of one attempt."""
        return await self.ask(body, **changed).end()


@pytest.fixture
async def reach() -> AsyncIterator[Callable[..., Awaitable[Reached]]]:
    """(url, emulate=..., models=..., **[remote] settings) -> an opened center."""
    opened: list[RemoteCenter] = []

    async def open_(
        url: str, *, emulate: Any = "none", models: tuple[str, ...] = ("*",), **limits: Any
    ) -> Reached:
        center = RemoteCenter(
            0,
            Center(
                "a", "r", "z", "X", "CN", Location(0, 0), url=url, emulate=emulate, models=models
            ),
            Endpoint.from_url(url),
            loop=asyncio.get_running_loop(),
            clock=time.monotonic,
            limits=Remote(**{"connections_min": 0, **limits}),
            vantage_names=("Shanghai", "Xi'an"),
        )
        await center.open()
        opened.append(center)
        return Reached(center)

    yield open_
    for center in opened:
        await center.close()
        assert center.pool.open_count == 0
        assert center.pool.waiting_count == 0
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not any(name.startswith("connect to center") for name in names)


def ok(body: bytes = b"hello", *lines: str) -> bytes:
    """A plain 200."""
    head = "\r\n".join(("HTTP/1.1 200 OK", "Content-Type: application/json", *lines))
    return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.fixture(name="ok")
def _ok() -> Callable[..., bytes]:
    return ok


@pytest.fixture
def always() -> Callable[..., Handler]:
    """pieces -> a handler that answers every request with them."""

    def make(*pieces: bytes) -> Handler:
        async def handler(peer: Peer) -> None:
            while True:
                await peer.request()
                await peer.say(*pieces)

        return handler

    return make


@pytest.fixture
def once() -> Callable[..., Handler]:
    """pieces -> a handler that answers the first request with them and closes."""

    def make(*pieces: bytes) -> Handler:
        async def handler(peer: Peer) -> None:
            await peer.request()
            await peer.say(*pieces)

        return handler

    return make
