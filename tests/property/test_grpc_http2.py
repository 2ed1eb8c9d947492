"""Whatever bytes a peer sends: the connection never breaks, and nothing is left of it."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if find_spec("hpack") is None:
    pytest.skip("the extra grpc is not installed", allow_module_level=True)

from gateway.centers.outbox import Outbox
from gateway.serving.grpc_door.http2 import Connection, Limits, Stream
from gateway.serving.grpc_door.http2 import frames as f
from gateway.serving.grpc_door.http2.headers import block_of

HEAD = block_of([(":method", "POST"), (":scheme", "http"), (":path", "/a")])
HELLO = f.PREFACE + f.settings({})
WINDOW = 5_000
LIMITS = Limits(2_000, 3, WINDOW, 4 * WINDOW + f.WINDOW_START, 5.0, 60.0, 30.0)


class Echo(Stream):
    """Answers with what it was sent; one in three only after its data have all come."""

    __slots__ = ("endings", "kept")

    def __init__(self, connection: Connection, number: int) -> None:
        super().__init__(connection, number)
        self.kept = b""
        self.endings = 0

    def begin(self, *, end: bool) -> None:
        if end:
            self.hear(b"", end=True)

    def hear(self, payload: bytes, *, end: bool) -> None:
        self.kept += payload
        assert len(self.kept) <= WINDOW
        if self.id % 3:
            self.free(len(payload))
            self.put(self.kept)
            self.kept = b""
            if end:
                self.put(b"\x88", block=True, last=True)
            self.connection.out.send(self)
        elif end:
            self.connection.out.whole(self, b"\x88", self.kept, b"\x88")

    def ended(self) -> None:
        self.endings += 1


class Both:
    """Owner and transport: what is written is kept, and must be frames."""

    def __init__(self) -> None:
        self.limits = LIMITS
        self.now = 0.0
        self.clock = lambda: self.now
        self.outbox = Outbox(lambda callback: callback())
        self.streams: list[Echo] = []
        self.written = bytearray()
        self.closed = False

    def make_head(self, fields: Any, size: int) -> Any:
        return fields, size

    def open(self, connection: Connection, number: int, head: Any) -> Stream:
        self.streams.append(Echo(connection, number))
        return self.streams[-1]

    def joined(self, connection: Connection) -> None: ...

    def lost(self, connection: Connection) -> None: ...

    def get_extra_info(self, name: str) -> None: ...

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None: ...

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def frames(self) -> list[tuple[int, int, int]]:
        found, data = [], bytes(self.written)
        while data:
            size = int.from_bytes(data[:3], "big")
            assert size <= 4 * f.FRAME_BYTES
            assert len(data) >= 9 + size
            found.append((data[3], data[4], int.from_bytes(data[5:9], "big")))
            data = data[9 + size :]
        return found


STREAMS = st.integers(0, 9) | st.integers(0, 2**32 - 1)
BLOCKS = st.binary(max_size=60) | st.just(HEAD)
PAYLOADS = st.binary(max_size=60) | st.integers(0, 6_000).map(bytes)
NUMBERS = st.integers(0, 2**31 - 1) | st.integers(0, 9)
FRAMES = st.one_of(
    st.builds(f.frame, st.just(f.HEADERS), st.sampled_from([4, 5]), STREAMS, st.just(HEAD)),
    st.builds(f.frame, st.just(f.DATA), st.sampled_from([0, 1]), STREAMS, PAYLOADS),
    st.builds(f.frame, st.just(f.HEADERS), st.integers(0, 255), STREAMS, BLOCKS),
    st.builds(f.frame, st.integers(0, 12), st.integers(0, 255), STREAMS, PAYLOADS),
    st.builds(f.window_update, STREAMS, NUMBERS),
    st.builds(f.rst_stream, STREAMS, st.integers(0, 2**32 - 1)),
    st.dictionaries(st.integers(0, 8), NUMBERS, max_size=4).map(f.settings),
    st.binary(max_size=40),
)


def sent(data: bytes, cuts: list[int], seconds: float) -> None:
    """``data`` to a connection, cut at ``cuts``; it is looked at in between, then lost."""
    both: Any = Both()
    connection = Connection(both)
    connection.connection_made(both)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for at, after in pairwise(places):
        connection.data_received(data[at:after])
        both.now += seconds
        connection.look(both.now)
        assert len(connection.streams) <= LIMITS.streams
    told = both.frames()
    gone = [number for number, (kind, _, _) in enumerate(told) if kind == f.GOAWAY]
    if connection._incoming.over:
        assert both.closed or gone
        assert connection.streams == {}
    ends = [stream for kind, flags, stream in told if kind == f.HEADERS and flags & 1]
    assert len(ends) == len(set(ends))  # a stream is answered once
    connection.connection_lost(None)
    assert connection.streams == {}
    assert all(stream.endings == 1 for stream in both.streams)


async def in_a_loop(data: bytes, cuts: list[int], seconds: float) -> None:
    sent(data, cuts, seconds)
    await asyncio.sleep(0)


CASES = {
    "frames": st.lists(FRAMES, max_size=40).map(b"".join),
    "cuts": st.lists(st.integers(0, 2**20), max_size=8),
    "seconds": st.sampled_from([0.0, 0.001, 0.3, 40.0]),
    "hello": st.sampled_from([HELLO, HELLO, HELLO, f.PREFACE, b""]),
}
QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=150, **QUIET)
@given(**CASES)
def test_any_frames(frames: bytes, cuts: list[int], seconds: float, hello: bytes) -> None:
    asyncio.run(in_a_loop(hello + frames, cuts, seconds))


@pytest.mark.soak
@pytest.mark.timeout(1200)
@settings(max_examples=50_000, **QUIET)
@given(**CASES)
def test_any_frames_for_long(frames: bytes, cuts: list[int], seconds: float, hello: bytes) -> None:
    asyncio.run(in_a_loop(hello + frames, cuts, seconds))
