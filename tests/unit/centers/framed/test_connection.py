"""The connection is kept up: it comes back, says why it is gone, knows which models are where."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gateway.api import CenterDown, Report
from gateway.centers import Attempt
from gateway.centers.framed import FramedConnection
from gateway.centers.framed.connection import notice_dead_peer
from gateway.config.framed_url import FramedAddress, parse_framed
from gateway.wire import frames
from gateway.wire.frames import FrameReader, Hello, encode

Line = frames.ResidencyLine


class Process(asyncio.Protocol):
    """A center process of a few lines: greets, lists its models, answers everything."""

    lines: tuple[Line, ...] = ()
    emulates = ""
    hello = True

    def __init__(self) -> None:
        self.reader = FrameReader()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for frame, body in self.reader.feed(data):
            if isinstance(frame, Hello) and self.hello:
                self.say(Hello(frames.PROTOCOL, frames.VERSION, "t", 9, 200_000, 1, self.emulates))
                self.say(frames.Residency(), frames.encode_residency(list(self.lines)))
            elif isinstance(frame, frames.Request):
                fields = frames.report_fields(Report(0.0, 1.0))
                self.say(frames.Answer(frame.id, 200, "x", None, fields, None), body)

    def say(self, frame: frames.Frame, body: bytes = b"") -> None:
        self.transport.write(encode(frame, body))


class Fixture:
    def __init__(self, address: FramedAddress) -> None:
        self.resident: list[tuple[Any, ...]] = []
        self.reach: list[tuple[str, bool]] = []
        self.connection = FramedConnection(
            address,
            loop=asyncio.get_running_loop(),
            clock=asyncio.get_running_loop().time,
            random=Random(1),
            on_residency=lambda *change: self.resident.append(change),
            on_reach=lambda *change: self.reach.append(change),
        )

    async def ask(self, center: str = "c") -> Any:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        attempt = Attempt("r", 0, "m", "", b"body", None, 1e9)
        self.connection.start(center, "v", attempt, heard.put_nowait)
        while True:
            event = await asyncio.wait_for(heard.get(), 5)
            if type(event).__name__ != "Sent":
                return event


@asynccontextmanager
async def listening(
    path: Path, **attributes: Any
) -> AsyncIterator[tuple[asyncio.AbstractServer, list[Process]]]:
    made: list[Process] = []

    def factory() -> Process:
        process = Process()
        for name, value in attributes.items():
            setattr(process, name, value)
        made.append(process)
        return process

    server = await asyncio.get_running_loop().create_unix_server(factory, str(path))
    try:
        yield server, made
    finally:
        server.close()
        for process in made:
            process.transport.abort()
        path.unlink(missing_ok=True)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


async def test_connected_it_answers(path: Path) -> None:
    async with listening(path):
        fixture = Fixture(parse_framed(f"nearway+unix:{path}"))
        await fixture.connection.open()
        whole = await fixture.ask()
        assert whole.payload == b"body"
        await fixture.connection.close()
        assert "goes away" in str((await fixture.ask()).error)


async def test_over_tcp() -> None:
    server = await asyncio.get_running_loop().create_server(Process, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    fixture = Fixture(FramedAddress(host="127.0.0.1", port=port))
    await fixture.connection.open()
    assert (await fixture.ask()).payload == b"body"
    await fixture.connection.close()
    server.close()


async def test_open_returns_when_nobody_listens_and_it_comes_up_later(path: Path) -> None:
    fixture = Fixture(FramedAddress(path=str(path)))
    await fixture.connection.open()
    failed = await fixture.ask()
    assert isinstance(failed.error, CenterDown)
    assert str(path) in str(failed.error)
    results: list[Any] = []
    fixture.connection.probe("c", "v", results.append)
    assert results == []
    await until(lambda: results == [None])
    with pytest.raises(CenterDown):
        await fixture.connection.ask("index", "c")
    async with listening(path):
        await until(lambda: fixture.connection.emulates is not None)
        assert (await fixture.ask()).payload == b"body"
        await fixture.connection.close()


async def test_lost_it_is_made_again(path: Path) -> None:
    fixture = Fixture(FramedAddress(path=str(path)))
    async with listening(path) as (_, made):
        await fixture.connection.open()
        made[0].transport.abort()
        await until(lambda: len(made) == 2)
        await until(lambda: fixture.connection._link is not None)
        assert (await fixture.ask()).payload == b"body"
        await fixture.connection.close()


async def test_a_loss_is_told_for_each_of_its_centers_and_so_is_the_return(path: Path) -> None:
    fixture = Fixture(FramedAddress(path=str(path)))
    for row, center in enumerate("ab"):
        fixture.connection.serves(center, row)
    async with listening(path) as (_, made):
        await fixture.connection.open()
        assert fixture.reach == [("a", True), ("b", True)]
        fixture.reach.clear()
        made[0].transport.abort()
        await until(lambda: len(fixture.reach) == 4)
        assert fixture.reach == [("a", False), ("b", False), ("a", True), ("b", True)]
        fixture.reach.clear()
        await fixture.connection.close()
        assert fixture.reach == []  # nobody lost anything


async def test_what_was_never_there_is_not_lost(path: Path) -> None:
    fixture = Fixture(FramedAddress(path=str(path)))
    fixture.connection.serves("a", 0)
    await fixture.connection.open()
    assert fixture.reach == []
    await fixture.connection.close()


async def test_a_process_that_speaks_another_version_says_so(path: Path) -> None:
    fixture = Fixture(FramedAddress(path=str(path)))
    async with listening(path, hello=False) as (_, made):
        opening = asyncio.ensure_future(fixture.connection.open())
        await until(lambda: bool(made) and made[0].reader.greeted)
        made[0].say(Hello(frames.PROTOCOL, 99, "", 1, 1, 1))
        await opening
        assert "version 99" in str((await fixture.ask()).error)
        await fixture.connection.close()


async def test_models_are_told_by_row_and_changes_after_them(path: Path) -> None:
    fixture = Fixture(FramedAddress(path=str(path)))
    fixture.connection.serves("c", 5)
    lines = (Line("c", "m", True, 0.5), Line("stranger", "m", True, 0.5))
    async with listening(path, lines=lines) as (_, made):
        await fixture.connection.open()
        await until(lambda: fixture.resident == [("m", 5, True, 0.5)])
        changes = [Line("c", "m", False, 0.0), Line("c", "n", True, 2.0)]
        made[0].say(frames.Residency(), frames.encode_residency(changes))
        await until(lambda: len(fixture.resident) == 3)
        assert fixture.resident[1:] == [("m", 5, False, 0.0), ("n", 5, True, 2.0)]
        await fixture.connection.close()


async def test_a_model_that_is_gone_when_it_comes_back_is_told(path: Path) -> None:
    fixture = Fixture(FramedAddress(path=str(path)))
    fixture.connection.serves("c", 0)
    async with listening(path, lines=(Line("c", "m", True, 0.5),)) as (_, made):
        await fixture.connection.open()
        await until(lambda: len(fixture.resident) == 1)
        made[0].transport.abort()
        await until(lambda: len(made) == 2)
        await until(lambda: len(fixture.resident) == 2)
        assert fixture.resident[1] == ("m", 0, True, 0.5)  # said again, which changes nothing
        await fixture.connection.close()
    async with listening(path, lines=(Line("c", "n", True, 0.25),)):
        await fixture.connection.open()
        await until(lambda: len(fixture.resident) == 4)
        assert fixture.resident[2:] == [("m", 0, False, 0.0), ("n", 0, True, 0.25)]
        await fixture.connection.close()


def test_a_dead_peer_is_noticed_by_the_kernel() -> None:
    with socket.socket() as connection:
        notice_dead_peer(connection)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
