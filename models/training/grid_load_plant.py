"""A synthetic power grid: a week of hourly load, the weather forecast, and the load of next day.

Load is a daily rhythm that differs between working days and free days, plus heating and cooling
driven by the weather, plus industry that drifts for weeks, plus a wandering remainder. Temperatures
swing in fronts of a few days, so last week's load is a fair guess and a poor forecast. The best
possible forecast knows every term but the future of the remainder and the error of the weather
forecast.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from splits import Splits

Array = NDArray[np.float64]

WEEK_HOURS = 168
DAY_HOURS = 24
DAYS = 8  # a week that was, and the day to forecast
FORECAST = ("temperature_c", "humidity_pct", "is_workday")
SPLITS = Splits(train=(21,), stop=(22,), card=90_002, check=91_002)

BASE_MW = 9000.0
# Share of the base load by hour of the day, midnight first.
WORKDAY = np.array((
    (0.78, 0.75, 0.73, 0.72, 0.73, 0.77, 0.86, 0.97, 1.06, 1.11, 1.13, 1.12),
    (1.07, 1.08, 1.10, 1.10, 1.10, 1.12, 1.15, 1.16, 1.12, 1.05, 0.95, 0.85),
)).ravel()  # fmt: skip
FREE_DAY = np.array((
    (0.77, 0.74, 0.71, 0.70, 0.70, 0.72, 0.75, 0.80, 0.87, 0.93, 0.96, 0.97),
    (0.96, 0.93, 0.91, 0.90, 0.92, 0.97, 1.04, 1.07, 1.04, 0.98, 0.90, 0.82),
)).ravel()  # fmt: skip
REMAINDER_KEPT_AN_HOUR = 0.93
REMAINDER_SHARE = 0.011
FORECAST_ERROR_C = 0.9


class Samples(NamedTuple):
    """Inputs of the model, the load that came, and the best forecast of it, all [sample, ...]."""

    load_mw: NDArray[np.float32]
    forecast: NDArray[np.float32]
    next_mw: Array
    best_mw: Array


def weather_share(temperature_c: Array, humidity_pct: Array) -> Array:
    """Extra load as a share of the base: heating below 15 °C, cooling above 22 °C, more if damp."""
    heating = 0.0085 * np.maximum(15.0 - temperature_c, 0.0)
    damp = 1.0 + 0.008 * np.maximum(humidity_pct - 50.0, 0.0)
    cooling = 0.0190 * np.maximum(temperature_c - 22.0, 0.0) * damp
    return heating + cooling


def generate(count: int, seed: int) -> Samples:
    """`count` weeks, each beginning at midnight of some day of the year."""
    rng = np.random.default_rng(seed)
    temperature_c, humidity_pct = _weather(rng, count)
    workday = _workdays(rng, count)
    rhythm = np.where(workday[:, :, None], WORKDAY, FREE_DAY).reshape(count, -1)
    drift = rng.normal(0, 0.05, (count, 1)) + rng.normal(0, 0.004, (count, 1)) * _weeks()
    remainder = _wander(rng, (count, DAYS * DAY_HOURS), REMAINDER_KEPT_AN_HOUR, REMAINDER_SHARE)
    share = rhythm + drift + weather_share(temperature_c, humidity_pct)
    load_mw = BASE_MW * (share + remainder)

    ahead = slice(WEEK_HOURS, None)
    seen_c, seen_pct = _foreseen(rng, temperature_c[:, ahead], humidity_pct[:, ahead])
    fading = REMAINDER_KEPT_AN_HOUR ** np.arange(1, DAY_HOURS + 1)
    known = rhythm[:, ahead] + drift[:, ahead] + weather_share(seen_c, seen_pct)
    best_mw = BASE_MW * (known + remainder[:, WEEK_HOURS - 1 : WEEK_HOURS] * fading)
    flag = np.repeat(workday[:, -1:].astype(np.float64), DAY_HOURS, axis=1)
    return Samples(
        load_mw=load_mw[:, :WEEK_HOURS].astype(np.float32),
        forecast=np.stack((seen_c, seen_pct, flag), axis=2).astype(np.float32),
        next_mw=load_mw[:, ahead],
        best_mw=best_mw,
    )


def _weeks() -> Array:
    return np.arange(DAYS * DAY_HOURS) / WEEK_HOURS


def _wander(rng: np.random.Generator, shape: tuple[int, int], kept: float, size: float) -> Array:
    """A stationary series [sample, step] that forgets by the factor `kept` each step."""
    series = rng.normal(0, size, shape)
    for step in range(1, shape[1]):
        series[:, step] = kept * series[:, step - 1] + np.sqrt(1 - kept**2) * series[:, step]
    return series


def _weather(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    """Season, fronts of a few days, and the swing between afternoon and dawn."""
    season = 2 * np.pi * rng.random((count, 1))
    fronts = _wander(rng, (count, DAYS * DAY_HOURS), 0.985, 1.0)
    clock = 2 * np.pi * (np.arange(DAYS * DAY_HOURS) % DAY_HOURS - 15) / DAY_HOURS
    swing_c = rng.uniform(2.5, 5.0, (count, 1)) * np.cos(clock)
    temperature_c = 14.5 + 11.5 * np.cos(season) + 2.8 * fronts + swing_c
    damp = _wander(rng, (count, DAYS * DAY_HOURS), 0.98, 10.0)
    humidity_pct = np.clip(64.0 + damp - 2.2 * swing_c - 3.0 * fronts, 20.0, 100.0)
    return temperature_c, humidity_pct


def _workdays(rng: np.random.Generator, count: int) -> NDArray[np.bool_]:
    """Monday to Friday, but for a few public holidays, [sample, day]."""
    weekday = (rng.integers(0, 7, (count, 1)) + np.arange(DAYS)) % 7
    holiday = rng.random((count, DAYS)) < 0.015
    return (weekday < 5) & ~holiday


def _foreseen(
    rng: np.random.Generator, temperature_c: Array, humidity_pct: Array
) -> tuple[Array, Array]:
    """The weather forecast: its error holds for hours and grows over the day."""
    growth = np.linspace(0.5, 1.3, DAY_HOURS)
    error = _wander(rng, temperature_c.shape, 0.9, 1.0) * growth
    seen_pct = np.clip(humidity_pct + 4.0 * _wander(rng, humidity_pct.shape, 0.9, 1.0), 20.0, 100.0)
    return temperature_c + FORECAST_ERROR_C * error, seen_pct
