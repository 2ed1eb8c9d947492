"""A hello, a frame and an answer have their time, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.serving import frames_patience
from gateway.serving.frames_patience import FRAME_S, HELLO_S, UNREAD_S, FramesPatience


class Timer:
    """What is called at an instant, unless it was cancelled."""

    def __init__(self, due_s: float, call: Callable[[], Any]) -> None:
        self.due_s = due_s
        self.call: Callable[[], Any] | None = call

    def cancel(self) -> None:
        self.call = None


class Loop:
    """Timers alone."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.timers: list[Timer] = []

    def call_later(self, delay_s: float, callback: Any, *given: Any) -> Timer:
        timer = Timer(self.now_s + delay_s, lambda: callback(*given))
        self.timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        self.now_s += seconds
        for timer in self.timers:
            call, timer.call = (
                (timer.call, None) if timer.due_s <= self.now_s else (None, timer.call)
            )
            if call is not None:
                call()


Made = tuple[Loop, FramesPatience, list[str]]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    loop, said = Loop(), list[str]()
    monkeypatch.setattr(frames_patience.asyncio, "get_running_loop", lambda: loop)
    return loop, FramesPatience(said.append, lambda: said.append("aborted")), said


def test_a_hello_has_its_time(made: Made) -> None:
    loop, _, said = made
    loop.advance(HELLO_S - 0.1)
    assert said == []
    loop.advance(0.1)
    assert said == [f"no hello within {HELLO_S:g} s"]


def test_the_hellos_bytes_one_by_one_win_no_time(made: Made) -> None:
    loop, patience, said = made
    for _ in range(10):
        loop.advance(HELLO_S / 10)
        patience.heard(whole=False, partial=True)
    assert said == [f"no hello within {HELLO_S:g} s"]


def test_a_frame_that_is_not_finished(made: Made) -> None:
    loop, patience, said = made
    patience.heard(whole=True, partial=False)
    loop.advance(10 * FRAME_S)
    assert said == []
    for _ in range(10):
        patience.heard(whole=False, partial=True)
        loop.advance(FRAME_S / 10)
    assert said == [f"a frame did not come whole within {FRAME_S:g} s"]


def test_each_whole_frame_is_a_new_beginning(made: Made) -> None:
    loop, patience, said = made
    for _ in range(5):
        patience.heard(whole=True, partial=True)
        loop.advance(0.9 * FRAME_S)
    patience.heard(whole=True, partial=False)
    loop.advance(10 * FRAME_S)
    assert said == []


def test_who_does_not_read_is_let_go_and_who_reads_again_is_not(made: Made) -> None:
    loop, patience, said = made
    patience.heard(whole=True, partial=False)
    patience.stuck()
    loop.advance(UNREAD_S - 0.1)
    patience.reads()
    loop.advance(UNREAD_S)
    assert said == []
    patience.stuck()
    loop.advance(UNREAD_S)
    assert said == ["aborted"]


def test_nothing_is_called_after_the_end(made: Made) -> None:
    loop, patience, said = made
    patience.stuck()
    patience.stop()
    loop.advance(100 * UNREAD_S)
    assert said == []
