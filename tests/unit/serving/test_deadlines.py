"""Many open tries, one timer: each is looked at when it is due, and only then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from gateway.serving.deadlines import STEP_S, SWEPT_FROM, Deadlines, loop_timer


class Noted:
    """Notes when it was looked at."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.open = True
        self.looked_at: list[float] = []

    def on_timer(self) -> None:
        self.looked_at.append(self.clock())


@pytest.fixture(name="deadlines")
def deadlines_on_the_virtual_clock(world: Any) -> Deadlines:
    return Deadlines(world.clock, world.clock.call_at)


def test_what_is_open_is_looked_at_when_due(world: Any, deadlines: Deadlines) -> None:
    late, early = Noted(world.clock), Noted(world.clock)
    began = world.clock()
    deadlines.add(began + 0.5, late)
    deadlines.add(began + 0.2, early)
    world.clock.advance(1.0)
    assert early.looked_at == [pytest.approx(began + 0.2)]
    assert late.looked_at == [pytest.approx(began + 0.5)]
    assert len(deadlines) == 0
    assert world.clock.pending() == 0


def test_what_has_ended_is_passed_over_and_needs_no_timer_of_its_own(
    world: Any, deadlines: Deadlines
) -> None:
    tries = [Noted(world.clock) for _ in range(1000)]
    for number, one in enumerate(tries):
        deadlines.add(world.clock() + 0.020 + number * 1e-6, one)
        one.open = number == 999
    assert world.clock.pending() == 1
    world.clock.advance(0.020)
    assert len(deadlines) == 1
    assert world.clock.pending() == 1
    world.clock.advance(0.010)
    assert [len(one.looked_at) for one in tries] == [0] * 999 + [1]


def test_what_has_ended_is_not_kept_until_a_far_deadline(world: Any, deadlines: Deadlines) -> None:
    waiting = [Noted(world.clock) for _ in range(100)]
    for one in waiting:
        deadlines.add(world.clock() + 30.0, one)
    for _ in range(20_000):
        ended = Noted(world.clock)
        deadlines.add(world.clock() + 30.0, ended)
        ended.open = False
    assert len(deadlines) <= 2 * SWEPT_FROM
    world.clock.advance(31.0)
    assert all(len(one.looked_at) == 1 for one in waiting)


def test_one_may_ask_again_while_it_is_looked_at(world: Any, deadlines: Deadlines) -> None:
    class Patient(Noted):
        def on_timer(self) -> None:
            super().on_timer()
            if len(self.looked_at) < 3:
                deadlines.add(self.clock() + 0.1, self)

    patient = Patient(world.clock)
    deadlines.add(world.clock() + 0.1, patient)
    world.clock.advance(1.0)
    assert len(patient.looked_at) == 3


@given(
    st.lists(
        st.tuples(st.floats(0.0, 0.05), st.floats(0.0, 0.05), st.booleans()),
        min_size=1,
        max_size=60,
    )
)
def test_each_is_looked_at_once_never_early_and_at_most_a_step_late(
    make_world: Any, adds: list[tuple[float, float, bool]]
) -> None:
    world = make_world()
    deadlines = Deadlines(world.clock, world.clock.call_at)
    entries = []
    for wait_s, after_s, stays_open in adds:
        world.clock.advance(wait_s)
        one = Noted(world.clock)
        due_s = world.clock() + after_s
        deadlines.add(due_s, one)
        entries.append((due_s, one, stays_open))
        one.open = stays_open
    world.clock.advance(1.0)
    for due_s, one, stays_open in entries:
        assert len(one.looked_at) == int(stays_open)
        for looked_s in one.looked_at:
            assert due_s <= looked_s <= due_s + STEP_S + 1e-9
    assert len(deadlines) == 0


def test_a_timer_that_comes_a_little_early_is_set_again() -> None:
    """Event loops round instants, some to whole milliseconds."""
    timers: list[Any] = []
    now = 100.0
    deadlines = Deadlines(lambda: now, lambda _, callback: timers.append(callback))
    one = Noted(lambda: now)
    deadlines.add(100.0105, one)
    now = 100.010
    timers.pop()()
    assert one.looked_at == []
    now = 100.0105
    timers.pop()()
    assert one.looked_at == [now]


@pytest.mark.parametrize("make", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_loops_own_timer_is_never_early_and_keeps_the_order(
    make: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    loop = make()
    called: list[tuple[float, float]] = []
    call_at, began_s = loop_timer(loop), time.monotonic()

    def told(due_s: float) -> None:
        called.append((due_s, time.monotonic()))
        if len(called) == 12:
            loop.stop()

    for step in (11, 0, 7, 3, 1, 5, 2, 9, 4, 10, 6, 8):  # 1.3 ms apart, not in order
        due_s = began_s + step * 0.0013
        call_at(due_s, lambda due_s=due_s: told(due_s))  # type: ignore[misc]
    loop.run_forever()
    loop.close()
    assert all(called_s >= due_s for due_s, called_s in called)
    assert called == sorted(called)
