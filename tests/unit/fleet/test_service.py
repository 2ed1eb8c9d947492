"""Service times: slow centers are seen, pauses are not, a wrong profile is learned once."""

from random import Random

import numpy as np
import pytest

from gateway.api import Center, Location, NotFound, Table
from gateway.fleet.service import Service
from gateway.fleet.tuning import FleetTuning

TUNING = FleetTuning()


def service_of(n: int = 5, run_ms: float = 2.0, speed: float = 1.0) -> tuple[Table, Service]:
    table = Table(
        [
            Center(f"c{i}", "r", f"z{i}", "city", "CN", Location(30.0, 120.0), speed_factor=speed)
            for i in range(n)
        ]
    )
    service = Service(table, TUNING)
    service.add_model("m", run_ms)
    return table, service


def row(table: Table, name: str = "m") -> np.ndarray:
    return table.row_tables["service_ms"].row(name)


def run(
    service: Service,
    times_ms: list[float],
    now: float,
    *,
    seconds: float,
    name: str = "m",
    sigma: float = 0.1,
    seed: int = 1,
) -> float:
    """Every center answers each 5 ms with its own time."""
    random = Random(seed)
    end = now + seconds
    settle_at = now
    while now < end:
        now += 0.005
        for center, ms in enumerate(times_ms):
            service.learn(name, center, ms * random.lognormvariate(0.0, sigma), now)
        if now >= settle_at:
            service.settle(now)
            settle_at = now + 0.1
    return now


def test_the_prior_is_the_profile_times_the_declared_speed() -> None:
    table, _ = service_of(run_ms=2.0, speed=1.5)
    assert row(table) == pytest.approx(np.full(5, 3.0))
    assert table.columns["speed"] == pytest.approx(np.full(5, 1.5))


def test_a_center_20_times_slower_is_seen_within_five_answers() -> None:
    table, service = service_of()
    now = run(service, [2.0] * 5, 0.0, seconds=1.0)
    for k in range(5):
        service.learn("m", 0, 40.0, now + 0.01 * (k + 1))
    assert row(table)[0] > 10.0
    assert row(table)[1:] == pytest.approx(np.full(4, 2.0), rel=0.1)


@pytest.mark.parametrize("run_ms", [0.05, 0.5, 2.0])
def test_a_tiny_model_shows_a_fault_of_20_times_too(run_ms: float) -> None:
    table, service = service_of(run_ms=run_ms)
    now = run(service, [run_ms] * 5, 0.0, seconds=1.0)
    for k in range(5):
        service.learn("m", 0, 20.0 * run_ms, now + 0.01 * (k + 1))
    assert row(table)[0] > 3.0 * run_ms


def test_one_pause_moves_nothing() -> None:
    table, service = service_of()
    now = run(service, [2.0] * 5, 0.0, seconds=1.0)
    before = row(table).copy()
    service.learn("m", 0, 60.0, now + 0.01)
    service.learn("m", 0, 2.0, now + 0.02)
    service.learn("m", 0, 2.0, now + 0.03)
    assert row(table) == pytest.approx(before, rel=0.03)


def test_one_pause_that_holds_many_answers_counts_once() -> None:
    table, service = service_of()
    now = run(service, [2.0] * 5, 0.0, seconds=1.0)
    for k in range(8):
        service.learn("m", 0, 60.0, now + 0.01 + 1e-5 * k)
    assert row(table)[0] == pytest.approx(2.0, rel=0.1)


def test_noise_of_a_tiny_model_does_not_make_its_center_slow_for_a_large_one() -> None:
    table, service = service_of(run_ms=0.05)
    service.add_model("large", 5.0)
    random, now = Random(3), 0.0
    for _ in range(2000):
        now += 0.005
        for center in range(5):
            noise_ms = random.expovariate(1.0 / 0.03)
            service.learn("m", center, 0.05 + noise_ms, now)
        if _ % 20 == 0:
            service.settle(now)
    assert (row(table, "large") < 10.0).all()


