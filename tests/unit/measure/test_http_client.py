import asyncio
import contextlib

import pytest

from gateway.measure.http_client import Endpoint, Limits, Pool

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer-Timing: queue;dur=1\r\n\r\nhi"
HEAD = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"


class Server(asyncio.Protocol):
    """Answers each request by ``script(server, nth)`` on a transport; counts connections."""

    def __init__(self, shared):
        self.shared = shared

    def connection_made(self, transport):
        self.transport = transport
        self.shared["connections"] += 1
        self.shared["open"].append(transport)

    def data_received(self, data):
        for _ in range(data.count(b"\r\n\r\n")):
            nth = self.shared["requests"]
            self.shared["requests"] += 1
            self.shared["script"](self.transport, nth)


@contextlib.asynccontextmanager
async def serving(script):
    loop = asyncio.get_running_loop()
    shared = {"connections": 0, "requests": 0, "script": script, "open": []}
    server = await loop.create_server(lambda: Server(shared), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], shared
    finally:
        server.close()
        for transport in shared["open"]:
            transport.abort()
        await server.wait_closed()


class Heard:
    def __init__(self, wanted):
        self.ended = []
        self.all = asyncio.get_running_loop().create_future()
        self.wanted = wanted

    def __call__(self, ended):
        self.ended.append(ended)
        if len(self.ended) == self.wanted:
            self.all.set_result(None)

    @property
    def outcomes(self):
        return [(e.status, e.kind) for e in sorted(self.ended, key=lambda e: e.token)]


async def ask(script, count=1, **limits):
    """Send ``count`` requests at once; what was heard, and the server's counts."""
    async with serving(script) as (port, shared):
        heard = Heard(count)
        bounds = Limits(**{"timeout_s": 5.0, **limits})
        pool = Pool(asyncio.get_running_loop(), Endpoint("127.0.0.1", port), heard, bounds)
        for token in range(count):
            pool.send(token, HEAD)
        await heard.all
        await pool.close()
    assert len(heard.ended) == count
    return heard, shared, pool


def say(answer):
    return lambda transport, nth: transport.write(answer)


def say_and_close(answer):
    def script(transport, nth):
        transport.write(answer)
        transport.close()

    return script


async def test_every_request_is_answered_over_few_connections():
    heard, shared, pool = await ask(say(OK), 50, connections_max=4)
    assert heard.outcomes == [(200, "")] * 50
    assert shared["connections"] == pool.open_peak == 4
    assert {e.timing for e in heard.ended} == {b"queue;dur=1"}
    assert (pool.first_body, pool.body_bytes) == (b"hi", 100)


async def test_an_answer_in_pieces_is_one_answer():
    async def drip(transport):
        for i in range(len(OK)):
            transport.write(OK[i : i + 1])
            await asyncio.sleep(0)

    dripping = []
    heard, _, _ = await ask(lambda t, n: dripping.append(asyncio.ensure_future(drip(t))), 3)
    assert heard.outcomes == [(200, "")] * 3
    await asyncio.gather(*dripping)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
        b"HTTP/1.1 200",
        b"",
    ],
)
async def test_a_connection_lost_amid_an_answer_is_no_answer(answer):
    heard, _, _ = await ask(say_and_close(answer), 3)
    assert heard.outcomes == [(0, "lost")] * 3


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"\x00\x01\x02\x03" * 10,
    ],
)
async def test_what_is_not_http_is_no_answer(answer):
    heard, _, _ = await ask(say(answer), 2)
    assert heard.outcomes == [(0, "garbage")] * 2


async def test_an_answer_that_ends_with_the_connection_counts():
    answer = b"HTTP/1.1 200 OK\r\n\r\nas long as it takes"
    heard, shared, pool = await ask(say_and_close(answer), 3, connections_max=1)
    assert heard.outcomes == [(200, "")] * 3
    assert shared["connections"] == 3
    assert pool.first_body == b"as long as it takes"


async def test_connection_close_is_obeyed():
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    heard, shared, _ = await ask(say(answer), 4, connections_max=1)
    assert heard.outcomes == [(200, "")] * 4
    assert shared["connections"] == 4


