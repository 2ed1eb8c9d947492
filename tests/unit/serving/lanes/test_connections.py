"""Keep-alive, pipelining, half-closing, slow and vanishing clients: over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.api import CenterDown, NoCenter, Report
from gateway.centers.port import Answered, Chunk, Head

BIG = b"x" * 300_000


async def until(condition: Callable[[], Any]) -> None:
    for _ in range(4000):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it never happened")


def silent(door: Any) -> list[Any]:
    """The center answers only when the test does."""
    door.front.ports[0].script = None
    return door.front.ports[0].started


async def test_one_connection_serves_many(opened: Any, request_of: Any) -> None:
    door = await opened()
    client = await door.client()
    for number in range(3):
        client.send(request_of(b"{}", f"x-request-id: r{number}"))
        told = await client.answer()
        assert (told.status, told.fields["x-request-id"]) == (200, f"r{number}")
        assert "connection" not in told.fields
    assert door.door.connections == 1


async def test_pipelined_requests_are_answered_in_order(opened: Any, request_of: Any) -> None:
    door = await opened()
    client = await door.client()
    client.send(b"".join(request_of(b"{}", f"x-request-id: r{n}") for n in range(20)))
    told = [(await client.answer()).fields["x-request-id"] for _ in range(20)]
    assert told == [f"r{n}" for n in range(20)]


async def test_a_pipelined_request_waits_for_the_one_before(opened: Any, request_of: Any) -> None:
    door = await opened()
    started = silent(door)
    client = await door.client()
    client.send(request_of(b"1") + request_of(b"2") + request_of(b"3"))
    for number in range(3):
        await until(lambda number=number: len(started) > number)
        await asyncio.sleep(0.01)
        assert [one.attempt.body for one in started] == [b"1", b"2", b"3"][: number + 1]
        started[number].answer()
        assert (await client.answer()).status == 200


async def test_the_client_may_ask_for_the_end(opened: Any, request_of: Any) -> None:
    client = await (await opened()).client()
    client.send(request_of(b"{}", "Connection: close"))
    told = await client.answer()
    assert (told.status, told.fields["connection"]) == (200, "close")
    assert await client.rest() == b""


async def test_http_1_0_ends_unless_it_asks(opened: Any, request_of: Any) -> None:
    door = await opened()
    line = "POST /v2/models/mlp/infer HTTP/1.0"
    client = await door.client()
    client.send(request_of(b"{}", line=line, host=False))
    told = await client.answer()
    assert (told.status, told.version) == (200, "HTTP/1.0")
    assert await client.rest() == b""
    client = await door.client()
    for _ in range(2):
        client.send(request_of(b"{}", "Connection: keep-alive", line=line))
        told = await client.answer()
        assert (told.status, told.fields["connection"]) == (200, "keep-alive")


async def test_an_empty_line_before_a_request_is_passed_over(opened: Any, request_of: Any) -> None:
    client = await (await opened()).client()
    client.send(request_of() + b"\r\n" + request_of())
    assert [(await client.answer()).status for _ in range(2)] == [200, 200]


async def test_expect_is_met(opened: Any) -> None:
    client = await (await opened()).client()
    client.send(
        b"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
        b"Content-Length: 2\r\n\r\n"
    )
    assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"{}")
    assert (await client.answer()).status == 200


async def test_a_large_body_comes_through_whole(opened: Any, request_of: Any) -> None:
    door = await opened()
    for size in (100_000, 1_048_576, 1_048_577, 3_000_000):
        body = bytes(range(256)) * (size // 256 + 1)
        assert (await door.ask(request_of(body[:size]))).status == 200
        assert door.front.ports[0].started[-1].attempt.body == body[:size]


async def test_a_large_answer_comes_through_whole(opened: Any, request_of: Any) -> None:
    door = await opened()
    large = bytes(range(256)) * 20_000
    door.front.ports[0].script = lambda one: one.answer(large)
    told = await door.ask(request_of())
    assert told.body == large


async def test_an_answer_in_parts_of_one_turn_has_a_length(opened: Any, request_of: Any) -> None:
    door = await opened()
    door.front.ports[0].script = lambda one: one.in_parts(b"[1]")
    told = await door.ask(request_of())
    assert (told.body, told.fields["content-length"]) == (b"[1]", "3")
    assert "server-timing" in told.fields


@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_a_stream_is_framed_as_its_version_can(
    opened: Any, request_of: Any, version: str
) -> None:
    door = await opened()
    door.front.ports[0].script = lambda one: one.hear(Head(200, "application/json", None))
    client = await door.client()
    client.send(request_of(b"{}", line=f"POST /v2/models/mlp/infer HTTP/{version}"))
    await until(lambda: door.front.ports[0].started)
    center = door.front.ports[0].started[0]
    await asyncio.sleep(0.005)
    for payload in (b"one", BIG, b"two"):
        center.hear(Chunk(payload))
        await asyncio.sleep(0.002)
    center.hear(Answered(Report(0.0, 0.1), None))
    told = await client.answer()
    assert told.body == b"one" + BIG + b"two"
    assert ("transfer-encoding" in told.fields) == (version == "1.1")
    assert "content-length" not in told.fields


async def test_a_client_that_does_not_read_pauses_the_center(
    opened: Any, request_of: Any, lane: str
) -> None:
    if lane == "aiohttp":
        pytest.skip("there a stream is bounded by what is queued, not by pausing the center")
    door = await opened()
    door.front.ports[0].script = lambda one: one.hear(Head(200, "application/json", None))
    client = await door.client(receive_bytes=4096)
    client.writer.transport.pause_reading()
    client.send(request_of())
    await until(lambda: door.front.ports[0].started)
    center = door.front.ports[0].started[0]
    sent = 0
    for _ in range(100):
        center.hear(Chunk(BIG))
        sent += 1
        await asyncio.sleep(0.001)
        if center.paused:
            break
    assert center.paused
    client.writer.transport.resume_reading()
    await until(lambda: not center.paused)
    center.hear(Answered(Report(0.0, 0.1), None))
    assert (await client.answer()).body == BIG * sent


async def test_no_request_is_begun_for_a_client_that_does_not_read(
    opened: Any, request_of: Any
) -> None:
    door = await opened()
    door.front.ports[0].script = lambda one: one.answer(BIG * 10)
    client = await door.client(receive_bytes=4096)
    client.writer.transport.pause_reading()
    client.send(request_of() * 50)
    await until(lambda: door.front.ports[0].started)
    await asyncio.sleep(0.05)
    assert len(door.front.ports[0].started) < 5
    client.writer.transport.resume_reading()
    for _ in range(50):
        assert (await client.answer()).body == BIG * 10


async def test_who_pipelines_without_end_is_not_read_from(
    opened: Any, request_of: Any, lane: str
) -> None:
    door = await opened(attempts={"timeout_ms": 5000.0})
    started = silent(door)
    client = await door.client()
    client.writer.transport.set_write_buffer_limits(high=1)
    drained = asyncio.ensure_future(flood(client, request_of(b"y" * 1000), 20_000))
    await until(lambda: started)
    await asyncio.sleep(0.2)
    assert not drained.done()
    assert len(started) == 1
    drained.cancel()


async def flood(client: Any, data: bytes, times: int) -> None:
    for _ in range(times):
        client.send(data)
        await client.writer.drain()


async def test_who_says_it_is_done_is_still_answered(
    opened: Any, request_of: Any, lane: str
) -> None:
    if lane == "aiohttp":
        pytest.skip("aiohttp takes the end of what a client says for its leaving")
    door = await opened(attempts={"timeout_ms": 5000.0})
    started = silent(door)
    answered = 0
    for version in ("1.1", "1.0"):
        client = await door.client()
        requests = 2 if version == "1.1" else 1
        client.send(request_of(line=f"POST /v2/models/mlp/infer HTTP/{version}") * requests)
        client.shut()
        for _ in range(requests):
            answered += 1
            await until(lambda count=answered: len(started) == count)
            await asyncio.sleep(0.15)
            started[-1].answer()
            assert (await client.answer()).status == 200
        assert await client.rest() == b""
    assert [out.ending for out in door.front.router.outcomes] == ["answer"] * 3


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_the_center_is_told_when_the_client_has_gone(
    opened: Any, request_of: Any, how: str
) -> None:
    door = await opened(attempts={"timeout_ms": 5000.0})
    started = silent(door)
    client = await door.client()
    client.send(request_of())
    await until(lambda: started)
    client.writer.close() if how == "close" else client.leave()
    await until(lambda: door.front.router.outcomes)
    assert started[0].cancelled
    assert door.front.router.outcomes[0].reason == "client_gone"
    await until(lambda: door.door.connections == 0)
    assert door.front.metrics.in_flight == 0


async def test_who_leaves_in_the_middle_of_a_request_leaves_nothing(
    opened: Any, request_of: Any
) -> None:
    door = await opened()
    data = request_of(b'{"inputs":[]}', "Content-Type: application/json")
    for at in range(0, len(data), 7):
        client = await door.client()
        client.send(data[:at])
        await asyncio.sleep(0.001)
        client.writer.close()
    await until(lambda: door.door.connections == 0)
    assert door.front.metrics.in_flight == 0
    assert door.front.ports[0].started == []


async def test_a_body_that_comes_too_slowly_is_408(opened: Any, request_of: Any) -> None:
    door = await opened(attempts={"deadline_ms": 60.0})
    client = await door.client()
    client.send(request_of(b"0123456789")[:-3])
    await until(lambda: door.front.metrics.in_flight == 1)
    assert (await client.answer()).status == 408
    assert door.front.metrics.in_flight == 0


async def test_a_head_that_comes_too_slowly_is_408(opened: Any, request_of: Any) -> None:
    door = await opened(server={"head_timeout_s": 0.06})
    client = await door.client()
    for byte in request_of()[:20]:
        client.send(bytes([byte]))
        await asyncio.sleep(0.001)
    told = await client.answer()
    assert (told.status, told.fields["connection"]) == (408, "close")
    assert "server.head_timeout_s" in json.loads(told.body)["error"]
    assert await client.rest() == b""


async def test_a_head_behind_a_request_is_no_less_bounded(opened: Any, request_of: Any) -> None:
    door = await opened(server={"head_timeout_s": 0.06})
    client = await door.client()
    client.send(request_of() + request_of()[:20])
    assert (await client.answer()).status == 200
    client.send(request_of()[20:22])
    assert (await client.answer()).status == 408


async def test_who_idles_is_let_go_whatever_it_asked_before(opened: Any, request_of: Any) -> None:
    door = await opened(server={"head_timeout_s": 0.01, "idle_timeout_s": 0.3})
    client, silent_one = await door.client(), await door.client()
    for _ in range(2):
        client.send(request_of(b"x" * 300_000))
        assert (await client.answer()).status == 200
    assert await client.rest() == b""
    assert await silent_one.rest() == b""
    await until(lambda: door.door.connections == 0)
    assert door.door.connections == 0


async def test_who_never_reads_is_let_go(opened: Any, request_of: Any) -> None:
    door = await opened(server={"unread_timeout_s": 0.05})
    client = await door.client(receive_bytes=4096)
    client.writer.transport.pause_reading()
    door.front.ports[0].script = lambda started: started.answer(BIG * 40)
    client.send(request_of() * 4)
    async with asyncio.timeout(10):
        while door.door.connections == 0 or not door.front.ports[0].started:
            await asyncio.sleep(0.01)
        while door.door.connections:
            await asyncio.sleep(0.05)
    assert door.front.metrics.in_flight == 0


async def test_a_refused_body_is_read_and_the_connection_goes_on(
    opened: Any, request_of: Any
) -> None:
    door = await opened(server={"in_flight_max": 1})
    started = silent(door)
    first = await door.client()
    first.send(request_of())
    await until(lambda: started)
    second = await door.client()
    data = request_of(b"z" * 200_000)
    second.send(data[:1000])
    told = await second.answer()
    assert (told.status, told.fields["retry-after"]) == (503, "1")
    started[0].answer()
    assert (await first.answer()).status == 200
    second.send(data[1000:])
    door.front.ports[0].script = type(started[0]).answer
    second.send(request_of(b"again"))
    assert (await second.answer()).status == 200
    assert started[-1].attempt.body == b"again"


async def test_errors_of_every_kind_leave_the_connection_as_it_was(
    opened: Any, request_of: Any
) -> None:
    door = await opened()
    client = await door.client()
    for fields, status in (
        (("Content-Type: text/plain",), 415),
        (("x-nearway-origin: Atlantis",), 400),
        (("Inference-Header-Content-Length: 9",), 400),
        ((), 200),
    ):
        client.send(request_of(b"{}", *fields))
        assert (await client.answer()).status == status
    for port in door.front.ports:
        port.script = lambda one: one.fail(CenterDown("gone"))
    client.send(request_of())
    assert (await client.answer()).status == 503
    door.front.router.refusal = NoCenter("nobody")
    client.send(request_of() + request_of())
    assert [(await client.answer()).status for _ in range(2)] == [503, 503]
    assert door.front.metrics.in_flight == 0


async def test_a_stream_that_breaks_off_does_not_look_whole(opened: Any, request_of: Any) -> None:
    door = await opened()
    door.front.ports[0].script = lambda one: one.hear(Head(200, "application/json", None))
    client = await door.client()
    client.send(request_of())
    await until(lambda: door.front.ports[0].started)
    center = door.front.ports[0].started[0]
    await asyncio.sleep(0.005)
    center.hear(Chunk(b"one"))
    await client.reader.readuntil(b"one\r\n")
    center.fail(CenterDown("gone"))
    assert b"0\r\n\r\n" not in await client.rest()
    await until(lambda: door.front.metrics.in_flight == 0)


async def test_closing_waits_for_what_is_under_way(opened: Any, request_of: Any) -> None:
    door = await opened(attempts={"timeout_ms": 5000.0})
    started = silent(door)
    idle, busy = await door.client(), await door.client()
    idle.send(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await idle.answer()).status == 200
    busy.send(request_of())
    await until(lambda: started)
    closing = asyncio.ensure_future(door.door.close())
    assert await idle.rest() == b""
    started[0].answer()
    told = await busy.answer()
    assert told.status == 200
    assert await busy.rest() == b""
    await closing
    assert door.door.connections == 0


async def test_who_retires_closes_each_connection_with_its_answer(
    opened: Any, request_of: Any
) -> None:
    door = await opened()
    client = await door.client()
    client.send(request_of())
    assert "connection" not in (await client.answer()).fields
    door.front.retiring = True
    client.send(request_of())
    assert (await client.answer()).fields["connection"] == "close"
    assert await client.rest() == b""


async def test_after_a_hand_over_a_slow_reader_gets_everything(
    opened: Any, request_of: Any
) -> None:
    """The hot lane's answer still fills the transport when aiohttp takes over."""
    door = await opened()
    door.front.ports[0].script = lambda one: one.answer(BIG * 10)
    client = await door.client(receive_bytes=4096)
    client.writer.transport.pause_reading()
    client.send(request_of() + b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.05)
    client.writer.transport.resume_reading()
    assert (await client.answer()).body == BIG * 10
    assert (await client.answer()).status == 200
