"""The door listens, counts, retires and closes alike in both lanes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gateway.serving import Front, PublicDoor

LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
async def opened(lane: str, make_front: Callable[..., Front]) -> AsyncIterator[PublicDoor]:
    door = PublicDoor(make_front(server={"lane": lane, "drain_s": 0.3}))
    await door.open()
    yield door
    await door.close()


async def live(port: int) -> tuple[Any, Any, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(LIVE)
    return reader, writer, await reader.readuntil(b"\r\n")


async def test_the_lane_is_the_configured_one(opened: PublicDoor, lane: str) -> None:
    assert (opened.lane is None) == (lane == "aiohttp")


async def test_it_listens_and_counts(opened: PublicDoor) -> None:
    host, port = await opened.listen("127.0.0.1", 0)
    assert host == "127.0.0.1"
    _, writer, line = await live(port)
    assert b" 200 " in line
    assert opened.connections == 1
    writer.close()


async def test_a_port_that_is_taken_is_told(opened: PublicDoor) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(OSError, match="address already in use"):
            await opened.listen("127.0.0.1", holder.getsockname()[1])


async def test_two_may_have_one_port_when_both_say_so(
    lane: str, make_front: Callable[..., Front]
) -> None:
    doors = [PublicDoor(make_front(server={"lane": lane, "reuse_port": True})) for _ in "ab"]
    for door in doors:
        await door.open()
    _, port = await doors[0].listen("127.0.0.1", 0)
    assert await doors[1].listen("127.0.0.1", port) == ("127.0.0.1", port)
    for door in doors:
        await door.close()


async def test_it_accepts_on_a_socket_of_another(opened: PublicDoor) -> None:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    server = await opened.accept(bound)
    _, writer, line = await live(port)
    assert b" 200 " in line
    server.close()
    await asyncio.sleep(0)
    with pytest.raises(OSError):  # noqa: PT011 - refused or reset, as the system says it
        await live(port)
    writer.close()


async def test_closing_ends_idle_connections_and_accepts_no_more(opened: PublicDoor) -> None:
    _, port = await opened.listen("127.0.0.1", 0)
    reader, writer, _ = await live(port)
    await opened.close()
    await reader.read()
    assert reader.at_eof()
    assert opened.connections == 0
    with pytest.raises(OSError):  # noqa: PT011 - refused
        await live(port)
    writer.close()


async def test_retiring_waits_for_connections_to_end_by_themselves(opened: PublicDoor) -> None:
    _, port = await opened.listen("127.0.0.1", 0)
    reader, writer, _ = await live(port)
    retiring = asyncio.ensure_future(opened.retire(5.0))
    await asyncio.sleep(0.02)
    assert not retiring.done()
    await reader.readuntil(b"}")
    writer.write(LIVE)
    assert b"onnection: close" in await reader.read()
    await retiring
    writer.close()


async def test_when_descriptors_run_short_the_longest_idle_go(opened: PublicDoor) -> None:
    _, port = await opened.listen("127.0.0.1", 0)
    busy_reader, busy, _ = await live(port)
    idle = [await live(port) for _ in range(3)]
    await busy_reader.readuntil(b"}")
    busy.write(LIVE[:10])
    await asyncio.sleep(0.6)  # two sweeps, so that it is known since when they idle
    await live_again(idle[0])
    for reader, *_ in idle[1:]:
        await reader.readuntil(b"}")
    opened.room = 4
    _, writer, line = await live(port)
    assert b" 200 " in line
    await asyncio.sleep(0.05)
    gone = [reader for reader, *_ in idle[1:] if reader.at_eof()]
    assert len(gone) == 1
    assert not idle[0][0].at_eof()
    busy.write(LIVE[10:])
    assert b" 200 " in await busy_reader.readuntil(b"\r\n")
    for each in (busy, writer, *(w for _, w, _ in idle)):
        each.close()
        await each.wait_closed()


async def live_again(connected: tuple[Any, Any, bytes]) -> None:
    """Another request on a connection whose first answer's line was read."""
    reader, writer, _ = connected
    await reader.readuntil(b"}")
    writer.write(LIVE)
    await reader.readuntil(b"}")
