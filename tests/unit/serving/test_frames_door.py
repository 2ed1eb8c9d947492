"""The door for frames: attempts at the center that is named, within bounds, cancelled when lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.api import (
    CenterDown,
    InvalidRequest,
    ModelMetadata,
    NotFound,
    Overloaded,
    Report,
    TensorSpec,
)
from gateway.centers import Attempt, ModelState, Whole
from gateway.serving import frames_door, frames_patience
from gateway.serving.frames_door import FramesDoor, FramesPeer, Hosted
from gateway.wire import frames
from gateway.wire.frames import FrameReader, Hello, encode

REPORT = Report(0.5, 1.25, 3.0, 2, 4, 0.75, 100.0, 0.5, 0.25)
FIELDS = frames.report_fields(REPORT)
NOW = 50.0
METADATA = ModelMetadata("m", ("1",), "onnx", (TensorSpec("x", "FP32", (-1, 4)),), ())


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = self.reading_paused = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


class FakePort:
    """Keeps attempts until the test answers them."""

    def __init__(self) -> None:
        self.started: list[tuple[Attempt, Any]] = []
        self.cancelled: list[str] = []
        self.probed: list[tuple[int, Any]] = []
        self.refuses: Exception | None = None

    def start(self, attempt: Attempt, on_event: Any) -> Any:
        if self.refuses is not None:
            raise self.refuses
        self.started.append((attempt, on_event))
        port = self

        class Call:
            def cancel(self) -> None:
                port.cancelled.append(attempt.request_id)

            def pause(self) -> None:
                pass

            def resume(self) -> None:
                pass

        return Call()

    def probe(self, vantage: int, on_result: Any) -> None:
        self.probed.append((vantage, on_result))

    async def index(self) -> tuple[ModelState, ...]:
        return (ModelState("m", "1", "READY"),)

    async def metadata(self, model: str, version: str) -> ModelMetadata:
        return METADATA

    async def ready(self, model: str, version: str) -> bool:
        raise NotFound(f"no {model} of version {version}")

    async def config(self, model: str, version: str) -> dict[str, Any]:
        raise ZeroDivisionError

    async def statistics(self, model: str, version: str) -> list[dict[str, Any]]:
        await asyncio.Event().wait()
        return []

    async def load(self, model: str) -> None:
        pass


def find(name: str) -> int:
    if name == "Shanghai":
        return 3
    raise InvalidRequest(f"{name}: no such place")


class Doorway:
    """A door with one center ``c``, and connections to it."""

    def __init__(self, **hosted: Any) -> None:
        self.port = FakePort()
        self.lines = [frames.ResidencyLine("c", "m", True, 0.5)]
        ports: Any = {"c": self.port}
        self.door = FramesDoor(
            Hosted(ports, find, lambda: self.lines, lambda: NOW, "test", **hosted)
        )

    def connect(self) -> Connected:
        return Connected(self.door)


class Connected:
    def __init__(self, door: FramesDoor) -> None:
        self.peer: FramesPeer = door.connection()
        self.transport = FakeTransport()
        self.reader = FrameReader()
        self.read_at = 0
        self.peer.connection_made(self.transport)

    async def greet(self) -> Connected:
        self.say(Hello(frames.PROTOCOL, frames.VERSION, "gateway", 1, 1 << 20, 100_000))
        await self.written()
        return self

    def say(self, *said: frames.Frame | tuple[frames.Frame, bytes]) -> None:
        pairs = (one if isinstance(one, tuple) else (one, b"") for one in said)
        self.peer.data_received(b"".join(encode(frame, body) for frame, body in pairs))

    async def written(self) -> list[tuple[Any, bytes]]:
        for _ in range(4):
            await asyncio.sleep(0)
        new = b"".join(self.transport.writes[self.read_at :])
        self.read_at = len(self.transport.writes)
        return list(self.reader.feed(new))


def request(number: int, *, center: str = "c", vantage: str = "Shanghai") -> frames.Request:
    return frames.Request(number, center, "m", "1", vantage, 250.0, 2, f"r{number}")


def whole(payload: bytes = b"ok") -> Whole:
    return Whole(200, "application/json", None, payload, REPORT, 8.25)


async def test_it_greets_and_lists_its_models() -> None:
    connected = Doorway(emulates="cloud, seed 1").connect()
    assert await connected.written() == []
    connected.say(Hello(frames.PROTOCOL, frames.VERSION, "gateway", 1, 1, 1))
    (hello, _), (residency, body) = await connected.written()
    assert (hello.emulates, hello.in_flight_max) == ("cloud, seed 1", 1024)
    assert frames.decode_residency(body) == [frames.ResidencyLine("c", "m", True, 0.5)]
    assert residency == frames.Residency()


async def test_a_request_is_an_attempt_and_its_answer_a_frame() -> None:
    doorway = Doorway()
    connected = await doorway.connect().greet()
    connected.say((request(1), b"{}"))
    ((attempt, on_event),) = doorway.port.started
    assert attempt == Attempt("r1", 3, "m", "1", b"{}", 2, NOW + 0.25)
    assert doorway.door.in_flight == 1
    on_event(whole())
    assert doorway.door.in_flight == 0
    assert await connected.written() == [
        (frames.Answer(1, 200, "application/json", None, FIELDS, 8.25), b"ok")
    ]


async def test_answers_of_one_turn_are_one_write() -> None:
    doorway = Doorway()
    connected = await doorway.connect().greet()
    connected.say(*((request(number), b"{}") for number in range(20)))
    before = len(connected.transport.writes)
    for _, on_event in doorway.port.started:
        on_event(whole())
    assert len(await connected.written()) == 20
    assert len(connected.transport.writes) == before + 1


async def refusal(connected: Connected, *said: Any) -> frames.Failure:
    connected.say(*said)
    *_, (failure, _) = await connected.written()
    assert isinstance(failure, frames.Failure)
    return failure


async def test_a_center_that_is_not_here() -> None:
    connected = await Doorway().connect().greet()
    failure = await refusal(connected, request(1, center="d"))
    assert failure.reason == "center_down"
    assert "serves c; mend its url" in failure.message


async def test_an_unknown_vantage_matters_where_paths_are_emulated() -> None:
    emulating, plain = Doorway(emulates="cloud"), Doorway()
    failure = await refusal(await emulating.connect().greet(), request(1, vantage="Atlantis"))
    assert failure.reason == "invalid_request"
    assert emulating.port.started == []
    connected = await plain.connect().greet()
    connected.say(request(1, vantage="Atlantis"))
    assert plain.port.started[0][0].vantage == 0


async def test_too_many_under_way() -> None:
    doorway = Doorway(in_flight_max=2)
    connected = await doorway.connect().greet()
    failure = await refusal(connected, request(1), request(2), request(3))
    assert (failure.id, failure.reason) == (3, "center_busy")
    doorway.port.started[0][1](whole())
    connected.say(request(4))
    assert len(doorway.port.started) == 3


async def test_too_many_bytes_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_door, "BODIES_BYTES_MAX", 100)
    doorway = Doorway()
    connected = await doorway.connect().greet()
    failure = await refusal(connected, (request(1), bytes(60)), (request(2), bytes(60)))
    assert (failure.id, failure.reason) == (2, "center_busy")
    connected.say(frames.Cancel(1))
    connected.say((request(3), bytes(60)))
    assert len(doorway.port.started) == 2


async def test_a_center_that_cannot_begin() -> None:
    doorway = Doorway()
    doorway.port.refuses = Overloaded("the delay line is full")
    failure = await refusal(await doorway.connect().greet(), request(1))
    assert (failure.reason, failure.status) == ("overloaded", 429)
    assert doorway.door.in_flight == 0


async def test_cancel_reaches_the_center_once() -> None:
    doorway = Doorway()
    connected = await doorway.connect().greet()
    connected.say(request(1), frames.Cancel(1), frames.Cancel(1), frames.Cancel(9))
    assert doorway.port.cancelled == ["r1"]
    assert doorway.door.in_flight == 0


async def test_a_lost_connection_cancels_everything() -> None:
    doorway = Doorway()
    connected = await doorway.connect().greet()
    connected.say(request(1), request(2))
    connected.peer.connection_lost(None)
    assert doorway.port.cancelled == ["r1", "r2"]
    assert (doorway.door.in_flight, doorway.door.connections) == (0, 0)


async def test_a_gateway_that_does_not_read_is_not_read() -> None:
    doorway = Doorway()
    connected = await doorway.connect().greet()
    connected.say(request(1))
    connected.peer.pause_writing()
    assert connected.transport.reading_paused
    doorway.port.started[0][1](whole(bytes(600_000)))
    assert [type(frame) for frame, _ in await connected.written()] == [frames.AnswerHead]
    connected.peer.resume_writing()
    assert not connected.transport.reading_paused
    assert sum(len(body) for _, body in await connected.written()) == 100_000
    connected.say(frames.Credit(1, 600_000), frames.Credit(5, 1))
    assert sum(len(body) for _, body in await connected.written()) == 500_000
    assert doorway.door.in_flight == 0


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"GET /v2 HTTP/1.1\r\n\r\n", "a frame of"),
        (encode(frames.Cancel(1)), "before the hello"),
    ],
)
async def test_garbage_at_the_beginning(said: bytes, words: str) -> None:
    connected = Doorway().connect()
    connected.peer.data_received(said)
    transport = connected.transport
    assert transport.closed
    assert words.encode() in b"".join(transport.writes)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (request(1), "uses number 1 twice"),
        (frames.Reply(1), "does not send Reply frames"),
    ],
)
async def test_garbage_later_ends_the_connection_with_a_reason(
    said: frames.Frame, words: str
) -> None:
    doorway = Doorway()
    connected = await doorway.connect().greet()
    connected.say(request(1), said)
    ((goodbye, _),) = await connected.written()
    assert words in goodbye.reason
    assert not goodbye.drains
    assert connected.transport.closed
    assert doorway.port.cancelled == ["r1"]
    connected.say(request(2))
    assert len(doorway.port.started) == 1


async def test_a_body_over_the_bound() -> None:
    connected = await Doorway(body_bytes_max=1000).connect().greet()
    connected.peer.data_received(encode(request(1), bytes(100_000)))
    ((goodbye, _),) = await connected.written()
    assert "expected at most 66537" in goodbye.reason


async def test_who_says_no_hello_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_patience, "HELLO_S", 0.0)
    connected = Doorway().connect()
    for _ in range(100):
        if connected.transport.closed:
            break
        await asyncio.sleep(0.001)
    assert b"no hello within" in b"".join(connected.transport.writes)


async def test_too_many_gateways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_door, "CONNECTIONS_MAX", 1)
    doorway = Doorway()
    await doorway.connect().greet()
    second = doorway.connect()
    assert second.transport.closed
    assert b"1 gateways are connected" in second.transport.writes[0]
    assert doorway.door.connections == 1


async def test_probes() -> None:
    doorway = Doorway()
    connected = await doorway.connect().greet()
    connected.say(frames.Probe(1, "c", "Shanghai"), frames.Probe(2, "c", "Shanghai"))
    (vantage, first), (_, second) = doorway.port.probed
    assert vantage == 3
    first(REPORT)
    second(None)
    connected.say(frames.Probe(3, "elsewhere", "Shanghai"))
    assert [frame for frame, _ in await connected.written()] == [
        frames.Probed(1, FIELDS),
        frames.Probed(2, None),
        frames.Probed(3, None),
    ]


async def test_questions() -> None:
    connected = await Doorway().connect().greet()
    verbs = ("index", "metadata", "ready", "config", "load", "dance")
    connected.say(*(frames.Question(n, v, "c", "m", "1") for n, v in enumerate(verbs)))
    connected.say(frames.Question(6, "index", "d", "", ""))
    told = {frame.id: (frame, body) for frame, body in await connected.written()}
    assert frames.decode_body(told[0][1], tuple[ModelState, ...]) == (
        ModelState("m", "1", "READY"),
    )
    assert frames.decode_body(told[1][1], ModelMetadata) == METADATA
    assert told[2][0] == frames.Failure(2, "not_found", 404, "no m of version 1", None, None)
    assert told[3][0].reason == "center_failed"
    assert told[4] == (frames.Reply(4), b"\xc0")
    assert told[5][0].reason == "unsupported"
    assert told[6][0].reason == "center_down"


async def test_questions_end_with_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_door, "QUESTIONS_MAX", 1)
    connected = await Doorway().connect().greet()
    connected.say(frames.Question(1, "statistics", "c", "", ""))
    failure = await refusal(connected, frames.Question(2, "index", "c", "", ""))
    assert failure.reason == "center_busy"
    (task,) = connected.peer._tasks
    connected.peer.connection_lost(None)
    await asyncio.wait([task])
    assert task.cancelled()


async def test_every_gateway_learns_of_a_change() -> None:
    doorway = Doorway()
    first, silent = await doorway.connect().greet(), doorway.connect()
    lines = [frames.ResidencyLine("c", "m", False, 0.0)]
    doorway.door.tell(lines)
    ((_, body),) = await first.written()
    assert frames.decode_residency(body) == lines
    assert await silent.written() == []


async def test_leaving_answers_what_is_under_way_and_refuses_the_rest() -> None:
    doorway = Doorway()
    connected = await doorway.connect().greet()
    connected.say(request(1))
    doorway.door.leave("stops")
    assert await connected.written() == [(frames.Goodbye("stops", drains=True), b"")]
    failure = await refusal(connected, request(2))
    assert failure.reason == frames.failure(2, CenterDown("")).reason
    doorway.port.started[0][1](whole())
    ((answer, _),) = await connected.written()
    assert answer.id == 1
    late = doorway.connect()
    late.say(Hello(frames.PROTOCOL, frames.VERSION, "", 1, 1, 1))
    assert [type(frame) for frame, _ in await late.written()][-1] is frames.Goodbye
    doorway.door.close()
    assert connected.transport.closed
    assert late.transport.closed


async def test_a_gateway_that_says_goodbye_is_let_go() -> None:
    connected = await Doorway().connect().greet()
    connected.say(frames.Goodbye("stops", drains=False))
    assert connected.transport.closed
