"""Blocks are read as HPACK has them, from memory where nothing changed, and written as literals."""

from __future__ import annotations

from typing import Any

import pytest
from hpack import Decoder, Encoder

from gateway.serving.grpc_door.http2.frames import Code, ConnectionFault, StreamFault
from gateway.serving.grpc_door.http2.headers import (
    KEPT,
    Blocks,
    block_of,
    check_request,
    check_trailers,
    literal,
)

REQUEST = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a"), (b"x-a", b"1")]


def blocks(made: list[Any], list_bytes_max: int = 4096) -> Blocks[Any]:
    def make(fields: Any, size: int) -> Any:
        made.append((fields, size))
        return object()

    return Blocks(make, list_bytes_max)


def test_a_block_is_read_with_its_size() -> None:
    made: list[Any] = []
    blocks(made).read(Encoder().encode(REQUEST))
    [(fields, size)] = made
    assert fields == REQUEST
    assert size == sum(len(name) + len(value) + 32 for name, value in REQUEST)


def test_the_second_block_of_the_same_fields_is_kept_and_the_third_is_known() -> None:
    made: list[Any] = []
    reader, encoder = blocks(made), Encoder()
    first = encoder.encode(REQUEST)
    reader.read(first)
    assert first not in reader.known  # it has changed the table
    second = encoder.encode(REQUEST)
    head = reader.read(second)
    assert reader.known[encoder.encode(REQUEST)] is head
    assert len(made) == 2


def test_a_change_of_the_table_forgets_what_was_known() -> None:
    reader, encoder = blocks([]), Encoder()
    reader.read(encoder.encode(REQUEST))
    known = encoder.encode(REQUEST)
    reader.read(known)
    reader.read(encoder.encode([*REQUEST, (b"x-new", b"1")]))
    assert reader.known == {}


def test_the_same_bytes_mean_something_else_after_a_change() -> None:
    made: list[Any] = []
    reader, encoder = blocks(made), Encoder()
    for path in (b"/a", b"/a", b"/b", b"/a", b"/b", b"/a", b"/a"):
        fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path)]
        block = encoder.encode(fields)
        if block in reader.known:
            continue
        reader.read(block)
        assert made[-1][0] == fields


def test_a_table_that_is_emptied_forgets_too() -> None:
    reader = blocks([])
    block = block_of([(name.decode(), value.decode()) for name, value in REQUEST])
    reader.read(block)
    assert block in reader.known
    reader.read(b"\x20\x3f\xe1\x1f" + block)  # a table of nothing, then of 4096 again
    assert reader.known == {}


def test_no_more_blocks_are_known_than_may_be() -> None:
    reader = blocks([])
    for number in range(3 * KEPT):
        fields = [*REQUEST, (b"x-n", str(number).encode())]
        reader.read(block_of([(name.decode(), value.decode()) for name, value in fields]))
        assert len(reader.known) <= KEPT
    large = block_of([*((n.decode(), v.decode()) for n, v in REQUEST), ("x-l", "x" * 3000)])
    reader.read(large)
    assert large not in reader.known


@pytest.mark.parametrize("block", [b"\x80", b"\xff\xff\xff\xff\xff\xff\xff", b"\x00\x05a", b"\xc6"])
def test_what_is_no_hpack_is_a_fault(block: bytes) -> None:
    with pytest.raises(ConnectionFault) as caught:
        blocks([]).read(block)
    assert caught.value.code is Code.COMPRESSION_ERROR


def test_a_small_block_of_large_fields_is_a_fault() -> None:
    encoder = Encoder()
    reader = blocks([], 4096)
    reader.fields(encoder.encode([(b"x-a", b"y" * 1000)]))
    bomb = encoder.encode([(b"x-a", b"y" * 1000)]) * 50
    assert len(bomb) < 100
    with pytest.raises(ConnectionFault) as caught:
        reader.fields(bomb)
    assert caught.value.code is Code.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    "fields",
    [
        [],
        REQUEST[1:],
        [REQUEST[0], REQUEST[2]],
        REQUEST[:2],
        [*REQUEST, (b":authority", b"late")],
        [REQUEST[0], *REQUEST],
        [(b":status", b"200"), *REQUEST],
        [REQUEST[0], REQUEST[1], (b":path", b"")],
        [*REQUEST, (b"X-Upper", b"1")],
        [*REQUEST, (b"x y", b"1")],
        [*REQUEST, (b"", b"1")],
        [*REQUEST, (b"x-a", b"1\r\n2")],
        [*REQUEST, (b"x-a", b"\0")],
        [*REQUEST, (b"x-a", b" 1")],
        [*REQUEST, (b"connection", b"close")],
        [*REQUEST, (b"transfer-encoding", b"chunked")],
        [*REQUEST, (b"te", b"gzip")],
    ],
)
def test_malformed_requests(fields: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(StreamFault) as caught:
        check_request(fields)
    assert caught.value.code is Code.PROTOCOL_ERROR


def test_what_a_request_may_have() -> None:
    check_request([*REQUEST, (b"te", b"trailers"), (b"x-b", b"\xc3\xbc"), (b"x-empty", b"")])
    check_trailers([(b"x-a", b"1")])
    with pytest.raises(StreamFault):
        check_trailers([(b":path", b"/a")])


@pytest.mark.parametrize("size", [0, 1, 126, 127, 128, 254, 255, 300, 20_000])
def test_others_read_literals_of_any_length(size: int) -> None:
    fields = [("x-a", "v" * size), ("n" * max(1, size), "ü{}")]
    decoder = Decoder(1 << 20)
    assert list(decoder.decode(block_of(fields))) == fields
    assert decoder.header_table.dynamic_entries == type(decoder.header_table.dynamic_entries)()


def test_a_value_ends_no_line() -> None:
    [(_, value)] = Decoder().decode(literal("x-a", "a\r\nb\0"))
    assert value == "a  b "
