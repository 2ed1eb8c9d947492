"""A call by itself: what it hands on, what it keeps, for what it gives credit."""

from __future__ import annotations

from typing import Any

from gateway.api import CenterDown, Report
from gateway.centers import Answered, Attempt, Chunk, Failed, Head
from gateway.centers.framed.call import FramedCall

HEAD = Head(200, "x", None)
END = Answered(Report(0.0, 1.0), None)


class FakeLine:
    def __init__(self) -> None:
        self.credit_step = 10
        self.credits: list[int] = []
        self.cancels = 0
        self.due: list[FramedCall] = []

    def cancelled(self, call: FramedCall) -> None:
        self.cancels += 1

    def credit(self, call: FramedCall, amount: int) -> None:
        self.credits.append(amount)

    def soon(self, call: FramedCall) -> None:
        self.due.append(call)


def made(line: FakeLine | None) -> tuple[FramedCall, list[Any]]:
    heard: list[Any] = []
    attempt = Attempt("r", 0, "m", "", b"", None, 1.0)
    return FramedCall(line, 1, "c", "v", attempt, heard.append), heard


def test_credit_comes_in_steps_and_not_after_the_end() -> None:
    line = FakeLine()
    call, heard = made(line)
    for event in (HEAD, Chunk(b"x" * 6), Chunk(b"x" * 6), Chunk(b"x" * 6), END):
        call.take(event)
    assert line.credits == [12]
    assert heard[-1] is END
    assert not call.open


def test_paused_it_keeps_everything_in_order() -> None:
    line = FakeLine()
    call, heard = made(line)
    call.take(HEAD)
    call.pause()
    events = [Chunk(b"1"), Chunk(b"2"), END]
    for event in events:
        call.take(event)
    assert heard == [HEAD]
    call.resume()
    call.resume()
    assert line.due == [call]
    call.hand_on()
    assert heard == [HEAD, *events]


def test_what_comes_between_resume_and_its_turn_stays_behind() -> None:
    line = FakeLine()
    call, heard = made(line)
    call.take(HEAD)
    call.pause()
    call.take(Chunk(b"1"))
    call.resume()
    call.take(Chunk(b"2"))
    call.hand_on()
    call.take(Chunk(b"3"))
    assert heard == [HEAD, Chunk(b"1"), Chunk(b"2"), Chunk(b"3")]


def test_paused_again_in_the_midst() -> None:
    line = FakeLine()
    heard: list[Any] = []

    def slow(event: Any) -> None:
        heard.append(event)
        call.pause()

    call = FramedCall(line, 1, "c", "v", Attempt("r", 0, "m", "", b"", None, 1.0), slow)
    call.take(HEAD)
    call.take(Chunk(b"1"))
    call.take(Chunk(b"2"))
    assert heard == [HEAD]
    for expected in (2, 3):
        call.resume()
        line.due.pop().hand_on()
        assert len(heard) == expected


def test_cancelled_it_is_deaf_for_good() -> None:
    line = FakeLine()
    call, heard = made(line)
    call.take(HEAD)
    call.pause()
    call.take(Chunk(b"1"))
    call.cancel()
    call.cancel()
    call.resume()
    call.hand_on()
    call.fail(CenterDown("gone"))
    assert heard == [HEAD]
    assert line.cancels == 1


def test_a_call_without_a_connection_fails_once_or_is_cancelled() -> None:
    call, heard = made(None)
    call.fail(CenterDown("no connection"))
    call.fail(CenterDown("again"))
    call.cancel()
    (failed,) = heard
    assert isinstance(failed, Failed)
    call, heard = made(None)
    call.cancel()
    call.fail(CenterDown("no connection"))
    assert heard == []
