"""Both ends of a framed connection over a real socket: large answers, slow readers, many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from gateway.api import Report
from gateway.centers import Answered, Attempt, Chunk, Failed, Head, Whole
from gateway.centers.framed import FramedConnection
from gateway.centers.framed.link import STREAM_BYTES
from gateway.config.framed_url import FramedAddress
from gateway.serving.frames_door import FramesDoor, Hosted

REPORT = Report(0.0, 1.0)


class Mirror:
    """Answers with the request's body, as often as its model's name says."""

    def __init__(self) -> None:
        self.cancelled = 0

    def start(self, attempt: Attempt, on_event: Any) -> Any:
        payload = attempt.body * int(attempt.model)
        whole = Whole(200, "x", None, payload, REPORT, None)
        asyncio.get_running_loop().call_soon(on_event, whole)
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass


@asynccontextmanager
async def connected(path: Path) -> AsyncIterator[tuple[FramesDoor, Mirror, FramedConnection]]:
    loop, mirror = asyncio.get_running_loop(), Mirror()
    ports: Any = {"c": mirror}
    door = FramesDoor(Hosted(ports, lambda _: 0, list, loop.time, "test"))
    server = await loop.create_unix_server(door.connection, str(path))
    connection = FramedConnection(
        FramedAddress(path=str(path)),
        loop=loop,
        clock=loop.time,
        random=Random(1),
        on_residency=lambda *_: None,
    )
    await connection.open()
    yield door, mirror, connection
    await connection.close()
    door.close()
    server.close()


class Reader:
    """One attempt and all it hears."""

    def __init__(self, connection: FramedConnection, body: bytes, times: int) -> None:
        loop = asyncio.get_running_loop()
        self.body = bytearray()
        self.ended: asyncio.Future[Any] = loop.create_future()
        attempt = Attempt("r", 0, str(times), "", body, None, loop.time() + 60)
        self.call = connection.start("c", "v", attempt, self.hear)

    def hear(self, event: Any) -> None:
        if isinstance(event, Whole | Chunk):
            self.body += event.payload
        if isinstance(event, Whole | Answered | Failed):
            self.ended.set_result(event)


async def until_still(reader: Reader) -> int:
    """How much has come once nothing comes any more."""
    seen = -1
    while seen != len(reader.body):
        seen = len(reader.body)
        await asyncio.sleep(0.05)
    return seen


async def test_a_large_answer_comes_whole(tmp_path: Path) -> None:
    async with connected(tmp_path / "s") as (_, _, connection):
        body = bytes(range(256)) * 4000
        reader = Reader(connection, body, 9)
        assert isinstance(await asyncio.wait_for(reader.ended, 30), Answered)
        assert reader.body == body * 9


async def test_a_slow_reader_gets_no_more_than_its_credit_and_holds_up_nobody(
    tmp_path: Path,
) -> None:
    async with connected(tmp_path / "s") as (door, _, connection):
        body = bytes(1_000_000)
        slow = Reader(connection, body, 20)
        slow.call.pause()
        others = [Reader(connection, b"small", 1) for _ in range(50)]
        for other in others:
            assert isinstance(await asyncio.wait_for(other.ended, 30), Whole)
        assert await until_still(slow) == 0
        assert sum(len(c.payload) for c in slow.call._held if isinstance(c, Chunk)) == STREAM_BYTES
        assert isinstance(slow.call._held[0], Head)
        slow.call.resume()
        assert isinstance(await asyncio.wait_for(slow.ended, 30), Answered)
        assert len(slow.body) == 20_000_000
        assert door.in_flight == 0


async def test_a_stream_nobody_wants_is_cancelled_at_the_center(tmp_path: Path) -> None:
    async with connected(tmp_path / "s") as (door, mirror, connection):
        reader = Reader(connection, bytes(1_000_000), 20)
        reader.call.pause()
        async with asyncio.timeout(30):
            while not reader.call._held:
                await asyncio.sleep(0.005)
            reader.call.cancel()
            while door.in_flight:
                await asyncio.sleep(0.005)
        assert mirror.cancelled == 1
        assert not reader.ended.done()


async def test_many_requests_at_once_get_their_own_answers(tmp_path: Path) -> None:
    async with connected(tmp_path / "s") as (_, _, connection):
        bodies = [str(number).encode() for number in range(1500)]
        readers = [Reader(connection, body, 1) for body in bodies]
        await asyncio.wait_for(asyncio.gather(*(reader.ended for reader in readers)), 30)
        assert [bytes(reader.body) for reader in readers] == bodies
