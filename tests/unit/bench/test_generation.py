"""The client and the upstream of the bench of texts: what they count is what is there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bench.generation.chats import Chat, connected, request
from bench.generation.served import Claim
from bench.generation.upstream import END, EVENT_CHUNK, MODEL, Server, chunk


@pytest.fixture
async def port() -> Any:
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@contextmanager
def told(chat: Chat) -> Iterator[Chat]:
    yield chat
    chat.close()


def body(tokens: int) -> dict[str, Any]:
    return {"model": MODEL, "messages": [], "stream": True, "max_tokens": tokens}


async def test_events_of_a_stream_are_counted_one_chat_after_another(port: int) -> None:
    with told(await connected(port)) as chat:
        for _ in range(3):
            answer = await asyncio.wait_for(chat.ask(request(port, body(1))), 5)
            assert answer.events == 2  # and the end
            assert answer.first_ms > 0.0
        assert chat.events == 6


async def test_a_stream_stays_until_its_tokens_are_out(port: int) -> None:
    with told(await connected(port)) as chat:
        waiting = chat.ask(request(port, body(3)))
        while not Server.streams:
            await asyncio.sleep(0)
        ((server, left),) = Server.streams.items()
        assert left == 3
        server.transport.write(EVENT_CHUNK[:20])
        await asyncio.sleep(0.01)
        server.transport.write(EVENT_CHUNK[20:] + EVENT_CHUNK + END[:10])
        await asyncio.sleep(0.01)
        assert not waiting.done()
        server.transport.write(END[10:])
        assert (await asyncio.wait_for(waiting, 5)).events >= 2
    while Server.streams:
        await asyncio.sleep(0)


async def test_a_refusal_is_no_figure(port: int) -> None:
    with told(await connected(port)) as chat:
        sent = request(port, body(1)).replace(b"/v1/chat/completions", b"/v1/elsewhere")
        with pytest.raises(RuntimeError, match="404"):
            await asyncio.wait_for(chat.ask(sent), 5)


async def test_who_is_cut_off_hears_of_it(port: int) -> None:
    with told(await connected(port)) as chat:
        waiting = chat.ask(request(port, body(5)))
        while not Server.streams:
            await asyncio.sleep(0)
        next(iter(Server.streams)).transport.abort()
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(waiting, 5)


def test_a_claim_knows_its_side() -> None:
    assert Claim("a", 10.0, 15.0).kept
    assert not Claim("a", 15.1, 15.0).kept
    assert Claim("a", 3.0, 3.0, at_least=True).kept
    assert not Claim("a", 2.9, 3.0, at_least=True).kept
    assert Claim("a", 2.9, 3.0, at_least=True).promised == "≥ 3"


def test_a_chunk_says_its_length() -> None:
    assert chunk(b"a" * 16) == b"10\r\n" + b"a" * 16 + b"\r\n"
