"""A connection's states: reading, waiting, ending, and handing over."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from gateway.api import Report
from gateway.centers.port import Answered, Chunk, Head
from gateway.config.settings import Server
from gateway.serving.app import LINGER_S
from gateway.serving.hot_lane.connection import READ_AHEAD_BYTES_MAX, is_reset

KEEPALIVE_S = Server().idle_timeout_s
PATIENCE_S = Server().body_timeout_s
HEAD_S = Server().head_timeout_s


def statuses(wire: Any) -> list[bytes]:
    return [part[:3] for part in wire.written.split(b"HTTP/1.1 ")[1:]]


async def test_a_known_head_takes_the_short_way(bench: Any, request_of: Any, turns: Any) -> None:
    wire = bench.wire()
    for body in (b"1", b"2", b"3"):
        wire.feed(request_of(body))
        await turns()
    assert statuses(wire) == [b"200"] * 3
    assert [one.attempt.body for one in bench.started] == [b"1", b"2", b"3"]
    assert not wire.closed


async def test_who_says_nothing_is_let_go(bench: Any, request_of: Any, turns: Any) -> None:
    new, used = bench.wire(), bench.wire()
    used.feed(request_of())
    await turns()
    bench.advance(0.0)
    bench.advance(KEEPALIVE_S - 1)
    used.feed(request_of())
    await turns()
    bench.advance(0.5)
    assert not new.closed
    bench.advance(1.0)
    assert (new.closed, used.closed) == (True, False)
    bench.advance(KEEPALIVE_S)
    assert used.closed


async def test_empty_lines_are_no_sign_of_life(bench: Any) -> None:
    wire = bench.wire()
    bench.advance(0.0)
    for _ in range(3):
        bench.advance(KEEPALIVE_S / 2)
        wire.feed(b"\r\n")
    assert wire.closed


@pytest.mark.parametrize(("cut", "bound_s"), [(5, HEAD_S), (-3, PATIENCE_S)])
async def test_what_comes_too_slowly_is_408(
    bench: Any, request_of: Any, turns: Any, cut: int, bound_s: float
) -> None:
    wire = bench.wire()
    wire.feed(request_of(b"0123456789")[:cut])
    bench.advance(bound_s - 1)
    assert wire.written == b""
    assert bench.front.metrics.in_flight == (cut < 0)
    bench.advance(2.0)
    assert statuses(wire) == [b"408"]
    assert b"Connection: close" in wire.written
    assert wire.eof_written
    assert bench.front.metrics.in_flight == 0
    wire.feed(b"789" + request_of())
    await turns()
    assert statuses(wire) == [b"408"]
    assert bench.started == []
    bench.advance(LINGER_S + 0.1)
    assert wire.closed


async def test_a_refused_body_that_does_not_come_ends_the_connection(
    bench: Any, request_of: Any
) -> None:
    wire = bench.wire()
    wire.feed(request_of(b"0123456789", "Content-Type: text/plain")[:-3])
    assert statuses(wire) == [b"415"]
    bench.advance(PATIENCE_S + 1)
    assert wire.aborted


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02",
        b"POST /v2/models/mlp/infer HTTP/1.1\nHost",
        b"\nPOST",
        b"POST / HTTP/1.1\rHost",
        b"POST / HTTP/1.1\r\nx: \x00",
        b"POST / HTTP/1.1\r\nx: \x7f",
        b"POST / HTTP/1.1\r\nx: " + b"y" * 17_000,
    ],
)
async def test_what_can_be_no_head_is_refused_before_its_end(bench: Any, text: bytes) -> None:
    wire = bench.wire()
    for at in range(0, len(text), 7):
        wire.feed(text[at : at + 7])
    assert statuses(wire) == [b"400"]
    assert wire.eof_written


async def test_a_line_end_cut_in_two_is_no_fault(bench: Any, request_of: Any, turns: Any) -> None:
    wire = bench.wire()
    data = request_of()
    at = data.index(b"\r\n") + 1
    wire.feed(data[:at])
    wire.feed(data[at:])
    await turns()
    assert statuses(wire) == [b"200"]


async def test_who_sends_ahead_is_not_read_from(
    make_bench: Any, request_of: Any, turns: Any
) -> None:
    bench = make_bench(silent=True)
    wire = bench.wire()
    wire.feed(request_of())
    wire.feed(request_of(b"x" * READ_AHEAD_BYTES_MAX))
    assert not wire.reading
    bench.started[0].answer()
    assert wire.reading
    bench.started[1].answer()
    assert statuses(wire) == [b"200", b"200"]


async def test_nothing_is_begun_while_the_client_does_not_read(
    make_bench: Any, request_of: Any
) -> None:
    bench = make_bench(silent=True)
    wire = bench.wire()
    wire.feed(request_of() * 2)
    wire.protocol.pause_writing()
    bench.started[0].answer()
    wire.feed(request_of())
    assert len(bench.started) == 1
    bench.advance(PATIENCE_S - 1)
    wire.protocol.resume_writing()
    assert len(bench.started) == 2
    bench.started[1].answer()
    assert len(bench.started) == 3


async def test_who_does_not_read_for_too_long_is_let_go(
    make_bench: Any, request_of: Any, turns: Any
) -> None:
    bench = make_bench(silent=True)
    wire = bench.wire()
    wire.feed(request_of())
    wire.protocol.pause_writing()
    bench.advance(PATIENCE_S + 1)
    await turns()
    assert wire.aborted
    assert bench.started[0].cancelled
    assert bench.front.metrics.in_flight == 0


async def test_a_pause_after_the_answer_holds_the_next_request(
    bench: Any, request_of: Any, turns: Any
) -> None:
    wire = bench.wire()
    wire.feed(request_of())
    await turns()
    wire.protocol.pause_writing()
    wire.feed(request_of())
    await turns()
    assert statuses(wire) == [b"200"]
    wire.protocol.resume_writing()
    await turns()
    assert statuses(wire) == [b"200", b"200"]


async def test_who_says_all_and_waits_is_answered_and_let_go(
    make_bench: Any, request_of: Any
) -> None:
    bench = make_bench(silent=True)
    wire = bench.wire()
    wire.feed(request_of() + request_of()[:20])
    assert wire.protocol.eof_received()
    assert wire.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    bench.started[0].answer()
    assert statuses(wire) == [b"100", b"200"]
    assert wire.closed


async def test_http_1_0_knows_no_interim_answer(make_bench: Any, request_of: Any) -> None:
    bench = make_bench(silent=True)
    wire = bench.wire()
    wire.feed(request_of(minor=0))
    assert wire.protocol.eof_received()
    assert wire.written == b""


async def test_the_end_within_a_stream_is_taken_for_leaving(
    bench: Any, request_of: Any, turns: Any
) -> None:
    bench.front.ports[0].script = lambda one: one.hear(Head(200, "application/json", None))
    wire = bench.wire()
    wire.feed(request_of())
    await turns()
    bench.started[0].hear(Chunk(b"one"))
    await turns()
    assert not wire.protocol.eof_received()
    bench.started[0].hear(Answered(Report(0.0, 0.1), None))
    assert wire.written.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("sent", [0, 10, -1])
async def test_the_end_before_a_request_is_whole_ends_the_connection(
    bench: Any, request_of: Any, sent: int
) -> None:
    wire = bench.wire()
    wire.feed(request_of()[:sent] if sent else b"")
    assert not wire.protocol.eof_received()


async def test_a_reset_is_seen_where_the_system_tells() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    accepted, _ = server.accept()

    class Told(asyncio.Transport):
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return accepted if name == "socket" else default

    if not hasattr(socket, "TCP_INFO"):
        pytest.skip("this system does not tell")
    assert not is_reset(Told())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    assert is_reset(Told())
    accepted.close()
    server.close()
    assert not is_reset(Told())


async def test_another_request_is_handed_over_with_all_that_was_read(
    make_bench: Any, request_of: Any, turns: Any
) -> None:
    bench = make_bench(silent=True)
    wire = bench.wire()
    other = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n" + request_of()
    wire.feed(request_of() + other[:30])
    wire.feed(other[30:] + b"x" * READ_AHEAD_BYTES_MAX)
    assert not wire.reading
    assert bench.handlers == []
    bench.started[0].answer()
    assert statuses(wire) == [b"200"]
    (handler,) = bench.handlers
    assert handler.data == other + b"x" * READ_AHEAD_BYTES_MAX
    assert wire.protocol is handler
    assert handler.transport is wire
    assert wire.reading
    assert not handler.closing
    assert bench.lane.connections == set()


async def test_who_has_said_all_gets_one_answer_after_the_hand_over(
    make_bench: Any, request_of: Any
) -> None:
    bench = make_bench(silent=True)
    wire = bench.wire()
    wire.feed(request_of() + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    wire.protocol.eof_received()
    bench.started[0].answer()
    assert bench.handlers[0].closing


async def test_nothing_is_handed_to_who_takes_no_more(bench: Any) -> None:
    bench.takes = False
    wire = bench.wire()
    wire.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert wire.eof_written


async def test_who_is_lost_leaves_nothing(make_bench: Any, request_of: Any) -> None:
    bench = make_bench(silent=True)
    for data in (b"", b"POST", request_of()[:-1], request_of(), request_of() * 2):
        wire = bench.wire()
        wire.feed(data)
        wire.lose()
    assert bench.lane.connections == set()
    assert bench.front.metrics.in_flight == 0
    assert all(one.cancelled for one in bench.started)
    assert bench.front.router.open == []
