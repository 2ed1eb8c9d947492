"""However a request's bytes arrive, the answer is the same, and the same in both lanes."""

from __future__ import annotations

import asyncio
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

VARIES = re.compile(rb"(?i)^(date|server-timing|x-request-id): [^\r]*\r\n", re.MULTILINE)
REQUESTS = {
    "plain": (b'{"inputs":[]}', ("Content-Type: application/json",), 200),
    "no body": (b"", (), 200),
    "of a version": (b"{}", ("x-nearway-origin: Beijing", "x-nearway-tenant: t"), 200),
    "bad origin": (b"{}", ("x-nearway-origin: Atlantis",), 400),
    "bad media": (b"a=b", ("Content-Type: text/plain",), 415),
    "bad limits": (b'{"parameters":{"timeout":"soon"}}', (), 400),
    "the last": (b"{}", ("Connection: close",), 200),
    "the last, no body": (b"", ("Connection: close",), 200),
    "asks for load": (b"{}", ("endpoint-load-metrics-format: text",), 200),
    "asks why": (b"{}", ("x-nearway-explain: 1",), 200),
    "compressed": (b"{}", ("Content-Encoding: br",), 415),
}

ON_GOING = sorted(set(REQUESTS) - {"the last", "the last, no body"})


def steady(answers: bytes) -> tuple[bytes, ...]:
    """Without what differs from one request to the next, and without the fields' order."""
    return tuple(sorted(VARIES.sub(b"", answers).split(b"\r\n")))


def all_cuts(data: bytes) -> list[list[bytes]]:
    return [[data[:at], data[at:]] for at in range(1, len(data))]


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_cut_anywhere_is_answered_the_same(
    lane: str, name: str, fed: Any, request_of: Any
) -> None:
    body, fields, status = REQUESTS[name]
    data = request_of(body, *fields)
    async with fed(lane) as door:
        whole = await door.told([data], 1)
        assert b" %d " % status in whole.split(b"\r\n")[0]
        for pieces in all_cuts(data):
            assert steady(await door.told(pieces, 1)) == steady(whole), pieces


@pytest.mark.parametrize("name", REQUESTS)
async def test_both_lanes_say_the_same(name: str, fed: Any, request_of: Any) -> None:
    body, fields, _ = REQUESTS[name]
    data = request_of(body, *fields)
    async with fed("hot") as hot, fed("aiohttp") as full:
        assert steady(await hot.told([data], 1)) == steady(await full.told([data], 1))


async def test_two_requests_cut_anywhere_are_answered_in_order(
    lane: str, fed: Any, request_of: Any
) -> None:
    data = request_of(b'{"id":"1"}', "x-request-id: one") + request_of(b"{}", "x-request-id: two")
    async with fed(lane) as door:
        for pieces in all_cuts(data):
            told = await door.told(pieces, 2)
            assert told.count(b"HTTP/1.1 200 OK") == 2, pieces
            assert told.index(b"x-request-id: one") < told.index(b"x-request-id: two")
            bodies = [one.attempt.body for one in door.front.ports[0].started]
            assert bodies == [b'{"id":"1"}', b"{}"]


@pytest.mark.parametrize(
    ("second", "status"),
    [
        (b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n", b"200"),
        (b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (b"POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
         b"2\r\n{}\r\n0\r\n\r\n", b"200"),
    ],
    ids=["another route", "no route", "chunks"],
)  # fmt: skip
async def test_what_the_hot_lane_hands_over_is_answered_after_what_came_before(
    lane: str, second: bytes, status: bytes, fed: Any, request_of: Any
) -> None:
    data = request_of(b"{}", "x-request-id: one") + second
    async with fed(lane) as door:
        for pieces in all_cuts(data):
            first, last = (await door.told(pieces, 2)).split(b"HTTP/1.1 ")[1:]
            assert first.startswith(b"200"), pieces
            assert b"x-request-id: one" in first
            assert last.startswith(status), pieces


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_number_of_requests_cut_anyhow(fed: Any, request_of: Any, data: Any) -> None:
    names = data.draw(st.lists(st.sampled_from(ON_GOING), min_size=1, max_size=5))
    stream = b"".join(request_of(REQUESTS[name][0], *REQUESTS[name][1]) for name in names)
    places = data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=8))
    pieces = [stream[a:b] for a, b in pairwise([0, *sorted(places), len(stream)])]
    for lane in ("hot", "aiohttp"):
        told = asyncio.run(told_in(fed, lane, pieces, len(names)))
        found = [int(part[:3]) for part in told.split(b"HTTP/1.1 ")[1:]]
        assert found == [REQUESTS[name][2] for name in names]


async def told_in(fed: Any, lane: str, pieces: list[bytes], answers: int) -> bytes:
    async with fed(lane) as door:
        told: bytes = await door.told(pieces, answers)
    return told
