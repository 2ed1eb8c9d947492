"""Ratios: taken within rounds, and as unsure as few rounds make them."""

from __future__ import annotations

import math

import pytest

from bench.peers import ratios


def test_a_slow_round_of_the_machine_leaves_the_ratio_alone() -> None:
    found = ratios.ratio({0: 10.0, 1: 30.0, 2: 20.0}, {0: 20.0, 1: 60.0, 2: 40.0})
    assert found.value == pytest.approx(0.5)
    assert found.half_width == pytest.approx(0.0, abs=1e-12)


def test_only_rounds_that_both_have_count() -> None:
    found = ratios.ratio({0: 1.0, 1: 2.0, 2: 100.0}, {0: 2.0, 1: 4.0, 3: 1.0})
    assert found.value == pytest.approx(0.5)
    assert math.isnan(ratios.ratio({0: 1.0}, {1: 1.0}).value)


def test_one_round_bounds_nothing() -> None:
    found = ratios.ratio({0: 3.0}, {0: 2.0})
    assert (found.low, found.high) == (0.0, math.inf)
    assert found.value == pytest.approx(1.5)


def test_the_interval_is_students() -> None:
    found = ratios.mean({0: 8.0, 1: 10.0, 2: 12.0})
    assert found.value == 10.0
    assert found.half_width == pytest.approx(4.303 * 2.0 / math.sqrt(3))


def test_what_takes_nothing_has_no_ratio() -> None:
    assert math.isnan(ratios.ratio({0: 0.0}, {0: 1.0}).value)


@pytest.mark.parametrize(("freedom", "quantile"), [(1, 12.706), (4, 2.776), (15, 2.131), (60, 2.0)])
def test_students_quantile(freedom: int, quantile: float) -> None:
    assert ratios.student(freedom) == pytest.approx(quantile, abs=2e-3)


def test_differences_are_paired() -> None:
    found = ratios.difference({0: 50.0, 1: 90.0}, {0: 20.0, 1: 60.0})
    assert (found.low, found.value, found.high) == (30.0, 30.0, 30.0)
