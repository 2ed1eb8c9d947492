"""Whatever bytes come in whatever pieces: no error, no leak, nothing heard that was not said.

A lane may refuse what llhttp takes for a request, but what it takes must be one of llhttp's
requests, in order, with the same body: otherwise they disagree on where requests begin.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

import httptools
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from gateway.serving import PublicDoor

SOAK_S = 600.0
EXAMPLES = 150
EXAMPLES_A_ROUND = 2000
TURNS = 12
# aiohttp refuses another version in that version.
HEAD = re.compile(rb"HTTP/[0-9]\.[0-9] ([0-9]{3}) [^\r\n]*\r\n((?:[!-9;-~]+: [^\r\n]*\r\n)*)\r\n")
MODEL = re.compile(rb"/v2/models/([^/?#]+)/")
LENGTH = re.compile(rb"(?i)content-length: ([0-9]+)\r\n")

LINES = [
    b"POST /v2/models/mlp/infer HTTP/1.1",
    b"POST /v2/models/mlp/versions/2/infer/ HTTP/1.1",
    b"POST /v2/models/mlp/infer HTTP/1.0",
    b"GET /v2/health/live HTTP/1.1",
    b"POST /v2/models/m%6cp/infer HTTP/1.1",
    b"POST /v2/models/mlp/infer?x=1 HTTP/1.1",
    b"POST http://a/v2/models/mlp/infer HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"CONNECT a:1 HTTP/1.1",
]
FIELDS = [
    b"Host: a",
    b"Host: b:80",
    b"Content-Length: 2",
    b"Content-Length: 3",
    b"content-length: 02",
    b"Content-Length: 0",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding : chunked",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: Upgrade, x",
    b"Upgrade: h2c",
    b"Expect: 100-continue",
    b"Content-Type: application/json",
    b"Content-Encoding: gzip",
    b"Accept-Encoding: gzip",
    b"Inference-Header-Content-Length: 2",
    b"x-request-id: r1",
    b"x-request-timeout-ms: 50",
    b"x-nearway-origin: Beijing",
    b"x-nearway-origin: nowhere",
    b"endpoint-load-metrics-format: json",
    b"x-nearway-explain: 1",
    b"x: \xff\xfe",
    b" folded",
]
ENDS = [b"\r\n"] * 30 + [b"\n", b"\r", b"\r\r\n", b"\n\r\n", b" \r\n"]
BODIES = [b"{}", b"{}{", b"", b"2\r\n{}\r\n0\r\n\r\n", b'{"parameters":{"timeout":1}}', b"\r\n"]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request that is nearly always nearly right."""
    fields = [
        b"Host: a",
        b"Content-Length: 2",
        *draw(st.lists(st.sampled_from(FIELDS), max_size=3)),
    ]
    if draw(st.integers(0, 3)) == 0:
        fields = draw(st.lists(st.sampled_from(FIELDS), max_size=6))
    lines = [draw(st.sampled_from(LINES)), *draw(st.permutations(fields)), b""]
    head = b"".join(line + draw(st.sampled_from(ENDS)) for line in lines)
    return head + draw(st.sampled_from(BODIES))


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """A few requests, perhaps damaged, in pieces."""
    data = bytearray(b"".join(draw(st.lists(requests(), min_size=1, max_size=4))))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        if draw(st.booleans()):
            data[at : at + draw(st.integers(0, 3))] = b""
        else:
            data[at:at] = draw(st.binary(max_size=4))
    cuts = sorted(draw(st.sets(st.integers(0, len(data)), max_size=4)))
    edges = [0, *cuts, len(data)]
    return [bytes(data[a:b]) for a, b in pairwise(edges) if b > a]


