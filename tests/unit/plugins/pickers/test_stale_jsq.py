from math import inf

import pytest
from gateway_plugins.pickers.stale_jsq import StaleJsq

from gateway.api import Report


def told(work, *in_flight):
    for center, count in enumerate(in_flight):
        work.reported(center, Report(0.0, 0.0, in_flight=count))


def test_the_shortest_as_reported_whatever_we_sent_since(at_work):
    work = at_work(StaleJsq(), [9, 0, 0])
    told(work, 1, 2, 3)
    assert work.picks(20) == {0}
    assert work.picks(20, total_ms=[inf, 1.0, 1.0]) == {1}


def test_it_herds_until_the_next_report_and_ties_are_random(at_work):
    work = at_work(StaleJsq())
    told(work, 2, 2, 3)
    assert work.picks(40) == {0, 1}
    told(work, 5)
    assert work.picks(40) == {1}


def test_a_ring_is_looked_at_first(at_work):
    work = at_work(StaleJsq(ring_ms=1.0), [0, 0, 0])
    told(work, 3, 2, 0)
    assert work.picks(20, total_ms=[5.0, 5.5, 9.0]) == {1}


def test_a_ring_has_a_width():
    with pytest.raises(ValueError, match="ring_ms"):
        StaleJsq(ring_ms=0.0)
