"""Tiny runs happen inline, others on threads; every waiter hears exactly once."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.api import CenterDown
from gateway.engine import ModelConfig, Runner
from gateway.engine.runner import CLASS_C_NICE, INLINE_OVER_MS


class Fake:
    """A model whose run does what it is told."""

    name = "fake"

    def __init__(
        self,
        expected_ms: float,
        act: Callable[[], Any] = lambda: ["answer"],
        latency_class: Any = "A",
    ) -> None:
        self.config = ModelConfig(latency_class=latency_class)
        self.expected = expected_ms
        self.act = act
        self.thread = ""

    def expected_ms(self, inputs: Any) -> float:
        return self.expected

    def run(self, inputs: Any, outputs: Any) -> Any:
        self.thread = threading.current_thread().name
        return self.act()


class Loop:
    """What a loop does with ``call_soon_threadsafe``: keep it until it is turned."""

    def __init__(self) -> None:
        self.calls: queue.Queue[Callable[[], None]] = queue.Queue()

    def call_soon_threadsafe(self, call: Any, *args: Any) -> None:
        self.calls.put(lambda: call(*args))

    def turn(self) -> None:
        self.calls.get(timeout=20)()


Heard = list[tuple[Any, Any, float]]


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def runner(loop: Loop, ticking: Any) -> Iterator[Runner]:
    runner = Runner(1, 0.1, loop.call_soon_threadsafe, clock=ticking(0.0001))
    yield runner
    runner.close()


def submit(runner: Runner, model: Any, heard: Heard) -> Callable[[], bool]:
    return runner.submit(model, {}, ["y"], lambda *result: heard.append(result))


def test_a_tiny_model_runs_inline(runner: Runner, loop: Loop) -> None:
    heard: Heard = []
    model = Fake(0.05)
    cancel = submit(runner, model, heard)
    assert model.thread == threading.current_thread().name
    assert heard == [(["answer"], None, pytest.approx(0.1))]
    assert cancel() is False
    assert loop.calls.empty()
    assert runner.blocked_count == 0


def test_others_run_on_a_thread_and_answer_on_the_loop(runner: Runner, loop: Loop) -> None:
    heard: Heard = []
    model = Fake(0.1)
    submit(runner, model, heard)
    call = loop.calls.get(timeout=20)
    assert model.thread.startswith("nearway-run")
    assert heard == []
    call()
    assert heard == [(["answer"], None, pytest.approx(0.1))]


@pytest.mark.parametrize("expected_ms", [0.05, 5.0])
def test_errors_reach_whoever_waits(runner: Runner, loop: Loop, expected_ms: float) -> None:
    def fail() -> None:
        raise KeyError("anything")

    heard: Heard = []
    submit(runner, Fake(expected_ms, fail), heard)
    if not heard:
        loop.turn()
    [(arrays, error, run_ms)] = heard
    assert arrays is None
    assert isinstance(error, KeyError)
    assert run_ms > 0


def test_a_run_that_has_not_started_can_be_cancelled(runner: Runner, loop: Loop) -> None:
    go_on = threading.Event()
    first: Heard = []
    second: Heard = []
    cancel_first = submit(runner, Fake(5, lambda: go_on.wait(20)), first)
    waiting = Fake(5)
    cancel_second = submit(runner, waiting, second)
    assert cancel_second() is True
    go_on.set()
    loop.turn()
    assert cancel_first() is False
    assert len(first) == 1
    runner.close()
    assert second == []
    assert waiting.thread == ""
    assert loop.calls.empty()


def test_inline_runs_that_hold_up_the_loop_are_counted(loop: Loop, ticking: Any) -> None:
    for step_ms, count in ((INLINE_OVER_MS / 2, 0), (INLINE_OVER_MS * 3, 2)):
        runner = Runner(1, 0.1, loop.call_soon_threadsafe, clock=ticking(step_ms / 1e3))
        submit(runner, Fake(0.05), [])
        submit(runner, Fake(0.05), [])
        assert runner.blocked_count == count
        assert runner.blocked_ms_max == pytest.approx(step_ms if count else 0.0)
        runner.close()


def test_after_close_every_run_fails_at_once(runner: Runner) -> None:
    runner.close()
    runner.close()
    for expected_ms in (0.05, 5.0):
        heard: Heard = []
        assert submit(runner, Fake(expected_ms), heard)() is False
        assert isinstance(heard[0][1], CenterDown)


def test_close_waits_for_what_runs_and_drops_the_rest(runner: Runner, loop: Loop) -> None:
    started, go_on = threading.Event(), threading.Event()

    def act() -> str:
        started.set()
        assert go_on.wait(20)
        return "late"

    submit(runner, Fake(5, act), [])
    dropped = Fake(5)
    submit(runner, dropped, [])
    assert started.wait(20)
    closing = threading.Thread(target=runner.close)
    closing.start()
    go_on.set()
    closing.join(20)
    assert not closing.is_alive()
    assert loop.calls.qsize() == 1
    assert dropped.thread == ""


def test_a_loop_that_is_closed_is_no_error() -> None:
    def closed(*args: Any) -> None:
        raise RuntimeError("Event loop is closed")

    runner = Runner(1, 0.1, closed)
    submit(runner, Fake(5), [])
    runner.close()


def test_threads_leave_a_core_to_the_loop(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, asked, given in ((8, 0, 7), (8, 3, 3), (8, 99, 7), (1, 0, 1), (1, 4, 1)):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        runner = Runner(asked, 0.1, loop.call_soon_threadsafe)
        assert runner.threads == given
        runner.close()


def test_class_c_has_threads_of_its_own_that_come_last(runner: Runner, loop: Loop) -> None:
    heard: Heard = []
    release, began = threading.Event(), threading.Event()
    priorities: list[int] = []

    def hold() -> list[Any]:
        priorities.append(os.getpriority(os.PRIO_PROCESS, 0))
        began.set()
        release.wait(20)
        return ["c"]

    usual = os.getpriority(os.PRIO_PROCESS, 0)
    slow, other = Fake(0.01, hold, "C"), Fake(1.0)
    runner.submit(slow, {}, [], lambda *said: heard.append(said))  # type: ignore[arg-type]
    assert began.wait(20)
    runner.submit(other, {}, [], lambda *said: heard.append(said))  # type: ignore[arg-type]
    loop.turn()
    assert [said[0] for said in heard] == [["answer"]]
    release.set()
    loop.turn()
    assert heard[1][0] == ["c"]
    assert slow.thread.startswith("nearway-class-c")
    assert other.thread.startswith("nearway-run")
    if sys.platform == "linux":
        assert priorities == [min(usual + CLASS_C_NICE, 19)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == usual
