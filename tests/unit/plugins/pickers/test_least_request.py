from math import inf

import pytest
from gateway_plugins.pickers.least_request import LeastRequest


def test_the_fewest_in_flight_of_the_eligible(at_work):
    work = at_work(LeastRequest(), [3, 2, 5, 0])
    assert work.picks(20, total_ms=[1.0, 90.0, 1.0, inf]) == {1}


def test_ties_are_broken_at_random(at_work):
    work = at_work(LeastRequest(), [1, 0, 0, 0])
    assert work.picks(60) == {1, 2, 3}


def test_a_ring_is_never_left_while_one_of_it_is_eligible(at_work):
    work = at_work(LeastRequest(ring_ms=1.0), [60, 50, 1, 0], slots=4)
    assert work.picks(20, total_ms=[5.0, 5.9, 6.5, 80.0]) == {1}
    assert work.picks(20, total_ms=[inf, inf, 6.5, 80.0]) == {2}


def test_a_ring_has_a_width():
    with pytest.raises(ValueError, match="ring_ms"):
        LeastRequest(ring_ms=-2.0)