def test_a_few_late_answers_of_a_tiny_model_say_little_of_a_large_one() -> None:
    table, service = service_of(run_ms=0.05)
    service.add_model("large", 5.0)
    now = run(service, [0.05] * 5, 0.0, seconds=1.0, sigma=0.0)
    for k in range(3):
        service.learn("m", 0, 0.1, now + 0.01 * (k + 1))
    assert row(table, "large")[0] == pytest.approx(5.0, rel=0.1)
    for k in range(3):
        service.learn("large", 1, 10.0, now + 0.01 * (k + 1))
    assert row(table, "large")[1] > 6.5


def test_what_the_model_explains_is_taken_back_from_the_centers_at_once() -> None:
    table, service = service_of(n=6, run_ms=1.0)
    for k in range(8):
        for center in range(4):
            service.learn("m", center, 3.0, 0.01 * k)
    assert row(table)[0] > 2.0
    service.settle(0.1)
    assert row(table)[:4] == pytest.approx(np.full(4, 3.0), rel=0.15)
    assert row(table)[4:] == pytest.approx(np.full(2, 3.0), rel=0.15)


def test_a_permanently_slower_center_is_learned_and_the_others_stay() -> None:
    table, service = service_of()
    run(service, [3.0, 2.0, 2.0, 2.0, 2.0], 0.0, seconds=60.0)
    assert row(table)[0] == pytest.approx(3.0, rel=0.1)
    assert row(table)[1:] == pytest.approx(np.full(4, 2.0), rel=0.1)
    assert table.columns["speed"][0] == pytest.approx(1.5, rel=0.12)


def test_a_wrong_profile_is_learned_once_for_centers_never_asked() -> None:
    table, service = service_of(n=8, run_ms=1.0)
    run(service, [2.5] * 4, 0.0, seconds=3.0)
    assert row(table)[:4] == pytest.approx(np.full(4, 2.5), rel=0.1)
    assert row(table)[4:] == pytest.approx(np.full(4, 2.5), rel=0.1)


def test_one_slow_center_does_not_move_the_model() -> None:
    table, service = service_of(n=8)
    run(service, [40.0, 2.0, 2.0, 2.0], 0.0, seconds=3.0)
    assert row(table)[4:] == pytest.approx(np.full(4, 2.0), rel=0.1)


def test_versions_move_only_with_noticeable_changes() -> None:
    table, service = service_of()
    now = run(service, [2.0] * 5, 0.0, seconds=20.0, sigma=0.0)
    versions = table.row_tables["service_ms"].versions
    before = versions["m"]
    run(service, [2.0] * 5, now, seconds=5.0, sigma=0.0)
    assert versions["m"] == before


def test_a_center_that_answers_absurdly_fast_is_not_believed_at_once() -> None:
    table, service = service_of()
    for k in range(100):
        service.learn("m", 0, 0.01, 0.01 * k)
        service.settle(0.01 * k)
    assert row(table)[0] >= 0.99


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0, 1e9])
def test_values_that_are_no_time_are_ignored(bad: float) -> None:
    table, service = service_of()
    for k in range(10):
        service.learn("m", 0, bad, 0.01 * k)
    service.learn("nobody's", 0, 3.0, 1.0)
    assert row(table) == pytest.approx(np.full(5, 2.0))


@pytest.mark.parametrize("run_ms", [0.0, -1.0, float("nan"), float("inf")])
def test_a_profile_that_is_no_time_is_refused(run_ms: float) -> None:
    _, service = service_of()
    with pytest.raises(ValueError, match="run_ms"):
        service.add_model("bad", run_ms)


def test_an_unknown_model_has_no_row() -> None:
    table, service = service_of()
    with pytest.raises(NotFound, match="'other'"):
        row(table, "other")
    service.remove_model("m")
    with pytest.raises(NotFound):
        row(table)


