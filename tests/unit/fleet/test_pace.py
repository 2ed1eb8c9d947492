"""One center's log factor: cautious down, peak-sensitive up."""

from __future__ import annotations

from random import Random

import pytest

from gateway.fleet.pace import Pace
from gateway.fleet.tuning import ServiceTuning


def test_one_pause_is_no_slow_center_and_two_are() -> None:
    tuning = ServiceTuning()
    pace = Pace(tuning)
    assert not pace.learn(3.0, 1.0, 0.0, tuning)
    assert pace.believed() == 0.0
    for n in range(1, 40):
        pace.learn(3.0, 1.0, float(n), tuning)
    assert pace.believed() > 1.0


def test_what_a_model_takes_over_is_given_back() -> None:
    tuning = ServiceTuning()
    pace = Pace(tuning)
    pace.restart(0.5, tuning)
    pace.relax(0.2)
    assert pace.fast == pace.slow == pytest.approx(0.3)
    pace.relax(5.0)
    assert pace.fast == 0.0


def test_nothing_is_given_back_past_zero_or_away_from_it() -> None:
    """Against the rule as it is said: clipped between the value and zero."""
    draws = Random(7)
    for _ in range(2000):
        value, by = (
            draws.choice((0.0, draws.gauss(0, 0.1))),
            draws.choice((0.0, draws.gauss(0, 0.1))),
        )
        pace = Pace(ServiceTuning())
        pace.fast = value
        pace.relax(by)
        assert pace.fast == min(max(value - by, min(value, 0.0)), max(value, 0.0))
