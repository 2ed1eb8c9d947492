"""Paths are learned from answers: convergence, gate, envelope, route changes, revisits."""

from collections.abc import Callable
from random import Random

import numpy as np
import pytest

from gateway.api import Center, Location, Table
from gateway.fleet.network import Network, Path
from gateway.fleet.tuning import FleetTuning, NetworkTuning

TUNING = NetworkTuning()


def table_of(n: int = 3) -> Table:
    return Table(
        [Center(f"c{i}", "r", f"z{i}", f"city{i}", "CN", Location(30.0, 120.0)) for i in range(n)]
    )


def network_of(prior_ms: float = 6.0) -> tuple[Table, Network]:
    table = table_of()
    network = Network(table, lambda _: np.full(3, prior_ms, dtype=np.float32), FleetTuning())
    table.row_tables["rtt_ms"].row(0)
    return table, network


def rtt(table: Table, center: int = 0, vantage: int = 0) -> float:
    return float(table.row_tables["rtt_ms"].row(vantage)[center])


def settled(rtt_ms: float = 5.0, answers: int = 50) -> tuple[Table, Network, float]:
    table, network = network_of()
    random, now = Random(1), 0.0
    for _ in range(answers):
        now += 0.01
        network.learn(0, 0, rtt_ms + random.gauss(0.0, 0.05), now)
    return table, network, now


def test_an_unmeasured_path_is_published_a_little_better_than_its_prior() -> None:
    table, _ = network_of(6.0)
    assert rtt(table) == pytest.approx(6.0 * TUNING.optimism)


@pytest.mark.parametrize("true_ms", [0.3, 3.0, 5.0, 9.5])
def test_the_first_answer_replaces_the_prior_nearly_wholly(true_ms: float) -> None:
    table, network = network_of(6.0)
    network.learn(0, 0, true_ms, 1.0)
    assert rtt(table) == pytest.approx(true_ms, abs=0.11)
    assert rtt(table, center=1) == pytest.approx(5.1)


def test_converges_on_noisy_samples() -> None:
    table, _, _ = settled(5.0)
    assert rtt(table) == pytest.approx(5.0, abs=0.12)


def test_a_single_outlier_moves_nothing() -> None:
    table, network, now = settled()
    before, version = rtt(table), table.row_tables["rtt_ms"].versions[0]
    network.learn(0, 0, 80.0, now + 0.01)
    assert rtt(table) == before
    assert table.row_tables["rtt_ms"].versions[0] == version


def test_a_sample_between_clip_and_gate_is_cut() -> None:
    path = Path(5.0, 0.0, TUNING)
    path.restart(5.0)
    sigma = (path.variance + path.noise) ** 0.5
    gain = path.variance / (path.variance + path.noise)
    path.learn(5.0 + 3.9 * sigma, 0.0, TUNING)
    assert path.mean == pytest.approx(5.0 + gain * 3.0 * sigma)


@pytest.mark.parametrize("new_ms", [35.0, 1.0])
def test_a_route_change_is_believed_after_five_answers_and_not_before(new_ms: float) -> None:
    table, network, now = settled()
    for k in range(1, 6):
        assert rtt(table) == pytest.approx(5.0, abs=0.15)
        network.learn(0, 0, new_ms, now + 0.01 * k)
    assert rtt(table) == pytest.approx(new_ms, abs=0.01)


def test_eight_of_ten_refused_are_a_route_change_too() -> None:
    table, network, now = settled()
    pattern = [35.0, 35.0, 35.0, 5.0, 35.0, 35.0, 35.0, 5.0, 35.0, 35.0]
    for k, sample in enumerate(pattern):
        assert rtt(table) == pytest.approx(5.0, abs=0.2)
        network.learn(0, 0, sample, now + 0.01 * (k + 1))
    assert rtt(table) == pytest.approx(35.0)


def test_late_answers_that_arrive_together_count_once() -> None:
    table, network, now = settled()
    for k in range(20):
        network.learn(0, 0, 35.0, now + 0.01 + 1e-5 * k)
    assert rtt(table) == pytest.approx(5.0, abs=0.15)


def test_versions_move_only_with_noticeable_changes() -> None:
    table, network, now = settled(answers=200)
    rows = table.row_tables["rtt_ms"]
    version, value = rows.versions[0], rtt(table)
    for k in range(50):
        network.learn(0, 0, value, now + 0.01 * k)
    assert rows.versions[0] == version
    for k in range(30):
        network.learn(0, 0, value - 0.2, now + 1.0 + 0.01 * k)
    assert rows.versions[0] > version


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0, 1e9])
def test_values_that_are_no_time_are_ignored(bad: float) -> None:
    table, network, now = settled()
    before = rtt(table)
    for k in range(10):
        network.learn(0, 0, bad, now + k)
    assert rtt(table) == before


