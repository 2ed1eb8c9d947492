"""`weather-mini`: the transforms of its sphere, the laws of its air, and steps of the model."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

SPIN_UP_HOURS = 6
TRAINING = Path(__file__).resolve().parents[3] / "models" / "training"
NAMES = ("weather-mini-s", "weather-mini")

Modules = Callable[[str], ModuleType]
Run = Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]]


@pytest.fixture
def plant(training_module: Modules) -> Any:
    return training_module("weather_mini_plant")


@pytest.fixture(scope="module")
def fresh() -> Iterator[Any]:
    """Two days of weather, drawn once, soon after the start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TRAINING))
        module = importlib.import_module("weather_mini_plant")
        patch.setattr(module, "SPIN_UP_HOURS", SPIN_UP_HOURS)
        yield module.generate(2, 777_007)


@pytest.fixture
def sphere(training_module: Modules) -> Any:
    return training_module("weather_mini_sphere").Sphere()


def wave(sphere: Any) -> np.ndarray:
    """A field of low wavenumbers."""
    zonal = sphere.mu * sphere.cosine * np.cos(sphere.longitude - 0.3)
    field = zonal + sphere.mu**2 + sphere.cosine**2 * np.sin(2 * sphere.longitude)
    return np.asarray(field, np.float32)


def test_a_field_survives_its_spectrum(sphere: Any) -> None:
    field = wave(sphere)
    spectrum = sphere.spectrum(np.stack((field, 3 * field)))
    np.testing.assert_allclose(sphere.field(spectrum)[0], field, atol=1e-5)
    np.testing.assert_allclose(sphere.field(spectrum)[1], 3 * field, atol=1e-5)


def test_slopes_are_those_of_the_formula(sphere: Any) -> None:
    spectrum = sphere.spectrum(wave(sphere)[None])
    mu, cosine, east = sphere.mu, sphere.cosine, sphere.longitude
    by_longitude = -mu * cosine * np.sin(east - 0.3) + 2 * cosine**2 * np.cos(2 * east)
    np.testing.assert_allclose(sphere.eastward(spectrum)[0], by_longitude, atol=1e-4)
    by_mu = (cosine - mu**2 / cosine) * np.cos(east - 0.3) + 2 * mu - 2 * mu * np.sin(2 * east)
    np.testing.assert_allclose(sphere.northward(spectrum)[0], cosine**2 * by_mu, atol=1e-4)


def test_vorticity_and_stream_function_are_inverse(plant: Any) -> None:
    air = plant.Atmosphere(2, 5)
    np.testing.assert_allclose(air._balanced(air.stream()), air.vorticity, atol=1e-3)


def test_the_same_seed_makes_the_same_weather(plant: Any) -> None:
    one, again, other = (plant.Atmosphere(1, seed) for seed in (7, 7, 8))
    for air in (one, again, other):
        air.advance(2)
    (upper, surface), (twin, _), (stranger, _) = (air.analysis() for air in (one, again, other))
    np.testing.assert_array_equal(upper, twin)
    assert np.abs(upper - stranger).max() > 1
    assert upper.shape == (1, 5, 3, 32, 64)
    assert surface.shape == (1, 4, 32, 64)


def test_a_fork_goes_its_own_way(plant: Any) -> None:
    air = plant.Atmosphere(1, 7)
    before = air.vorticity.copy()
    twin = air.fork()
    twin.advance(1)
    np.testing.assert_array_equal(air.vorticity, before)
    assert np.abs(twin.vorticity - before).max() > 0


def test_air_obeys_its_laws(fresh: Any) -> None:
    """Westerlies in both jets, warm and moist tropics, thickness that fits the temperature."""
    upper, surface = fresh.upper[:, 0], fresh.surface[:, 0]
    assert np.isfinite(fresh.upper).all()
    assert (upper[:, 1] > 0).all()
    zonal = upper[:, 3, 0].mean(axis=(0, 2))
    assert zonal[6:10].mean() > 10 < zonal[22:26].mean()
    for variable in (1, 2):
        rows = upper[:, variable, 2].mean(axis=(0, 2))
        assert rows[14:18].mean() > rows[[0, 1, -2, -1]].mean()
    thickness = upper[:, 0, :2] - upper[:, 0, 1:]
    assert (thickness > 0).all()
    between_k = 9.81 / 287 * thickness[:, 1] / np.log(800 / 500)
    middle_k = (upper[:, 2, 1] + upper[:, 2, 2]) / 2
    np.testing.assert_allclose(between_k, middle_k, atol=12)
    assert 850 < surface[:, 0].min() < surface[:, 0].max() < 1150


def test_the_best_forecast_beats_persistence(fresh: Any) -> None:
    truth = fresh.upper[:, 1]
    best = np.abs(fresh.best_upper - truth).mean(axis=(0, 2, 3, 4))
    naive = np.abs(fresh.upper[:, 0] - truth).mean(axis=(0, 2, 3, 4))
    assert (best < naive).all()


@pytest.mark.parametrize("name", NAMES)
def test_four_steps_on_its_own_answers_stay_near(fresh: Any, run_model: Run, name: str) -> None:
    """Closer to what comes than persistence at every step, and no wilder than the truth."""
    spread = fresh.upper.std(axis=(0, 1, 4, 5), keepdims=True)[:, 0]
    upper, surface = fresh.upper[:, 0], fresh.surface[:, 0]
    for frame in range(1, fresh.upper.shape[1]):
        answers = run_model(name, {"upper": upper, "surface": surface})
        upper, surface = answers["upper_next"], answers["surface_next"]
        ours = np.sqrt(np.mean(((upper - fresh.upper[:, frame]) / spread) ** 2))
        naive = np.sqrt(np.mean(((fresh.upper[:, 0] - fresh.upper[:, frame]) / spread) ** 2))
        assert ours < naive
    assert 0.85 < (upper.std(axis=(0, 3, 4)) / fresh.upper[:, -1].std(axis=(0, 3, 4))).mean() < 1.1


@pytest.mark.parametrize("name", NAMES)
def test_a_long_run_stays_bounded(fresh: Any, run_model: Run, name: str) -> None:
    upper, surface = fresh.upper[:1, 0], fresh.surface[:1, 0]
    for _ in range(12):
        answers = run_model(name, {"upper": upper, "surface": surface})
        upper, surface = answers["upper_next"], answers["surface_next"]
    assert np.isfinite(upper).all()
    assert np.abs(upper[:, 3:]).max() < 400
