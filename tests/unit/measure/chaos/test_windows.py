"""The arithmetic of the table: who counts where, and when a recovery is one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gateway.measure.chaos.windows import (
    Counts,
    FaultFigures,
    Stretch,
    figures,
    quantile_of,
    recovery_s,
    share_of,
    undisturbed,
    window_p99_ms,
    window_starts,
)
from gateway.measure.samples import WRONG, Samples

RATE = 500


def samples(late_ms: object, status: object = 200, center: object = 0, n: int = 5000) -> Samples:
    """``n`` requests, one every 2 ms from 0 on."""
    full = {"late": late_ms, "status": status, "center": center}
    late, told, where = (np.broadcast_to(np.asarray(v), (n,)).copy() for v in full.values())
    zeros = np.zeros(n)
    return Samples(
        np.arange(n) / RATE,
        np.zeros(n, np.int32),
        told.astype(np.int32),
        late.astype(np.float64),
        *(zeros for _ in range(6)),
        where.astype(np.int32),
        ("here",),
        ("a", "b", "c"),
    )


def at(n: int = 5000) -> np.ndarray:
    return np.arange(n) / RATE


def told(made: Samples, fault: Stretch = Stretch(3.0, 6.0)) -> FaultFigures:  # noqa: B008
    return figures(made, fault, 10.0, ("b",))


def test_nothing_happened() -> None:
    found = told(samples(20.0))
    assert found.recovered_s == 0.0
    assert found.unsteady == 0.0
    assert (found.p99_before_ms, found.p99_during_ms, found.p99_after_ms) == (20.0, 20.0, 20.0)
    assert found.counts.sent == found.counts.right == 3500 + 9  # 9 were under way at 3 s
    assert found.before.sent == 1500 - 9


def test_how_requests_ended_is_told_apart() -> None:
    status = np.full(5000, 200)
    status[1600:1605] = (503, 504, 0, -1, WRONG)
    found = told(samples(20.0, status))
    assert found.counts == Counts(3509, 3504, 2, 2, 1)
    assert found.first_counts == Counts(1009, 1004, 2, 2, 1)


def test_what_was_under_way_when_it_began_counts_with_it() -> None:
    late = np.full(5000, 20.0)
    status = np.full(5000, 200)
    status[1495] = 0  # sent 10 ms before the fault, lost after it
    status[1000] = 0  # lost long before
    found = told(samples(late, status))
    assert found.counts.lost == 1
    assert found.before.lost == 1


def test_what_is_lost_later_is_told_apart() -> None:
    status = np.full(5000, 200)
    status[[1495, 1510, 1600]] = 0  # 10 ms before the fault, 20 and 200 ms after it began
    found = told(samples(20.0, status))
    assert (found.counts.lost, found.lost_later) == (3, 1)


@pytest.mark.parametrize("bad_ms", [30.0, math.inf])
def test_recovery_is_when_the_next_second_is_good_again(bad_ms: float) -> None:
    late = np.where((at() >= 3.0) & (at() < 3.5), bad_ms, 20.0)
    found = told(samples(late))
    # A window with five bad requests of 500 keeps its p99, with six it does not.
    assert found.recovered_s == pytest.approx(0.5, abs=0.02)
    assert found.recovered_after_s == 0.0


def test_within_the_factor_is_no_disturbance() -> None:
    assert told(samples(np.where(at() > 3.0, 23.9, 20.0))).recovered_s == 0.0
    assert told(samples(np.where(at() > 3.0, 24.1, 20.0))).recovered_s == math.inf


def test_a_relapse_puts_the_recovery_off() -> None:
    bad = ((at() >= 3.0) & (at() < 3.2)) | ((at() >= 4.0) & (at() < 4.2))
    assert told(samples(np.where(bad, 50.0, 20.0))).recovered_s == pytest.approx(1.2, abs=0.02)


def test_a_pause_seconds_later_is_none_and_a_relapse_of_its_length_many_times_over_is() -> None:
    fault = Stretch(3.0, 9.5)
    slow = (at() >= 3.0) & (at() < 3.2)
    pause = (at() >= 8.0) & (at() < 8.02)  # ten requests: a p99 over one second, but not over six
    found = told(samples(np.where(slow | pause, 50.0, 20.0)), fault)
    assert found.recovered_s == pytest.approx(0.2, abs=0.02)
    relapses = (at() >= 4.0) & (np.floor(at() * 50) % 20 == 0)  # such a pause every 0.4 s
    assert told(samples(np.where(slow | relapses, 50.0, 20.0)), fault).recovered_s == math.inf


def test_what_follows_the_lifting_is_judged_apart() -> None:
    found = told(samples(np.where((at() >= 6.0) & (at() < 6.3), 50.0, 20.0)))
    assert found.recovered_s == 0.0
    assert found.recovered_after_s == pytest.approx(0.3, abs=0.02)


def test_what_the_lifting_meets_under_way_is_not_the_faults_doing() -> None:
    assert told(samples(np.where(at() > 5.98, 50.0, 20.0))).recovered_s == 0.0
    late = np.where((at() > 5.9) & (at() < 6.0), 50.0, 20.0)
    assert told(samples(late)).recovered_s == math.inf, "sent early enough to be back"
    lost = np.where((at() > 5.9) & (at() < 5.95), math.inf, 20.0)
    assert told(samples(lost)).recovered_s == math.inf
    assert undisturbed(Stretch(3.0, 6.0), math.inf) == Stretch(3.0, 6.0)


def test_a_restless_machine_is_seen_before_the_fault() -> None:
    late = np.full(5000, 20.0)
    late[500:510] = 90.0  # ten of 1500: the p99 of all keeps, that of windows there does not
    assert told(samples(late)).unsteady == pytest.approx(0.5, abs=0.03)


def test_traffic_at_the_target_is_counted_half_a_second_later() -> None:
    center = np.where(at() < 3.4, 1, 0)
    center[2000:2010] = 1
    assert told(samples(20.0, center=center)).target_share == pytest.approx(10 / 1250)


def test_only_right_answers_have_a_center() -> None:
    status = np.full(5000, 200)
    status[:4000] = 503
    whole = Stretch(0.0, 10.0)
    assert share_of(samples(20.0, status, center=1), whole, ("b",)) == 1.0
    assert math.isnan(share_of(samples(20.0, 503), whole, ("b",)))
    assert math.isnan(share_of(samples(20.0), whole, ()))


def test_windows_lie_within_their_stretch() -> None:
    starts = window_starts(Stretch(1.0, 3.0))
    assert (starts[0], starts[-1], starts.size) == (1.0, pytest.approx(2.0), 101)
    assert window_starts(Stretch(1.0, 1.9)).size == 0
    p99 = window_p99_ms(at(), np.full(5000, 7.0), Stretch(9.9, 11.5))
    assert p99[0] == 7.0
    assert math.isnan(p99[-1])  # nobody was sent there


def test_a_stretch_shorter_than_a_window_tells_nothing() -> None:
    assert math.isnan(recovery_s(at(), np.full(5000, 7.0), Stretch(1.0, 1.1), 8.0))


def test_a_quantile_is_kept_by_its_share() -> None:
    assert quantile_of(np.arange(1.0, 101.0), 0.99) == 99.0
    assert quantile_of(np.array([1.0, math.inf]), 0.99) == math.inf
    assert math.isnan(quantile_of(np.array([]), 0.5))
