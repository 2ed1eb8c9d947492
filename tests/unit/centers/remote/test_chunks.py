"""Only what every reader of HTTP/1.1 takes for the same chunks is handed on unread."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.centers.remote.chunks import BEGINNINGS, CRLF, SIZE_MAX, are_whole_chunks

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(body: bytes, form: bytes = b"%x") -> bytes:
    return form % len(body) + b"\r\n" + body + b"\r\n"


def is_one_chunk(data: bytes) -> bool:
    """As a connection looks at it."""
    size = len(data)
    return size < len(BEGINNINGS) and data.startswith(BEGINNINGS[size]) and data.endswith(CRLF)


@pytest.mark.parametrize("form", [b"%x", b"%X"])
@pytest.mark.parametrize("size", [1, 15, 16, 171, 255, 256, 4095])
def test_one_chunk_is_known_by_its_length_and_its_size_line(size: int, form: bytes) -> None:
    data = chunk(b"\r" * size, form)
    assert is_one_chunk(data)
    assert are_whole_chunks(data)
    assert not is_one_chunk(data[:-1])
    assert not is_one_chunk(data + b"\r\n")
    assert are_whole_chunks(data * 3)
    assert not are_whole_chunks(data * 2 + data[:-1])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"0\r\n\r\n",
        b"3\r\nabc\r\n0\r\n\r\n",
        b"03\r\nabc\r\n",
        b"+3\r\nabc\r\n",
        b" 3\r\nabc\r\n",
        b"3 \r\nabc\r\n",
        b"0x3\r\nabc\r\n",
        b"3;x=y\r\nabc\r\n",
        b"3\nabc\r\n",
        b"3\r\nabc\n\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabc",
        b"-1\r\n\r\n",
        b"5\r\nab\r\n\r\n",
        b"1\r\na\r\n3?",  # a size whose line does not end, as long as what stands before
        b"1\r\na\r\n3\r",
        b"\r\n",
        chunk(b"x" * (SIZE_MAX + 1)),
    ],
)
def test_what_is_left_to_the_parser(data: bytes) -> None:
    assert not is_one_chunk(data)
    assert not are_whole_chunks(data)


class Body:
    """What the parser makes of it."""

    def __init__(self) -> None:
        self.read = b""

    def on_body(self, body: bytes) -> None:
        self.read += body


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4), st.binary(max_size=3))
def test_the_parser_sees_the_same_chunks(bodies: list[bytes], rest: bytes) -> None:
    data = b"".join(map(chunk, bodies)) + rest
    if not are_whole_chunks(data):
        assert rest
        return
    body = Body()
    parser = httptools.HttpResponseParser(body)
    parser.feed_data(HEAD)
    parser.feed_data(data)
    assert body.read.startswith(b"".join(bodies))
    parser.feed_data(b"0\r\n\r\n")  # it stands between two chunks
