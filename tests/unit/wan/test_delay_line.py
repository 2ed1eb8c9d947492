"""The delay line: order, cancelling, re-entrancy, bounds; both alarms on both loops."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import pytest
import uvloop

from gateway.api import Overloaded
from gateway.wan.alarms import timerfd_offered
from gateway.wan.delay_line import COMPACT_MIN, DelayLine

Alarm = Literal["timerfd", "thread"]
Scene = Callable[[DelayLine], Awaitable[None]]

no_timerfd = pytest.mark.skipif(not timerfd_offered(), reason="no timerfd on this system")
ALARMS = [pytest.param("timerfd", marks=no_timerfd), "thread"]
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=ALARMS)
def play(request: pytest.FixtureRequest, new_loop: Any) -> Callable[..., None]:
    """Run a scene with a delay line of one kind on one kind of loop."""

    def run(scene: Scene, **settings: Any) -> None:
        async def whole() -> None:
            line = DelayLine(asyncio.get_running_loop(), alarm=request.param, **settings)
            try:
                await scene(line)
            finally:
                line.close()

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(whole())

    return run


Play = Callable[..., None]


async def ended(line: DelayLine, after_ms: float = 0.0) -> None:
    """Wait until the line runs a callback put at its end."""
    done = asyncio.get_running_loop().create_future()
    line.call_at(line.now() + after_ms / 1e3, lambda: done.set_result(None))
    await done


def test_runs_in_order_of_due_and_then_of_arrival(play: Play) -> None:
    async def scene(line: DelayLine) -> None:
        start_s, ran = line.now() + 0.002, []
        for name, due_ms in (("c", 3), ("a", 0), ("b1", 1), ("b2", 1), ("b3", 1)):
            line.call_at(start_s + due_ms / 1e3, lambda name=name: ran.append(name))
        assert len(line) == 5
        await ended(line, after_ms=6)
        assert ran == ["a", "b1", "b2", "b3", "c"]
        assert len(line) == 0

    play(scene)


def test_never_early(play: Play) -> None:
    async def scene(line: DelayLine) -> None:
        early = []
        for tenth_ms in range(200):
            due_s = line.now() + tenth_ms * 1e-4
            line.call_at(due_s, lambda due_s=due_s: early.append(line.now() < due_s))
        await ended(line, after_ms=21)
        assert early == [False] * 200

    play(scene)


def test_a_later_call_may_come_first(play: Play) -> None:
    async def scene(line: DelayLine) -> None:
        ran = []
        line.call_at(line.now() + 3600, lambda: ran.append("late"))
        await ended(line, after_ms=1)
        assert ran == []
        assert len(line) == 1

    play(scene)


def test_what_is_over_runs_soon_but_not_at_once(play: Play) -> None:
    async def scene(line: DelayLine) -> None:
        ran = []
        line.call_at(line.now() - 5, lambda: ran.append("first"))
        line.call_at(-1.0, lambda: ran.append("oldest"))
        assert ran == []
        await ended(line)
        assert ran == ["oldest", "first"]

    play(scene)


def test_cancelled_callbacks_never_run(play: Play) -> None:
    async def scene(line: DelayLine) -> None:
        ran = []
        handles = [
            line.call_at(line.now() + 0.001, lambda number=number: ran.append(number))
            for number in range(10)
        ]
        for handle in handles[::2]:
            handle.cancel()
            handle.cancel()
        assert len(line) == 5
        assert [handle.pending for handle in handles] == [False, True] * 5
        await ended(line, after_ms=2)
        assert ran == [1, 3, 5, 7, 9]
        assert not any(handle.pending for handle in handles)
        handles[1].cancel()
        assert len(line) == 0

    play(scene)


def test_mostly_cancelled_the_heap_shrinks_and_keeps_its_order(play: Play) -> None:
    async def scene(line: DelayLine) -> None:
        ran, start_s = [], line.now() + 0.003
        kept = list(range(0, 1000, 100))
        for number in reversed(range(1000)):
            due_s = start_s + number * 1e-6
            handle = line.call_at(due_s, lambda number=number: ran.append(number))
            if number not in kept:
                handle.cancel()
        assert len(line) == len(kept)
        assert len(line._heap) <= 2 * (COMPACT_MIN + len(kept))
        await ended(line, after_ms=6)
        assert ran == kept

    play(scene)


def test_a_callback_may_call_and_cancel(play: Play) -> None:
    async def scene(line: DelayLine) -> None:
        ran, done = [], asyncio.get_running_loop().create_future()
        victim = line.call_at(line.now() + 0.002, lambda: ran.append("victim"))

        def again(left: int) -> None:
            ran.append(left)
            victim.cancel()
            if left:
                line.call_at(line.now(), lambda: again(left - 1))
            else:
                line.call_at(line.now() + 0.003, lambda: done.set_result(None))

        line.call_at(line.now(), lambda: again(20))
        await done
        assert ran == list(range(20, -1, -1))

    play(scene)


def test_callbacks_that_breed_do_not_starve_the_loop(play: Play) -> None:
    async def scene(line: DelayLine) -> None:
        stop = False

        def breed() -> None:
            if not stop:
                line.call_at(line.now(), breed)

        breed()
        for _ in range(5):
            await asyncio.sleep(0)
            await ended(line)
        stop = True
        await ended(line)

    play(scene)


def test_a_callback_that_raises_is_reported_and_the_rest_run(play: Play) -> None:
    async def scene(line: DelayLine) -> None:
        reported, ran = [], []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))

        def fail() -> None:
            raise KeyError("planted")

        due_s = line.now() + 0.001
        line.call_at(due_s, lambda: ran.append("before"))
        line.call_at(due_s, fail)
        line.call_at(due_s, lambda: ran.append("after"))
        await ended(line, after_ms=2)
        assert ran == ["before", "after"]
        assert [type(error) for error in reported] == [KeyError]

    play(scene)


def test_the_bound_counts_what_waits(play: Play) -> None:
    async def scene(line: DelayLine) -> None:
        far_s = line.now() + 3600
        handles = [line.call_at(far_s, lambda: None) for _ in range(3)]
        with pytest.raises(Overloaded, match="3 messages, its bound"):
            line.call_at(far_s, lambda: None)
        handles[0].cancel()
        line.call_at(far_s, lambda: None)
        assert len(line) == 3

    play(scene, pending_max=3)


def test_lateness_is_kept_of_every_callback(play: Play) -> None:
    async def scene(line: DelayLine) -> None:
        assert line.lateness_ms() == (0.0, 0.0, 0.0, 0)
        for _ in range(50):
            line.call_at(line.now() + 0.001, lambda: None)
        line.call_at(line.now() - 7.0, lambda: None)
        await ended(line, after_ms=2)
        p50_ms, p99_ms, max_ms, ran = line.lateness_ms()
        assert ran == 52
        assert 0.0 <= p50_ms <= p99_ms <= max_ms
        assert p50_ms < 6999 < max_ms

    play(scene)


def test_closed_nothing_runs_and_nothing_is_taken(play: Play) -> None:
    async def scene(line: DelayLine) -> None:
        ran = []
        handle = line.call_at(line.now() + 0.001, lambda: ran.append("late"))
        line.close()
        line.close()
        await asyncio.sleep(0.003)
        handle.cancel()
        assert ran == []
        assert len(line) == 0
        with pytest.raises(RuntimeError, match="closed delay line"):
            line.call_at(line.now(), lambda: None)

    play(scene)


def test_closing_from_a_callback(play: Play) -> None:
    async def scene(line: DelayLine) -> None:
        ran, due_s = [], line.now() + 0.001
        line.call_at(due_s, line.close)
        line.call_at(due_s, lambda: ran.append("after"))
        await asyncio.sleep(0.004)
        assert ran == []

    play(scene)


def test_the_best_alarm_of_this_system_is_the_default(new_loop: Any) -> None:
    async def scene() -> None:
        line = DelayLine(asyncio.get_running_loop())
        await ended(line, after_ms=1)
        assert line.lateness_ms().ran == 1
        line.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scene())
