"""Questions are awaited, probes have a timer; neither leaves anything behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.api import CenterDown, CenterFailed, NotFound, Report
from gateway.centers.remote import questions
from gateway.wire import orca


async def probe(center: Any, within_s: float = 5.0) -> Report | None:
    heard: asyncio.Future[Report | None] = asyncio.get_running_loop().create_future()
    center.center.probe(0, heard.set_result)
    assert not heard.done()
    return await asyncio.wait_for(heard, within_s)


async def ask(center: Any, method: str = "GET", path: str = "/v2", document: Any = None) -> Any:
    return await center.center._questions.ask(method, path, document)


async def test_an_answer_of_any_status(serve: Any, reach: Any, once: Any) -> None:
    server = await serve(once(b'HTTP/1.1 404 x\r\nContent-Length: 13\r\n\r\n{"error":"n"}'))
    told = await ask(await reach(server.url), "POST", "/v2/x", {"a": 1})
    assert told.status == 404
    with pytest.raises(NotFound, match="n"):
        told.read(dict[str, Any])
    ((first, headers, body),) = server.requests
    assert (first, headers["content-type"], body) == (
        "POST /v2/x HTTP/1.1",
        "application/json",
        b'{"a":1}',
    )


async def test_a_large_answer_comes_whole(serve: Any, reach: Any, once: Any, ok: Any) -> None:
    server = await serve(once(ok(b"[" + b"1," * 200_000 + b"1]")))
    told = await ask(await reach(server.url))
    assert len(told.read(list[int])) == 200_001


@pytest.mark.parametrize("body", [b"no JSON", b'{"a":', b"\xff", b"[" * 100_000])
async def test_a_wrong_body_is_the_center_s_failure(
    serve: Any, reach: Any, once: Any, ok: Any, body: bytes
) -> None:
    told = await ask(await reach((await serve(once(ok(body)))).url))
    with pytest.raises(CenterFailed, match="not the protocol's"):
        told.read(dict[str, int])


async def test_given_up_its_connection_is_closed(serve: Any, reach: Any) -> None:
    gone = asyncio.Event()

    async def handler(peer: Any) -> None:
        await peer.request()
        await peer.reader.read()
        gone.set()

    center = await reach((await serve(handler)).url)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(center), 0.05)
    await asyncio.wait_for(gone.wait(), 10)


async def test_nobody_there(reach: Any) -> None:
    with pytest.raises(CenterDown):
        await ask(await reach("http://127.0.0.1:1"))


async def test_probe_of_a_center_that_reports(serve: Any, reach: Any, always: Any, ok: Any) -> None:
    said = Report(0.5, 2.0, 8.0, 3, 4, 2.5, 100.0, 1.0, 0.75)
    server = await serve(always(ok(b"{}", f"endpoint-load-metrics: {orca.format_text(said)}")))
    center = await reach(server.url, emulate="center")
    assert await probe(center) == Report(0.0, 0.0, 8.0, 3, 4, 2.5, 100.0, 1.0, 0.75)
    ((first, headers, _),) = server.requests
    assert first == "GET /v2/health/live HTTP/1.1"
    assert headers["x-nearway-vantage"] == "Shanghai"


async def test_probe_of_a_center_that_only_lives(
    serve: Any, reach: Any, always: Any, ok: Any
) -> None:
    assert await probe(await reach((await serve(always(ok(b"")))).url)) == Report(0.0, 0.0)


async def test_probe_of_a_center_that_is_not_well(serve: Any, reach: Any, always: Any) -> None:
    ill = always(b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n")
    assert await probe(await reach((await serve(ill)).url)) is None
    assert await probe(await reach("http://127.0.0.1:1")) is None


async def test_probe_without_an_answer_hears_nothing_and_leaves_nothing(
    serve: Any, reach: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "PROBE_TIMEOUT_S", 0.05)

    async def handler(peer: Any) -> None:
        await peer.reader.read()

    center = await reach((await serve(handler)).url, connections_max=1, idle_s=0.2)
    heard: list[Any] = []
    center.center.probe(0, heard.append)
    center.center.probe(0, heard.append)  # this one waits in line
    pool = center.center.pool
    while not pool.open_count:
        await asyncio.sleep(0.001)
    while pool.open_count or pool.waiting_count:
        await asyncio.sleep(0.01)
    assert heard == []
