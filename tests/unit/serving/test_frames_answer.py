"""An answer as frames: whole when it is short, against credit when it is long."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import CenterBusy, Report
from gateway.centers import Answered, Chunk, Failed, Head, Sent, Whole
from gateway.serving.frames_answer import CHUNK_BYTES, PENDING_BYTES_MAX, ServedCall
from gateway.wire import frames
from gateway.wire.frames import FrameReader, Hello, encode

REPORT = Report(0.5, 1.25, 3.0, 2, 4, 0.75, 100.0, 0.5, 0.25)
FIELDS = frames.report_fields(REPORT)


class FakeOutlet:
    def __init__(self) -> None:
        self.writable = True
        self.ended = 0
        self.reader = FrameReader()
        list(self.reader.feed(encode(Hello(frames.PROTOCOL, frames.VERSION, "", 1, 1, 1))))
        self.new: list[tuple[Any, bytes]] = []

    def write(self, data: bytes) -> None:
        self.new += self.reader.feed(data)

    def over(self, served: ServedCall) -> None:
        self.ended += 1

    def written(self) -> list[tuple[Any, bytes]]:
        new, self.new = self.new, []
        return new


class FakeCall:
    def __init__(self) -> None:
        self.said: list[str] = []

    def cancel(self) -> None:
        self.said.append("cancel")

    def pause(self) -> None:
        self.said.append("pause")

    def resume(self) -> None:
        self.said.append("resume")


@pytest.fixture
def outlet() -> FakeOutlet:
    return FakeOutlet()


def served(outlet: FakeOutlet, credit: int) -> tuple[ServedCall, FakeCall]:
    made, call = ServedCall(outlet, 7, 0, credit), FakeCall()
    made.call = call
    return made, call


def test_a_short_answer_is_one_frame(outlet: FakeOutlet) -> None:
    made, _ = served(outlet, 1)
    made.hear(Sent())
    made.hear(Whole(200, "application/json", 3, b"x" * CHUNK_BYTES, REPORT, 8.5))
    assert outlet.written() == [
        (frames.Answer(7, 200, "application/json", 3, FIELDS, 8.5), b"x" * CHUNK_BYTES)
    ]
    assert outlet.ended == 1


def test_a_failure(outlet: FakeOutlet) -> None:
    made, _ = served(outlet, 1)
    made.hear(Failed(CenterBusy("full"), REPORT, 2.5))
    assert outlet.written() == [(frames.Failure(7, "center_busy", 503, "full", FIELDS, 2.5), b"")]
    assert outlet.ended == 1


def test_a_long_answer_goes_out_as_credit_comes_in(outlet: FakeOutlet) -> None:
    payload = bytes(range(256)) * (3 * CHUNK_BYTES // 256)
    made, _ = served(outlet, CHUNK_BYTES + 10)
    made.hear(Whole(200, "x", None, payload, REPORT, None))
    (head, _), *chunks = outlet.written()
    assert head == frames.AnswerHead(7, 200, "x", None)
    assert [len(body) for _, body in chunks] == [CHUNK_BYTES, 10]
    assert outlet.ended == 0
    made.grant(CHUNK_BYTES - 10)
    chunks += outlet.written()
    made.grant(10 * CHUNK_BYTES)
    *rest, (end, _) = outlet.written()
    chunks += rest
    assert end == frames.AnswerEnd(7, FIELDS, None)
    assert b"".join(body for _, body in chunks) == payload
    assert outlet.ended == 1


def test_nothing_is_written_into_a_full_transport(outlet: FakeOutlet) -> None:
    made, _ = served(outlet, 10 * CHUNK_BYTES)
    outlet.writable = False
    made.hear(Whole(200, "x", None, bytes(2 * CHUNK_BYTES), REPORT, None))
    assert [type(frame) for frame, _ in outlet.written()] == [frames.AnswerHead]
    outlet.writable = True
    made.pump()
    assert [type(frame) for frame, _ in outlet.written()] == [
        frames.AnswerChunk,
        frames.AnswerChunk,
        frames.AnswerEnd,
    ]


def test_a_center_that_streams_is_paused_while_much_waits(outlet: FakeOutlet) -> None:
    made, call = served(outlet, 5)
    made.hear(Head(200, "x", None))
    made.hear(Chunk(b"hello world"))
    made.hear(Chunk(b""))
    assert call.said == []
    made.hear(Chunk(bytes(PENDING_BYTES_MAX)))
    made.hear(Chunk(bytes(PENDING_BYTES_MAX)))
    assert call.said == ["pause"]
    made.grant(100)
    assert call.said == ["pause"]
    made.grant(3 * PENDING_BYTES_MAX)
    assert call.said == ["pause", "resume"]
    made.hear(Answered(REPORT, None))
    written = outlet.written()
    assert sum(len(body) for _, body in written) == 11 + 2 * PENDING_BYTES_MAX
    assert type(written[-1][0]) is frames.AnswerEnd
    assert outlet.ended == 1


def test_a_stream_that_breaks_off(outlet: FakeOutlet) -> None:
    made, _ = served(outlet, 5)
    made.hear(Head(200, "x", None))
    made.hear(Chunk(b"hello world"))
    made.hear(Failed(CenterBusy("gone")))
    assert [type(frame) for frame, _ in outlet.written()] == [
        frames.AnswerHead,
        frames.AnswerChunk,
        frames.Failure,
    ]
    made.pump()
    made.grant(100)
    assert outlet.written() == []
    assert outlet.ended == 1


def test_an_end_without_a_head_is_a_failed_center(outlet: FakeOutlet) -> None:
    made, _ = served(outlet, 5)
    made.hear(Answered(REPORT, None))
    ((failure, _),) = outlet.written()
    assert (failure.reason, failure.status) == ("center_failed", 500)
