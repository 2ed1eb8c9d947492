"""A model's row: what it runs, and what its load adds where it is not in memory."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.fleet.model_times import ModelTimes

FACTORS = np.array([1.0, 2.0, 4.0])


def test_a_load_is_in_the_row_and_not_in_what_is_charged() -> None:
    times = ModelTimes(3.0, FACTORS)
    row = times.row
    times.set_cold([0, 2], 100.0)
    assert row.tolist() == [103.0, 6.0, 112.0]
    assert list(times.published) == [3.0, 6.0, 12.0]
    times.write(0, 5.0)
    times.write(1, 7.0)
    assert row.tolist() == [105.0, 7.0, 112.0]
    assert list(times.published) == [5.0, 7.0, 12.0]
    times.write_all(np.ones(3))
    assert row.tolist() == [103.0, 6.0, 112.0]


def test_once_it_is_loaded_everywhere_both_are_one() -> None:
    times = ModelTimes(3.0, FACTORS)
    row = times.row
    times.set_cold([0, 1, 2], 100.0)
    times.set_cold([0], 0.0)
    assert row.tolist() == [3.0, 106.0, 112.0]
    times.set_cold([1, 2], 0.0)
    assert times.cold_ms is None
    times.published[1] = 8.0
    assert row.tolist() == pytest.approx([3.0, 8.0, 12.0])
    times.set_cold([1], 0.0)
    assert times.cold_ms is None


def test_a_model_added_again_writes_where_it_wrote() -> None:
    old = ModelTimes(3.0, FACTORS)
    row = old.row
    times = ModelTimes(9.0, FACTORS)
    times.takes_row(old)
    times.write_all(np.ones(3))
    assert row.tolist() == [9.0, 18.0, 36.0]
