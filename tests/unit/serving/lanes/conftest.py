"""Both lanes, spoken to in bytes: over real sockets, and through a transport that is a list."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvloop

from gateway.serving import Front, PublicDoor

PATH = "/v2/models/mlp/infer"
TURNS_MAX = 400


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Any]:
    """What the gateway runs on."""
    return {"uvloop": uvloop.new_event_loop}


@dataclass
class Told:
    """One answer as a client reads it."""

    status: int
    version: str
    fields: dict[str, str]
    body: bytes


async def read_answer(reader: asyncio.StreamReader) -> Told:
    """The next final answer: by its length, by chunks, or until the end of file."""
    while True:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        if not status.startswith("1"):
            break
    pairs = [line.split(": ", 1) for line in lines[1:-2]]
    fields = {name.lower(): value for name, value in pairs}
    assert len(fields) == len(pairs), "a field is said twice"
    if fields.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        assert await reader.readexactly(2) == b"\r\n"
    elif "content-length" in fields:
        body = await reader.readexactly(int(fields["content-length"]))
    else:
        body = await reader.read()
    return Told(int(status), version, fields, body)


class RawClient:
    """A socket and what to read from it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def shut(self) -> None:
        """Say that nothing more comes, and go on reading."""
        self.writer.write_eof()

    def leave(self) -> None:
        """As a client that was killed."""
        self.writer.transport.abort()

    async def left(self) -> None:
        """The socket is closed."""
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    async def answer(self) -> Told:
        async with asyncio.timeout(10):
            return await read_answer(self.reader)

    async def rest(self) -> bytes:
        """Everything until the gateway closes the connection."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


@dataclass
class Opened:
    """A door on a real socket."""

    front: Any
    door: PublicDoor
    port: int
    clients: list[RawClient] = field(default_factory=list)

    async def client(self, *, receive_bytes: int = 0) -> RawClient:
        raw = socket.socket()
        if receive_bytes:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", self.port))
        client = RawClient(*await asyncio.open_connection(sock=raw, limit=2**20))
        self.clients.append(client)
        return client

    async def ask(self, data: bytes) -> Told:
        """One request on a connection of its own."""
        client = await self.client()
        client.send(data)
        return await client.answer()


Open = Callable[..., Awaitable[Opened]]


@pytest.fixture
async def opened(lane: str, make_front: Callable[..., Front]) -> AsyncIterator[Open]:
    """Opens doors of ``lane`` on real sockets; closed with all clients in the end."""
    doors: list[Opened] = []

    async def open_door(**settings: Any) -> Opened:
        told = {**settings, "server": {"lane": lane, "drain_s": 2.0, **settings.get("server", {})}}
        door = PublicDoor(make_front(**told))
        await door.open()
        _, port = await door.listen("127.0.0.1", 0)
        doors.append(Opened(door._front, door, port))
        return doors[-1]

    yield open_door
    for each in doors:
        for client in each.clients:
            client.leave()
            await client.left()
        await each.door.close()
    await asyncio.sleep(0.01)  # uvloop lets go of a transport in a later turn


async def until(condition: Callable[[], Any]) -> None:
    """Turns of the loop, until something has happened or nothing does any more."""
    for _ in range(TURNS_MAX):
        if condition():
            return
        await asyncio.sleep(0)


class Fed:
    """A door that is fed bytes on one new connection after another."""

    def __init__(self, front: Any, wire_class: Any) -> None:
        self.front = front
        self.wire_class = wire_class
        self.door = PublicDoor(front)

    async def told(self, pieces: list[bytes], answers: int) -> bytes:
        """What is written to who sends ``pieces`` one by one, a turn of the loop each."""
        self.front.ports[0].started.clear()
        wire = self.wire_class(self.door.connect())
        for piece in pieces:
            wire.feed(piece)
            await asyncio.sleep(0)
        await until(lambda: wire.written.count(b"HTTP/1.") >= answers)
        await asyncio.sleep(0)
        assert self.front.metrics.in_flight == 0
        if not wire.closed:
            wire.lose()
        return wire.written


FedLane = Callable[[str], AbstractAsyncContextManager[Fed]]


@pytest.fixture(scope="session")
def fed(make_front: Callable[..., Front], Wire: Any) -> FedLane:  # noqa: N803 - a class
    """A lane's name to a context manager of a door to be fed."""

    @asynccontextmanager
    async def opened_lane(lane: str) -> AsyncIterator[Fed]:
        one = Fed(make_front(server={"lane": lane}), Wire)
        await one.door.open()
        yield one
        await one.door.close()

    return opened_lane


def make_request(
    body: bytes = b"{}", *fields: str, line: str = f"POST {PATH} HTTP/1.1", host: bool = True
) -> bytes:
    lines = [line, *(["Host: a"] if host else []), *fields, f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@pytest.fixture(scope="session")
def request_of() -> Callable[..., bytes]:
    """A request's bytes: body, further fields, ``line``."""
    return make_request