class Bench:
    """Both lanes on one loop, each with a fleet of fakes that answers at once."""

    def __init__(self, make_front: Any, wire_class: Any) -> None:
        self._runner = asyncio.Runner()
        self._wire_class = wire_class
        self._runner.run(self._open(make_front))

    async def _open(self, make_front: Any) -> None:
        self.errors: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.errors.append(context))
        self.fronts = [make_front(server={"lane": lane}) for lane in ("hot", "aiohttp")]
        self.doors = [PublicDoor(front) for front in self.fronts]
        for door in self.doors:
            await door.open()

    def close(self) -> None:
        async def close_all() -> None:
            for door in self.doors:
                await door.close()

        self._runner.run(close_all())
        self._runner.close()

    def feed(self, pieces: list[bytes]) -> None:
        self._runner.run(self._feed(pieces))

    async def _feed(self, pieces: list[bytes]) -> None:
        said = requests_in(b"".join(pieces))
        for front, door in zip(self.fronts, self.doors, strict=True):
            attempts = front.ports[0].started
            attempts.clear()
            wire = self._wire_class(door.connect())
            for piece in pieces:
                wire.feed(piece)
                await asyncio.sleep(0)
            for _ in range(TURNS):
                await asyncio.sleep(0)
            check_answers(wire.written)
            if not wire.closed:
                wire.lose()
            for _ in range(TURNS):
                await asyncio.sleep(0)
            rest = iter(said)
            for one in attempts:
                assert (one.attempt.query.model, without_upgrade(one.attempt.body)) in rest
            assert front.metrics.in_flight == 0
            assert door.connections == 0
            assert not front.router.open
            front.router.committed.clear()
            front.router.outcomes.clear()
        assert self.errors == []
        lane = self.doors[0].lane
        assert lane is not None
        assert (lane.running, lane.tasks) == (0, 0)


class Reference:
    """llhttp's opinion of where requests begin and end."""

    def __init__(self) -> None:
        self.url = self.body = b""
        self.requests: list[tuple[str, bytes]] = []

    def on_message_begin(self) -> None:
        self.url = self.body = b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        model = MODEL.search(self.url)
        if model is not None:
            self.requests.append((unquote(model[1].decode()), self.body))


def requests_in(stream: bytes) -> list[tuple[str, bytes]]:
    """(model, body) of each request for a model, up to the first that is none.

    httptools takes a request for an upgrade to have no body, whatever it says. None is ever
    granted here, so the reference does not see the word.
    """
    heard = Reference()
    with suppress(httptools.HttpParserError, httptools.HttpParserUpgrade):
        httptools.HttpRequestParser(heard).feed_data(without_upgrade(stream))
    return heard.requests


def without_upgrade(data: bytes) -> bytes:
    return re.sub(rb"(?i)upgrade", b"xpgrade", data)


def check_answers(written: bytes) -> None:
    """Nothing but whole answers, the last perhaps cut short."""
    at = 0
    while at < len(written):
        head = HEAD.match(written, at)
        assert head is not None, written[at : at + 200]
        at = head.end()
        length = LENGTH.search(head[2])
        if not head[1].startswith(b"1"):
            assert length is not None
            at += int(length[1])
    assert at >= len(written)


@pytest.fixture
def bench(make_front: Any, Wire: Any) -> Iterator[Bench]:  # noqa: N803 - a class
    made = Bench(make_front, Wire)
    yield made
    made.close()


def fuzz(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def around(test: Callable[..., None]) -> Callable[..., None]:
        checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
        chosen = settings(
            max_examples=examples, deadline=None, suppress_health_check=checks, database=None
        )
        return chosen(given(streams())(test))

    return around


def test_a_little(bench: Bench) -> None:
    @seed(1)
    @fuzz(EXAMPLES)
    def run(pieces: list[bytes]) -> None:
        bench.feed(pieces)

    run()


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_long(bench: Bench) -> None:
    """Ten minutes; a failure prints the pieces that replay it."""
    until_s, number = time.monotonic() + SOAK_S, 0
    while time.monotonic() < until_s:
        number += 1

        @seed(number)
        @fuzz(EXAMPLES_A_ROUND)
        def run(pieces: list[bytes]) -> None:
            bench.feed(pieces)

        run()
