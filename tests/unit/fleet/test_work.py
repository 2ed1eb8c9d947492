"""Work in flight: the wait formula, exact refunds, foreign work, fair ties."""

from random import Random

import numpy as np
import pytest

from gateway.api import Center, Location, Report, Table
from gateway.fleet.tuning import WorkTuning
from gateway.fleet.work import Work, wait_ms

TUNING = WorkTuning()


def work_of(n: int = 4, slots: int = 2, seed: int = 1) -> tuple[Table, Work]:
    table = Table(
        [
            Center(f"c{i}", "r", f"z{i}", "city", "CN", Location(30.0, 120.0), slots=slots)
            for i in range(n)
        ]
    )
    return table, Work(table, Random(seed), TUNING)


def queue(table: Table, center: int = 0) -> float:
    return float(table.columns["queue_ms"][center])


@pytest.mark.parametrize(
    ("own_ms", "in_flight", "slots", "expected"),
    [
        (0.0, 0, 1, 0.0),
        (2.0, 1, 1, 2.0),
        (6.0, 3, 1, 6.0),
        (6.0, 3, 4, 0.0),
        (8.0, 4, 4, 0.5),
        (16.0, 8, 4, 2.5),
    ],
)
def test_wait_is_the_executions_ahead_over_the_slots(
    own_ms: float, in_flight: int, slots: int, expected: float
) -> None:
    assert wait_ms(own_ms, in_flight, slots) == pytest.approx(expected)


def test_the_queue_column_follows_charges_and_refunds() -> None:
    table, work = work_of(slots=2)
    for in_flight in range(1, 6):
        work.charge(0, 2.0)
        assert queue(table) == pytest.approx(wait_ms(2.0 * in_flight, in_flight, 2), abs=1e-3)
        assert table.columns["in_flight"][0] == in_flight
        assert table.columns["work_ms"][0] == pytest.approx(2.0 * in_flight)
    for in_flight in range(4, -1, -1):
        work.refund(0, 2.0)
        assert queue(table) == pytest.approx(wait_ms(2.0 * in_flight, in_flight, 2), abs=1e-3)


def test_refunds_are_exact_over_many_random_operations() -> None:
    table, work = work_of(n=8, slots=3)
    random = Random(2)
    charged: list[list[float]] = [[] for _ in range(8)]
    for _ in range(100_000):
        center = random.randrange(8)
        if charged[center] and random.random() < 0.5:
            work.refund(center, charged[center].pop(random.randrange(len(charged[center]))))
        else:
            charged[center].append(random.uniform(0.01, 50.0))
            work.charge(center, charged[center][-1])
        assert work.in_flight(center) == len(charged[center])
    for center, rest in enumerate(charged):
        assert work.own_ms(center) == pytest.approx(sum(rest))
        for ms in rest:
            work.refund(center, ms)
        assert work.own_ms(center) == 0.0
        assert table.columns["work_ms"][center] == 0.0
    ties = table.columns["queue_ms"]
    assert (ties >= 0.0).all()
    assert (ties < 2 * TUNING.tie_ms_max).all()


def test_with_nothing_in_flight_the_queue_is_exactly_the_tie_term() -> None:
    table, work = work_of(n=3)
    before = table.columns["queue_ms"].copy()
    work.charge(1, 3.3)
    tie = np.float32(4 * TUNING.tie_ms)
    work.refund(1, 3.3)
    assert table.columns["queue_ms"][1] == tie
    assert (table.columns["queue_ms"][[0, 2]] == before[[0, 2]]).all()


def test_a_refund_without_a_charge_leaves_no_negative_work() -> None:
    table, work = work_of()
    work.refund(0, 5.0)
    assert work.in_flight(0) == 0
    assert table.columns["work_ms"][0] == 0.0
    work.charge(0, 2.0)
    work.charge(0, 2.0)
    work.refund(0, 9.0)
    assert work.own_ms(0) == 0.0


def test_equal_centers_take_turns() -> None:
    table, work = work_of(n=7)
    counts = np.zeros(7, dtype=int)
    for _ in range(70_000):
        center = int(table.columns["queue_ms"].argmin())
        counts[center] += 1
        work.charge(center, 1.0)
        work.refund(center, 1.0)
    assert counts.tolist() == [10_000] * 7


def test_ties_stay_small_and_keep_their_order_when_renumbered() -> None:
    table, work = work_of(n=3)
    for _ in range(30_001):
        for center in (2, 0, 1):
            work.charge(center, 1.0)
            work.refund(center, 1.0)
        assert table.columns["queue_ms"].argsort().tolist() == [2, 0, 1]
    assert table.columns["queue_ms"].max() <= TUNING.tie_ms_max + TUNING.tie_ms


def test_workers_begin_with_different_orders() -> None:
    first, second = (work_of(n=50, seed=seed)[0].columns["queue_ms"] for seed in (1, 2))
    assert sorted(first) == sorted(second)
    assert first.tolist() != second.tolist()


# ---- foreign work -------------------------------------------------------------------------


def test_only_our_own_requests_are_no_foreign_work() -> None:
    _, work = work_of(slots=1)
    for _ in range(5):
        work.charge(0, 2.0)
    work.refund(0, 2.0)
    work.reported(0, Report(queue_ms=8.0, service_ms=2.0, work_ms=8.0, in_flight=4, slots=1), 0.0)
    assert work.foreign_ms(0) == 0.0


