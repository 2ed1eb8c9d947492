"""Bodies that come late: bounded in bytes and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from gateway.api import InvalidRequest, TooLarge
from gateway.serving.body import late_body
from gateway.serving.intake import SlowBody

Door = Callable[..., Awaitable[Any]]


class Late:
    """A request whose body is what ``read`` does."""

    def __init__(self, read: Callable[[], Awaitable[bytes]]) -> None:
        self.read = read


async def whole() -> bytes:
    await asyncio.sleep(0)
    return b"{}"


async def never() -> bytes:
    await asyncio.Event().wait()
    return b""


async def unframed() -> bytes:
    raise web.RequestPayloadError("chunk")


async def endless() -> bytes:
    raise web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2)


async def test_a_late_body_is_read_whole(make_front: Any) -> None:
    assert await late_body(Late(whole), make_front().intake, 5.0) == b"{}"  # type: ignore[arg-type]  # a fake


@pytest.mark.parametrize(
    ("read", "error", "told"),
    [
        (never, SlowBody, "attempts.deadline_ms"),
        (unframed, InvalidRequest, "framing"),
        (endless, TooLarge, "server.body_bytes_max"),
    ],
)
async def test_what_ends_it_is_named(
    make_front: Any, read: Callable[[], Awaitable[bytes]], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        await late_body(Late(read), make_front().intake, 0.01)  # type: ignore[arg-type]  # a fake


@pytest.mark.parametrize("route", ["index", "models/mlp/load", "models/mlp/unload"])
async def test_the_repository_does_not_wait_for_ever(door: Door, route: str) -> None:
    client = await door(attempts={"deadline_ms": 30.0})
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    head = f"POST /v2/repository/{route} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{{"
    writer.write(head.encode())
    assert b" 408 " in await reader.readuntil(b"\r\n")
    writer.close()
    assert client.front.ports[0].calls == []
