"""What an exchange tells a handler, and what goes through to the connection past it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.api import TooLarge
from gateway.centers.port import Head, Relay
from gateway.serving.reply import SAMPLE_EVERY, Reply, Through


async def test_a_stream_left_unread_is_bounded() -> None:
    reply = Reply(asyncio.get_running_loop().create_future(), 100)
    reply.send_head(Head(200, "application/json", None), 0, None)
    for _ in range(50):
        reply.send_chunk(b"x" * 30)
    assert isinstance(reply.error, TooLarge)
    assert sum(map(len, reply.take())) <= 100


class Connected:
    """As much of a connection as ``Through`` looks at."""

    def __init__(self, *, chunked: bool = True) -> None:
        self.written = bytearray()
        self.closing = self.writing_paused = False
        self.unsent = 0
        self.transport: Any = self
        self.protocol = self.writer = self
        self.chunked = chunked

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write(self, payload: bytes) -> None:
        self.written += payload


async def test_chunks_go_through_while_the_handler_waits_and_no_others() -> None:
    connected: Any = Connected()
    reply = Reply(asyncio.get_running_loop().create_future(), 1000)
    reply.send_head(Head(200, "text/plain", None), 0, None)
    reply.send_chunk(b"queued")
    assert reply.take() == [b"queued"]
    waiting = asyncio.ensure_future(reply.more(Through(connected)))
    await asyncio.sleep(0)
    reply.send_chunk(b"abc")
    reply.send_chunk(b"")
    assert connected.written == b"3\r\nabc\r\n"
    assert not waiting.done()
    connected.writing_paused = True
    reply.send_chunk(b"later")
    connected.writing_paused = False
    reply.send_chunk(b"last")  # behind what is queued, whatever the client does
    await waiting
    assert reply.take() == [b"later", b"last"]
    reply.send_chunk(b"after")
    assert reply.take() == [b"after"]
    assert connected.written == b"3\r\nabc\r\n"


@pytest.mark.parametrize("gone", ["closing", "lost"])
def test_nothing_goes_through_to_a_client_that_is_gone(gone: str) -> None:
    connected: Any = Connected()
    through = Through(connected)
    if gone == "closing":
        connected.closing = True
    else:
        connected.transport = None
    assert not through.write(b"abc")
    assert not connected.written


def test_http_1_0_hears_no_chunks() -> None:
    connected: Any = Connected(chunked=False)
    assert Through(connected).write(b"abc")
    assert connected.written == b"abc"


FRAMED = b"9\r\ndata: a\n\n\r\n"


def test_whole_chunks_are_written_as_they_came_and_some_are_looked_at() -> None:
    connected: Any = Connected()
    relay = Relay()
    take = Through(connected).sink(relay, lambda: 7.0)
    assert take is not None
    for _ in range(SAMPLE_EVERY + 1):
        assert take(FRAMED)
    assert connected.written == FRAMED * (SAMPLE_EVERY + 1)
    assert (relay.reads, relay.sampled, relay.heard_s) == (SAMPLE_EVERY + 1, 2, 7.0)


@pytest.mark.parametrize("why", ["closing", "unsent"])
def test_the_short_way_is_shut_while_the_client_is_gone_or_behind(why: str) -> None:
    connected: Any = Connected()
    relay = Relay()
    take = Through(connected).sink(relay, lambda: 7.0)
    assert take is not None
    setattr(connected, why, 1)
    assert not take(FRAMED)
    assert not connected.written
    assert (relay.reads, relay.heard_s) == (0, 0.0)


def test_there_is_no_short_way_to_who_knows_no_chunks_or_is_gone() -> None:
    connected: Any = Connected(chunked=False)
    assert Through(connected).sink(Relay(), lambda: 7.0) is None
    connected = Connected()
    through = Through(connected)
    connected.transport = None
    assert through.sink(Relay(), lambda: 7.0) is None
