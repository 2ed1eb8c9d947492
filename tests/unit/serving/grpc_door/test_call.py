"""Calls as bytes on a socket: cut anywhere, in pieces, large, slow, compressed, broken off."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.settings import SettingCodes, Settings

from gateway.centers.port import Head
from gateway.serving.grpc_door.messages import SERVICE, ModelInferResponse, ModelStreamInferResponse

WITHIN_S = 20.0
INFER, STREAM = f"/{SERVICE}/ModelInfer", f"/{SERVICE}/ModelStreamInfer"


def framed(message: bytes, flag: int = 0) -> bytes:
    return bytes([flag]) + len(message).to_bytes(4, "big") + message


class Answer:
    """What came on one stream."""

    def __init__(self) -> None:
        self.head: dict[str, str] = {}
        self.data = b""
        self.trailers: dict[str, str] = {}
        self.reset: int | None = None
        self.ended = False

    @property
    def status(self) -> str:
        return {**self.head, **self.trailers}.get("grpc-status", "")

    @property
    def details(self) -> str:
        return {**self.head, **self.trailers}.get("grpc-message", "")

    def messages(self) -> list[bytes]:
        found, data = [], self.data
        while data:
            size = int.from_bytes(data[1:5], "big")
            assert data[0] == 0
            assert len(data) >= 5 + size
            found.append(data[5 : 5 + size])
            data = data[5 + size :]
        return found


class Client:
    """HTTP/2 by hand. ``reads``: windows are opened again for what has come."""

    def __init__(self, reader: Any, writer: Any, window: int = 65_535) -> None:
        self._reader, self._writer = reader, writer
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        windows = {SettingCodes.INITIAL_WINDOW_SIZE: window}
        self.h2.local_settings = Settings(client=True, initial_values=windows)
        self.h2.initiate_connection()
        self.answers: dict[int, Answer] = {}
        self.reads = True

    def begin(self, path: str = INFER, **more: str) -> int:
        number = self.h2.get_next_available_stream_id()
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "x",
            "te": "trailers",
            "content-type": "application/grpc",
            **{name.replace("_", "-"): value for name, value in more.items()},
        }
        self.h2.send_headers(number, list(fields.items()))
        self.answers[number] = Answer()
        return number

    def flush(self) -> None:
        self._writer.write(self.h2.data_to_send())

    async def send(self, number: int, data: bytes, *, end: bool = True) -> None:
        """All of it, as the server's windows allow."""
        while data:
            room = self.h2.local_flow_control_window(number)
            part = data[: min(room, self.h2.max_outbound_frame_size)]
            if not part:
                await self.read()
                continue
            data = data[len(part) :]
            self.h2.send_data(number, part)
            self.flush()
            await self._writer.drain()
        if end:
            self.h2.end_stream(number)
        self.flush()

    async def read(self) -> None:
        """One read of the socket."""
        async with asyncio.timeout(WITHIN_S):
            data = await self._reader.read(65_536)
        assert data, "the server has closed"
        for event in self.h2.receive_data(data):
            number = getattr(event, "stream_id", 0)
            answer = self.answers.get(number) if number else None
            if answer is None:
                continue
            if isinstance(event, ResponseReceived):
                answer.head = dict(event.headers)
            elif isinstance(event, DataReceived):
                answer.data += event.data
                if self.reads and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, number)
            elif isinstance(event, TrailersReceived):
                answer.trailers = dict(event.headers)
            elif isinstance(event, StreamEnded):
                answer.ended = True
            elif isinstance(event, StreamReset):
                answer.reset = event.error_code
                answer.ended = True
        self.flush()

    async def answer(self, number: int) -> Answer:
        self.flush()
        answer = self.answers[number]
        while not answer.ended:
            await self.read()
        return answer

    async def until(self, so: Callable[[], bool]) -> None:
        while not so():
            await self.read()

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def connect(grpc_door: Any) -> AsyncIterator[Any]:
    """Opens a door and connects to it; ``door``, ``front`` ride along."""
    opened: list[Any] = []

    async def one(window: int = 65_535, to: Any = None, **settings: Any) -> Any:
        door = await grpc_door(**settings) if to is None else to
        host, _, port = door.address.rpartition(":")
        client: Any = Client(*await asyncio.open_connection(host, int(port)), window)
        client.door, client.front = door, door.front
        opened.append(client)
        return client

    yield one
    for client in opened:
        client.close()


