"""Both ways of being woken, on both loops."""

import asyncio
import os
import threading
import time
from collections.abc import Callable

import pytest
import uvloop

from gateway.wan.alarms import Alarm, ThreadAlarm, TimerFdAlarm, timerfd_offered

KINDS = [
    pytest.param(
        TimerFdAlarm,
        marks=pytest.mark.skipif(not timerfd_offered(), reason="no timerfd on this system"),
    ),
    ThreadAlarm,
]
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
pytestmark = [pytest.mark.parametrize("kind", KINDS), pytest.mark.parametrize("new_loop", LOOPS)]

Kind = type[TimerFdAlarm] | type[ThreadAlarm]
NewLoop = Callable[[], asyncio.AbstractEventLoop]


class Woken:
    """An alarm that notes its wake-ups and disarms itself, as its user must."""

    def __init__(self, kind: Kind) -> None:
        self.loop = asyncio.get_running_loop()
        self.at_s: list[float] = []
        self.threads: set[int] = set()
        self.once = self.loop.create_future()
        self.alarm: Alarm = kind(self.loop, self._wake)

    def _wake(self) -> None:
        self.at_s.append(time.monotonic())
        self.threads.add(threading.get_ident())
        self.alarm.disarm()
        if not self.once.done():
            self.once.set_result(None)


def test_wakes_once_and_not_early_in_the_thread_of_the_loop(kind: Kind, new_loop: NewLoop) -> None:
    async def scene() -> None:
        woken = Woken(kind)
        due_s = time.monotonic() + 0.003
        woken.alarm.arm(due_s)
        await woken.once
        await asyncio.sleep(0.003)
        woken.alarm.close()
        assert len(woken.at_s) == 1
        assert woken.at_s[0] >= due_s
        assert woken.threads == {threading.get_ident()}

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scene())


def test_an_instant_in_the_past_wakes_at_once(kind: Kind, new_loop: NewLoop) -> None:
    async def scene() -> None:
        woken = Woken(kind)
        woken.alarm.arm(-1.0)
        await woken.once
        woken.alarm.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scene())


def test_the_last_arm_counts_and_disarm_forgets(kind: Kind, new_loop: NewLoop) -> None:
    async def scene() -> None:
        woken = Woken(kind)
        woken.alarm.arm(time.monotonic() + 3600)
        woken.alarm.arm(time.monotonic() + 0.001)
        await woken.once
        woken.alarm.arm(time.monotonic() + 0.002)
        woken.alarm.disarm()
        await asyncio.sleep(0.006)
        woken.alarm.close()
        assert len(woken.at_s) == 1

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scene())


def test_closing_twice_leaves_no_thread_and_no_descriptor(kind: Kind, new_loop: NewLoop) -> None:
    async def scene() -> None:
        threads = threading.active_count()
        files = len(os.listdir("/proc/self/fd")) if timerfd_offered() else 0
        woken = Woken(kind)
        woken.alarm.arm(time.monotonic() + 3600)
        woken.alarm.close()
        woken.alarm.close()
        assert threading.active_count() == threads
        if timerfd_offered():
            assert len(os.listdir("/proc/self/fd")) == files

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scene())


def test_a_loop_closed_first_does_no_harm(kind: Kind, new_loop: NewLoop) -> None:
    async def scene() -> Woken:
        woken = Woken(kind)
        woken.alarm.arm(time.monotonic() + 0.005)
        return woken

    with asyncio.Runner(loop_factory=new_loop) as runner:
        woken = runner.run(scene())
    if kind is ThreadAlarm:
        time.sleep(0.01)
    woken.alarm.close()
    assert woken.at_s == []
