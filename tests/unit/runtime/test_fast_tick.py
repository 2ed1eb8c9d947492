"""The tick of an idle worker: often while anything moves, seldom otherwise, never after its end."""

import asyncio
from typing import Any, cast

import pytest

from gateway.runtime import fast_tick
from gateway.runtime.fast_tick import BUSY_TICK_S, IDLE_TICK_S, FastTick


class FakeLoop:
    """Remembers what it is asked to call."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, Any]] = []
        self.cancelled = 0

    def call_soon(self, callback: Any) -> "FakeLoop":
        return self.call_later(0.0, callback)

    def call_later(self, delay_s: float, callback: Any) -> "FakeLoop":
        self.asked.append((delay_s, callback))
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    def run(self) -> float:
        """Run what is asked; returns the pause asked for next."""
        self.asked.pop(0)[1]()
        return self.asked[0][0]


class FakeFleet:
    def __init__(self) -> None:
        self.tick_at = 0.0
        self.moved_at = float("-inf")
        self.ticks: list[float] = []

    def tick(self, now: float) -> None:
        self.ticks.append(now)
        self.tick_at = now + 0.001


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    time = {"now": 10.0}
    monkeypatch.setattr(fast_tick.DelayLine, "now", staticmethod(lambda: time["now"]))
    return time


def test_it_ticks_often_while_anything_moves_and_seldom_at_rest(clock: dict[str, float]) -> None:
    loop, fleet = FakeLoop(), FakeFleet()
    FastTick(cast(Any, fleet), cast(asyncio.AbstractEventLoop, loop))
    assert loop.run() == IDLE_TICK_S
    fleet.moved_at = clock["now"] = 20.0
    assert loop.run() == BUSY_TICK_S
    clock["now"] = 21.0
    assert loop.run() == IDLE_TICK_S
    assert fleet.ticks == [10.0, 20.0, 21.0]


def test_a_fleet_that_ticked_by_itself_is_left_alone(clock: dict[str, float]) -> None:
    loop, fleet = FakeLoop(), FakeFleet()
    fleet.tick_at = 10.0005
    FastTick(cast(Any, fleet), cast(asyncio.AbstractEventLoop, loop))
    loop.run()
    assert fleet.ticks == []


def test_it_ends() -> None:
    loop = FakeLoop()
    FastTick(cast(Any, FakeFleet()), cast(asyncio.AbstractEventLoop, loop)).stop()
    assert loop.cancelled == 1
