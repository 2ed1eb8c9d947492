"""The load meter: exact counts, honest rates from the first moment, medians by load."""

from __future__ import annotations

from math import exp

import pytest

from gateway.centers.load_meter import RING, LoadMeter, ring_of


def visit(meter: LoadMeter, at_s: float, took_s: float, *, answered: bool = True) -> None:
    """One request alone in the center."""
    found = meter.entered(2.0)
    meter.slot_taken(at_s)
    meter.slot_freed(at_s + took_s)
    meter.left(2.0)
    if answered:
        meter.answered(at_s + took_s, found, took_s * 1e3)
    else:
        meter.erred(at_s + took_s)


def test_counts_are_exact_and_work_ends_at_zero() -> None:
    meter = LoadMeter(0.0)
    assert [meter.entered(0.1) for _ in range(3)] == [0, 1, 2]
    assert (meter.in_flight, meter.work_ms) == (3, pytest.approx(0.3))
    for _ in range(3):
        meter.left(0.1)
    assert (meter.in_flight, meter.work_ms) == (0, 0.0)


@pytest.mark.parametrize("seconds", [0.5, 2.0, 20.0])
def test_rates_are_right_from_half_a_second_on(seconds: float) -> None:
    meter = LoadMeter(0.0)
    for k in range(int(seconds * 100)):
        visit(meter, 0.01 * k, 0.004, answered=k % 4 != 0)
    report = meter.report(seconds, 2, 0.0, 0.0)
    assert report.rate_per_s == pytest.approx(100.0, rel=0.03)
    assert report.errors_per_s == pytest.approx(25.0, rel=0.08)
    assert report.utilization == pytest.approx(0.2, rel=0.03)


def test_a_new_center_does_not_claim_a_rate_from_one_request() -> None:
    meter = LoadMeter(0.0)
    visit(meter, 0.0, 0.001)
    assert meter.report(0.001, 1, 0.0, 0.001).rate_per_s <= 10.0


def test_an_idle_center_forgets() -> None:
    meter = LoadMeter(0.0)
    for k in range(100):
        visit(meter, 0.01 * k, 0.01)
    told = meter.report(11.0, 1, 0.0, 0.0)
    assert told.rate_per_s < 0.01
    assert told.utilization < 0.001


def test_utilization_is_at_most_one() -> None:
    meter = LoadMeter(0.0)
    for _ in range(4):
        meter.slot_taken(0.0)
    assert meter.report(1.0, 2, 0.0, 0.0).utilization == 1.0


def test_latency_is_that_of_requests_that_found_as_many() -> None:
    meter = LoadMeter(0.0)
    for k in range(RING):
        meter.answered(0.001 * k, 0, 5.0)
        meter.answered(0.001 * k, 6, 40.0)
    assert meter.report(1.0, 4, 0.0, 0.0).latency_ms == 5.0
    for _ in range(7):
        meter.entered(1.0)
    assert meter.report(1.0, 4, 0.0, 0.0).latency_ms == 40.0
    for _ in range(100):
        meter.entered(1.0)
    assert meter.report(1.0, 4, 0.0, 0.0).latency_ms == 40.0


def test_latency_follows_a_change_within_a_ring() -> None:
    meter = LoadMeter(0.0)
    for took_ms in [5.0] * 50 + [50.0] * RING:
        meter.answered(1.0, 0, took_ms)
    assert meter.report(1.0, 4, 0.0, 0.0).latency_ms == 50.0


def test_one_slow_request_is_not_the_latency() -> None:
    meter = LoadMeter(0.0)
    for took_ms in (5.0, 5.0, 500.0, 5.0, 5.0):
        meter.answered(1.0, 0, took_ms)
    assert meter.probed(1.0, 4).latency_ms == 5.0


def test_a_probe_is_told_the_newest_median() -> None:
    meter = LoadMeter(0.0)
    for took_ms in (1.0, 1.0, 1.0, 1.0, 9.0, 9.0, 9.0):
        meter.answered(1.0, 0, took_ms)
    assert meter.report(1.0, 4, 0.0, 0.0).latency_ms == 1.0
    meter.answered(1.0, 0, 9.0)
    meter.answered(1.0, 0, 9.0)
    assert meter.probed(1.0, 4).latency_ms == 9.0


def test_time_that_stands_still_or_runs_backwards_harms_nothing() -> None:
    meter = LoadMeter(5.0)
    visit(meter, 5.0, 0.0)
    visit(meter, 4.0, 0.0)
    report = meter.report(5.0, 1, 0.0, 0.0)
    assert 0.0 <= report.rate_per_s <= 20.0


def test_rings_grow_with_the_load() -> None:
    rings = [ring_of(n) for n in range(64)]
    assert rings[:9] == [0, 1, 2, 3, 4, 4, 5, 5, 6]
    assert rings == sorted(rings)
    assert ring_of(10**9) == ring_of(10**12)


def test_a_batch_is_one_time_for_each_number_its_members_found() -> None:
    meter = LoadMeter(0.0)
    found = [meter.entered(0.5) for _ in range(5)]
    meter.left(2.5, 5)
    meter.answered(0.2, found[0], 7.0, 5)
    assert (meter.in_flight, meter.work_ms) == (0, 0.0)
    assert meter.report(0.2, 1, 0.0, 0.0).rate_per_s == pytest.approx(5 / (1 - exp(-0.2)), rel=0.01)
    for others, told_ms in ((0, 7.0), (3, 7.0), (4, 7.0)):
        meter.in_flight = others
        assert meter.report(0.2, 1, 0.0, 0.0).latency_ms == told_ms
    visit(meter, 0.2, 0.003)
    meter.in_flight = 0
    assert meter.probed(0.2, 1).latency_ms == pytest.approx(7.0)
