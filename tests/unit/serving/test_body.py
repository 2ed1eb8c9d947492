"""Bodies that come late: bounded in bytes and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from gateway.api import InvalidRequest, NoCapacity, TooLarge
from gateway.config.settings import Server, Settings
from gateway.serving.body import Held, late_body
from gateway.serving.intake import SlowBody
from gateway.serving.patience import Patience, patience_of

Door = Callable[..., Awaitable[Any]]


def patience(body_s: float) -> Patience:
    settings = Settings(server=Server(body_timeout_s=body_s))
    return patience_of(settings)


class Late:
    """A request whose body comes in the pieces that ``readany`` gives."""

    def __init__(self, readany: Callable[[], Awaitable[bytes]]) -> None:
        self.readany = readany

    @property
    def content(self) -> Late:
        return self


def pieces(*given: bytes) -> Callable[[], Awaitable[bytes]]:
    left = [*given, b""]

    async def readany() -> bytes:
        await asyncio.sleep(0)
        return left.pop(0)

    return readany


async def never() -> bytes:
    await asyncio.Event().wait()
    return b""


async def unframed() -> bytes:
    raise web.RequestPayloadError("chunk")


async def endless() -> bytes:
    await asyncio.sleep(0)
    return bytes(20 * 1024 * 1024)


async def test_a_late_body_is_read_whole(make_front: Any) -> None:
    request, front = Late(pieces(b"{", b"}")), make_front()
    held = Held(front.admission, 1)
    front.enter(1)
    assert await late_body(request, front.intake, patience(5.0), held) == b"{}"  # type: ignore[arg-type]  # a fake
    assert (held.bytes, front.metrics.bodies_bytes) == (2, 2)
    front.leave(held.bytes)
    assert front.metrics.bodies_bytes == 0


async def test_a_late_body_that_finds_no_room_is_refused_while_it_comes(make_front: Any) -> None:
    front = make_front(server={"bodies_bytes_max": 10})
    held, request = Held(front.admission, 0), Late(pieces(b"x" * 8, b"x" * 8))
    with pytest.raises(NoCapacity, match=r"server\.bodies_bytes_max"):
        await late_body(request, front.intake, patience(5.0), held)  # type: ignore[arg-type]  # a fake
    assert held.bytes == front.metrics.bodies_bytes == 8


@pytest.mark.parametrize(
    ("read", "error", "told"),
    [
        (never, SlowBody, "server.body_timeout_s"),
        (unframed, InvalidRequest, "framing"),
        (endless, TooLarge, "server.body_bytes_max"),
    ],
)
async def test_what_ends_it_is_named(
    make_front: Any, read: Callable[[], Awaitable[bytes]], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        await late_body(Late(read), make_front().intake, patience(0.01))  # type: ignore[arg-type]  # a fake


@pytest.mark.parametrize("route", ["index", "models/mlp/load", "models/mlp/unload"])
async def test_the_repository_does_not_wait_for_ever(door: Door, route: str) -> None:
    client = await door(attempts={"deadline_ms": 30.0})
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    head = f"POST /v2/repository/{route} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{{"
    writer.write(head.encode())
    assert b" 408 " in await reader.readuntil(b"\r\n")
    writer.close()
    assert client.front.ports[0].calls == []
