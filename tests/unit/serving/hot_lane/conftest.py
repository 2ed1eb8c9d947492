"""A hot lane over a fleet of fakes, on a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.centers.outbox import Outbox
from gateway.serving import Front
from gateway.serving.hot_lane import HotLane

PATH = "/v2/models/mlp/infer"


class Handler(asyncio.Protocol):
    """Stands for aiohttp's: notes what it is given."""

    def __init__(self) -> None:
        self.data = b""
        self.transport: Any = None
        self.closing = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data

    def close(self) -> None:
        self.closing = True


@dataclass
class Bench:
    """The lane, its front, and the transports a test has made."""

    lane: HotLane
    front: Any
    wire_class: Any
    passed_s: float = 0.0
    handlers: list[Handler] = field(default_factory=list)
    takes: bool = True

    def wire(self) -> Any:
        """A new connection."""
        return self.wire_class(self.lane.connect())

    def make_handler(self) -> Any:
        if not self.takes:
            return None
        self.handlers.append(Handler())
        return self.handlers[-1]

    def advance(self, seconds: float) -> None:
        """Time passes, and every connection is looked at."""
        self.passed_s += seconds
        for connection in tuple(self.lane.connections):
            connection.look(self.lane.clock())

    @property
    def started(self) -> list[Any]:
        """The attempts at the first center."""
        return list(self.front.ports[0].started)


@pytest.fixture
async def make_bench(make_front: Callable[..., Front], Wire: Any) -> AsyncIterator[Any]:  # noqa: N803 - a class
    benches: list[Bench] = []

    def make(*, silent: bool = False, **settings: Any) -> Bench:
        loop = asyncio.get_running_loop()
        front = make_front(attempts={"timeout_ms": 5000.0}, **settings)
        lane = HotLane(front, lambda: bench.make_handler(), loop, lambda: 1e9)
        lane.outbox = Outbox(lambda send: send())  # a test sees at once what is written
        bench = Bench(lane, front, Wire)
        lane.clock = lambda: loop.time() + bench.passed_s
        if silent:
            front.ports[0].script = None
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        await bench.lane.close(0.0)


@pytest.fixture
async def bench(make_bench: Any) -> Bench:
    made: Bench = make_bench()
    return made


@pytest.fixture(scope="session")
def request_of() -> Callable[..., bytes]:
    """A request's bytes: body, further fields, minor version."""

    def of(body: bytes = b"{}", *fields: str, minor: int = 1) -> bytes:
        lines = [f"POST {PATH} HTTP/1.{minor}", "Host: a", *fields]
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body

    return of


@pytest.fixture(scope="session")
def turns() -> Any:
    """Lets the loop turn a few times."""

    async def turn(times: int = 10) -> None:
        for _ in range(times):
            await asyncio.sleep(0)

    return turn
