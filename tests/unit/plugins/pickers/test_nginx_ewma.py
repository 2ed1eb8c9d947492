from math import exp, inf

import pytest
from gateway_plugins.pickers.nginx_ewma import NginxEwma

from gateway.api import Report


def test_the_average_fades_with_time_and_knows_no_peak(at_work):
    work = at_work(NginxEwma(tau_s=10.0))
    work.ended(0, 8.0, now=0.0)
    work.ended(0, 50.0, now=5.0)
    expected = 8.0 * exp(-0.5) + 50.0 * (1 - exp(-0.5))
    assert work.memory.ewma_ms[0] == pytest.approx(expected)


def test_the_smaller_average_of_two_faded_to_now(at_work):
    work = at_work(NginxEwma(tau_s=10.0))
    work.ended(0, 8.0, now=0.0)
    work.ended(1, 7.0, now=9.0)
    assert work.pick(candidates=[0, 1], now=9.0).position == 0, "8 has faded below 7"
    assert work.pick(candidates=[1, 0], now=9.0).position == 1


def test_requests_in_flight_do_not_count(at_work):
    work = at_work(NginxEwma(), [50, 0, 0])
    work.ended(0, 1.0)
    work.ended(1, 2.0)
    assert work.pick(candidates=[0, 1]).position == 0


def test_who_was_never_heard_of_is_given_the_mean(at_work):
    work = at_work(NginxEwma())
    assert work.pick(candidates=[2, 1]).position == 0, "nobody was heard of: a tie"
    work.ended(0, 2.0)
    work.ended(1, 6.0)
    assert work.pick(candidates=[2, 0]).position == 1, "4 > 2"
    assert work.pick(candidates=[2, 1]).position == 0, "4 < 6"
    work.ended(0, 20.0, now=1e6)
    assert work.pick(candidates=[2, 1]).position == 1, "(20 + 6) / 2 > 6 faded"


def test_errors_are_samples_as_published(at_work):
    work = at_work(NginxEwma(tau_s=1.0))
    work.ended(0, 8.0, now=0.0)
    work.ended(0, 0.1, now=9.0, ending="error")
    assert work.memory.ewma_ms[0] < 0.2


def test_a_ring_adds_the_modelled_way_to_the_time_at_the_center(at_work):
    work = at_work(NginxEwma(ring_ms=2.0))
    for center, served_ms in ((0, 3.0), (1, 1.5), (2, 0.1)):
        work.ended(center, 60.0, report=Report(0.0, served_ms))
    assert work.picks(20, total_ms=[5.0, 6.0, 30.0]) == {1}
    assert work.picks(20, total_ms=[5.0, 6.9, 30.0]) == {0}


@pytest.mark.parametrize("parameters", [{"tau_s": -1.0}, {"tau_s": inf}, {"ring_ms": 0.0}])
def test_bad_parameters_are_refused(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        NginxEwma(**parameters)
