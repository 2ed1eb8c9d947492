"""Round trips as they are drawn."""

from random import Random

import numpy as np
import pytest

from gateway.api import Center, Location, Place
from gateway.wan.faults import Faults
from gateway.wan.network import EmulatedNetwork
from gateway.wan.paths import PROFILES, PathModel

PLACES = (
    Place("Shanghai", "CN", Location(31.2222, 121.4581)),
    Place("Beijing", "CN", Location(39.9075, 116.3972)),
)
CENTERS = tuple(
    Center(f"c{i}", "r", f"c{i}", f"City {i}", "CN", Location(30 + i, 118)) for i in range(4)
)
MODEL = PathModel(PROFILES["cloud"], border_ms=60, last_mile_ms=0)


def network(
    *, seed: int = 1, jitter: bool = False, faults: Faults | None = None, draws: int = 1
) -> EmulatedNetwork:
    return EmulatedNetwork(
        PLACES,
        CENTERS,
        MODEL,
        seed,
        jitter=jitter,
        faults=faults or Faults(),
        random=Random(draws),
    )


def test_without_jitter_and_faults_the_path_is_what_is_drawn() -> None:
    quiet = network()
    for vantage in range(2):
        path_ms = MODEL.path_ms(PLACES[vantage], CENTERS, 1)
        assert [quiet.draw_ms(vantage, center) for center in range(4)] == path_ms.tolist()
        assert quiet.base_ms(vantage).tolist() == path_ms.tolist()


def test_base_rows_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        network().base_ms(0)[0] = 1.0


def test_two_seeds_are_two_networks() -> None:
    assert network(seed=1).draw_ms(0, 0) != network(seed=2).draw_ms(0, 0)


def test_the_same_random_stream_draws_the_same() -> None:
    one, two, other = network(jitter=True), network(jitter=True), network(jitter=True, draws=2)
    drawn = [one.draw_ms(0, 1) for _ in range(50)]
    assert drawn == [two.draw_ms(0, 1) for _ in range(50)]
    assert drawn != [other.draw_ms(0, 1) for _ in range(50)]


def test_jitter_is_log_normal_with_a_tail() -> None:
    shaky = network(jitter=True)
    jitter_ms = np.array([shaky.draw_ms(0, 1) for _ in range(40_000)]) - shaky.base_ms(0)[1]
    assert jitter_ms.min() > 0
    assert np.median(jitter_ms) == pytest.approx(0.12, rel=0.05)
    assert np.std(np.log(jitter_ms)) == pytest.approx(0.9, rel=0.05)
    beyond = np.mean(jitter_ms > 4.0)
    assert 0.005 * np.exp(-4 / 3) * 0.6 < beyond < 0.005  # the log-normal alone: 0.00005


def test_delay_is_added_to_the_round_trip() -> None:
    faults = Faults()
    wan = network(faults=faults)
    before = wan.draw_ms(0, 2)
    faults.set(2, "delay", 25.0, 0)
    assert wan.draw_ms(0, 2) == pytest.approx(before + 25.0)
    assert wan.draw_ms(1, 2) == wan.base_ms(1)[2]
    faults.clear(None)
    assert wan.draw_ms(0, 2) == before


def test_faults_of_the_center_leave_the_path_alone() -> None:
    faults = Faults()
    for kind in ("down", "slow", "error", "black_hole"):
        faults.set(1, kind, 1.0 if kind != "slow" else 9.0, None)
    assert network(faults=faults).draw_ms(0, 1) == network().draw_ms(0, 1)


def test_loss_is_paid_in_retransmissions() -> None:
    faults = Faults()
    faults.set(0, "loss", 0.25, None)
    wan = network(faults=faults)
    extra = np.array([wan.draw_ms(0, 0) for _ in range(8000)]) - wan.base_ms(0)[0]
    assert np.mean(extra > 0) == pytest.approx(0.25, abs=0.02)
    assert np.mean(extra > 300) == pytest.approx(0.25**2, abs=0.01)
    assert set(np.round(extra[extra < 1500], 3)) == {0.0, 200.0, 600.0, 1400.0}


def test_total_loss_ends_after_six_retransmissions() -> None:
    faults = Faults()
    faults.set(0, "loss", 1.0, None)
    wan = network(faults=faults)
    assert wan.draw_ms(0, 0) - wan.base_ms(0)[0] == pytest.approx(200 * (2**6 - 1))


def test_on_a_long_path_the_timeout_is_two_round_trips() -> None:
    faults = Faults()
    faults.set(0, "delay", 400.0, None)
    wan = network(faults=faults)
    slow_ms = wan.draw_ms(0, 0)
    faults.set(0, "loss", 1.0, None)
    assert wan.draw_ms(0, 0) == pytest.approx(slow_ms * (1 + 2 * (2**6 - 1)))