@pytest.mark.parametrize(
    ("prior", "complaint"),
    [
        (lambda _: np.ones(2, dtype=np.float32), "shape"),
        (lambda _: np.array([1.0, np.nan, 1.0]), "no time"),
        (lambda _: np.array([1.0, -1.0, 1.0]), "no time"),
    ],
)
def test_a_wrong_prior_is_refused(prior: Callable[[int], np.ndarray], complaint: str) -> None:
    table = table_of()
    Network(table, prior, FleetTuning())
    with pytest.raises(ValueError, match=complaint):
        table.row_tables["rtt_ms"].row(0)


def test_an_answer_of_a_vantage_nobody_asked_for_makes_its_row() -> None:
    table, network = network_of()
    network.learn(7, 1, 4.0, 1.0)
    assert rtt(table, center=1, vantage=7) == pytest.approx(4.0, abs=0.1)


# ---- revisits -----------------------------------------------------------------------------


def slow_path() -> tuple[Table, Network, float]:
    table, network, now = settled()
    for _ in range(5):
        now += 0.01
        network.learn(0, 0, 35.0, now)
    assert network.slow_paths(0) == 1
    return table, network, now


def offers_until(network: Network, now: float, until: float) -> list[float]:
    """Offers taken at once and found slow again: their times."""
    times = []
    while now < until:
        now += 0.1
        network.offer_due(now)
        if network.take(0, 0):
            times.append(now)
            network.learn(0, 0, 35.0, now + 0.035)
        assert not network.take(0, 0)
    return times


def test_a_slow_path_is_offered_to_exactly_one_request_an_interval() -> None:
    table, network, now = slow_path()
    times = offers_until(network, now, now + 40.0)
    gaps = np.diff([now, *times])
    assert len(times) == 5
    assert gaps == pytest.approx([1.0, 2.0, 4.0, 8.0, 16.0], abs=0.2)
    assert rtt(table) == pytest.approx(35.0)


def test_while_offered_the_usual_value_is_published_and_restored_by_the_charge() -> None:
    table, network, now = slow_path()
    network.offer_due(now + 1.1)
    assert rtt(table) == pytest.approx(5.0, abs=0.15)
    network.learn(0, 0, 35.0, now + 1.15)  # an older request answers: the offer stands
    assert rtt(table) == pytest.approx(5.0, abs=0.15)
    assert network.take(0, 0)
    assert rtt(table) == pytest.approx(35.0)


def test_a_usual_answer_brings_the_path_back() -> None:
    table, network, now = slow_path()
    network.offer_due(now + 1.1)
    network.take(0, 0)
    network.learn(0, 0, 5.1, now + 1.2)
    assert rtt(table) == pytest.approx(5.1)
    assert network.slow_paths(0) == 0
    network.offer_due(now + 100.0)
    assert not network.offers


def test_half_a_recovery_is_believed_and_looked_at_again() -> None:
    table, network, now = slow_path()
    network.offer_due(now + 1.1)
    network.take(0, 0)
    network.learn(0, 0, 15.0, now + 1.2)
    assert rtt(table) == pytest.approx(15.0)
    assert network.slow_paths(0) == 1
    network.offer_due(now + 2.3)
    assert network.take(0, 0)


def test_a_request_without_a_measurement_leaves_the_wait_as_it_was() -> None:
    table, network, now = slow_path()
    network.offer_due(now + 1.1)
    network.take(0, 0)
    network.not_measured(0, 0, now + 1.2)
    network.offer_due(now + 2.1)
    assert not network.offers
    network.offer_due(now + 2.2)
    assert network.offers
    assert rtt(table) == pytest.approx(5.0, abs=0.15)


def test_a_slow_path_still_in_use_recovers_without_a_revisit() -> None:
    table, network, now = slow_path()
    for k in range(5):
        network.learn(0, 0, 5.0, now + 0.01 * (k + 1))
    assert rtt(table) == pytest.approx(5.0)
    assert network.slow_paths(0) == 0


def test_a_path_measured_far_above_its_prior_from_the_start_is_looked_at_again() -> None:
    table, network = network_of(6.0)
    for k in range(5):
        network.learn(0, 0, 50.0, 0.01 * k)
    assert rtt(table) == pytest.approx(50.0)
    network.offer_due(2.0)
    assert rtt(table) == pytest.approx(5.1)


def test_what_was_never_measured_is_guessed_by_its_city() -> None:
    here = Location(30.0, 120.0)
    cities = ["same", "same", "other"]
    table = Table([Center(f"c{i}", "r", "z", c, "CN", here) for i, c in enumerate(cities)])
    network = Network(table, lambda _: np.full(3, 6.0, dtype=np.float32), FleetTuning())
    table.row_tables["rtt_ms"].row(0)
    network.learn(0, 0, 9.0, 1.0)
    assert rtt(table, center=1) == pytest.approx(rtt(table), abs=0.2)
    assert rtt(table, center=2) == pytest.approx(6.0 * TUNING.optimism)
    network.learn(0, 1, 4.0, 2.0)
    network.learn(0, 0, 9.0, 3.0)
    assert rtt(table, center=1) == pytest.approx(4.0, abs=0.2), "measured: its own value stands"
