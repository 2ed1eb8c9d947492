from math import inf

import pytest
from gateway_plugins.pickers.locality_two_choices import LocalityTwoChoices

from gateway.api import Report

NEAR_NEAR_NEXT_FAR = [5.0, 5.5, 8.0, 40.0]


def used(work, *utilization, now=0.0):
    for center, share in enumerate(utilization):
        work.reported(center, Report(0.0, 1.0, utilization=share), now)


def share_outside(work, times=400, now=0.0):
    picks = [work.pick(NEAR_NEAR_NEXT_FAR, now=now).position for _ in range(times)]
    return sum(position > 1 for position in picks) / times


def test_all_stays_local_while_local_is_not_much_fuller(at_work):
    work = at_work(LocalityTwoChoices(remote_share=0.0), [0] * 4)
    used(work, 0.6, 0.6, 0.55, 0.0)
    assert share_outside(work) == 0.0


def test_beyond_the_margin_rings_are_weighed_by_what_is_free(at_work):
    work = at_work(LocalityTwoChoices(remote_share=0.0), [0] * 4)
    used(work, 0.9, 0.7, 0.2, 0.2)
    # free: 2 x 0.2 here, 1 x 0.8 there
    assert share_outside(work) == pytest.approx(0.8 / 1.2, abs=0.08)
    assert 3 not in work.picks(200, total_ms=NEAR_NEAR_NEXT_FAR), "the next is not fuller than 3"


def test_a_full_ring_leads_on_outward(at_work):
    work = at_work(LocalityTwoChoices(remote_share=0.0), [0] * 4)
    used(work, 1.0, 1.0, 0.85, 0.1)
    assert work.picks(400, total_ms=NEAR_NEAR_NEXT_FAR) == {2, 3}


def test_a_small_share_goes_out_always(at_work):
    work = at_work(LocalityTwoChoices(remote_share=0.1), [0] * 4)
    used(work, 0.1, 0.1, 0.9, 0.9)
    assert share_outside(work, 1000) == pytest.approx(0.1, abs=0.03)


def test_silence_counts_as_idle(at_work):
    work = at_work(LocalityTwoChoices(remote_share=0.0, stale_s=180.0), [0] * 4)
    used(work, 0.9, 0.9, 0.9, 0.9)
    assert share_outside(work, now=1.0) == 0.0
    work.reported(0, Report(0.0, 1.0, utilization=0.9), 200.0)
    work.reported(1, Report(0.0, 1.0, utilization=0.9), 200.0)
    assert share_outside(work, now=200.0) > 0.5


def test_utilization_is_averaged_over_time(at_work):
    work = at_work(LocalityTwoChoices(tau_s=5.0))
    used(work, 0.8, now=100.0)
    assert work.memory.utilization[0] == pytest.approx(0.8), "the first counts in full"
    used(work, 0.0, now=105.0)
    assert work.memory.utilization[0] == pytest.approx(0.8 / 2.71828, abs=1e-4)


def test_inside_a_ring_the_less_loaded_of_two(at_work):
    work = at_work(LocalityTwoChoices(remote_share=0.0), [3, 1, 0, 0])
    assert work.picks(30, total_ms=NEAR_NEAR_NEXT_FAR) == {1}
    assert work.pick([inf, inf, inf, 4.0]).position == 3


@pytest.mark.parametrize(
    "parameters",
    [
        {"margin": -0.1},
        {"remote_share": 1.5},
        {"tau_s": 0.0},
        {"stale_s": 0.0},
        {"ring_ms": 0.0},
    ],
)
def test_bad_parameters_are_refused(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        LocalityTwoChoices(**parameters)
