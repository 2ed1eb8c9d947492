"""When a child is given up."""

from __future__ import annotations

from gateway.runtime.crash_loop import PAUSE_S_MAX, CrashLoop, pause_s


def test_pauses_double_up_to_their_bound() -> None:
    assert [pause_s(deaths) for deaths in range(1, 5)] == [0.1, 0.2, 0.4, 0.8]
    assert pause_s(5000) == PAUSE_S_MAX


def test_one_death_too_many_within_the_window() -> None:
    loop = CrashLoop(3, 60.0)
    assert [loop.died(now) for now in (0.0, 1.0, 2.0, 60.0)] == [False, False, False, True]


def test_old_deaths_are_forgotten() -> None:
    loop = CrashLoop(3, 60.0)
    assert not any(loop.died(30.0 * number) for number in range(50))
    assert loop.deaths == 3
    assert loop.pause_s == 0.4


def test_none_is_allowed() -> None:
    assert CrashLoop(0, 60.0).died(5.0)
