"""What was known when, from looks at the admin door."""

from __future__ import annotations

import math

import pytest

from gateway.measure.chaos.watch import Look, Watch

T = ("a", "b")


def look(at_s: float, a: str, b: str, ended: int = 0) -> Look:
    return Look(at_s, {"a": a, "b": b, "c": "ok"}, {"a": ended, "b": 0, "c": 10 * int(at_s)})


WATCH = Watch(
    [
        look(1.0, "ok", "ok"),
        look(3.1, "ejected", "ok", 1),
        look(3.2, "ejected", "ejected", 1),
        look(7.5, "half_open", "ok", 2),
        look(8.0, "slow", "ok", 2),
    ]
)


def test_detected_is_when_no_target_is_well() -> None:
    assert WATCH.detected_s(T, 3.0, 7.0) == pytest.approx(0.2)
    assert WATCH.detected_s(("a",), 3.0, 7.0) == pytest.approx(0.1)
    assert math.isnan(WATCH.detected_s(("c",), 3.0, 7.0))
    assert math.isnan(WATCH.detected_s((), 3.0, 7.0))


def test_back_is_when_all_targets_may_be_chosen() -> None:
    assert WATCH.back_s(T, 7.0) == pytest.approx(1.0)
    assert math.isnan(WATCH.back_s(T, 9.0))


def test_the_busiest_is_that_of_the_last_second() -> None:
    assert WATCH.busiest() == "c"
    late = Watch([look(1.0, "ok", "ok", 50), look(2.5, "ok", "ok", 51), look(3.0, "ok", "ok", 90)])
    assert late.busiest() == "a"
    assert Watch().busiest() == ""


def test_the_share_of_attempts_is_that_of_counters() -> None:
    # From 1.0 to 8.0 a ended two, c ended 70.
    assert WATCH.attempt_share(("a",), 0.0, 9.0) == pytest.approx(2 / 72)
    assert math.isnan(WATCH.attempt_share(("a",), 8.5, 9.0))
