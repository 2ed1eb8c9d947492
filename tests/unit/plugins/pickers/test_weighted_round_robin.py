from collections import Counter
from math import inf

import pytest
from gateway_plugins.pickers.weighted_round_robin import WeightedRoundRobin

from gateway.api import Report

AT_ONCE = {"blackout_s": 0.0}


def loaded(qps, utilization, eps=0.0):
    return Report(0.0, 1.0, rate_per_s=qps, errors_per_s=eps, utilization=utilization)


def turns(work, count, total_ms=(1.0, 1.0, 1.0), now=1.0):
    taken = Counter()
    for _ in range(count):
        center = work.pick(list(total_ms), now=now).position
        work.chosen(center, now=now)
        taken[center] += 1
    return [taken[center] for center in range(len(total_ms))]


def test_turns_by_rate_over_utilization(at_work):
    work = at_work(WeightedRoundRobin(**AT_ONCE))
    for center, report in enumerate([loaded(100, 0.5), loaded(100, 0.25), loaded(50, 0.5)]):
        work.reported(center, report)
    work.chosen(0, now=1.0)  # takes the weights over: 200, 400, 100
    assert turns(work, 700) == pytest.approx([200, 400, 100], abs=2)


def test_errors_lower_the_weight(at_work):
    work = at_work(WeightedRoundRobin(**AT_ONCE))
    work.reported(0, loaded(100, 0.5, eps=50))
    assert work.memory.weight[0] == pytest.approx(100 / (0.5 + 0.5))
    work = at_work(WeightedRoundRobin(error_utilization_penalty=2.0))
    work.reported(0, loaded(100, 0.5, eps=50))
    assert work.memory.weight[0] == pytest.approx(100 / (0.5 + 1.0))


def test_who_has_no_weight_gets_the_mean_and_one_weight_is_none(at_work):
    work = at_work(WeightedRoundRobin(**AT_ONCE))
    work.reported(0, loaded(100, 0.1))
    work.chosen(0, now=1.0)
    assert turns(work, 300) == pytest.approx([100] * 3, abs=2), "fewer than two weights"
    work.reported(1, loaded(100, 0.2))
    work.chosen(0, now=3.0)
    assert turns(work, 450, now=3.0) == pytest.approx([200, 100, 150], abs=2)


def test_a_weight_counts_after_the_blackout_and_until_it_expires(at_work):
    work = at_work(WeightedRoundRobin(blackout_s=10.0, expiration_s=180.0))
    for center, utilization in enumerate([0.1, 0.2, 0.2]):
        work.reported(center, loaded(100, utilization), now=0.0)
    work.chosen(0, now=9.0)
    assert work.memory.period == [1.0, 1.0, 1.0]
    work.chosen(0, now=11.0)
    assert work.memory.period[1] == 2 * work.memory.period[0]
    work.chosen(0, now=181.0)
    assert work.memory.period == [1.0, 1.0, 1.0]
    work.reported(0, loaded(100, 0.1), now=182.0)
    assert work.memory.steady_since[0] == 182.0, "the blackout begins again"


def test_weights_are_taken_over_once_a_period(at_work):
    work = at_work(WeightedRoundRobin(blackout_s=0.0, update_s=5.0))
    work.chosen(0, now=0.0)
    for center, utilization in enumerate([0.1, 0.2, 0.2]):
        work.reported(center, loaded(100, utilization), now=0.0)
    work.chosen(0, now=4.9)
    assert work.memory.period == [1.0, 1.0, 1.0]
    work.chosen(0, now=5.0)
    assert work.memory.period[1] == 2 * work.memory.period[0]


def test_reports_without_rate_or_utilization_are_no_weight(at_work):
    work = at_work(WeightedRoundRobin())
    work.reported(0, loaded(0.0, 0.5))
    work.reported(0, loaded(100.0, 0.0))
    assert work.memory.weight[0] == 0.0


def test_who_was_away_gets_one_turn_not_all_it_missed(at_work):
    work = at_work(WeightedRoundRobin())
    work.chosen(0, now=1.0)
    assert turns(work, 100, [1.0, 1.0, inf])[2] == 0
    assert turns(work, 9)[2] <= 4


def test_a_ring_takes_its_own_earliest(at_work):
    work = at_work(WeightedRoundRobin(ring_ms=1.0))
    work.chosen(0, now=1.0)
    assert turns(work, 20, [5.0, 5.5, 9.0]) == pytest.approx([10, 10, 0], abs=1)


@pytest.mark.parametrize(
    "parameters",
    [
        {"blackout_s": -1.0},
        {"expiration_s": 0.0},
        {"update_s": 0.05},
        {"error_utilization_penalty": -1.0},
        {"ring_ms": 0.0},
    ],
)
def test_bad_parameters_are_refused(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        WeightedRoundRobin(**parameters)
