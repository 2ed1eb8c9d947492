from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gateway.api import ConfigError
from gateway.simulation.scenario import Scenario
from gateway.simulation.timeline import FAILS, LEAVES, NORMAL, REFUSES, SWALLOWS, Timeline
from gateway.simulation.world import world_of

Make = Callable[..., Scenario]


def timeline(plan: Make, *events: dict[str, Any], length_s: float = 30.0) -> Timeline:
    return Timeline(world_of(plan(events=list(events))), 1, length_s)


def test_nothing_happens_without_events(plan: Make) -> None:
    quiet = timeline(plan)
    assert quiet.changes == ()
    assert not quiet.at(5.0).mode.any()


@pytest.mark.parametrize(
    ("kind", "mode"), [("refuse", REFUSES), ("blackhole", SWALLOWS), ("fast_503", FAILS)]
)
def test_a_zone_is_out_between_two_instants(plan: Make, kind: str, mode: int) -> None:
    event = {"kind": kind, "at_s": 1.0, "until_s": 2.0, "zone": "metro-b"}
    line = timeline(plan, event)
    assert line.changes == (1.0, 2.0)
    there = line.at(1.0).mode
    assert there[8:16].tolist() == [mode] * 8
    assert not there[:8].any()
    assert line.at(2.0).mode.tolist() == [NORMAL] * 24


def test_slow_multiplies_and_a_fast_failure_has_its_time(plan: Make) -> None:
    line = timeline(
        plan,
        {"kind": "slow", "at_s": 0.0, "value": 3.0, "center": "a1"},
        {"kind": "slow", "at_s": 0.0, "value": 2.0, "region": "metro"},
        {"kind": "fast_503", "at_s": 0.0, "center": "a2"},
    )
    now = line.at(1.0)
    assert now.slow[:2].tolist() == [6.0, 2.0]
    assert now.fails_ms[1] == 0.1


def test_a_path_gets_longer_from_one_place_only(plan: Make) -> None:
    line = timeline(
        plan,
        {"kind": "path_shift", "at_s": 1.0, "value": 5.0, "origin": "metro-b", "zone": "metro-a"},
    )
    assert line.at(0.5).shift_ms is None
    shift = line.at(1.0).shift_ms
    assert shift is not None
    assert shift[1, :8].tolist() == [5.0] * 8
    assert shift.sum() == 40.0


def test_losses_add_up(plan: Make) -> None:
    event = {"kind": "report_loss", "at_s": 0.0, "value": 0.5}
    assert timeline(plan, event, event).at(0.0).report_loss[0] == 0.75


def test_churn_takes_one_after_the_other_and_brings_them_back_cold(plan: Make) -> None:
    line = timeline(
        plan,
        {"kind": "churn", "at_s": 1.0, "every_s": 1.0, "away_s": 0.5, "cold_s": 0.25},
        length_s=10.0,
    )
    first, then = line.at(1.2), line.at(2.2)
    assert np.sum(first.mode == LEAVES) == np.sum(then.mode == LEAVES) == 1
    gone = int(first.mode.argmax())
    assert gone != int(then.mode.argmax())
    assert line.at(1.6).mode[gone] == NORMAL
    assert line.at(1.6).slow[gone] == 3.0
    assert line.at(1.8).slow[gone] == 1.0


def test_a_count_is_drawn_by_the_seed(plan: Make) -> None:
    world = world_of(plan(events=[{"kind": "refuse", "at_s": 0.0, "count": 3}]))
    first = Timeline(world, 1, 9.0).at(0.0).mode
    assert np.sum(first == REFUSES) == 3
    others = [Timeline(world, seed, 9.0).at(0.0).mode for seed in range(2, 6)]
    assert any(not np.array_equal(first, other) for other in others)


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({"kind": "refuse", "at_s": 0.0, "zone": "x"}, "no zone 'x' in the fleet"),
        ({"kind": "path_shift", "at_s": 0.0, "value": 1.0, "origin": "Mars"}, "Mars"),
        ({"kind": "churn", "at_s": 0.0, "every_s": 1e-6}, "longer"),
    ],
)
def test_what_is_not_there_is_refused(plan: Make, event: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        timeline(plan, event)
