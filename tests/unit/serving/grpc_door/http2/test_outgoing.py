"""An answer is one write where it fits; otherwise streams take turns within the windows."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.serving.grpc_door.http2 import frames as f
from gateway.serving.grpc_door.http2.headers import block_of
from gateway.serving.grpc_door.http2.outgoing import BURST_BYTES

HEAD = block_of([(":method", "POST"), (":scheme", "http"), (":path", "/a")])


def opened(number: int, *, end: bool = False) -> bytes:
    return f.frame(f.HEADERS, f.END_HEADERS | (f.END_STREAM if end else 0), number, HEAD)


def wide(one: Any) -> None:
    one.send(f.settings({f.INITIAL_WINDOW_SIZE: f.WINDOW_MAX}))
    one.send(f.window_update(0, f.WINDOW_MAX - f.WINDOW_START))


def test_an_answer_that_fits_is_one_write(peer: Any) -> None:
    one = peer()
    writes: list[bytes] = []
    one.transport.write = writes.append
    one.connection.data_received(opened(1) + f.frame(f.DATA, f.END_STREAM, 1, b"hello"))
    one.told()
    assert writes == [
        f.header_frames(1, b"\x88", 100, end=False)
        + f.frame(f.DATA, 0, 1, b"hello")
        + f.header_frames(1, b"\x88", 100, end=True)
    ]
    assert one.opened[0].said_all


def test_answers_of_one_turn_are_one_write(peer: Any) -> None:
    one = peer()
    writes: list[bytes] = []
    one.transport.write = writes.append
    one.connection.data_received(opened(1, end=True) + opened(3, end=True))
    one.told()
    assert len(writes) == 1


def test_a_stream_that_waits_lets_others_pass(peer: Any) -> None:
    one = peer()
    one.send(f.settings({f.INITIAL_WINDOW_SIZE: 10}))
    one.send(opened(1) + f.frame(f.DATA, f.END_STREAM, 1, b"x" * 100))
    told = one.send(opened(3) + f.frame(f.DATA, f.END_STREAM, 3, b"short"))
    assert [frame.stream for frame in told] == [3, 3, 3]
    assert one.send(f.window_update(1, 90))[-1].flags & f.END_STREAM


def test_streams_take_turns(peer: Any) -> None:
    one = peer()
    wide(one)
    for stream in (1, 3):
        one.send(opened(stream))
        one.opened[-1].put(b"x" * 3 * f.FRAME_BYTES)
    out = one.connection.out
    out._waiting = {stream.id: stream for stream in one.opened}
    out.pump()
    assert [frame.stream for frame in one.told()] == [1, 3, 1, 3, 1, 3]
    assert [stream.sent_count for stream in one.opened] == [1, 1]


async def test_so_much_in_one_turn_of_the_loop_and_the_rest_in_the_next(peer: Any) -> None:
    one = peer()
    wide(one)
    one.send(opened(1))
    stream = one.opened[0]
    stream.put(b"x" * 3 * BURST_BYTES)
    one.connection.out.send(stream)
    sizes = []
    for _ in range(4):
        sizes.append(sum(len(frame.payload) for frame in one.told()))
        await asyncio.sleep(0)
    assert sizes == [BURST_BYTES] * 3 + [0]
    assert stream.sent_count == 1


def test_while_the_peer_does_not_read_answers_wait(peer: Any) -> None:
    one = peer()
    one.connection.pause_writing()
    assert not one.transport.reading
    assert one.send(opened(1) + f.frame(f.DATA, f.END_STREAM, 1, b"hello")) == []
    one.connection.resume_writing()
    assert one.transport.reading
    assert [frame.payload for frame in one.told()] == [b"\x88", b"hello", b"\x88"]


def test_a_stream_that_is_reset_sends_no_more(peer: Any) -> None:
    one = peer()
    one.send(f.settings({f.INITIAL_WINDOW_SIZE: 10}))
    one.send(opened(1) + f.frame(f.DATA, f.END_STREAM, 1, b"x" * 100))
    assert one.send(f.frame(f.RST_STREAM, 0, 1, b"\0\0\0\x08")) == []
    assert one.send(f.window_update(0, 100)) == []
    assert one.connection.out._waiting == {}
