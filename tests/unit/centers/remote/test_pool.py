"""Connections are reused, bounded and replaced; nobody waits for one that will not come."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import subprocess
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from gateway.api import Center, CenterBusy, CenterDown, Location
from gateway.centers.port import Attempt, Failed, Whole
from gateway.centers.remote import Endpoint, RemoteCenter, tls_context
from gateway.centers.remote.call import RemoteCall
from gateway.config.settings import Remote


def error_of(event: Any) -> Any:
    """The error of a failed attempt."""
    assert isinstance(event, Failed), event
    return event.error


def held(ok: Any) -> tuple[Any, asyncio.Event]:
    """A handler that answers only once the event is set."""
    go_on = asyncio.Event()

    async def handler(peer: Any) -> None:
        while True:
            await peer.request()
            await go_on.wait()
            await peer.say(ok(b"x"))

    return handler, go_on


async def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


async def test_warm_connections_are_used(serve: Any, reach: Any, always: Any, ok: Any) -> None:
    server = await serve(always(ok()))
    center = await reach(server.url, connections_min=3)
    assert center.center.pool.open_count == 3
    assert isinstance(await center.answer(), Whole)
    await asyncio.sleep(0.01)
    assert server.connections == 3


async def test_the_one_used_last_is_used_first(
    serve: Any, reach: Any, always: Any, ok: Any
) -> None:
    numbers = []

    async def handler(peer: Any) -> None:
        while True:
            await peer.request()
            numbers.append(peer.number)
            await peer.say(ok())

    center = await reach((await serve(handler)).url, connections_min=3)
    for _ in range(10):
        await center.answer()
    assert len(set(numbers)) == 1


async def test_no_more_than_the_most_and_those_who_wait_come_in_order(
    serve: Any, reach: Any, ok: Any
) -> None:
    handler, go_on = held(ok)
    server = await serve(handler)
    center = await reach(server.url, connections_max=2)
    ended: list[int] = []
    asked = []
    for number in range(6):
        listener = center.ask()
        listener.on = lambda _, number=number: ended.append(number)
        asked.append(listener)
    while len(server.requests) < 2:
        await asyncio.sleep(0)
    assert center.center.pool.open_count == 2
    assert center.center.pool.waiting_count == 4
    go_on.set()
    for listener in asked:
        assert isinstance(await listener.end(), Whole)
    assert server.connections == 2
    assert sorted(ended) == list(range(6))
    assert set(ended[:2]) == {0, 1}


async def test_a_full_line_is_busy_and_says_so_in_the_next_turn(
    serve: Any, reach: Any, ok: Any
) -> None:
    handler, go_on = held(ok)
    center = await reach((await serve(handler)).url, connections_max=1, queue_max=2)
    waiting = [center.ask()]
    while center.center.pool.waiting_count:
        await asyncio.sleep(0)
    waiting += [center.ask(), center.ask()]
    error = error_of(await center.answer())  # `ask` asserts that nothing was said from within
    assert isinstance(error, CenterBusy)
    assert "remote.queue_max" in str(error)
    go_on.set()
    assert all([isinstance(await listener.end(), Whole) for listener in waiting])


async def test_waiting_for_a_connection_is_queue_time(serve: Any, reach: Any, ok: Any) -> None:
    handler, go_on = held(ok)
    center = await reach((await serve(handler)).url, connections_max=1)
    first, second = center.ask(), center.ask()
    await asyncio.sleep(0.03)
    go_on.set()
    await first.end()
    event = await second.end()
    assert event.report.queue_ms >= 25.0
    assert event.report.service_ms < event.report.queue_ms


async def test_stale_connection_is_replaced_without_anybody_noticing(
    serve: Any, reach: Any, ok: Any
) -> None:
    async def handler(peer: Any) -> None:
        if peer.number == 1:
            await peer.request()
            await peer.say(ok())
            await peer.reader.readexactly(1)  # the next request comes, and is not answered
            peer.reset()
        await peer.request()
        await peer.say(ok(b"second"))

    server = await serve(handler)
    center = await reach(server.url)
    await center.answer()
    event = await center.answer()
    assert isinstance(event, Whole)
    assert event.payload == b"second"
    assert server.connections == 2


async def test_it_is_sent_once_more_and_no_oftener(serve: Any, reach: Any, ok: Any) -> None:
    async def handler(peer: Any) -> None:
        if peer.number == 1:
            await peer.request()
            await peer.say(ok())
        await peer.reader.readexactly(1)
        peer.reset()

    server = await serve(handler)
    center = await reach(server.url)
    await center.answer()
    assert isinstance(error_of(await center.answer()), CenterDown)
    assert server.connections == 2


async def test_closed_while_idle_is_not_used(serve: Any, reach: Any, once: Any, ok: Any) -> None:
    server = await serve(once(ok()))
    center = await reach(server.url)
    for number in range(1, 4):
        assert isinstance(await center.answer(), Whole)
        while center.center.pool.open_count:
            await asyncio.sleep(0)
        assert server.connections == number


async def test_refused_is_down_at_once(reach: Any) -> None:
    port = await free_port()
    center = await reach(f"http://127.0.0.1:{port}", connections_min=1)
    asked = [center.ask() for _ in range(3)]
    for listener in asked:
        error = error_of(await listener.end())
        assert isinstance(error, CenterDown)
        assert f"127.0.0.1:{port}" in str(error)
    assert center.center.pool.waiting_count == 0


async def test_connect_that_takes_too_long_is_down(reach: Any) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        fillers = []
        for _ in range(8):  # beyond its backlog a listener swallows handshakes
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fillers.append(filler)
        center = await reach(f"http://127.0.0.1:{address[1]}", connect_timeout_ms=50.0)
        error = error_of(await center.answer())
        assert isinstance(error, CenterDown)
        assert "within 50 ms" in str(error)
        for filler in fillers:
            filler.close()


async def test_comes_back_after_it_was_refused(
    serve: Any, reach: Any, always: Any, ok: Any
) -> None:
    port = await free_port()
    center = await reach(f"http://127.0.0.1:{port}")
    assert isinstance(error_of(await center.answer()), CenterDown)
    server = await serve(always(ok()))
    center.center.pool.endpoint = Endpoint.from_url(server.url)
    assert isinstance(await center.answer(), Whole)


async def test_cancel_closes_its_connection_and_the_next_is_served(
    serve: Any, reach: Any, ok: Any
) -> None:
    gone = asyncio.Event()

    async def handler(peer: Any) -> None:
        await peer.request()
        if peer.number == 1:
            assert await peer.reader.read() == b""
            gone.set()
        else:
            await peer.say(ok(b"next"))

    server = await serve(handler)
    center = await reach(server.url, connections_max=1)
    listener = center.ask()
    waiting = center.ask()
    while not server.requests:
        await asyncio.sleep(0)
    listener.call.cancel()
    listener.call.cancel()
    assert isinstance(await waiting.end(), Whole)
    await asyncio.wait_for(gone.wait(), 10)
    assert listener.events == []


async def test_cancelled_in_line_nothing_is_sent(serve: Any, reach: Any, ok: Any) -> None:
    handler, go_on = held(ok)
    server = await serve(handler)
    center = await reach(server.url, connections_max=1)
    first, second = center.ask(), center.ask(b"unwanted")
    second.call.cancel()
    go_on.set()
    await first.end()
    await center.answer()
    assert [body for *_, body in server.requests] == [b"{}", b"{}"]
    assert second.events == []


async def test_cancelled_while_connecting_the_connection_is_kept(
    serve: Any, reach: Any, always: Any, ok: Any
) -> None:
    server = await serve(always(ok()))
    center = await reach(server.url)
    listener = center.ask()
    listener.call.cancel()
    while not center.center.pool.open_count:
        await asyncio.sleep(0)
    assert isinstance(await center.answer(), Whole)
    assert (server.connections, listener.events) == (1, [])


async def test_refused_for_a_full_line_and_cancelled_hears_nothing(
    serve: Any, reach: Any, ok: Any
) -> None:
    handler, go_on = held(ok)
    center = await reach((await serve(handler)).url, connections_max=1, queue_max=0)
    listener = center.ask()
    listener.call.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert listener.events == []
    go_on.set()


async def test_close_fails_what_is_under_way(serve: Any, reach: Any, ok: Any) -> None:
    handler, _ = held(ok)
    center = await reach((await serve(handler)).url, connections_max=1)
    carried, waiting = center.ask(), center.ask()
    while center.center.pool.waiting_count != 1:
        await asyncio.sleep(0)
    await center.center.close()
    for listener in (carried, waiting):
        assert isinstance(error_of(await listener.end()), CenterDown)
    assert isinstance(error_of(await center.answer()), CenterDown)


async def test_idle_connections_are_closed_down_to_the_least(
    serve: Any, reach: Any, ok: Any
) -> None:
    handler, go_on = held(ok)
    center = await reach((await serve(handler)).url, connections_min=1, idle_s=0.05)
    asked = [center.ask() for _ in range(5)]
    go_on.set()
    for listener in asked:
        await listener.end()
    pool = center.center.pool
    most = pool.open_count
    assert most > 1
    while pool.open_count > 1:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert pool.open_count == 1


async def test_nothing_is_left_of_attempts(serve: Any, reach: Any, always: Any, ok: Any) -> None:
    center = await reach((await serve(always(ok()))).url, connections_max=4)
    for turn in range(20):
        asked = [center.ask(b"x" * 100) for _ in range(10)]
        if turn % 2:
            for listener in asked[::2]:
                listener.call.cancel()
        for listener in asked[1::2]:
            await listener.end()
        await asyncio.sleep(0.005)
        if turn % 2 == 0:
            for listener in asked:
                await listener.end()
    del asked, listener
    gc.collect()
    assert [one for one in gc.get_objects() if isinstance(one, RemoteCall)] == []
    assert center.center.pool.open_count <= 4


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of its own authority for localhost, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", str(key)),
            *("-addext", "subjectAltName=DNS:localhost", "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


@pytest.mark.parametrize("trusted", [True, False])
async def test_tls_is_verified(certificate: tuple[Path, Path], ok: Any, trusted: bool) -> None:
    cert, key = certificate
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(cert, key)
    served.set_alpn_protocols(["h2", "http/1.1"])
    chosen: list[Any] = []
    body = bytes(range(256)) * 1000

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chosen.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(body))
            writer.write(ok(b"safe"))
        writer.close()

    listening = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=served)
    url = f"https://localhost:{listening.sockets[0].getsockname()[1]}"
    heard: list[Any] = []
    ended = asyncio.Event()

    def hear(event: Any) -> None:
        heard.append(event)
        ended.set()

    center = RemoteCenter(
        0,
        Center("a", "r", "z", "X", "CN", Location(0, 0), url=url, emulate="none"),
        Endpoint.from_url(url),
        loop=asyncio.get_running_loop(),
        clock=monotonic,
        limits=Remote(connections_min=0),
        vantage_names=(),
        tls=tls_context(str(cert) if trusted else ""),
    )
    for _ in range(2):
        ended.clear()
        center.start(Attempt("id", 0, "m", "", body, None, monotonic() + 9), hear)
        await asyncio.wait_for(ended.wait(), 10)
    await center.close()
    listening.close()
    if trusted:
        assert [event.payload for event in heard] == [b"safe", b"safe"]
        assert chosen == ["http/1.1"]
    else:
        assert all(isinstance(error_of(event), CenterDown) for event in heard)
        assert "certificate" in str(error_of(heard[0]))
