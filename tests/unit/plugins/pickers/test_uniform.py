from math import inf

import pytest
from gateway_plugins.pickers.uniform import Uniform


def test_routing_draws_the_one_it_sees(at_work):
    assert Uniform().sample == 1
    assert at_work(Uniform()).pick([3.0], candidates=[2]).position == 0


def test_a_ring_is_drawn_from_evenly(at_work):
    work = at_work(Uniform(ring_ms=1.0), [0] * 4)
    assert Uniform(ring_ms=1.0).sample is None
    picks = [work.pick([5.0, 5.9, 7.0, inf]).position for _ in range(400)]
    assert set(picks) == {0, 1}
    assert 150 < picks.count(0) < 250


def test_the_ring_is_around_the_nearest_that_is_left(at_work):
    work = at_work(Uniform(ring_ms=1.0), [0] * 4)
    assert work.picks(60, total_ms=[inf, 9.9, 90.0, 9.0]) == {1, 3}


@pytest.mark.parametrize("ring_ms", [0.0, -1.0, inf, float("nan")])
def test_a_ring_has_a_width(ring_ms):
    with pytest.raises(ValueError, match="ring_ms"):
        Uniform(ring_ms=ring_ms)
