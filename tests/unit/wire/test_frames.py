"""Frames: what is written is read, however it is cut; what is no frame is refused by name."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from pathlib import Path
from struct import pack
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import (
    CenterBusy,
    CenterFailed,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    Refused,
    Report,
)
from gateway.wire import frames
from gateway.wire.frames import FrameReader, Hello, ProtocolError, encode
from gateway.wire.openai_errors import InvalidField

REPORT = frames.report_fields(Report(0.5, 1.25, 3.0, 2, 4, 0.75, 100.0, 0.5, 0.25))
HELLO = Hello(frames.PROTOCOL, frames.VERSION, "test 1", 8, 1 << 20, 1 << 16)
REQUEST = frames.Request(
    17, "cn-east-4b", "blast-furnace", "", "Shanghai", 250.0, None, "0123456789ab-1"
)
EVERY: list[tuple[frames.Frame, bytes]] = [
    (HELLO, b""),
    (REQUEST, b'{"inputs":[]}'),
    (frames.Answer(1, 200, "application/json", None, REPORT, None), b"{}"),
    (frames.Answer(2, 200, "application/octet-stream", 2, REPORT, 8.25), b"{}\0\1"),
    (frames.AnswerHead(3, 200, "application/json", None), b""),
    (frames.AnswerChunk(3), b"x" * 1000),
    (frames.AnswerEnd(3, REPORT, 1.5), b""),
    (frames.Failure(4, "center_busy", 503, "full", REPORT, 2.0), b""),
    (frames.Failure(5, "not_found", 404, "no such model"), b""),
    (frames.Cancel(6), b""),
    (frames.Credit(7, 65536), b""),
    (frames.Probe(8, "cn-east-4b", "Shanghai"), b""),
    (frames.Probed(8, REPORT), b""),
    (frames.Probed(9, None), b""),
    (frames.Question(10, "metadata", "cn-east-4b", "m", "1"), b""),
    (frames.Reply(10), msgspec.msgpack.encode({"a": 1})),
    (frames.Residency(), frames.encode_residency([frames.ResidencyLine("c", "m", True, 0.5)])),
    (frames.Goodbye("stops", drains=True), b""),
]
WIRE = b"".join(encode(frame, body) for frame, body in EVERY)


def read(*pieces: bytes, bound: int = frames.FRAME_BYTES_MAX) -> list[tuple[Any, bytes]]:
    reader = FrameReader(bound)
    return [found for piece in pieces for found in reader.feed(piece)]


def test_every_kind_is_read_as_it_was_written() -> None:
    assert read(WIRE) == EVERY
    assert {type(frame) for frame, _ in EVERY} == set(frames.Frame.__args__)


def test_the_first_byte_of_a_connection_is_no_http_request() -> None:
    assert WIRE[0] == 0


@pytest.mark.parametrize("cut", range(1, len(WIRE), 7))
def test_two_pieces(cut: int) -> None:
    assert read(WIRE[:cut], WIRE[cut:]) == EVERY


def test_every_cut_of_a_few_frames() -> None:
    few = EVERY[:4]
    wire = b"".join(encode(frame, body) for frame, body in few)
    for cut in range(len(wire) + 1):
        assert read(wire[:cut], wire[cut:]) == few


def test_byte_by_byte() -> None:
    assert read(*(WIRE[at : at + 1] for at in range(len(WIRE)))) == EVERY


@given(st.lists(st.integers(1, 400), max_size=60))
def test_any_pieces(sizes: list[int]) -> None:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(WIRE[at : at + size])
        at += size
    assert read(*pieces, WIRE[at:]) == EVERY


@given(
    st.integers(0, 2**53),
    st.text(max_size=1024),
    st.text(max_size=1024),
    st.floats(0, 1e12),
    st.none() | st.integers(0, 2**53),
    st.binary(max_size=5000),
)
def test_any_request(
    number: int, model: str, vantage: str, budget_ms: float, head: int | None, body: bytes
) -> None:
    request = frames.Request(number, "c", model, "", vantage, budget_ms, head, "r")
    assert read(encode(HELLO), encode(request, body))[1] == (request, body)


def test_a_body_is_a_copy_of_its_own() -> None:
    """What was read outlives the buffer it came in."""
    wire = bytearray(encode(REQUEST, b"abc"))
    (_, _), (_, body) = read(encode(HELLO), bytes(wire))
    wire[:] = bytes(len(wire))
    assert body == b"abc"


def test_large_bodies_come_in_many_pieces() -> None:
    body = bytes(range(256)) * 4096
    wire = encode(HELLO) + encode(REQUEST, body)
    pieces = [wire[at : at + 65536] for at in range(0, len(wire), 65536)]
    assert read(*pieces)[1] == (REQUEST, body)


# ---- garbage ------------------------------------------------------------------------------


def refusal(*pieces: bytes, bound: int = frames.FRAME_BYTES_MAX) -> str:
    with pytest.raises(ProtocolError) as caught:
        read(*pieces, bound=bound)
    return str(caught.value)


def raw(head: bytes, body: bytes = b"") -> bytes:
    return pack(">IH", 2 + len(head) + len(body), len(head)) + head + body


def told(*fields: Any) -> bytes:
    return raw(msgspec.msgpack.encode(fields))


SAID = encode(HELLO)


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "a frame of 1195725856 bytes"),
        (encode(REQUEST), "Request frame before the hello"),
        (encode(Hello("other", 1, "", 1, 1, 1)), "the protocol 'other'; expected 'nearway-frames'"),
        (encode(Hello(frames.PROTOCOL, 9, "", 1, 1, 1)), "version 9 of nearway-frames; expected 1"),
        (SAID + SAID, "a second hello"),
        (SAID + raw(b""), "a head of 0 bytes"),
        (SAID + pack(">IH", 3, 9) + b"x", "a head of 9 bytes in a frame of 3"),
        (SAID + raw(b"\xc1"), "a head that cannot be read"),
        (SAID + told(99, 1), "a head that cannot be read"),
        (SAID + told(9, "one"), "a head that cannot be read"),
        (SAID + told(9, -1), "a head that cannot be read"),
        (SAID + told(9, 1.5), "a head that cannot be read"),
        (SAID + told(9), "a head that cannot be read"),
        (SAID + told(10, 1, 0), "a head that cannot be read"),
        (SAID + told(7, 1, [float("nan")] * 9, None), "a head that cannot be read"),
        (SAID + told(7, 1, [float("inf"), 0, 0, 0, 0, 0, 0, 0, 0], None), "cannot be read"),
        (SAID + told(7, 1, [0.0, 0, 0, 0, 0, 0, 0, 0], None), "a head that cannot be read"),
        (SAID + told(4, 1, 9000, "x", None, REPORT, None), "a head that cannot be read"),
        (SAID + told(3, 1, "c" * 2000, "m", "", "v", 1.0, None, "r"), "cannot be read"),
        (SAID + raw(msgspec.msgpack.encode([9, 1]), b"body"), "Cancel frame with a body of 4"),
        (SAID + raw(b"\x91" * 60000 + b"\x01"), "a head that cannot be read"),
        (SAID + raw(b"\x92\x0e\xa2\xff\xfe"), "a head that cannot be read"),
    ],
)
def test_garbage_is_refused_however_it_is_cut(wire: bytes, words: str) -> None:
    assert words in refusal(wire)
    assert words in refusal(*(wire[at : at + 1] for at in range(len(wire))))


def test_a_frame_over_the_bound_is_refused_before_it_came() -> None:
    assert "expected at most 1000" in refusal(SAID, pack(">IH", 1001, 4), bound=1000)


def test_frames_before_the_wrong_one_are_read_and_nothing_follows_it() -> None:
    reader = FrameReader()
    feed = reader.feed(SAID + encode(frames.Cancel(1)) + raw(b"\xc1"))
    assert [next(feed)[0], next(feed)[0]] == [HELLO, frames.Cancel(1)]
    with pytest.raises(ProtocolError):
        next(feed)
    assert list(reader.feed(encode(frames.Cancel(2)))) == []


def test_a_frame_that_comes_byte_by_byte_takes_no_more_room_than_its_bytes() -> None:
    reader = FrameReader()
    list(reader.feed(SAID))
    wire = encode(REQUEST, bytes(200_000))
    tracemalloc.start()
    try:
        found = [pair for at in range(len(wire)) for pair in reader.feed(wire[at : at + 1])]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [(REQUEST, bytes(200_000))]
    assert peak < 5 * len(wire)
    assert not reader.partial


def test_it_tells_whether_a_frame_has_begun() -> None:
    reader = FrameReader()
    list(reader.feed(SAID[:5]))
    assert reader.partial
    list(reader.feed(SAID[5:]))
    assert not reader.partial


def only_refused(wire: bytes) -> None:
    """Read or refused, nothing else."""
    with suppress(ProtocolError):
        read(wire)


@given(st.binary(max_size=300))
def test_noise_never_breaks_the_reader(noise: bytes) -> None:
    only_refused(noise)
    only_refused(SAID + noise)


@given(st.integers(0, len(WIRE) - 1), st.integers(0, 255))
def test_a_changed_byte_never_breaks_the_reader(at: int, value: int) -> None:
    wire = bytearray(WIRE)
    wire[at] = value
    only_refused(bytes(wire))


def test_fields_added_at_the_end_are_ignored() -> None:
    assert read(SAID, told(9, 5, "from the future"))[1][0] == frames.Cancel(5)


# ---- heads, errors, bodies ----------------------------------------------------------------


def test_a_head_too_long_is_not_written() -> None:
    long = frames.Question(1, "metadata", "c", "m" * 70_000, "")
    with pytest.raises(ProtocolError, match="expected at most 65535"):
        encode(long)


@pytest.mark.parametrize("error", [CenterBusy("full"), NotFound("no"), DeadlineExceeded("late")])
def test_errors_cross_the_wire(error: Any) -> None:
    found = frames.error_of(frames.failure(1, error))
    assert (type(found), str(found), found.http_status) == (
        type(error),
        str(error),
        error.http_status,
    )


def test_an_error_that_is_not_known_here_is_the_centers() -> None:
    assert type(frames.error_of(frames.Failure(1, "novel", 500, "?"))) is CenterFailed


def test_a_refusal_keeps_its_status() -> None:
    found = frames.error_of(frames.failure(1, Refused("teapot", 418)))
    assert (type(found), found.http_status) == (Refused, 418)


def test_a_report_crosses_the_wire() -> None:
    report = Report(0.5, 1.25, 3.0, 2, 4, 0.75, 100.0, 0.5, 0.25)
    assert Report(*frames.report_fields(report)) == report


def test_messages_are_shortened() -> None:
    assert len(frames.failure(1, NotFound("x" * 100_000)).message) == frames.MESSAGE_CHARS_MAX


def test_wrong_bodies_are_refused() -> None:
    lines = [frames.ResidencyLine("c", "m", True, 0.5)]
    assert frames.decode_residency(frames.encode_residency(lines)) == lines
    for wrong in (b"", b"\xc1", msgspec.msgpack.encode([["c", "m", 1, 0.5]])):
        with pytest.raises(ProtocolError, match="a body that cannot be read"):
            frames.decode_residency(wrong)


# ---- the document -------------------------------------------------------------------------


def test_the_worked_example_in_the_docs() -> None:
    text = (Path(__file__).parents[3] / "docs" / "frames.md").read_text()
    wire = encode(REQUEST, b'{"inputs":[]}')
    dump = "\n".join(wire[at : at + 16].hex(" ") for at in range(0, len(wire), 16))
    assert dump in text
    for kind in frames.Frame.__args__:
        assert f"| {kind.__struct_config__.tag} | `{kind.__name__}` | " in text, kind
        for field in kind.__struct_fields__:
            assert f"`{field}`" in text, (kind, field)


def test_a_wrong_field_is_named_across_the_wire() -> None:
    error = InvalidField("no such thing", "messages[0].role", "odd")
    back = frames.error_of(frames.failure(7, error))
    assert isinstance(back, InvalidRequest)
    assert (str(back), back.param, back.code) == ("no such thing", "messages[0].role", "odd")
    assert frames.error_of(frames.failure(7, InvalidRequest("x"))).param is None  # type: ignore[attr-defined]
    long = InvalidField("x", "p" * 5000)
    assert len(frames.failure(7, long).param) == 1024
