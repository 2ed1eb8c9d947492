"""The ring that pickers share: ``gateway.api.nearest_ring``."""

from math import inf

import numpy as np
import pytest

from gateway.api import check_ring, nearest_ring


def ring(total_ms, ring_ms):
    mask = nearest_ring(np.array(total_ms, np.float32), ring_ms)
    assert mask.dtype == np.bool_
    return mask.nonzero()[0].tolist()


def test_no_width_is_all_that_is_eligible():
    assert ring([inf, 900.0, 1.0], None) == [1, 2]


def test_a_width_counts_from_the_nearest_that_is_left():
    assert ring([5.0, 6.0, 6.01, inf], 1.0) == [0, 1]
    assert ring([inf, 6.0, 6.01, 9.0], 1.0) == [1, 2]


@pytest.mark.parametrize("smallest", [1e6, 3.0e38, 0.0])
def test_the_nearest_is_in_it_whatever_float32_can_tell(smallest):
    assert ring([inf, smallest], 0.01) == [1]


@pytest.mark.parametrize("ring_ms", [0.0, 0.009, -1.0, inf, float("nan")])
def test_a_width_is_told_apart_by_float32(ring_ms):
    with pytest.raises(ValueError, match=r"ring_ms = .*>= 0\.01, or leave it out"):
        check_ring(ring_ms)
    check_ring(None)
    check_ring(0.01)
