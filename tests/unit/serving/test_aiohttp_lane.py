"""aiohttp's connections on a clock that the test moves; what they do on sockets is in lanes/."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gateway.config.settings import Server
from gateway.serving import Front, PublicDoor

LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD_S, IDLE_S, UNREAD_S = (
    Server().head_timeout_s,
    Server().idle_timeout_s,
    Server().unread_timeout_s,
)


class Lane:
    """A door with aiohttp alone, and its clock."""

    def __init__(self, door: PublicDoor, wire_class: Any) -> None:
        assert door.aiohttp is not None
        self.lane = door.aiohttp
        self.passed_s = 0.0
        self._wire_class = wire_class
        self._door = door
        loop = asyncio.get_running_loop()
        self.lane.clock = lambda: loop.time() + self.passed_s

    def wire(self) -> Any:
        return self._wire_class(self._door.connect())

    def advance(self, seconds: float) -> None:
        self.passed_s += seconds
        for connection in tuple(self.lane.connections):
            connection.look(self.lane.clock())


@pytest.fixture
async def lane(make_front: Callable[..., Front], Wire: Any) -> AsyncIterator[Lane]:  # noqa: N803 - a class
    door = PublicDoor(make_front(server={"lane": "aiohttp", "drain_s": 0.1}))
    await door.open()
    yield Lane(door, Wire)
    await door.close()


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_head_has_its_time_and_no_more(lane: Lane) -> None:
    wire = lane.wire()
    wire.feed(LIVE[:10])
    lane.advance(HEAD_S - 1.0)
    wire.feed(LIVE[10:12])
    assert not wire.closed
    lane.advance(2.0)
    assert wire.written.startswith(b"HTTP/1.1 408 ")
    assert b"Connection: close" in wire.written
    assert wire.closed


async def test_what_follows_a_request_begins_with_its_next_bytes(lane: Lane) -> None:
    wire = lane.wire()
    wire.feed(LIVE + LIVE[:10])
    await turns()
    assert wire.written.count(b" 200 ") == 1
    lane.advance(HEAD_S + 1.0)
    assert not wire.closed
    wire.feed(LIVE[10:12])
    lane.advance(HEAD_S + 1.0)
    assert b" 408 " in wire.written


async def test_who_idles_is_let_go(lane: Lane) -> None:
    new, used = lane.wire(), lane.wire()
    lane.advance(0.0)
    lane.advance(IDLE_S - 1.0)
    used.feed(LIVE)
    await turns()
    lane.advance(2.0)
    assert (new.closed, used.closed) == (True, False)
    lane.advance(IDLE_S + 1.0)
    assert used.closed


async def test_who_leaves_its_answer_unread_is_let_go(lane: Lane) -> None:
    wire = lane.wire()
    (connection,) = lane.lane.connections
    connection.pause_writing()
    lane.advance(UNREAD_S - 1.0)
    connection.resume_writing()
    connection.pause_writing()
    lane.advance(UNREAD_S - 1.0)
    assert not wire.closed
    lane.advance(2.0)
    assert wire.closed


async def test_how_long_it_idles_and_that_it_then_may_go(lane: Lane) -> None:
    wire = lane.wire()
    (connection,) = lane.lane.connections
    lane.advance(0.0)
    lane.passed_s += 5.0
    assert connection.idle_s(lane.lane.clock()) == pytest.approx(5.0, abs=0.5)
    wire.feed(LIVE[:5])
    assert connection.idle_s(lane.lane.clock()) is None
    connection.close_if_idle()
    assert not wire.closed
    wire.feed(LIVE[5:])
    await turns()
    connection.close_if_idle()
    await turns()
    assert wire.closed
    assert not lane.lane.connections
