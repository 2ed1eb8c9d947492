"""Limits learned from latency."""

from __future__ import annotations

import numpy as np

from gateway.routing.concurrency import ANSWERS_MIN, LIMIT_MAX, GradientLimits

MANY = 100


def windows(limits: GradientLimits, mean_ms: list[float], in_use: list[float], count: int) -> None:
    """``count`` windows with these mean attempt times; ``in_use``: share of each limit."""
    for _ in range(count):
        answers = np.full(len(mean_ms), MANY)
        in_flight = (np.array(in_use) * limits.limit).astype(np.int64) + 1
        limits.learn(answers, np.array(mean_ms) * MANY, in_flight)


def test_a_limit_grows_while_latency_stands_still() -> None:
    limits = GradientLimits(np.array([2, 2]), 4)
    before = limits.limit.copy()
    windows(limits, [20.0, 20.0], [1.0, 1.0], 20)
    assert (limits.limit > before).all()


def test_a_limit_falls_where_latency_rises_and_only_there() -> None:
    limits = GradientLimits(np.array([16, 16]), 4)
    windows(limits, [20.0, 20.0], [1.0, 1.0], 20)
    before = limits.limit.copy()
    windows(limits, [60.0, 20.0], [1.0, 1.0], 5)
    assert limits.limit[0] < 0.8 * before[0]
    assert limits.limit[1] > before[1]


def test_what_is_not_in_use_teaches_nothing() -> None:
    limits = GradientLimits(np.array([8]), 4)
    before = limits.limit.copy()
    windows(limits, [20.0], [0.2], 20)
    windows(limits, [200.0], [0.2], 20)
    assert limits.limit == before


def test_few_answers_teach_nothing() -> None:
    limits = GradientLimits(np.array([8]), 4)
    before = limits.limit.copy()
    for _ in range(50):
        limits.learn(np.array([ANSWERS_MIN - 1]), np.array([9e9]), np.array([1000]))
        limits.learn(np.array([0]), np.array([0.0]), np.array([1000]))
    assert limits.limit == before


def test_the_bounds_hold() -> None:
    limits = GradientLimits(np.array([1, 1]), 6)
    assert limits.allowed.tolist() == [6, 6]
    windows(limits, [10.0, 10.0], [1.0, 1.0], 3)
    lowest = 10**9
    for step in range(60):
        windows(limits, [10.0 * 1.5**step, 10.0], [1.0, 1.0], 1)
        lowest = min(lowest, int(limits.allowed[0]))
    assert lowest == 6
    windows(limits, [1e9, 10.0], [1.0, 1.0], 20_000)
    assert (limits.limit <= LIMIT_MAX).all()


def test_after_a_long_overload_the_base_comes_back_down() -> None:
    limits = GradientLimits(np.array([16]), 4)
    windows(limits, [20.0], [1.0], 15)
    windows(limits, [200.0], [1.0], 600)
    windows(limits, [20.0], [1.0], 40)
    low = float(limits.limit[0])
    windows(limits, [60.0], [1.0], 5)
    assert limits.limit[0] < low


def test_the_full_ones_are_told() -> None:
    limits = GradientLimits(np.array([2, 4, 1]), 4)
    assert limits.full(limits.allowed - np.array([0, 1, -3])).tolist() == [0, 2]
