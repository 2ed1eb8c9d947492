"""An answer is what its bytes say, however they are cut and whatever the server does."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import CenterDown, CenterFailed, NotFound, TooLarge
from gateway.centers.port import Answered, Chunk, Failed, Head, Relay, Whole
from gateway.centers.remote.connection import Connection
from gateway.centers.remote.endpoint import Endpoint
from gateway.centers.remote.errand import Errand
from gateway.centers.remote.pool import Pool
from gateway.config.settings import Remote

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\nTrailer: z\r\n\r\n"
)


def broken(event: Any) -> str:
    """The message of a CenterFailed."""
    assert isinstance(event, Failed), event
    assert isinstance(event.error, CenterFailed), event
    return str(event.error)


async def test_whole_answer_in_one_event(serve: Any, reach: Any, always: Any, ok: Any) -> None:
    server = await serve(always(ok(b'{"x":1}')))
    center = await reach(server.url)
    for _ in range(3):  # parsed first, known by its head afterwards
        event = await center.answer(b"body")
        assert isinstance(event, Whole)
        assert (event.status, event.content_type, event.head_bytes) == (
            200,
            "application/json",
            None,
        )
        assert event.payload == b'{"x":1}'
        assert event.drawn_ms is None
    assert server.connections == 1
    assert [body for *_, body in server.requests] == [b"body"] * 3


@pytest.mark.parametrize("known", [False, True])
async def test_cut_at_every_byte_it_is_the_same_event(
    serve: Any, reach: Any, ok: Any, known: bool
) -> None:
    answer = ok(b"hello", "Inference-Header-Content-Length: 3", "Server-Timing: service;dur=1")
    cuts = list(range(1, len(answer)))

    async def handler(peer: Any) -> None:
        if known:
            await peer.request()
            await peer.say(answer)
        for cut in cuts:
            await peer.request()
            await peer.say(answer[:cut], answer[cut:])

    center = await reach((await serve(handler)).url)
    if known:
        await center.answer()
    for _ in cuts:
        event = await center.answer()
        assert isinstance(event, Whole)
        assert (event.payload, event.head_bytes, event.report.service_ms) == (b"hello", 3, 1.0)


async def test_a_head_cut_where_its_rest_is_as_long_as_a_body_is_not_remembered(
    serve: Any, reach: Any, ok: Any
) -> None:
    answer, cut = ok(b"{}"), len(b"HTTP/")  # three bytes, and as many more as the body has

    async def handler(peer: Any) -> None:
        for _ in range(3):
            await peer.request()
            await peer.say(answer[:cut], answer[cut:])

    center = await reach((await serve(handler)).url)
    for _ in range(3):
        event = await center.answer()
        assert isinstance(event, Whole)
        assert event.payload == b"{}"


async def test_chunked_cut_at_every_byte_is_the_same_body(serve: Any, reach: Any) -> None:
    cuts = list(range(1, len(CHUNKED)))

    async def handler(peer: Any) -> None:
        for cut in cuts:
            await peer.request()
            await peer.say(CHUNKED[:cut], CHUNKED[cut:])

    server = await serve(handler)
    center = await reach(server.url)
    for _ in cuts:
        listener = center.ask()
        assert isinstance(await listener.end(), Whole | Answered)
        assert listener.body == b"abcdefgh"
    assert server.connections == 1


async def test_byte_by_byte(serve: Any, reach: Any, always: Any, ok: Any) -> None:
    answer = ok(b"hello")
    server = await serve(always(*(answer[i : i + 1] for i in range(len(answer)))))
    event = await (await reach(server.url)).answer()
    assert isinstance(event, Whole)
    assert event.payload == b"hello"


async def test_large_answer_streams(serve: Any, reach: Any, always: Any, ok: Any) -> None:
    body = bytes(range(256)) * 2000
    server = await serve(always(ok(body)))
    center = await reach(server.url)
    for _ in range(2):
        listener = center.ask()
        assert isinstance(await listener.end(), Answered | Whole)
        assert listener.body == body
        if len(listener.events) > 1:
            assert isinstance(listener.events[0], Head)
            assert all(isinstance(event, Chunk) for event in listener.events[1:-1])
    assert server.connections == 1


async def test_paused_stream_holds_the_server_back(serve: Any, reach: Any) -> None:
    total, written = 64 << 20, 0

    async def handler(peer: Any) -> None:
        nonlocal written
        await peer.request()
        await peer.say(f"HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n".encode())
        while written < total:
            await peer.say(b"x" * 65536)
            written += 65536

    center = await reach((await serve(handler)).url)
    listener = center.ask()
    listener.on = lambda event: listener.call.pause() if len(listener.events) == 1 else None
    while not listener.events:
        await asyncio.sleep(0)
    before = -1
    while before != written:  # until nothing moves any more
        before = written
        await asyncio.sleep(0.05)
    assert written < total
    assert [type(event) for event in listener.events] == [Head]
    listener.on = lambda _: None
    listener.call.resume()
    assert isinstance(await listener.end(), Answered)
    assert len(listener.body) == total


async def test_paused_at_its_end_the_answer_waits(serve: Any, reach: Any) -> None:
    go_on = asyncio.Event()

    async def handler(peer: Any) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await go_on.wait()
        await peer.say(b"3\r\ndef\r\n0\r\n\r\n")

    center = await reach((await serve(handler)).url)
    listener = center.ask()
    while not listener.body:
        await asyncio.sleep(0)
    listener.call.pause()
    listener.call.pause()
    go_on.set()
    await asyncio.sleep(0.02)
    assert listener.body == b"abc"
    listener.call.resume()
    assert isinstance(await listener.end(), Answered)
    assert listener.body == b"abcdef"
    listener.call.pause()
    listener.call.cancel()
    assert isinstance(await center.answer(), Answered | Whole)


async def test_interim_answers_are_skipped(serve: Any, reach: Any, always: Any, ok: Any) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    server = await serve(always(interim + ok(b"yes")))
    event = await (await reach(server.url)).answer()
    assert isinstance(event, Whole)
    assert event.payload == b"yes"


async def test_endless_interim_answers_are_too_much(serve: Any, reach: Any, once: Any) -> None:
    server = await serve(once(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000))
    center = await reach(server.url, head_bytes_max=5000)
    assert "head over 5000" in broken(await center.answer())


async def test_close_is_obeyed(serve: Any, reach: Any, always: Any, ok: Any) -> None:
    server = await serve(always(ok(b"a", "Connection: close")))
    center = await reach(server.url)
    for _ in range(3):
        assert isinstance(await center.answer(), Whole)
    assert server.connections == 3


async def test_http_1_0_without_keep_alive_is_not_used_again(
    serve: Any, reach: Any, always: Any
) -> None:
    server = await serve(always(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na"))
    center = await reach(server.url)
    for _ in range(2):
        assert isinstance(await center.answer(), Whole)
    assert server.connections == 2


async def test_body_until_the_connection_closes(serve: Any, reach: Any, once: Any) -> None:
    server = await serve(once(b"HTTP/1.1 200 OK\r\n\r\nall", b" of it"))
    center = await reach(server.url)
    listener = center.ask()
    assert isinstance(await listener.end(), Answered | Whole)
    assert listener.body == b"all of it"


async def test_a_body_until_close_that_is_reset_is_broken(serve: Any, reach: Any) -> None:
    async def handler(peer: Any) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        peer.close()

    center = await reach((await serve(handler)).url)
    assert "broke its answer off" in broken(await center.answer())


@pytest.mark.parametrize("status", [204, 304])
async def test_no_body_follows_these(serve: Any, reach: Any, ok: Any, status: int) -> None:
    async def handler(peer: Any) -> None:
        await peer.request()
        await peer.say(f"HTTP/1.1 {status} x\r\nContent-Length: 5\r\n\r\n".encode())
        await peer.request()
        await peer.say(ok(b"next"))

    server = await serve(handler)
    center = await reach(server.url)
    assert str(status) in broken(await center.answer())
    event = await center.answer()
    assert isinstance(event, Whole)
    assert event.payload == b"next"
    assert server.connections == 1


MALFORMED = {
    "both lengths": b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "both, turned": b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
    "length list": b"Content-Length: 2, 2\r\n\r\nhi",
    "negative": b"Content-Length: -2\r\n\r\nhi",
    "not chunked last": b"Transfer-Encoding: chunked, gzip\r\n\r\nhi",
    "gzip first": b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "encoded": b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi",
    "folded": b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nhi",
    "bare line feed": b"X: a\nContent-Length: 2\r\n\r\nhi",
    "NUL": b"X: a\x00\r\nContent-Length: 2\r\n\r\nhi",
    "space in a name": b"X : a\r\nContent-Length: 2\r\n\r\nhi",
    "JSON head too long": b"Inference-Header-Content-Length: 3\r\nContent-Length: 2\r\n\r\nhi",
    "two JSON heads": b"Inference-Header-Content-Length: 1\r\n" * 2
    + b"Content-Length: 2\r\n\r\nhi",
    "bad chunk": b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("head", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("known", [False, True])
async def test_malformed_answers_are_refused_and_the_connection_closed(
    serve: Any, reach: Any, ok: Any, head: bytes, known: bool
) -> None:
    async def handler(peer: Any) -> None:
        if peer.number == 1:
            if known:
                await peer.request()
                await peer.say(ok(b"hi"))
            await peer.request()
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + head)
        await peer.request()
        await peer.say(ok(b"fine"))

    server = await serve(handler)
    center = await reach(server.url)
    if known:
        await center.answer()
    listener = center.ask()
    broken(await listener.end())
    assert listener.body == b""
    assert isinstance(await center.answer(), Whole)
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 099 x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 777 x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
    ],
)
async def test_what_is_no_answer_of_http_1_1(
    serve: Any, reach: Any, once: Any, answer: bytes
) -> None:
    server = await serve(once(answer))
    assert "answer that" in broken(await (await reach(server.url)).answer())


async def test_head_over_its_bound(serve: Any, reach: Any, once: Any) -> None:
    server = await serve(once(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 9000 + b"\r\n"))
    center = await reach(server.url, head_bytes_max=4096)
    assert "remote.head_bytes_max" in broken(await center.answer())


async def test_whole_head_over_its_bound(serve: Any, reach: Any, once: Any, ok: Any) -> None:
    server = await serve(once(ok(b"x", "X: " + "a" * 9000)))
    center = await reach(server.url, head_bytes_max=4096)
    assert "remote.head_bytes_max" in broken(await center.answer())


async def test_known_head_with_a_huge_changing_line_is_refused(
    serve: Any, reach: Any, ok: Any
) -> None:
    async def handler(peer: Any) -> None:
        for size in (10, 9000):
            await peer.request()
            await peer.say(ok(b"x", "x-request-id: " + "a" * size))

    center = await reach((await serve(handler)).url, head_bytes_max=4096)
    assert isinstance(await center.answer(), Whole)
    assert "remote.head_bytes_max" in broken(await center.answer())


async def test_endless_trailers_are_too_much(serve: Any, reach: Any) -> None:
    async def handler(peer: Any) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
        for _ in range(1000):
            await peer.say(b"X: " + b"a" * 1000 + b"\r\n")

    center = await reach((await serve(handler)).url, head_bytes_max=4096)
    assert "remote.head_bytes_max" in broken(await center.answer())


@pytest.mark.parametrize("told", [True, False])
async def test_body_over_its_bound(serve: Any, reach: Any, told: bool) -> None:
    framing = "Content-Length: 200000" if told else "Transfer-Encoding: chunked"

    async def handler(peer: Any) -> None:
        await peer.request()
        await peer.say(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
        for _ in range(200):
            await peer.say(b"3e8\r\n" + b"a" * 1000 + b"\r\n")

    center = await reach((await serve(handler)).url, answer_bytes_max=100_000)
    assert "remote.answer_bytes_max" in broken(await center.answer())


async def test_bytes_behind_an_answer_close_the_connection(
    serve: Any, reach: Any, always: Any, ok: Any
) -> None:
    server = await serve(always(ok(b"mine") + ok(b"not asked for")))
    center = await reach(server.url)
    for _ in range(3):
        event = await center.answer()
        assert isinstance(event, Whole)
        assert event.payload == b"mine"
    assert server.connections == 3


async def test_bytes_on_an_idle_connection_close_it(serve: Any, reach: Any, ok: Any) -> None:
    async def handler(peer: Any) -> None:
        await peer.request()
        await peer.say(ok(b"mine"))
        await asyncio.sleep(0.02)
        await peer.say(ok(b"not asked for"))
        await peer.request()

    server = await serve(handler)
    center = await reach(server.url)
    assert isinstance(await center.answer(), Whole)
    while center.center.pool.open_count:
        await asyncio.sleep(0.005)
    event = await center.answer()
    assert isinstance(event, Whole)
    assert event.payload == b"mine"
    assert server.connections == 2


async def test_answer_before_the_body_is_read(serve: Any, reach: Any) -> None:
    async def handler(peer: Any) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        message = b'{"error":"too much"}'
        head = f"HTTP/1.1 413 x\r\nContent-Length: {len(message)}\r\n\r\n".encode()
        await peer.say(head + message)
        await asyncio.sleep(30)

    server = await serve(handler)
    center = await reach(server.url)
    for _ in range(2):
        event = await center.answer(b"x" * (32 << 20))
        assert isinstance(event, Failed)
        assert isinstance(event.error, TooLarge)
        assert str(event.error) == "too much"
    assert server.connections == 2, "a connection with half a request on it was used again"


async def test_a_large_body_arrives_whole(serve: Any, reach: Any, always: Any, ok: Any) -> None:
    server = await serve(always(ok(b"yes")))
    center = await reach(server.url)
    body = bytes(range(256)) * 20_000
    for _ in range(2):
        assert isinstance(await center.answer(body), Whole)
    assert [sent == body for *_, sent in server.requests] == [True, True]
    assert server.connections == 1


async def test_long_error_keeps_the_connection(serve: Any, reach: Any, ok: Any) -> None:
    page = b"<html>" + b"no such thing " * 20_000

    async def handler(peer: Any) -> None:
        await peer.request()
        await peer.say(f"HTTP/1.1 404 x\r\nContent-Length: {len(page)}\r\n\r\n".encode() + page)
        await peer.request()
        await peer.say(ok(b"x"))

    server = await serve(handler)
    center = await reach(server.url)
    event = await center.answer()
    assert isinstance(event, Failed)
    assert isinstance(event.error, NotFound)
    assert len(str(event.error)) <= 1000
    assert isinstance(await center.answer(), Whole)
    assert server.connections == 1


async def test_closed_without_a_word(serve: Any, reach: Any, once: Any) -> None:
    server = await serve(once())
    event = await (await reach(server.url)).answer()
    assert isinstance(event, Failed)
    assert isinstance(event.error, CenterDown)
    assert server.connections == 1, "a fresh connection that says nothing is not tried again"


async def test_reset_in_mid_answer(serve: Any, reach: Any) -> None:
    async def handler(peer: Any) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Le")
        peer.reset()

    server = await serve(handler)
    broken(await (await reach(server.url)).answer())
    assert server.connections == 1


class Transport:
    """Swallows what is written."""

    def __init__(self) -> None:
        self.closed = False

    def write(self, _: bytes) -> None: ...

    def abort(self) -> None:
        self.closed = True

    close = abort

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    resume_reading = pause_reading


class Answers(Errand):
    """Counts ends."""

    streams = True

    def __init__(self) -> None:
        super().__init__(b"")
        self.ends = 0
        self.pieces = b""

    def head(self) -> bytes:
        return b"x"

    def piece(self, payload: bytes) -> None:
        assert not self.ends
        self.pieces += payload

    def whole(self, head: Any, payload: bytes) -> None:
        assert not self.pieces
        self.ends += 1
        self.pieces = payload

    def end(self, head: Any) -> None:
        self.ends += 1

    def fail(self, error: Any) -> None:
        self.ends += 1


FRAGMENTS = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 404 x\r\n",
    b"HTTP/1.1 100 c\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 70000\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Server-Timing: service;dur=1\r\n",
    b"Connection: close\r\n",
    b"\r\n",
    b"abc",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"\n",
    b"\x00",
    b" ",
    b"x" * 70_000,
    CHUNKED,
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
]
READS = st.lists(
    st.one_of(st.lists(st.sampled_from(FRAGMENTS), max_size=6).map(b"".join), st.binary()),
    max_size=8,
)


@given(READS, st.booleans(), st.integers(0, 9))
def test_whatever_comes_each_errand_ends_exactly_once(
    reads: list[bytes], reset: bool, pause_at: int
) -> None:
    loop: Any = SimpleNamespace(call_soon=lambda call, *_: call(), create_task=None)
    pool = Pool(loop, "a", Endpoint.from_url("http://h"), Remote(connections_max=1), lambda: 0.0)
    pool._started = lambda: 1  # type: ignore[method-assign]  # nothing is connected here
    connection = Connection(pool)
    connection.connection_made(Transport())  # type: ignore[arg-type]
    sent = []
    for number, data in enumerate(reads):
        if pool._idle:
            sent.append(Answers())
            pool.send(sent[-1])
        if number == pause_at:
            connection.pause()
            connection.resume()
        if data and not connection.transport.is_closing():
            connection.data_received(data)
    if not reset and not connection.transport.is_closing():
        connection.eof_received()
    connection.connection_lost(ConnectionResetError() if reset else None)
    waiting = list(pool._line)
    assert [errand.ends for errand in sent if errand not in waiting] == [1] * (
        len(sent) - len(waiting)
    )
    assert all(errand.resent and not errand.ends for errand in waiting)


# ---- whole chunks to a relay's sink ---------------------------------------------------------

BEGIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


class Relayed:
    """A connection in the midst of a stream, and who hears of it."""

    def __init__(self, *, takes: bool = True, **limits: Any) -> None:
        self.took: list[bytes] = []
        self.takes = takes
        self.told: list[bytes] = []
        self.ended = False
        self.failed = ""
        self.relay = Relay()
        self.relay.sink = self.take
        errand = self

        class Stream(Errand):
            streams = True

            def head(self) -> bytes:
                return b"GET"

            def begin(self, head: Any) -> Relay | None:
                return errand.relay if head.chunked else None

            def piece(self, payload: bytes) -> None:
                errand.told.append(payload)

            def end(self, head: Any) -> None:
                errand.ended = True

            def fail(self, error: Any) -> None:
                errand.failed = str(error)

        loop: Any = SimpleNamespace(call_soon=lambda call, *given: call(*given))
        pool = Pool(loop, "a", Endpoint.from_url("http://x:1"), Remote(**limits), lambda: 0.0)
        self.connection = Connection(pool)
        self.connection.connection_made(Silent())
        self.connection.carry(Stream(b""))

    def take(self, framed: bytes) -> bool:
        if self.takes:
            self.took.append(framed)
        return self.takes

    def read(self, *reads: bytes) -> None:
        for data in reads:
            self.connection.data_received(data)


class Silent(asyncio.Transport):
    def write(self, data: Any) -> None: ...
    def abort(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


def test_whole_chunks_go_to_the_sink_as_they_came_and_the_end_does_not() -> None:
    this = Relayed()
    first, second, both = chunk(b"first"), chunk(b"second"), chunk(b"a") + chunk(b"b" * 20)
    this.read(BEGIN + first, second, both, chunk(b"last") + b"0\r\n\r\n")
    assert this.told == [b"first", b"last"]
    assert this.took == [second, both]
    assert this.ended
    assert not this.failed


@pytest.mark.parametrize("cut", range(1, len(chunk(b"split"))))
def test_after_a_read_that_ends_in_the_midst_the_parser_goes_on(cut: int) -> None:
    this, split, whole = Relayed(), chunk(b"split"), chunk(b"whole")
    # The rest of a cut chunk looks like a whole one when it is all that is seen of it.
    this.read(BEGIN + chunk(b"a"), split[:cut], split[cut:] + whole[:2], whole[2:], whole)
    assert b"".join(this.told) == b"asplitwhole"
    assert this.took == [whole]
    this.read(b"0\r\n\r\n")
    assert this.ended


def test_a_chunk_within_a_chunk_is_body() -> None:
    this, inner = Relayed(), chunk(b"data")
    this.read(BEGIN + chunk(b"a"), b"%x\r\n" % len(inner), inner, b"\r\n", inner)
    assert this.told == [b"a", inner]
    assert this.took == [inner]


def test_a_sink_that_takes_nothing_or_is_none_hears_of_nothing() -> None:
    this = Relayed(takes=False)
    this.read(BEGIN + chunk(b"a"), chunk(b"b"))
    this.relay.sink = None
    this.read(chunk(b"c"))
    this.relay.sink, this.takes = this.take, True
    this.read(chunk(b"d"))
    assert this.told == [b"a", b"b", b"c"]
    assert this.took == [chunk(b"d")]


def test_while_paused_and_until_all_is_told_nothing_passes_by() -> None:
    this = Relayed()
    this.read(BEGIN + chunk(b"a"))
    this.connection.pause()
    this.read(chunk(b"b"))
    assert (this.told, this.took) == ([b"a"], [])
    this.connection.resume()
    this.read(chunk(b"c"), chunk(b"d"))
    assert this.told == [b"a", b"b", b"c"]
    assert this.took == [chunk(b"d")]


def test_what_passes_by_counts_as_the_rest_does() -> None:
    this = Relayed(answer_bytes_max=100)
    this.read(BEGIN + chunk(b"a" * 30), chunk(b"b" * 30))
    assert not this.failed
    this.read(chunk(b"c" * 60), chunk(b"d" * 60))
    assert "too large" in this.failed
    assert this.took == [chunk(b"b" * 30)]


def test_a_body_without_chunks_has_no_relay() -> None:
    this = Relayed()
    this.read(b"HTTP/1.1 200 OK\r\n\r\n" + chunk(b"a"), chunk(b"b"))
    assert this.told == [chunk(b"a"), chunk(b"b")]
    assert not this.took
