"""A connection without a socket: a transport that keeps what is written, and streams that echo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest


class Told(NamedTuple):
    """A frame that the server sent."""

    kind: int
    flags: int
    stream: int
    payload: bytes


class Transport:
    """Takes everything; ``stuck`` ones call ``pause_writing`` at the first write."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = self.aborted = self.said_eof = False
        self.reading = True
        self.half = True
        self.extra: dict[str, Any] = {"peername": ("10.0.0.1", 555)}

    def get_extra_info(self, name: str) -> Any:
        return self.extra.get(name)

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def can_write_eof(self) -> bool:
        return self.half

    def write_eof(self) -> None:
        self.said_eof = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Peer:
    """The client's side. ``clock`` moves when a test says so."""

    def __init__(self, open_stream: Callable[..., Any], **limits: Any) -> None:
        from gateway.centers.outbox import Outbox
        from gateway.serving.grpc_door.http2 import Connection, Limits

        told = {
            "list_bytes": 4096,
            "streams": 4,
            "stream_window": 65_535,
            "window": 131_070,
            "greeting_s": 5.0,
            "idle_s": 60.0,
            "unread_s": 30.0,
        }
        self.limits = Limits(**{**told, **limits})
        self.now = 100.0
        self.clock = lambda: self.now
        self._soon: list[Callable[[], None]] = []
        self.outbox = Outbox(self._soon.append)
        self.open = open_stream
        self.connections: set[Any] = set()
        self.transport = Transport()
        self.connection = Connection(self)
        self._read = 0

    def make_head(self, fields: list[tuple[bytes, bytes]], size: int) -> Any:
        return dict(fields)

    def joined(self, connection: Any) -> None:
        self.connections.add(connection)

    def lost(self, connection: Any) -> None:
        self.connections.discard(connection)

    def connect(self) -> None:
        self.connection.connection_made(self.transport)

    def send(self, data: bytes) -> list[Told]:
        """Bytes to the server, and the frames it answers with."""
        self.connection.data_received(data)
        return self.told()

    def told(self) -> list[Told]:
        """What the server has sent since."""
        while self._soon:
            self._soon.pop(0)()
        found, data = [], self.transport.written
        while len(data) - self._read >= 9:
            head = data[self._read : self._read + 9]
            size = int.from_bytes(head[:3], "big")
            payload = data[self._read + 9 : self._read + 9 + size]
            assert len(payload) == size
            self._read += 9 + size
            found.append(Told(head[3], head[4], int.from_bytes(head[5:], "big"), payload))
        return found

    def look(self, seconds: float) -> list[Told]:
        """So much later."""
        self.now += seconds
        self.connection.look(self.now)
        return self.told()


def echoing() -> Any:
    """A class of streams that answer with the data they were sent, when it ends."""
    from gateway.serving.grpc_door.http2 import Stream

    class Echo(Stream):
        __slots__ = ("data", "endings", "frees", "head", "sent_count")

        def __init__(self, connection: Any, number: int, head: Any) -> None:
            super().__init__(connection, number)
            self.head = head
            self.data = b""
            self.frees = True
            self.endings = self.sent_count = 0

        def begin(self, *, end: bool) -> None:
            if end:
                self.hear(b"", end=True)

        def hear(self, payload: bytes, *, end: bool) -> None:
            self.data += payload
            if self.frees:
                self.free(len(payload))
            if end:
                self.connection.out.whole(self, b"\x88", self.data, b"\x88")

        def sent(self) -> None:
            self.sent_count += 1

        def ended(self) -> None:
            self.endings += 1

    return Echo


Connect = Callable[..., Peer]


@pytest.fixture
def peer() -> Iterator[Connect]:
    """Connects peers; ``opened`` has their streams. ``greet``: past the preface and SETTINGS."""
    from gateway.serving.grpc_door.http2 import frames as f

    made: list[Peer] = []
    kind = echoing()

    def connect(*, greet: bool = True, **limits: Any) -> Peer:
        opened: list[Any] = []

        def open_stream(connection: Any, number: int, head: Any) -> Any:
            opened.append(kind(connection, number, head))
            return opened[-1]

        one: Any = Peer(open_stream, **limits)
        one.opened = opened
        one.connect()
        if greet:
            one.send(f.PREFACE + f.settings({}))
        made.append(one)
        return one  # type: ignore[no-any-return]

    yield connect
    for one in made:
        one.connection.connection_lost(None)
        assert one.connections == set()
        assert one.connection.streams == {}
        assert all(stream.endings == 1 for stream in one.opened)