def never(client: Any) -> None:
    for port in client.front.ports:
        port.script = None


def large(request_of: Any, count: int) -> bytes:
    request = request_of()
    request.inputs[0].shape[:] = [count // 4, 4]
    request.raw_input_contents[0] = bytes(range(256)) * (count * 4 // 256)
    return bytes(request.SerializeToString())


def head_of(outputs: int) -> bytes:
    spec = (
        f'"datatype":"FP32","shape":[1,{outputs}],"parameters":{{"binary_data_size":{outputs * 4}}}'
    )
    return f'{{"model_name":"mlp","outputs":[{{"name":"y",{spec}}}]}}'.encode()


def answering(client: Any, outputs: int) -> bytes:
    """Centers that answer with so many numbers; returns them as bytes."""
    head, body = head_of(outputs), bytes(range(256)) * (outputs * 4 // 256)
    for port in client.front.ports:
        port.script = lambda one: one.answer(
            head + body, head=Head(200, "application/octet-stream", len(head))
        )
    return body


async def test_a_call_cut_at_every_byte_has_the_same_answer(connect: Any, request_of: Any) -> None:
    client = await connect()
    message = framed(request_of(id_="i-1").SerializeToString())
    client.flush()
    whole = len(message)
    for cut in range(whole + 1):
        number = client.begin(x_request_id="r-1")
        client.flush()
        await client.send(number, message[:cut], end=False)
        await client.send(number, message[cut:], end=cut % 2 == 0)
        if cut % 2:
            client.h2.end_stream(number)
        told = await client.answer(number)
        assert (told.head[":status"], told.status) == ("200", "0")
        assert told.trailers["x-request-id"] == "r-1"
        [answer] = told.messages()
        assert ModelInferResponse.FromString(answer).id == "i-1"
    assert client.door.door._calls.under_way == 0
    assert client.door.door._calls.held == 0


async def test_streams_at_once_have_their_own_answers(connect: Any, request_of: Any) -> None:
    client = await connect()
    numbers = {client.begin(): f"i-{number}" for number in range(50)}
    for number, id_ in numbers.items():
        await client.send(number, framed(request_of(id_=id_).SerializeToString()))
    for number, id_ in numbers.items():
        [answer] = (await client.answer(number)).messages()
        assert ModelInferResponse.FromString(answer).id == id_


async def test_a_large_tensor_passes_small_windows_both_ways(connect: Any, request_of: Any) -> None:
    client = await connect(window=1000)
    body = answering(client, 64 * 1024)
    number = client.begin()
    message = large(request_of, 1 << 20)
    await client.send(number, framed(message))
    told = await client.answer(number)
    assert told.status == "0"
    [answer] = told.messages()
    assert ModelInferResponse.FromString(answer).raw_output_contents[0] == body
    attempt = client.front.ports[0].started[0].attempt
    assert attempt.body[attempt.head_bytes :] == bytes(range(256)) * (1 << 14)
    assert client.front.metrics.in_flight == 0


async def test_who_reads_slowly_gets_all_and_holds_up_nobody(connect: Any, request_of: Any) -> None:
    slow = await connect(window=100_000_000)
    slow.h2.increment_flow_control_window(2**30)
    body = answering(slow, 1 << 20)
    numbers = [slow.begin() for _ in range(4)]
    for number in numbers:
        await slow.send(number, framed(request_of().SerializeToString()))
    other = await connect(to=slow.door)
    number = other.begin()
    await other.send(number, framed(request_of().SerializeToString()))
    assert (await other.answer(number)).status == "0"
    for number in numbers:
        [answer] = (await slow.answer(number)).messages()
        assert ModelInferResponse.FromString(answer).raw_output_contents[0] == body


async def test_who_shuts_its_window_is_answered_elsewhere_all_the_same(
    connect: Any, request_of: Any
) -> None:
    client = await connect(window=6)
    client.reads = False
    first, second = client.begin(), client.begin()
    for number in (first, second):
        await client.send(number, framed(request_of().SerializeToString()))
    await client.until(lambda: len(client.answers[second].data) == 6)
    client.h2.increment_flow_control_window(10_000, second)
    assert (await client.answer(second)).status == "0"
    assert len(client.answers[first].data) == 6
    client.h2.increment_flow_control_window(10_000, first)
    assert (await client.answer(first)).status == "0"


async def test_a_client_that_is_gone_ends_all_its_calls(
    connect: Any, request_of: Any, until: Any
) -> None:
    client = await connect()
    never(client)
    for _ in range(3):
        await client.send(client.begin(), framed(request_of().SerializeToString()))
    stream = client.begin(STREAM)
    await client.send(stream, framed(request_of().SerializeToString()), end=False)
    half = client.begin()
    await client.send(half, framed(b"x" * 100)[:50], end=False)
    started = client.front.ports[0].started
    await until(lambda: len(started) == 4)
    client.close()
    await until(lambda: all(one.cancelled for one in started))
    calls = client.door.door._calls
    await until(lambda: client.front.metrics.in_flight == 0 and calls.under_way == 0)
    assert calls.held == 0
    assert client.door.door.connections == set()


async def test_a_reset_cancels_one_call_and_the_connection_goes_on(
    connect: Any, request_of: Any, until: Any
) -> None:
    client = await connect()
    never(client)
    numbers = [client.begin(), client.begin()]
    for number in numbers:
        await client.send(number, framed(request_of().SerializeToString()))
    started = client.front.ports[0].started
    await until(lambda: len(started) == 2)
    client.h2.reset_stream(numbers[0], 8)
    client.flush()
    await until(lambda: started[0].cancelled)
    assert not started[1].cancelled
    started[1].answer()
    assert (await client.answer(numbers[1])).status == "0"


async def test_compressed_messages_are_read_and_a_bomb_is_not(
    connect: Any, request_of: Any
) -> None:
    client = await connect(server={"body_bytes_max": 1 << 20})
    message = request_of(id_="i-1").SerializeToString()
    number = client.begin(grpc_encoding="gzip")
    await client.send(number, framed(gzip.compress(message), 1))
    told = await client.answer(number)
    assert ModelInferResponse.FromString(told.messages()[0]).id == "i-1"
    assert told.head["grpc-accept-encoding"] == "identity,deflate,gzip"
    number = client.begin(grpc_encoding="gzip")
    await client.send(number, framed(gzip.compress(b"\0" * (1 << 24)), 1))
    assert (await client.answer(number)).status == "8"
    number = client.begin(grpc_encoding="snappy")
    await client.send(number, framed(message, 1))
    told = await client.answer(number)
    assert told.status == "12"
    assert "snappy" in told.details


WRONG = {
    "no message": (b"", "12", "there is none"),
    "two messages": (framed(b"") * 2, "12", "there are more"),
    "a message that ends too soon": (framed(b"x" * 10)[:-1], "13", "within a message"),
    "a flag that is none": (framed(b"", 7), "12", "begins with 7"),
    "a compressed one that is not said to be": (framed(b"x", 1), "3", "grpc-encoding"),
    "no protobuf": (framed(b"\xff\xff"), "3", "no inference.ModelInferRequest"),
    "a length over the bound": (b"\0\xff\xff\xff\xff", "8", "server.body_bytes_max"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_what_is_no_message_is_told(connect: Any, request_of: Any, what: str) -> None:
    sent, status, details = WRONG[what]
    client = await connect()
    number = client.begin()
    await client.send(number, sent)
    told = await client.answer(number)
    assert (told.head[":status"], told.status) == ("200", status)
    assert details in told.details
    number = client.begin()
    await client.send(number, framed(request_of().SerializeToString()))
    assert (await client.answer(number)).status == "0"


async def test_who_is_refused_early_is_told_to_stop(connect: Any) -> None:
    client = await connect()
    number = client.begin()
    await client.send(number, b"\0\xff\xff\xff\xff" + b"x" * 1000, end=False)
    told = await client.answer(number)
    assert told.status == "8"
    while told.reset is None:
        await client.read()
    assert told.reset == 0


async def test_what_is_no_call_of_grpc_has_a_status_of_http(connect: Any) -> None:
    client = await connect()
    number = client.begin(content_type="application/json")
    told = await client.answer(number)
    assert told.head[":status"] == "415"
    fields = [(":method", "GET"), (":scheme", "http"), (":path", INFER), (":authority", "x")]
    number = client.h2.get_next_available_stream_id()
    client.h2.send_headers(number, fields, end_stream=True)
    client.answers[number] = Answer()
    assert (await client.answer(number)).head[":status"] == "405"


async def test_a_head_that_is_wrong_is_told_by_its_field(connect: Any) -> None:
    client = await connect(server={"head_bytes_max": 2000})
    for more, status, details in (
        ({"grpc_timeout": "soon"}, "3", "grpc-timeout"),
        ({"x_raw_bin": "?"}, "3", "x-raw-bin"),
        ({"x_long": "y" * 2000}, "8", "server.head_bytes_max"),
    ):
        number = client.begin(**more)
        told = await client.answer(number)
        assert told.status == status
        assert details in told.details


async def test_a_body_that_is_too_slow_is_told(connect: Any) -> None:
    client = await connect(server={"body_timeout_s": 0.1})
    number = client.begin()
    await client.send(number, framed(b"x" * 100)[:50], end=False)
    told = await client.answer(number)
    assert told.status == "4"
    assert "server.body_timeout_s" in told.details


async def test_a_deadline_counts_while_the_message_is_still_coming(connect: Any) -> None:
    client = await connect()
    number = client.begin(grpc_timeout="50m")
    await client.send(number, framed(b"x" * 100)[:50], end=False)
    told = await client.answer(number)
    assert told.status == "4"


async def test_a_streams_deadline_ends_it_and_what_is_under_way(
    connect: Any, request_of: Any, until: Any
) -> None:
    client = await connect()
    never(client)
    number = client.begin(STREAM, grpc_timeout="100m")
    await client.send(number, framed(request_of().SerializeToString()), end=False)
    told = await client.answer(number)
    assert told.status == "4"
    await until(lambda: client.front.ports[0].started[0].cancelled)
    assert client.front.metrics.in_flight == 0


async def test_messages_that_are_not_whole_have_a_bound_together(connect: Any) -> None:
    client = await connect(server={"bodies_bytes_max": 100_000})
    numbers = [client.begin() for _ in range(3)]
    for number in numbers:
        await client.send(number, framed(b"x" * 60_000)[:45_000], end=False)
    told = await client.answer(numbers[2])
    assert told.status == "14"
    assert "server.bodies_bytes_max" in told.details
    assert client.door.door._calls.held == 90_000


async def test_a_stream_whose_answers_nobody_reads_is_held_back(
    connect: Any, request_of: Any, until: Any
) -> None:
    client = await connect(window=10)
    client.reads = False
    number = client.begin(STREAM)
    message = framed(request_of(id_="i").SerializeToString())
    await client.send(number, message * 200, end=False)
    started = client.front.ports[0].started
    await until(lambda: len(started) == 64)
    await asyncio.sleep(0.05)
    assert len(started) == 64
    client.h2.end_stream(number)
    client.h2.increment_flow_control_window(10**6, number)
    told = await client.answer(number)
    assert told.status == "0"
    assert len(told.messages()) == 200
    for one in told.messages():
        assert ModelStreamInferResponse.FromString(one).infer_response.id == "i"
