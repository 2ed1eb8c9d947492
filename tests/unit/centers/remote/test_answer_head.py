"""What a head says, and that a remembered head never says anything else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.centers.remote.answer_head import (
    KNOWN_HEADS_MAX,
    BrokenAnswer,
    KnownHeads,
    read_head,
)


def head(*pairs: tuple[str, str], status: int = 200, version: str = "1.1") -> Any:
    return read_head(status, version, [(n.encode(), v.encode("latin-1")) for n, v in pairs])


def test_what_is_read() -> None:
    found = head(
        ("Content-Type", "application/octet-stream"),
        ("CONTENT-LENGTH", "10"),
        ("inference-header-content-length", "4"),
        ("Endpoint-Load-Metrics", "TEXT eps=1"),
        ("Server-Timing", "queue;dur=1"),
        ("server-timing", "service;dur=2"),
        ("x-nearway-drawn-ms", "1.5"),
        ("Retry-After", "3"),
        ("X-Whatever", "y"),
    )
    assert (found.content_type, found.body_bytes, found.head_bytes) == (
        "application/octet-stream",
        10,
        4,
    )
    assert (found.load, found.timing) == ("TEXT eps=1", "queue;dur=1, service;dur=2")
    assert (found.drawn_ms, found.retry_after) == (1.5, "3")
    assert not found.until_closed
    assert not found.constant


def test_a_type_is_assumed_by_what_follows() -> None:
    assert head(("Content-Length", "2")).content_type == "application/json"
    binary = head(("Content-Length", "2"), ("Inference-Header-Content-Length", "1"))
    assert binary.content_type == "application/octet-stream"


@pytest.mark.parametrize(
    ("pairs", "status", "body_bytes", "until_closed"),
    [
        ([("Content-Length", "7")], 200, 7, False),
        ([("Transfer-Encoding", "Chunked")], 200, None, False),
        ([], 200, None, True),
        ([("Content-Length", "7")], 204, 0, False),
        ([("Content-Length", "7")], 304, 0, False),
        ([("Content-Encoding", "identity"), ("Content-Length", "7")], 200, 7, False),
    ],
)
def test_how_long_the_body_is(
    pairs: Any, status: int, body_bytes: int | None, until_closed: bool
) -> None:
    found = head(*pairs, status=status)
    assert (found.body_bytes, found.until_closed) == (body_bytes, until_closed)


@pytest.mark.parametrize(
    ("pairs", "status", "version", "why"),
    [
        ([("Content-Length", "1"), ("Transfer-Encoding", "chunked")], 200, "1.1", "both"),
        ([("Content-Length", "1"), ("content-length", "1")], 200, "1.1", "twice"),
        ([("Transfer-Encoding", ""), ("Transfer-Encoding", "chunked")], 200, "1.1", "twice"),
        ([("Content-Type", "a"), ("Content-Type", "b")], 200, "1.1", "twice"),
        ([("Transfer-Encoding", "gzip")], 200, "1.1", "expected chunked"),
        ([("Transfer-Encoding", "chunked")], 200, "1.0", "expected chunked"),
        ([("Transfer-Encoding", "chunked")], 204, "1.1", "expected chunked"),
        ([("Content-Encoding", "br")], 200, "1.1", "encoded"),
        ([], 200, "2.0", "HTTP/2.0"),
        ([], 101, "1.1", "status"),
        ([], 600, "1.1", "status"),
        ([("Inference-Header-Content-Length", "0")], 200, "1.1", "inference-header"),
        ([("Inference-Header-Content-Length", "-1")], 200, "1.1", "inference-header"),
        ([("Inference-Header-Content-Length", "\xb2")], 200, "1.1", "inference-header"),
        ([("Inference-Header-Content-Length", "1" * 30)], 200, "1.1", "inference-header"),
    ],
)
def test_refused(pairs: Any, status: int, version: str, why: str) -> None:
    with pytest.raises(BrokenAnswer, match=why):
        head(*pairs, status=status, version=version)


@pytest.mark.parametrize("told", ["", "nan", "inf", "-1", "x", "\xb2"])
def test_a_delay_that_is_none_is_passed_over(told: str) -> None:
    assert head(("x-nearway-drawn-ms", told)).drawn_ms is None


RAW = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%bServer: x\r\n\r\n"


def test_known_by_every_byte() -> None:
    known = KnownHeads(1000)
    found = head(("Content-Length", "2"), ("Server", "x"))
    known.add(RAW % b"", found)
    assert known.find(RAW % b"") is found
    assert known.find((RAW % b"").replace(b"x", b"y")) is None
    assert known.find_rest(RAW % b"") is None


def test_known_by_what_does_not_change() -> None:
    known = KnownHeads(1000)
    lines = b"Server-Timing: service;dur=1\r\nx-request-id: a\r\n"
    known.add(RAW % lines, head(("Content-Length", "2"), ("Server-Timing", "service;dur=1")))
    other = b"SERVER-TIMING:queue;dur=3\r\nx-nearway-drawn-ms: 2\r\nserver-timing: a;dur=1\r\n"
    found = known.find_rest(RAW % other)
    assert found is not None
    assert (found.timing, found.drawn_ms, found.load) == ("queue;dur=3, a;dur=1", 2.0, "")
    assert found.body_bytes == 2


@pytest.mark.parametrize(
    "line",
    [
        b"Server-Timing: a\r\n b\r\n",
        b"Server-Timing: a\nX: b\r\n",
        b"Server-Timing: a\rb\r\n",
        b"Server-Timing: a\x00\r\n",
        b"Server-Timing : a\r\n",
        b" Server-Timing: a\r\n",
        b"Content-Length: 2\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Server-Timing: " + b"a" * 1000 + b"\r\n",
    ],
)
def test_a_line_that_is_not_well_formed_is_not_known(line: bytes) -> None:
    known = KnownHeads(1000)
    first = RAW % b"Server-Timing: a\r\n"
    known.add(first, head(("Content-Length", "2"), ("Server-Timing", "a")))
    assert known.find_rest(first) is not None
    assert known.find_rest(RAW % line) is None


def test_bounded() -> None:
    known = KnownHeads(1000)
    constant = head(("Content-Length", "2"))
    changing = head(("Content-Length", "2"), ("Server-Timing", "a"))
    for number in range(3 * KNOWN_HEADS_MAX):
        known.add(b"%d" % number, constant)
        known.add(b"%d" % number, changing)
    latest = b"%d" % (3 * KNOWN_HEADS_MAX - 1)
    assert known.find(latest) is constant
    assert sum(known.find(b"%d" % n) is not None for n in range(1000)) <= KNOWN_HEADS_MAX
    assert sum(known.find_rest(b"%d" % n) is not None for n in range(1000)) <= KNOWN_HEADS_MAX


NAMES = st.sampled_from(
    ["Endpoint-Load-Metrics", "server-timing", "X-Nearway-Drawn-Ms", "X-Request-Id", "Server"]
)
VALUES = st.text(st.characters(codec="latin-1", exclude_categories=("Cc",)), max_size=8)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6))
@example([("X-Nearway-Drawn-Ms", ""), ("X-Nearway-Drawn-Ms", "0")])
def test_the_short_way_reads_what_the_long_way_reads(pairs: list[tuple[str, str]]) -> None:
    lines = [("Content-Length", "2"), *pairs]
    raw = "HTTP/1.1 200 OK\r\n" + "".join(f"{n}: {v}\r\n" for n, v in lines) + "\r\n"
    known = KnownHeads(1000)
    long = head(*lines)
    known.add(raw.encode("latin-1"), long)
    short = known.find_rest(raw.encode("latin-1")) or known.find(raw.encode("latin-1"))
    assert short == long
