"""One request at a time: its admission, its answer in every form, and what may go wrong."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from gateway.api import CenterDown, NoCenter, Refused, Report
from gateway.centers.outbox import Outbox
from gateway.centers.port import Answered, Chunk, Head
from gateway.serving.boundary import check_fields
from gateway.serving.hot_lane.turn import JOIN_BYTES_MAX, head_lines


def answers(wire: Any) -> list[tuple[bytes, bytes]]:
    """(head, body) of each whole answer with a length."""
    found, rest = [], wire.written
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
        found.append((head, rest[:size]))
        rest = rest[size:]
    return found


async def asked(bench: Any, turns: Any, data: bytes) -> tuple[Any, bytes, bytes]:
    wire = bench.wire()
    wire.feed(data)
    await turns()
    ((head, body),) = answers(wire)
    return wire, head, body


@pytest.mark.parametrize("size", [0, 1, JOIN_BYTES_MAX, JOIN_BYTES_MAX + 1])
async def test_an_answer_of_any_size(bench: Any, request_of: Any, turns: Any, size: int) -> None:
    bench.front.ports[0].script = lambda one: one.answer(b"x" * size)
    _, head, body = await asked(bench, turns, request_of())
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
    assert b"\r\nx-nearway-center: c0\r\n" in head
    assert b"\r\nDate: Sun, 09 Sep 2001 01:46:40 GMT" in head
    assert body == b"x" * size


async def test_an_answer_of_binary_tensors(bench: Any, request_of: Any, turns: Any) -> None:
    told = Head(200, "application/octet-stream", 2)
    bench.front.ports[0].script = lambda one: one.answer(b"{}\0", head=told)
    _, head, body = await asked(bench, turns, request_of())
    assert b"Inference-Header-Content-Length: 2" in head
    assert body == b"{}\0"


@pytest.mark.parametrize("size", [5_000, 200_000])
async def test_a_large_answer_is_compressed_on_the_loop_or_beside_it(
    bench: Any, request_of: Any, turns: Any, size: int
) -> None:
    bench.front.ports[0].script = lambda one: one.answer(b"z" * size)
    bench.lane.compress_bytes_min = 1400
    wire = bench.wire()
    wire.feed(request_of(b"{}", "Accept-Encoding: gzip") * 2)
    for _ in range(5000):
        await turns(1)
        if wire.written.count(b"\r\n\r\n") == 2 and bench.front.metrics.in_flight == 0:
            break
    for head, body in answers(wire):
        assert b"Content-Encoding: gzip" in head
        assert gzip.decompress(body) == b"z" * size
    await turns()
    assert bench.lane.tasks == 0


async def test_who_leaves_while_its_answer_is_compressed_leaves_nothing(
    bench: Any, request_of: Any, turns: Any
) -> None:
    bench.front.ports[0].script = lambda one: one.answer(b"z" * 200_000)
    bench.lane.compress_bytes_min = 1400
    wire = bench.wire()
    wire.feed(request_of(b"{}", "Accept-Encoding: gzip"))
    for _ in range(100):
        await turns(1)
        if bench.lane.tasks:
            break
    assert bench.lane.tasks == 1
    wire.lose()
    await turns()
    assert (bench.lane.tasks, bench.front.metrics.in_flight, wire.written) == (0, 0, b"")


async def test_a_model_that_nobody_serves_is_named(bench: Any, request_of: Any, turns: Any) -> None:
    bench.front.router.refusal = NoCenter("nobody")
    for port in bench.front.ports:
        port.models.clear()
    wire = bench.wire()
    wire.feed(request_of() * 2)
    await turns(40)
    assert [head[9:12] for head, _ in answers(wire)] == [b"404", b"404"]
    assert bench.front.metrics.in_flight == 0


async def test_a_head_that_cannot_be_written_is_500_and_logged(
    bench: Any, request_of: Any, turns: Any, caplog: pytest.LogCaptureFixture
) -> None:
    told = Head(200, "application/json\r\nx: y", None)
    bench.front.ports[0].script = lambda one: one.answer(head=told)
    _, head, body = await asked(bench, turns, request_of(b"{}", "x-request-id: r9"))
    assert head.startswith(b"HTTP/1.1 500 ")
    assert "r9" in json.loads(body)["error"]
    assert "cannot stand in a head" in caplog.text
    assert bench.front.metrics.in_flight == 0


async def test_a_stream_that_cannot_begin_is_500(bench: Any, request_of: Any, turns: Any) -> None:
    bench.front.ports[0].script = lambda one: one.hear(Head(200, "a\nb", None))
    wire = bench.wire()
    wire.feed(request_of())
    await turns()
    bench.front.ports[0].script = lambda one: one.in_parts(b"[2]")
    bench.started[0].hear(Chunk(b"one"))
    wire.feed(request_of())
    await turns()
    (first, _), (second, body) = answers(wire)
    assert first.startswith(b"HTTP/1.1 500 ")
    assert bench.started[0].cancelled
    assert second.startswith(b"HTTP/1.1 200 ")
    assert body == b"[2]"
    assert bench.front.metrics.in_flight == 0


@pytest.mark.parametrize("early", [False, True])
async def test_an_unforeseen_error_is_500_and_the_next_request_is_served(
    bench: Any, request_of: Any, turns: Any, caplog: pytest.LogCaptureFixture, early: bool
) -> None:
    wire = bench.wire()
    owner, name = (bench.front.router, "decide") if not early else (bench.lane, "arrival_of")
    good = getattr(owner, name)

    def broken(*_: Any) -> Any:
        raise RuntimeError("secret detail")

    setattr(owner, name, broken)
    wire.feed(request_of())
    await turns()
    setattr(owner, name, good)
    wire.feed(request_of())
    await turns()
    assert [head[9:12] for head, _ in answers(wire)] == [b"500", b"200"]
    assert b"secret" not in wire.written
    assert "secret detail" in caplog.text


async def test_a_stream_is_bounded_by_what_the_client_leaves_unread(
    make_bench: Any, request_of: Any, turns: Any
) -> None:
    bench = make_bench(server={"body_bytes_max": 1000})
    bench.front.ports[0].script = lambda one: one.hear(Head(200, "application/json", None))
    wire = bench.wire()
    wire.feed(request_of())
    await turns()
    bench.started[0].hear(Chunk(b"one"))
    await turns()
    wire.buffered = 1001
    bench.started[0].hear(Chunk(b"two"))
    bench.started[0].hear(Chunk(b"three"))
    await turns()
    assert wire.aborted
    assert b"three" not in wire.written
    assert bench.front.router.outcomes[0].reason == "client_gone"
    assert bench.front.metrics.in_flight == 0


@pytest.mark.parametrize("minor", [0, 1])
async def test_a_stream_ends_as_its_version_can(
    bench: Any, request_of: Any, turns: Any, minor: int
) -> None:
    bench.front.ports[0].script = lambda one: one.hear(Head(200, "application/json", None))
    wire = bench.wire()
    wire.feed(request_of(b"{}", "Connection: keep-alive", minor=minor))
    await turns()
    for payload in (b"one", b"", b"t" * (JOIN_BYTES_MAX + 1)):
        bench.started[0].hear(Chunk(payload))
        await turns()
    bench.started[0].hear(Answered(Report(0.0, 0.1), None))
    head, _, body = wire.written.partition(b"\r\n\r\n")
    if minor:
        assert b"Transfer-Encoding: chunked" in head
        assert body == b"3\r\none\r\n4001\r\n" + b"t" * 0x4001 + b"\r\n0\r\n\r\n"
    else:
        assert b"ransfer" not in head
        assert b"Connection: keep-alive" not in head
        assert body == b"one" + b"t" * 0x4001
    assert wire.closed == (minor == 0)


async def test_a_stream_that_breaks_off_ends_the_connection(
    bench: Any, request_of: Any, turns: Any
) -> None:
    bench.front.ports[0].script = lambda one: one.hear(Head(200, "application/json", None))
    wire = bench.wire()
    wire.feed(request_of())
    await turns()
    bench.started[0].hear(Chunk(b"one"))
    await turns()
    bench.started[0].fail(CenterDown("gone"))
    await turns()
    assert wire.aborted
    assert not wire.written.endswith(b"0\r\n\r\n")
    assert bench.front.metrics.in_flight == 0


async def test_a_stream_whose_head_has_not_left_is_the_error_instead(
    make_bench: Any, request_of: Any, turns: Any
) -> None:
    """Its time may be over in the very turn in which it begins: nobody has seen a byte yet."""
    bench = make_bench(silent=True)
    bench.lane.outbox = Outbox(asyncio.get_running_loop().call_soon)
    wire = bench.wire()
    wire.feed(request_of())
    turn = wire.protocol._turn
    turn.send_head(Head(200, "application/json", None), 0, None)
    turn.send_chunk(b"one")
    turn._exchange._fail(CenterDown("gone"))
    await turns()
    ((head, body),) = answers(wire)
    assert head.startswith(b"HTTP/1.1 503 ")
    assert "gone" in json.loads(body)["error"]
    assert not wire.aborted


async def test_a_client_that_reads_slowly_pauses_the_center(
    make_bench: Any, request_of: Any
) -> None:
    bench = make_bench(silent=True)
    wire = bench.wire()
    wire.protocol.pause_writing()
    wire.protocol.resume_writing()
    wire.feed(request_of())
    wire.protocol.pause_writing()
    assert bench.started[0].paused
    wire.protocol.resume_writing()
    assert not bench.started[0].paused


async def test_who_retires_says_so(bench: Any, request_of: Any, turns: Any) -> None:
    bench.front.retiring = True
    wire, head, _ = await asked(bench, turns, request_of())
    assert b"Connection: close" in head
    assert wire.closed


async def test_every_admission_is_followed_by_its_end(
    make_bench: Any, request_of: Any, turns: Any
) -> None:
    bench = make_bench(server={"in_flight_max": 1}, silent=True)
    first, second = bench.wire(), bench.wire()
    first.feed(request_of())
    second.feed(request_of())
    ((head, body),) = answers(second)
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1" in head
    assert "in_flight_max" in json.loads(body)["error"]
    assert bench.front.metrics.in_flight == 1
    bench.started[0].answer()
    assert bench.front.metrics.in_flight == 0


def test_a_field_cannot_hold_a_line_end() -> None:
    for value in ("b\r\nc: d", "b\n", "\0"):
        with pytest.raises(ValueError, match="cannot stand in a head"):
            check_fields({"x": "y", "a": value})


def test_a_status_without_a_phrase_has_none() -> None:
    assert head_lines(1, 404, {"a": "b"}) == "HTTP/1.1 404 Not Found\r\na: b\r\n"
    assert head_lines(0, 420, {}) == "HTTP/1.0 420 \r\n"


async def test_a_centers_own_refusal_passes_with_its_status(
    bench: Any, request_of: Any, turns: Any
) -> None:
    bench.front.ports[0].script = lambda one: one.fail(Refused("enhance your calm", 420))
    _, head, body = await asked(bench, turns, request_of())
    assert head.startswith(b"HTTP/1.1 420 \r\n")
    assert json.loads(body) == {"error": "enhance your calm"}
