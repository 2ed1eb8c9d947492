from math import exp, inf

import pytest
from gateway_plugins.pickers.peak_ewma import PENALTY_MS, PeakEwma

from gateway.api import Choice, Report


def test_a_peak_is_taken_over_and_a_dip_averaged_in(at_work):
    work = at_work(PeakEwma(tau_s=10.0))
    work.chosen(0, now=0.0)
    work.ended(0, 8.0, now=1.0)
    assert work.memory.cost_ms[0] == 8.0
    work.chosen(0, now=1.0)
    work.ended(0, 2.0, now=6.0)
    assert work.memory.cost_ms[0] == pytest.approx(8.0 * exp(-0.5) + 2.0 * (1 - exp(-0.5)))
    work.chosen(0, now=6.0)
    work.ended(0, 50.0, now=7.0)
    assert work.memory.cost_ms[0] == 50.0


def test_the_load_is_the_cost_times_one_more_than_pending(at_work):
    work = at_work(PeakEwma())
    for center, took_ms in ((0, 4.0), (1, 10.0)):
        work.chosen(center)
        work.ended(center, took_ms)
    assert work.pick(candidates=[1, 0]).position == 1, "4 x 1 < 10 x 1"
    work.chosen(0)
    assert work.pick(candidates=[1, 0]).position == 1, "4 x 2 < 10 x 1"
    work.chosen(0)
    assert work.pick(candidates=[1, 0]).position == 0, "4 x 3 > 10 x 1"


def test_without_history_and_with_something_pending_there_is_a_penalty(at_work):
    work = at_work(PeakEwma())
    work.chosen(1)
    work.ended(1, 900.0)
    assert work.pick(candidates=[1, 0]).position == 1, "no history and idle: free"
    work.chosen(0)
    assert work.pick(candidates=[1, 0]).position == 0
    assert PENALTY_MS > 1e8


def test_reading_decays_both_and_moves_their_stamps(at_work):
    work = at_work(PeakEwma(tau_s=10.0))
    for center in (0, 1):
        work.chosen(center, now=0.0)
        work.ended(center, 8.0, now=0.0)
    choice = work.pick(candidates=[0, 1], now=10.0)
    assert choice.looked_at == (0, 1)
    work.chosen(0, choice, now=10.0)
    assert work.memory.cost_ms[:2] == pytest.approx([8.0 / exp(1)] * 2)
    work.ended(0, 1.0, now=11.0)
    read = 8.0 / exp(1)
    expected = read * exp(-0.1) + 1.0 * (1 - exp(-0.1))
    assert work.memory.cost_ms[0] == pytest.approx(expected), "weighed since the last read"


def test_errors_are_observed_as_published(at_work):
    work = at_work(PeakEwma(tau_s=1.0))
    work.chosen(0, now=0.0)
    work.ended(0, 8.0, now=0.0)
    work.chosen(0, now=5.0)
    work.ended(0, 0.1, now=5.0, ending="error")
    assert work.memory.cost_ms[0] < 0.5
    assert work.memory.pending[0] == 0


def test_a_ring_adds_the_modelled_way_to_the_time_at_the_center(at_work):
    work = at_work(PeakEwma(ring_ms=2.0))
    for center, served_ms in ((0, 3.0), (1, 1.5), (2, 0.1)):
        work.chosen(center)
        work.ended(center, 60.0, report=Report(0.0, served_ms))
    assert work.memory.cost_ms == [3.0, 1.5, 0.1], "the way is not in it"
    assert work.picks(20, total_ms=[5.0, 6.0, 30.0]) == {1}, "5 + 3 > 6 + 1.5; 30 is outside"
    assert work.picks(20, total_ms=[5.0, 6.9, 30.0]) == {0}
    assert work.pick([5.0, inf, 30.0]) == Choice(0, (0,))


@pytest.mark.parametrize("parameters", [{"tau_s": 0.0}, {"tau_s": inf}, {"ring_ms": 0.0}])
def test_bad_parameters_are_refused(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        PeakEwma(**parameters)
