"""The first byte of a connection tells frames from HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.serving import shared_port
from gateway.serving.shared_port import SharedPort
from gateway.wire import frames


class Kind(asyncio.Protocol):
    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: list[Any] = []

    def connection_made(self, transport: Any) -> None:
        self.heard.append(transport)

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.protocol: Any = None
        self.aborted = False

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def abort(self) -> None:
        self.aborted = True


HELLO = frames.encode(frames.Hello(frames.PROTOCOL, frames.VERSION, "t", 1, 1, 1))


@pytest.mark.parametrize(
    ("said", "kind"),
    [(HELLO, "frames"), (HELLO[:1], "frames"), (b"POST /v2", "http"), (b"\x16\x03\x01", "http")],
)
async def test_the_connection_is_handed_over_with_its_bytes(said: bytes, kind: str) -> None:
    port = SharedPort(lambda: Kind("frames"), lambda: Kind("http"))
    transport = FakeTransport()
    port.connection_made(transport)
    port.data_received(said)
    assert transport.protocol.name == kind
    assert transport.protocol.heard == [transport, said]


async def test_who_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_port, "FIRST_BYTE_S", 0.0)
    transport = FakeTransport()
    SharedPort(lambda: Kind("frames"), lambda: Kind("http")).connection_made(transport)
    for _ in range(100):
        if transport.aborted:
            break
        await asyncio.sleep(0.001)
    assert transport.aborted


async def test_who_leaves_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    port = SharedPort(lambda: Kind("frames"), lambda: Kind("http"))
    transport = FakeTransport()
    port.connection_made(transport)
    port.connection_lost(None)
    port.data_received(b"late")
    assert transport.protocol is None
