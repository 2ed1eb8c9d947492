"""One link with a transport that keeps what is written; frames in, events out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.api import Report
from gateway.centers import Attempt
from gateway.centers.framed.link import FramedLink
from gateway.wire import frames
from gateway.wire.frames import FrameReader, Hello, encode

REPORT = Report(0.5, 1.25, 3.0, 2, 4, 0.75, 100.0, 0.5, 0.25)


class FakeTransport(asyncio.Transport):
    """Keeps what is written; nothing moves by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


class Linked:
    """A link that has said hello and heard one, as a test holds both of its ends."""

    def __init__(self, *, in_flight_max: int = 4, frame_bytes_max: int = 200_000) -> None:
        self.now = 100.0
        self.told: list[Any] = []
        self.gone: list[dict[str, int]] = []  # by attempt, the events heard before
        self.link = FramedLink(
            "here",
            "test",
            loop=asyncio.get_running_loop(),
            clock=lambda: self.now,
            on_resident=self.told.append,
            on_gone=lambda: self.gone.append({name: len(of) for name, of in self.events.items()}),
        )
        self.transport = FakeTransport()
        self.link.connection_made(self.transport)
        self.reader = FrameReader()
        self.hello = Hello(
            frames.PROTOCOL, frames.VERSION, "center", in_flight_max, frame_bytes_max, 1
        )
        self.read_at = 0
        self.events: dict[str, list[Any]] = {}

    def greet(self) -> Linked:
        self.say(self.hello)
        self.written()
        return self

    def say(self, *said: frames.Frame | tuple[frames.Frame, bytes]) -> None:
        """Frames of the center, in one piece."""
        pairs = (one if isinstance(one, tuple) else (one, b"") for one in said)
        self.link.data_received(b"".join(encode(frame, body) for frame, body in pairs))

    def start(self, name: str, *, body: bytes = b"{}", deadline_s: float = 100.5) -> Any:
        heard = self.events.setdefault(name, [])
        attempt = Attempt(name, 3, "m", "", body, None, deadline_s)
        return self.link.start("c", "Shanghai", attempt, heard.append)

    def written(self) -> list[tuple[Any, bytes]]:
        """The frames written since the last call."""
        new = b"".join(self.transport.writes[self.read_at :])
        self.read_at = len(self.transport.writes)
        return list(self.reader.feed(new))

    async def turn(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    def answer(self, number: int, payload: bytes = b"ok") -> tuple[frames.Answer, bytes]:
        fields = frames.report_fields(REPORT)
        return frames.Answer(number, 200, "application/json", None, fields, 8.25), payload

    def kinds(self, name: str) -> list[str]:
        return [type(event).__name__ for event in self.events[name]]


@pytest.fixture(name="make_linked", scope="session")
def linked_class() -> type[Linked]:
    return Linked


@pytest.fixture(name="report", scope="session")
def a_report() -> Report:
    return REPORT
