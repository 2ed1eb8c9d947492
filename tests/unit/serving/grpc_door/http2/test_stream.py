"""A stream gives its data on, tells of room, and sends what waits in order."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.serving.grpc_door.http2 import frames as f
from gateway.serving.grpc_door.http2.frames import Code, StreamFault
from gateway.serving.grpc_door.http2.headers import block_of

HEAD = block_of([(":method", "POST"), (":scheme", "http"), (":path", "/a")])


def one_stream(peer: Any, **limits: Any) -> tuple[Any, Any]:
    one = peer(**limits)
    one.send(f.frame(f.HEADERS, f.END_HEADERS, 1, HEAD))
    return one, one.opened[0]


def test_data_and_padding_count_and_room_is_told_of(peer: Any) -> None:
    one, stream = one_stream(peer, stream_window=1000)
    padded = b"\xc8" + b"x" * 300 + b"\0" * 200
    assert one.send(f.frame(f.DATA, f.PADDED, 1, padded)) == [
        (f.WINDOW_UPDATE, 0, 1, (501).to_bytes(4, "big"))
    ]
    assert stream.data == b"x" * 300


def test_what_is_not_freed_shuts_the_window(peer: Any) -> None:
    one, stream = one_stream(peer, stream_window=1000)
    stream.frees = False
    assert one.send(f.frame(f.DATA, 0, 1, b"x" * 1000)) == []
    [told] = one.send(f.frame(f.DATA, 0, 1, b"x"))
    assert (told.kind, told.payload) == (f.RST_STREAM, Code.FLOW_CONTROL_ERROR.to_bytes(4, "big"))


def test_after_its_end_a_peer_is_told_of_no_room(peer: Any) -> None:
    one, _ = one_stream(peer, stream_window=1000)
    told = one.send(f.frame(f.DATA, f.END_STREAM, 1, b"x" * 900))
    assert f.WINDOW_UPDATE not in [frame.kind for frame in told]


def test_data_behind_the_end_are_a_fault(peer: Any) -> None:
    _, stream = one_stream(peer)
    stream.heard_all = True
    with pytest.raises(StreamFault) as caught:
        stream.take(b"x", 1, end=False)
    assert caught.value.code is Code.STREAM_CLOSED
    stream.heard_all = False


def test_frames_of_what_waits_come_in_order_and_within_the_window(peer: Any) -> None:
    _, stream = one_stream(peer)
    stream.outflow.left = 5
    stream.put(b"head", block=True)
    stream.put(b"12345678")
    stream.put(b"tail", block=True, last=True)
    into: list[bytes] = []
    assert stream.next(100, 4, into) == (0, False)
    assert stream.next(100, 4, into) == (4, False)
    assert stream.next(100, 4, into) == (1, False)
    assert stream.next(100, 4, into) == (0, False)
    stream.outflow.left = 100
    assert stream.next(2, 4, into) == (2, False)
    assert stream.next(100, 4, into) == (1, True)
    assert not stream.said_all
    assert stream.next(0, 4, into) == (0, False)
    assert stream.said_all
    assert b"".join(into) == (
        f.header_frames(1, b"head", 4, end=False)
        + b"".join(f.frame(f.DATA, 0, 1, part) for part in (b"1234", b"5", b"67", b"8"))
        + f.header_frames(1, b"tail", 4, end=True)
    )
    assert not stream.waiting


def test_the_last_data_end_the_stream(peer: Any) -> None:
    _, stream = one_stream(peer)
    stream.put(b"", last=True)
    into: list[bytes] = []
    assert stream.next(0, 4, into) == (0, True)
    assert b"".join(into) == f.frame(f.DATA, f.END_STREAM, 1)


def test_a_reset_is_told_once(peer: Any) -> None:
    one, stream = one_stream(peer)
    stream.reset(Code.CANCEL)
    stream.reset(Code.CANCEL)
    assert one.told() == [(f.RST_STREAM, 0, 1, Code.CANCEL.to_bytes(4, "big"))]
    assert stream.over