def busy(work: Work, reports: int = 400, until_s: float = 4.0) -> None:
    """Center 0 reports ten requests of others, 20 ms in all, again and again."""
    report = Report(queue_ms=8.0, service_ms=2.0, work_ms=20.0, in_flight=10, slots=1)
    for step in range(reports):
        work.reported(0, report, until_s * (step + 1) / reports)


def test_what_a_report_shows_beyond_ours_is_foreign() -> None:
    table, work = work_of(slots=1)
    busy(work)
    assert work.foreign_ms(0) == pytest.approx(20.0, rel=0.01)
    assert queue(table) == pytest.approx(20.0, rel=0.01)
    work.charge(0, 3.0)
    assert queue(table) == pytest.approx(23.0, rel=0.01)


def test_foreign_work_ages_toward_the_usual_not_toward_zero() -> None:
    table, work = work_of(slots=1)
    busy(work)
    work.settle(np.full(4, 4.0), 0.1, 4.0)  # ages with 2.5 × 4 ms
    idle = Report(queue_ms=0.0, service_ms=2.0, work_ms=0.0, in_flight=0, slots=1)
    work.reported(0, idle, 4.001)
    at_once = work.foreign_ms(0)
    assert at_once < 15.0
    work.fade(1.0)
    usual = work.foreign_ms(0)
    assert at_once < usual < 20.0
    assert queue(table) == pytest.approx(usual, abs=1e-3)


def test_a_center_not_heard_of_is_not_avoided_for_ever() -> None:
    table, work = work_of(slots=1)
    busy(work)
    now = 4.0
    while now < 40.0:
        work.fade(0.1)
        now += 0.1
        work.settle(np.full(4, 2.0), 0.1, now)
    assert work.foreign_ms(0) == 0.0
    assert queue(table) < TUNING.tie_ms_max


def test_a_report_without_load_tells_by_its_wait_beyond_our_own() -> None:
    _, work = work_of(slots=1)
    for _ in range(5):
        work.charge(0, 2.0)
    for _ in range(5):
        work.refund(0, 2.0)
    work.reported(0, Report(queue_ms=8.0, service_ms=2.0), 0.1)  # it waited for four of ours
    assert work.foreign_ms(0) == 0.0
    work.reported(1, Report(queue_ms=8.0, service_ms=2.0), 0.1)
    assert work.foreign_ms(1) == pytest.approx(7.75 * TUNING.foreign_gain, rel=0.01)


def test_fading_keeps_own_waits() -> None:
    table, work = work_of(slots=1)
    for _ in range(3):
        work.charge(0, 2.0)
    work.linger(1, 5.0)
    work.fade(0.001)
    assert queue(table, 0) == pytest.approx(6.0, abs=1e-3)


def test_an_error_that_lingers_is_gone_some_service_times_later() -> None:
    table, work = work_of(slots=1)
    work.linger(1, 5.0)
    assert queue(table, 1) == pytest.approx(5.0, abs=1e-3)
    work.settle(np.full(4, 2.0), 0.1, 0.1)
    work.fade(0.1)
    assert queue(table, 1) < 0.01


def test_reported_slots_replace_the_declared_ones() -> None:
    table, work = work_of(slots=1)
    for _ in range(3):
        work.charge(0, 2.0)
    version = table.versions["slots"]
    work.reported(0, Report(0.0, 2.0, work_ms=6.0, in_flight=3, slots=8), 0.0)
    assert table.columns["slots"][0] == 8
    assert table.versions["slots"] == version + 1
    assert queue(table) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -5.0, 1e300])
def test_reports_that_make_no_sense_leave_the_queue_finite_and_not_negative(bad: float) -> None:
    table, work = work_of(slots=1)
    work.charge(0, 2.0)
    work.linger(0, bad)
    work.linger(0, 1.0)
    for report in (
        Report(bad, 1.0),
        Report(1.0, 1.0, work_ms=bad, in_flight=9, slots=1),
        Report(1.0, 1.0, work_ms=1.0, in_flight=-3, slots=-2),
    ):
        work.reported(0, report, 0.1)
        work.fade(0.001)
        assert 0.0 <= queue(table) < 1e6


def test_what_is_passed_over_where_nobody_else_is_changes_nothing() -> None:
    """Short ways for centers without foreign work, held against the long ones."""
    (table, short), (reference, long) = work_of(slots=2), work_of(slots=2)
    long._others.any_at = lambda center: long._others.any  # type: ignore[method-assign]
    random, now, charged = Random(3), 0.0, [0, 0, 0, 0]
    for step in range(4000):
        now += random.random() * 0.004
        center, kind = random.randrange(4), random.random()
        in_flight = random.randrange(6) if center == 0 and step > 200 else 0
        report = Report(0.0, 1.0, work_ms=3.0 * in_flight, in_flight=in_flight, slots=2)
        refunds = kind < 0.7 and charged[center] > 0
        charged[center] += (kind < 0.4) - (kind >= 0.4 and refunds)
        for work in (short, long):
            if kind < 0.4:
                work.charge(center, 1.5)
            elif refunds:
                work.refund(center, 1.5)
            elif kind < 0.95:
                work.reported(center, report, now)
            else:
                work.fade(0.002)
                work.settle(np.ones(4), 0.1, now)
            tie = work._tie[center]
            assert work._queue[center] == pytest.approx(work._wait_ms(center) + tie, rel=1e-6)
        assert table.columns["queue_ms"].tolist() == reference.columns["queue_ms"].tolist()
        assert short._others._heard_array.tolist() == long._others._heard_array.tolist()
