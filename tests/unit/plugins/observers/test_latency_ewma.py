from math import exp, inf
from random import Random

import numpy as np
import pytest
from gateway_plugins.observers.latency_ewma import LatencyEwma

from gateway.api import Outcome


class Watched:
    """An observer with its columns and memory for two centers."""

    def __init__(self, **parameters):
        self.observer = LatencyEwma(**parameters)
        self.mine = {
            name: np.full(2, column.initial, column.dtype)
            for name, column in self.observer.columns.items()
        }
        self.memory = self.observer.memory(2, Random(1))

    def ends(self, center, attempt_ms, now, ending="answer"):
        outcome = Outcome(center, 0, "m", ending, attempt_ms, None, 1.0, 1.0, now)
        self.observer.ended(outcome, self.mine, self.memory)
        return float(self.mine["latency_ms"][center])


def test_the_first_answer_is_the_average():
    assert Watched().ends(0, 8.0, now=100.0) == 8.0


def test_it_fades_with_time_not_with_requests():
    watched = Watched(tau_s=10.0)
    watched.ends(0, 8.0, now=0.0)
    expected = 8.0 * exp(-0.5) + 2.0 * (1 - exp(-0.5))
    assert watched.ends(0, 2.0, now=5.0) == pytest.approx(expected)
    assert watched.ends(0, 100.0, now=5.0) == pytest.approx(expected), "no time has passed"


def test_a_fast_error_is_never_rewarded():
    watched = Watched()
    watched.ends(0, 8.0, now=0.0)
    assert watched.ends(0, 0.1, now=50.0, ending="error") == pytest.approx(8.0)
    assert watched.ends(1, 0.1, now=50.0, ending="error") == pytest.approx(8.0), "fleet's level"


def test_a_slow_error_counts_in_full():
    watched = Watched()
    watched.ends(0, 8.0, now=0.0)
    assert watched.ends(0, 1000.0, now=1000.0, ending="error") > 990.0


def test_an_error_does_not_move_the_fleets_level():
    watched = Watched()
    watched.ends(0, 8.0, now=0.0)
    watched.ends(0, 1000.0, now=500.0, ending="error")
    assert watched.memory.latency_ms == 8.0


def test_a_cancelled_attempt_can_only_raise():
    watched = Watched(tau_s=1.0)
    watched.ends(0, 8.0, now=0.0)
    assert watched.ends(0, 2.0, now=5.0, ending="cancelled") == 8.0
    assert watched.ends(0, 50.0, now=100.0, ending="cancelled") == pytest.approx(50.0)


def test_centers_are_apart():
    watched = Watched()
    watched.ends(0, 8.0, now=0.0)
    assert watched.mine["latency_ms"].tolist() == [8.0, 0.0]
    assert watched.mine["heard_at_s"].tolist() == [0.0, -inf]


@pytest.mark.parametrize("tau_s", [0.0, -1.0, inf, float("nan")])
def test_a_time_constant_is_positive(tau_s):
    with pytest.raises(ValueError, match="tau_s"):
        LatencyEwma(tau_s=tau_s)
