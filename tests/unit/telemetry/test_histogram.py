"""Buckets: bounds, cumulation, and nothing lost."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry import BOUNDS_MS, Histogram


def test_bounds_grow_and_hold_the_marks() -> None:
    assert list(BOUNDS_MS) == sorted(set(BOUNDS_MS))
    assert {1.0, 2.0, 5.0, 10.0} <= set(BOUNDS_MS)
    ratios = [high / low for low, high in pairwise(BOUNDS_MS)]
    assert max(ratios) < 1.42


@given(st.lists(st.floats(0.0, 1e6)))
def test_every_value_is_in_one_bucket_and_under_its_bound(values: list[float]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    assert histogram.counts.sum() == len(values)
    assert histogram.sum_ms == pytest.approx(sum(values))
    for bound_s, count in histogram.buckets_s()[:-1]:
        bound_ms = float(bound_s) * 1e3
        below = sum(value <= bound_ms * (1 + 1e-6) for value in values)
        assert count <= below
    assert histogram.buckets_s()[-1] == ("+Inf", float(len(values)))


def test_ten_ms_is_within_the_ten_ms_bucket() -> None:
    histogram = Histogram()
    histogram.record(10.0)
    histogram.record(10.0001)
    assert dict(histogram.buckets_s())["0.01"] == 1.0


def test_a_clock_that_stepped_back_does_not_lower_the_sum() -> None:
    histogram = Histogram()
    histogram.record(-5.0)
    assert histogram.sum_ms == 0.0
    assert histogram.counts[0] == 1
