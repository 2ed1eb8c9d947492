"""The constants keep the relations the estimators rely on."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from gateway.fleet import FleetTuning


def test_relations_between_constants() -> None:
    tuning = FleetTuning()
    assert tuning.network.clip < tuning.network.gate
    assert 0.0 < tuning.network.optimism <= 1.0
    assert tuning.network.noise_ms2_min <= tuning.network.noise_ms**2
    assert tuning.tick_s < tuning.slow_tick_s < tuning.center_revisit_s
    assert tuning.path_revisit_s <= tuning.revisit_s_max
    assert tuning.service.peak < tuning.service.suspect


def test_a_tie_step_is_visible_in_float32_at_50_ms() -> None:
    assert FleetTuning().work.tie_ms > np.spacing(np.float32(50.0))


def test_tuning_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        FleetTuning().tick_s = 1.0  # type: ignore[misc]  # the point of the test
