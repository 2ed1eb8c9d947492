"""The kernel's word for a real connection; a fallback where it has none."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from gateway.centers.remote.path_time import LOOK_EVERY_S, PathTime


class Transport:
    """Says what a socket would."""

    def __init__(self, told: bytes | Exception | None) -> None:
        self.told = told
        self.asked = 0

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, _name: str) -> Any:
        return None if self.told is None else self

    def getsockopt(self, *_: int) -> bytes:
        self.asked += 1
        if isinstance(self.told, Exception):
            raise self.told
        assert self.told is not None
        return self.told


def tcp_info(rtt_us: int, min_rtt_us: int) -> bytes:
    told = bytearray(192)
    told[68:72] = rtt_us.to_bytes(4, sys.byteorder)
    told[148:152] = min_rtt_us.to_bytes(4, sys.byteorder)
    return bytes(told)


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_INFO is Linux's")
def test_the_least_round_trip_not_the_usual() -> None:
    path = PathTime()
    path.look(Transport(tcp_info(9000, 2500)), 10.0)
    assert path.ms == 2.5
    assert path.due_s == 10.0 + LOOK_EVERY_S
    path.look(Transport(tcp_info(9000, 0xFFFFFFFF)), 11.0)
    assert path.ms == 9.0


@pytest.mark.parametrize("told", [None, b"short", OSError("no")])
def test_where_the_kernel_is_silent_the_fastest_counts(told: Any) -> None:
    path = PathTime()
    path.seen(5.0)
    path.look(Transport(told), 0.0)
    path.seen(3.0)
    path.seen(4.0)
    assert path.ms == 3.0


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_INFO is Linux's")
async def test_a_real_connection() -> None:
    ended = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(await reader.readexactly(1))
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"x")
    await reader.readexactly(1)
    path = PathTime()
    path.look(writer.transport, 0.0)
    assert 0.0 < path.ms < 50.0, "the time the server took is no part of the path"
    writer.close()
    await writer.wait_closed()
    await ended.wait()
    server.close()
    await server.wait_closed()
    path.look(writer.transport, 1.0)
