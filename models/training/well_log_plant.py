"""A synthetic well: beds of rock, and what five instruments read while they pass them.

Beds follow each other as rocks do (shale onto silt, silt onto sand, coal onto shale) and differ in
clay, porosity and what fills the pores. The readings follow the usual laws: density and neutron by
volume, Wyllie's time average for sound, the Simandoux equation for resistivity, clay for gamma
rays. Every instrument averages over its own reach, so that a thin bed blurs into its neighbours;
holes wash out in weak rock, calibration shifts from well to well, and all readings are noisy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from splits import Splits

Array = NDArray[np.float64]

LOGS = (
    "gamma_ray_api",
    "density_g_cm3",
    "neutron_porosity",
    "sonic_us_ft",
    "resistivity_ohm_m",
)
FACIES = ("shale", "siltstone", "water sand", "oil sand", "limestone", "dolomite", "coal")
SHALE, SILT, WATER_SAND, OIL_SAND, LIMESTONE, DOLOMITE, COAL = range(len(FACIES))
WINDOW = 33  # readings, the middle one is described
STEP_M = 0.1524
MARGIN = 12  # readings beyond the window, which instruments still feel
SPLITS = Splits(train=(51,), stop=(52,), card=90_005, check=91_005)

# What follows downwards, by what is above.
FOLLOWS = np.array(
    (
        (0.00, 0.40, 0.14, 0.10, 0.16, 0.10, 0.10),
        (0.40, 0.00, 0.22, 0.20, 0.09, 0.06, 0.03),
        (0.44, 0.44, 0.00, 0.00, 0.06, 0.04, 0.02),
        (0.30, 0.24, 0.40, 0.00, 0.03, 0.02, 0.01),
        (0.46, 0.14, 0.06, 0.04, 0.00, 0.30, 0.00),
        (0.40, 0.12, 0.06, 0.04, 0.38, 0.00, 0.00),
        (0.72, 0.22, 0.04, 0.02, 0.00, 0.00, 0.00),
    )
)
OFTEN = np.array((0.27, 0.20, 0.14, 0.11, 0.12, 0.09, 0.07))
THINNEST = np.array((5, 4, 5, 5, 5, 5, 4))
MEAN_READINGS = np.array((26, 18, 22, 20, 22, 20, 8))  # beyond the thinnest
# By facies: mean and spread from bed to bed of clay and porosity.
CLAY = np.array((0.84, 0.46, 0.12, 0.10, 0.06, 0.05, 0.10))
CLAY_SPREAD = np.array((0.06, 0.065, 0.04, 0.035, 0.03, 0.03, 0.03))
POROSITY = np.array((0.055, 0.105, 0.225, 0.235, 0.085, 0.105, 0.025))
POROSITY_SPREAD = np.array((0.015, 0.022, 0.032, 0.030, 0.030, 0.030, 0.008))
# Pure rock without clay and pores, by facies.
DENSITY = np.array((2.65, 2.65, 2.65, 2.65, 2.71, 2.87, 1.32))
SOUND = np.array((55.5, 55.5, 55.5, 55.5, 47.6, 43.5, 122.0))
NEUTRON = np.array((-0.03, -0.03, -0.03, -0.03, 0.0, 0.045, 0.50))
GAMMA = np.array((22.0, 22.0, 20.0, 20.0, 12.0, 12.0, 30.0))
WATER_OHM_M, CLAY_OHM_M, COAL_OHM_M = 0.05, 3.0, 250.0

REACH_M = (0.22, 0.14, 0.22, 0.26, 0.32)
NOISE = (4.0, 0.014, 0.008, 1.0, 0.03)  # the last of the decimal logarithm


class Samples(NamedTuple):
    """Windows in physical units, and what the middle of each really is."""

    window: NDArray[np.float32]  # [count, WINDOW, log]
    facies: NDArray[np.int64]  # [count], index into FACIES
    porosity: Array  # [count, 1], share of the volume


class _Rock(NamedTuple):
    """All [count, reading]."""

    facies: NDArray[np.int64]
    clay: Array
    porosity: Array
    water: Array  # share of the pores


def generate(count: int, seed: int) -> Samples:
    """`count` windows, each of a well of its own."""
    rng = np.random.default_rng(seed)
    rock = _beds(rng, count, WINDOW + 2 * MARGIN)
    logs = _measured(rng, _true_logs(rock), rock)
    middle = MARGIN + WINDOW // 2
    return Samples(
        window=logs[:, MARGIN : MARGIN + WINDOW].astype(np.float32),
        facies=rock.facies[:, middle],
        porosity=rock.porosity[:, middle, None],
    )


def _beds(rng: np.random.Generator, count: int, readings: int) -> _Rock:
    """Bed after bed downwards; inside a bed clay and porosity wander and drift a little."""
    facies = np.zeros((count, readings), np.int64)
    clay, porosity, water = (np.zeros((count, readings)) for _ in range(3))
    now = rng.choice(len(FACIES), count, p=OFTEN)
    left = (rng.random(count) * (THINNEST + MEAN_READINGS)[now]).astype(np.int64)
    bed = _bed(rng, now)
    wander = rng.normal(0, 1, (2, count))
    for reading in range(readings):
        over = left <= 0
        draw = rng.random(count)[:, None]
        following = (draw > FOLLOWS[now].cumsum(axis=1)).sum(axis=1)
        now = np.where(over, np.minimum(following, COAL), now)
        fresh, thickness = _bed(rng, now), rng.exponential(1.0, count)
        bed = np.where(over, fresh, bed)
        left = (
            np.where(over, THINNEST[now] + (MEAN_READINGS[now] * thickness).astype(int), left) - 1
        )
        wander = 0.8 * wander + 0.6 * rng.normal(0, 1, (2, count))
        facies[:, reading] = now
        clay[:, reading] = np.clip(bed[0] + 0.25 * CLAY_SPREAD[now] * wander[0], 0.0, 0.95)
        loose = bed[1] + 0.25 * POROSITY_SPREAD[now] * wander[1]
        porosity[:, reading] = np.clip(loose, 0.005, 0.36)
        water[:, reading] = bed[2]
    return _Rock(facies, clay, porosity, water)


def _bed(rng: np.random.Generator, facies: NDArray[np.int64]) -> Array:
    """Clay, porosity and water share of fresh beds, [3, count]."""
    clay = CLAY[facies] + CLAY_SPREAD[facies] * rng.normal(0, 1, len(facies))
    porosity = POROSITY[facies] + POROSITY_SPREAD[facies] * rng.normal(0, 1, len(facies))
    oil = rng.uniform(0.5, 0.8, len(facies))
    return np.stack((clay, porosity, np.where(facies == OIL_SAND, 1 - oil, 1.0)))


def _true_logs(rock: _Rock) -> Array:
    """What point-like instruments without error would read; conductivity instead of resistivity."""
    kind, clay, porosity = rock.facies, rock.clay, rock.porosity
    solid = 1 - porosity
    fluid = 1.0 - 0.2 * (1 - rock.water)  # oil is lighter than water
    pure = 1 - clay
    density = porosity * fluid + solid * (pure * DENSITY[kind] + clay * 2.56)
    neutron = porosity * (1 - 0.05 * (1 - rock.water)) + clay * 0.30 + pure * NEUTRON[kind]
    sound = porosity * 189.0 + solid * (pure * SOUND[kind] + clay * 92.0)
    gamma = GAMMA[kind] + 118.0 * clay
    conductive = porosity**2 * rock.water**2 / (WATER_OHM_M * pure) + clay * rock.water / CLAY_OHM_M
    conductive = np.where(kind == COAL, 1 / COAL_OHM_M, conductive)
    return np.stack((gamma, density, neutron, sound, conductive), axis=2)


def _measured(rng: np.random.Generator, true: Array, rock: _Rock) -> Array:
    """Blur, wash-outs, calibration and noise."""
    count, readings, _ = true.shape
    logs = np.empty_like(true)
    for log, reach_m in enumerate(REACH_M):
        logs[..., log] = true[..., log] @ _blur(readings, reach_m)
    weak = (rock.clay > 0.6) | (rock.facies == COAL)
    washed = (rng.random((count, 1)) < 0.3) * weak * rng.random((count, 1)) @ _blur(readings, 0.3)
    logs[..., 1] -= 0.12 * washed
    logs[..., 2] += 0.03 * washed
    logs[..., 0] *= 1 + 0.04 * rng.normal(0, 1, (count, 1))
    logs[..., 2] += 0.006 * rng.normal(0, 1, (count, 1))
    logs[..., 1] += 0.008 * rng.normal(0, 1, (count, 1))
    logs[..., 4] = -np.log10(logs[..., 4]) + 0.04 * rng.normal(0, 1, (count, 1))
    logs += rng.normal(0, 1, logs.shape) * NOISE
    logs[..., 4] = 10 ** logs[..., 4]
    return logs


def _blur(readings: int, reach_m: float) -> Array:
    """Gaussian weights, [reading of the rock, reading of the log]."""
    apart_m = STEP_M * (np.arange(readings)[:, None] - np.arange(readings))
    weight: Array = np.exp(-0.5 * (apart_m / reach_m) ** 2)
    return weight / weight.sum(axis=0)
