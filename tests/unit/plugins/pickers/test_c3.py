from math import inf

import pytest
from gateway_plugins.pickers.c3 import C3

from gateway.api import Report


def served(service_ms, queue_ms=0.0, in_flight=0, slots=1):
    return Report(queue_ms, service_ms, in_flight=in_flight, slots=slots)


def test_psi_by_hand(at_work):
    work = at_work(C3(clients=4, alpha=0.5))
    work.chosen(0)
    work.ended(0, 9.0, report=served(2.0))
    work.reported(0, served(2.0, in_flight=11, slots=1))
    work.chosen(0)
    work.chosen(0)
    # halfway from 1 ms: R 5, 1/mu 1.5; from 0: q 5; os 2, n 4
    assert work.memory.psi_ms[0] == pytest.approx(5 - 1.5 + (1 + 2 * 4 + 5) ** 3 * 1.5)


def test_means_by_request(at_work):
    work = at_work(C3(alpha=0.3))
    for took_ms, service_ms in ((10.0, 4.0), (20.0, 6.0)):
        work.chosen(0)
        work.ended(0, took_ms, report=served(service_ms))
    # from 1 ms: 1 + 0.3 x 9 = 3.7 and 1 + 0.3 x 3 = 1.9, then on toward the second
    assert work.memory.response_ms[0] == pytest.approx(3.7 + 0.3 * 16.3)
    assert work.memory.service_ms[0] == pytest.approx(1.9 + 0.3 * 4.1)


def test_the_smallest_eligible(at_work):
    work = at_work(C3())
    for center, took_ms in ((0, 4.0), (1, 3.0), (2, 5.0)):
        work.chosen(center)
        work.ended(center, took_ms, report=served(2.0))
    assert work.pick().position == 1
    assert work.pick([1.0, inf, 1.0]).position == 0


def test_what_is_outstanding_counts_where_nobody_was_heard_of(at_work):
    work = at_work(C3())
    taken = []
    for _ in range(6):
        taken.append(work.pick().position)
        work.chosen(taken[-1])
    assert taken == [0, 1, 2, 0, 1, 2]


def test_a_fast_error_makes_nobody_fast(at_work):
    work = at_work(C3())
    work.chosen(0)
    work.ended(0, 8.0, report=served(2.0))
    before = work.memory.psi_ms[0]
    for ending in ("error", "cancelled"):
        work.chosen(0)
        work.ended(0, 0.1, ending=ending)
        assert work.memory.psi_ms[0] == pytest.approx(before)
    work.chosen(0)
    work.ended(0, 100.0, ending="error")
    assert work.memory.psi_ms[0] > before


def test_a_ring_adds_the_modelled_way_to_the_time_at_the_center(at_work):
    work = at_work(C3(ring_ms=2.0, alpha=1.0))
    for center, queue_ms in ((0, 3.0), (1, 1.5), (2, 0.0)):
        work.chosen(center)
        work.ended(center, 60.0, report=served(1.0, queue_ms))
    assert work.pick([5.0, 6.0, 30.0]).position == 1
    assert work.pick([5.0, 6.9, 30.0]).position == 0


@pytest.mark.parametrize(
    "parameters",
    [{"alpha": 0.0}, {"alpha": 1.1}, {"clients": 0}, {"start_ms": 0.0}, {"ring_ms": 0.0}],
)
def test_bad_parameters_are_refused(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        C3(**parameters)
