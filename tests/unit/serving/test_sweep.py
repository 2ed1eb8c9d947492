"""Everybody is looked at, few in one turn, and who idles longest goes first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.serving.sweep import SWEEP_S, SWEPT_AT_ONCE, Sweep, close_idlest


@dataclass(eq=False)
class One:
    """A connection that has been idle since ``since_s``, or has a request."""

    since_s: float | None = 0.0
    looked_s: float | None = None
    closed: bool = False

    def look(self, now: float) -> None:
        self.looked_s = now

    def idle_s(self, now: float) -> float | None:
        return None if self.since_s is None else now - self.since_s

    def close_if_idle(self) -> None:
        self.closed = True


class Clockwork:
    """A loop whose timers and turns the test makes."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Any]] = []
        self.soon: list[Any] = []
        self.cancelled = 0

    def call_later(self, delay_s: float, callback: Any) -> Clockwork:
        self.timers.append((delay_s, callback))
        return self

    def call_soon(self, callback: Any, *given: Any) -> None:
        self.soon.append(lambda: callback(*given))

    def cancel(self) -> None:
        self.cancelled += 1


def test_all_are_looked_at_a_few_in_one_turn() -> None:
    clockwork, times = Clockwork(), []
    connections = [One() for _ in range(2 * SWEPT_AT_ONCE + 1)]
    sweep = Sweep(clockwork, lambda: 7.0, connections, lambda: times.append(1))  # type: ignore[arg-type]  # a stand-in
    clockwork.timers[0][1]()
    seen = []
    while True:
        seen.append(sum(one.looked_s == 7.0 for one in connections))
        if not clockwork.soon:
            break
        clockwork.soon.pop(0)()
    assert seen == [SWEPT_AT_ONCE, 2 * SWEPT_AT_ONCE, 2 * SWEPT_AT_ONCE + 1]
    assert times == [1]
    assert [delay_s for delay_s, _ in clockwork.timers] == [SWEEP_S, SWEEP_S]
    sweep.stop()
    assert clockwork.cancelled == 1


def test_the_longest_idle_go_first_and_nobody_with_a_request() -> None:
    connections = [One(5.0), One(1.0), One(None), One(3.0)]
    assert close_idlest(connections, 10.0, 2) == 2
    assert [one.closed for one in connections] == [False, True, False, True]
    assert close_idlest([One(None)], 10.0, 2) == 0
