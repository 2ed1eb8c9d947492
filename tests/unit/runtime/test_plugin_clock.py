from __future__ import annotations

import time

from gateway.runtime.plugin_clock import PluginClock, plugin_clock


class Kernel:
    """A thread's accounts, moved by hand."""

    def __init__(self) -> None:
        self.cpu_s, self.wall_s, self.switches = 1.0, 50.0, 7

    def computes(self, spent_s: float) -> None:
        self.cpu_s += spent_s
        self.wall_s += spent_s

    def sleeps(self, spent_s: float) -> None:
        self.wall_s += spent_s
        self.switches += 1

    def is_preempted(self, spent_s: float) -> None:
        self.wall_s += spent_s

    def clock(self) -> PluginClock:
        return PluginClock(lambda: self.cpu_s, lambda: self.wall_s, lambda: self.switches)


def spent_s(*what: tuple[str, float]) -> float:
    kernel = Kernel()
    clock = kernel.clock()
    started_s = clock()
    for method, for_s in what:
        getattr(kernel, method)(for_s)
    return round(clock() - started_s, 9)


def test_computing_and_sleeping_count_and_being_preempted_does_not() -> None:
    assert spent_s(("computes", 0.25)) == 0.25
    assert spent_s(("sleeps", 0.5)) == 0.5
    assert spent_s(("is_preempted", 4.0)) == 0.0
    assert spent_s(("computes", 0.25), ("sleeps", 0.5)) == 0.75


def test_what_was_slept_between_two_calls_is_in_neither() -> None:
    kernel = Kernel()
    clock = kernel.clock()
    kernel.sleeps(9.0)
    started_s = clock()
    kernel.computes(0.125)
    assert clock() - started_s == 0.125


def test_it_never_runs_backwards() -> None:
    kernel = Kernel()
    clock = kernel.clock()
    before = clock()
    kernel.cpu_s += 0.5  # a CPU clock that is ahead of the wall
    kernel.switches += 1
    assert clock() >= before


def test_the_real_one_sees_a_sleep() -> None:
    clock = plugin_clock()
    started_s = clock()
    time.sleep(0.02)
    slept_s = clock() - started_s
    assert slept_s >= 0.019 or clock is time.thread_time