async def test_errors_keep_their_status_and_the_connection():
    codes = [500, 429, 503, 404]

    def script(transport, nth):
        transport.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % codes[nth])

    heard, shared, _ = await ask(script, 4, connections_max=1)
    assert heard.outcomes == [(code, "") for code in codes]
    assert shared["connections"] == 1


async def test_an_interim_answer_is_not_the_answer():
    heard, _, _ = await ask(say(b"HTTP/1.1 100 Continue\r\n\r\n" + OK), 2, connections_max=1)
    assert heard.outcomes == [(200, "")] * 2
    assert heard.ended[0].timing == b"queue;dur=1"


async def test_more_than_was_asked_for_costs_the_connection_not_the_next_request():
    heard, shared, _ = await ask(say(OK + OK), 3, connections_max=1)
    assert heard.outcomes == [(200, "")] * 3
    assert shared["connections"] == 3


async def test_the_size_of_an_answer_is_bounded():
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 5000
    heard, _, _ = await ask(say(endless), 2, answer_bytes_max=2000)
    assert heard.outcomes == [(0, "too_large")] * 2


async def test_silence_ends_in_a_timeout_and_the_rest_goes_on():
    def script(transport, nth):
        if nth != 0:
            transport.write(OK)

    heard, _, _ = await ask(script, 5, connections_max=2, timeout_s=0.5)
    assert sorted(heard.outcomes) == [(-1, "timeout")] + [(200, "")] * 4


async def test_an_endless_trickle_does_not_outlive_the_timeout():
    def script(transport, nth):
        def more():
            if not transport.is_closing():
                transport.write(b"x")
                asyncio.get_running_loop().call_later(0.01, more)

        transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
        more()

    heard, _, _ = await ask(script, 1, timeout_s=0.1)
    assert heard.outcomes == [(-1, "timeout")]


async def test_nobody_listens():
    async with serving(say(OK)) as (port, _):
        pass
    heard = Heard(600)
    pool = Pool(asyncio.get_running_loop(), Endpoint("127.0.0.1", port), heard, Limits())
    for token in range(600):
        pool.send(token, HEAD)
    await heard.all
    assert heard.outcomes == [(0, "connect")] * 600
    await pool.close()


async def test_a_line_has_an_end():
    heard, _, _ = await ask(say(OK), 10, connections_max=1, line_max=4)
    outcomes = [outcome for outcome in heard.outcomes if outcome[1] == "line_full"]
    assert len(outcomes) == 6


async def test_closing_ends_what_is_on_its_way():
    async with serving(lambda t, n: None) as (port, _):
        heard = Heard(3)
        pool = Pool(
            asyncio.get_running_loop(),
            Endpoint("127.0.0.1", port),
            heard,
            Limits(connections_max=1),
        )
        assert await pool.warm(5) == 1
        for token in range(3):
            pool.send(token, HEAD)
        await pool.close()
        pool.send(3, HEAD)
    assert heard.outcomes == [(0, "closed")] * 4


async def test_a_server_that_closes_idle_connections_costs_nothing():
    async with serving(say(OK)) as (port, shared):
        heard = Heard(1)
        pool = Pool(asyncio.get_running_loop(), Endpoint("127.0.0.1", port), heard, Limits())
        await pool.warm(3)
        while len(shared["open"]) < 3:
            await asyncio.sleep(0)
        for transport in shared["open"]:
            transport.close()
        while pool._idle:
            await asyncio.sleep(0)
        pool.send(0, HEAD)
        await heard.all
        await pool.close()
    assert heard.outcomes == [(200, "")]


async def test_a_large_body_is_written_after_its_head():
    seen = bytearray()
    done = asyncio.get_running_loop().create_future()

    class Sink(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            seen.extend(data)
            if len(seen) == len(HEAD) + 3_000_000:
                self.transport.write(OK)

    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pool = Pool(asyncio.get_running_loop(), Endpoint("127.0.0.1", port), done.set_result, Limits())
    pool.send(0, HEAD, b"b" * 3_000_000)
    ended = await done
    await pool.close()
    server.close()
    await server.wait_closed()
    assert ended.status == 200
    assert bytes(seen) == HEAD + b"b" * 3_000_000