def test_a_model_added_again_keeps_its_array_and_starts_anew() -> None:
    table, service = service_of()
    run(service, [4.0] * 5, 0.0, seconds=2.0)
    array = row(table)
    service.add_model("m", 7.0)
    assert row(table) is array
    assert array == pytest.approx(7.0 * table.columns["speed"], rel=1e-3)


def test_mean_service_is_weighted_by_answers() -> None:
    _, service = service_of()
    service.add_model("other", 10.0)
    for k in range(50):
        service.learn("m", 0, 2.0, 0.01 * k)
    assert service.mean_ms() == pytest.approx(np.full(5, 2.0), rel=0.02)


# ---- revisits -----------------------------------------------------------------------------


def slow_center() -> tuple[Table, Service, float]:
    table, service = service_of()
    now = run(service, [2.0] * 5, 0.0, seconds=1.0, sigma=0.0)
    for _ in range(6):
        now += 0.01
        service.learn("m", 0, 40.0, now)
    service.settle(now)
    assert service.slow_since(0)
    return table, service, now


def test_a_slow_center_is_offered_to_exactly_one_request_an_interval() -> None:
    table, service, start = slow_center()
    now, times = start, []
    while now < start + 20.0:
        now += 0.1
        service.settle(now)
        if service.take(0):
            times.append(now)
            assert row(table)[0] > 10.0
            service.learn("m", 0, 40.0, now + 0.05)
        assert not service.take(0)
    assert np.diff([start, *times]) == pytest.approx([0.25, 0.5, 1.0, 2.0, 4.0, 8.0], abs=0.25)


def test_a_usual_answer_brings_the_center_back_for_every_model() -> None:
    table, service, now = slow_center()
    service.add_model("other", 5.0)
    assert row(table, "other")[0] > 25.0
    service.settle(now + 0.3)
    assert row(table)[0] == pytest.approx(2.0, rel=0.05)
    assert service.take(0)
    service.learn("m", 0, 2.0, now + 0.35)
    assert row(table)[0] == pytest.approx(2.0, rel=0.05)
    assert row(table, "other")[0] == pytest.approx(5.0, rel=0.05)
    assert not service.slow_since(0)


def test_a_request_without_a_measurement_leaves_the_wait_as_it_was() -> None:
    _, service, now = slow_center()
    service.settle(now + 0.3)
    service.take(0)
    service.not_measured(0, now + 0.4)
    service.settle(now + 0.6)
    assert not service.offers
    service.settle(now + 0.7)
    assert service.offers == {0}


def test_a_small_peak_no_answer_confirms_fades() -> None:
    table, service = service_of()
    now = run(service, [2.0] * 5, 0.0, seconds=1.0, sigma=0.0)
    for _ in range(3):
        now += 0.01
        service.learn("m", 0, 4.4, now)
    raised = row(table)[0]
    assert raised > 2.6
    for _ in range(50):
        now += 0.1
        service.settle(now)
    assert row(table)[0] < 2.3
    assert not service.slow_since(0)


def test_a_tiny_model_that_is_slower_by_less_than_the_noise_makes_no_center_slow() -> None:
    """A machine with other things to do makes 0.1 ms of 0.05: nothing to tell anybody of."""
    table, service = service_of(run_ms=0.05)
    now = run(service, [0.05] * 5, 0.0, seconds=1.0)
    now = run(service, [0.15] + [0.05] * 4, now, seconds=2.0)
    assert row(table)[0] > 0.1
    assert service.slow_since(0) == ""
    run(service, [1.0] + [0.05] * 4, now, seconds=2.0)
    assert "slower than the fleet" in service.slow_since(0)


def test_who_asks_for_an_unknown_model_hears_which_there_are() -> None:
    table, service = service_of()
    for number in range(60):
        service.add_model(f"x{number:02}", 1.0)
    with pytest.raises(
        NotFound, match=r"model 'mm' is not served here; served: m, x00, .* and 21 more"
    ):
        table.row_tables["service_ms"].row("mm")
