"""An attempt's events: an answer, a refusal or a failure, with what the center reports."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.api import CenterBusy, CenterFailed, InvalidRequest, Report
from gateway.centers.port import Failed, Whole
from gateway.wire import orca

REPORT = Report(0.5, 2.0, 8.0, 3, 4, 2.5, 100.0, 1.0, 0.75)


async def test_what_is_sent(serve: Any, reach: Any, always: Any, ok: Any) -> None:
    server = await serve(always(ok()))
    center = await reach(server.url)
    await center.answer(b"{}1234", head_bytes=2, model="a b", version="7", request_id="r-9")
    ((first, headers, body),) = server.requests
    assert first == "POST /v2/models/a%20b/versions/7/infer HTTP/1.1"
    assert body == b"{}1234"
    assert headers["host"] in server.url
    assert headers["content-type"] == "application/octet-stream"
    assert headers["inference-header-content-length"] == "2"
    assert headers["x-request-id"] == "r-9"
    assert headers["endpoint-load-metrics-format"] == "text"
    assert 29_000 < float(headers["x-request-timeout-ms"]) <= 30_000
    assert "x-nearway-vantage" not in headers


@pytest.mark.parametrize("emulate", ["none", "center"])
async def test_who_emulates_is_told_the_vantage_and_tells_the_delay(
    serve: Any, reach: Any, always: Any, ok: Any, emulate: str
) -> None:
    server = await serve(always(ok(b"x", "x-nearway-drawn-ms: 0.25")))
    center = await reach(server.url, emulate=emulate)
    event = await center.answer(vantage=1)
    ((_, headers, _),) = server.requests
    emulates = emulate == "center"
    assert headers.get("x-nearway-vantage") == ("Xi'an" if emulates else None)
    assert event.drawn_ms == (0.25 if emulates else None)


async def test_report_of_an_answer(serve: Any, reach: Any, always: Any, ok: Any) -> None:
    server = await serve(always(ok(b"x", f"endpoint-load-metrics: {orca.format_text(REPORT)}")))
    center = await reach(server.url, connections_min=1)
    for _ in range(3):
        event = await center.answer()
        assert isinstance(event, Whole)
        assert event.report == REPORT


async def test_silent_server_is_timed(serve: Any, reach: Any, ok: Any) -> None:
    async def handler(peer: Any) -> None:
        while True:
            await peer.request()
            await asyncio.sleep(0.03)
            await peer.say(ok())

    center = await reach((await serve(handler)).url, connections_min=1)
    for _ in range(3):
        report = (await center.answer()).report
        assert report.service_ms > 20.0
        assert (report.queue_ms, report.slots) == (0.0, 0)


async def test_refusal_with_its_report(serve: Any, reach: Any, always: Any) -> None:
    body = b'{"error":"input \\"x\\" is absent"}'
    lines = f"Content-Length: {len(body)}\r\nendpoint-load-metrics: {orca.format_text(REPORT)}"
    server = await serve(always(f"HTTP/1.1 400 x\r\n{lines}\r\n\r\n".encode() + body))
    event = await (await reach(server.url)).answer()
    assert isinstance(event, Failed)
    assert isinstance(event.error, InvalidRequest)
    assert str(event.error) == 'input "x" is absent'
    assert event.report == REPORT


@pytest.mark.parametrize(("status", "kind"), [(503, CenterBusy), (500, CenterFailed)])
async def test_errors_keep_the_connection(
    serve: Any, reach: Any, always: Any, status: int, kind: Any
) -> None:
    server = await serve(always(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode()))
    center = await reach(server.url)
    for _ in range(3):
        event = await center.answer()
        assert isinstance(event, Failed)
        assert isinstance(event.error, kind)
    assert server.connections == 1


async def test_everything_is_harmless_once_it_is_over(
    serve: Any, reach: Any, always: Any, ok: Any
) -> None:
    server = await serve(always(ok()))
    center = await reach(server.url)
    listener = center.ask()
    await listener.end()
    other = center.ask()
    for _ in range(2):
        listener.call.pause()
        listener.call.resume()
        listener.call.cancel()
    assert isinstance(await other.end(), Whole)
    assert server.connections == 1


async def test_an_attempt_may_start_another_from_its_answer(
    serve: Any, reach: Any, always: Any, ok: Any
) -> None:
    server = await serve(always(ok()))
    center = await reach(server.url)
    first = center.ask()
    more: list[Any] = []
    first.on = lambda _: more.append(center.ask())
    await first.end()
    assert isinstance(await more[0].end(), Whole)
    assert server.connections == 1, "the connection was not free before its answer was told"


async def test_an_attempt_may_be_cancelled_from_its_events(
    serve: Any, reach: Any, always: Any, ok: Any
) -> None:
    server = await serve(always(ok(b"x" * 300_000)))
    center = await reach(server.url)
    for at in (1, 2):
        listener = center.ask()

        def stop(_: Any, listener: Any = listener, at: int = at) -> None:
            if len(listener.events) == at:
                listener.call.cancel()

        listener.on = stop
        while len(listener.events) < at:
            await asyncio.sleep(0)
        await asyncio.sleep(0.02)
        assert len(listener.events) == at
