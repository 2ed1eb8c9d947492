"""The proxy: what each order does to connections that are open, and to new ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.measure.chaos.proxy import DOINGS, Way, run

WAIT_S = 5.0
SILENCE_S = 0.05


@dataclass
class Proxied:
    """An echo behind a way; ``gone`` counts the connections it lost."""

    way: Way
    port: int
    served: int = 0
    gone: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return reader, writer


@asynccontextmanager
async def proxied() -> AsyncIterator[Proxied]:
    made: Proxied

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.served += 1
        try:
            while data := await reader.read(4096):
                writer.write(data)
        except ConnectionError:
            pass
        made.gone += 1
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    way = Way("a", "127.0.0.1", server.sockets[0].getsockname()[1])
    made = Proxied(way, await way.listen())
    try:
        yield made
    finally:
        for writer in made.writers:
            writer.transport.abort()
        way.close()
        server.close()
        await until(lambda: made.gone == made.served)
        await asyncio.sleep(0)


async def heard(reader: asyncio.StreamReader, count: int) -> bytes:
    return await asyncio.wait_for(reader.readexactly(count), WAIT_S)


async def silent(reader: asyncio.StreamReader) -> bool:
    try:
        await asyncio.wait_for(reader.read(1), SILENCE_S)
    except TimeoutError:
        return True
    return False


async def ends(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(100), WAIT_S) == b""
    except ConnectionError:
        return True


async def until(condition: object) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def spoken(made: Proxied) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection over which something has passed."""
    reader, writer = await made.connect()
    writer.write(b"hello")
    assert await heard(reader, 5) == b"hello"
    return reader, writer


async def test_all_passes_in_the_beginning() -> None:
    async with proxied() as made:
        _, writer = await spoken(made)
        writer.close()
        await until(lambda: made.gone == 1)
        assert not made.way.pairs


async def test_a_black_hole_holds_everything_and_closes_nothing() -> None:
    async with proxied() as made:
        reader, writer = await spoken(made)
        made.way.do("black_hole")
        writer.write(b"there?")
        new_reader, new_writer = await made.connect()
        new_writer.write(b"anyone?")
        assert await silent(reader)
        assert await silent(new_reader)
        assert made.gone == 0
        made.way.do("open")
        assert await heard(reader, 6) == b"there?"
        assert await heard(new_reader, 7) == b"anyone?"


async def test_half_open_connections_are_dead_at_the_far_end_only() -> None:
    async with proxied() as made:
        reader, writer = await spoken(made)
        made.way.do("half_open")
        await until(lambda: made.gone == 1)
        writer.write(b"there?")
        assert await silent(reader)
        await spoken(made)  # a new one passes
        made.way.do("open")
        assert await ends(reader)
        await spoken(made)


async def test_a_reset_ends_what_is_open_and_nothing_else() -> None:
    async with proxied() as made:
        reader, _ = await spoken(made)
        made.way.do("reset")
        assert await ends(reader)
        await until(lambda: made.gone == 1)
        await spoken(made)


async def test_garbage_comes_from_the_center_only_and_in_the_same_amount() -> None:
    async with proxied() as made:
        reader, writer = await spoken(made)
        made.way.do("garbage")
        writer.write(b"x" * 64)
        assert await heard(reader, 64) != b"x" * 64
        made.way.do("open")
        writer.write(b"again")
        assert await heard(reader, 5) == b"again"


async def test_nobody_listens() -> None:
    async with proxied() as made:
        made.way.do("gone")
        reader, _ = await made.connect()
        assert await ends(reader)
        assert made.served == 0


async def test_a_center_that_is_gone_takes_the_connection_with_it() -> None:
    way = Way("a", "127.0.0.1", 1)
    port = await way.listen()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello")
    assert await ends(reader)
    writer.transport.abort()
    way.close()
    await asyncio.sleep(0)


async def test_an_unknown_order_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=f"'explode'.*{', '.join(DOINGS)}"):
        Way("a", "127.0.0.1", 1).do("explode")


async def test_orders_come_over_the_control_socket(tmp_path: Path) -> None:
    control, announce = tmp_path / "control", tmp_path / "announced.json"
    spec = {"control": str(control), "announce": str(announce), "ways": {"a": ["127.0.0.1", 1]}}
    stop = asyncio.Event()
    task = asyncio.create_task(run(spec, stop))
    await until(announce.exists)
    assert list(json.loads(announce.read_text())) == ["a"]
    reader, writer = await asyncio.open_unix_connection(str(control))
    orders = [{"way": "a", "do": "reset"}, {"way": "b", "do": "reset"}, {"way": "a"}, 3]
    for order, right in zip(orders, (True, False, False, False), strict=True):
        writer.write(json.dumps(order).encode() + b"\n")
        told = json.loads(await asyncio.wait_for(reader.readline(), WAIT_S))
        assert (told["error"] == "") is right
    writer.close()
    stop.set()
    await task
