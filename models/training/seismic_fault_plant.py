"""A synthetic seismic section: layers laid down flat, then folded, then broken by faults.

A section is drawn backwards. Each pixel is followed to where its rock lay before the youngest fault
slipped, before the next older one did, and before the layers were folded; there the reflectivity of
the flat layers, seen through a Ricker wavelet, is what the pixel shows. So a younger fault offsets
an older one, as in nature. Slip runs along the fault plane, normal or reverse. The record is
smeared from trace to trace, as migration does, and noisy.

The mask is the fault zone, within two pixels of the plane.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from splits import Splits

Plane = NDArray[np.float64]

SPLITS = Splits(train=range(41_000, 41_009), stop=(42_000,), card=90_004, check=70_004)
SIDE_PX = 64
ZONE_PX = 2.0  # of the fault zone, to either side of the plane
FAULTS_MAX = 3
SLIP_PX = (3.5, 10.0)
DIP_DEG = (50.0, 82.0)
DEEP_PX = 256  # of the flat column the layers are taken from
PERIOD_PX = (6.0, 10.0)  # of the wavelet
NOISE = (0.1, 0.45)  # share of the signal's own spread

_X, _Z = np.meshgrid(np.arange(SIDE_PX, dtype=float), np.arange(SIDE_PX, dtype=float))


class Samples(NamedTuple):
    """Sections [n, 1, side, side] of spread one, and fault zones [n, 1, side, side] of 0 and 1.

    Rows are two-way time from the top, columns are traces.
    """

    section: NDArray[np.float32]
    mask: NDArray[np.float32]


def generate(count: int, seed: int) -> Samples:
    """`count` sections with none to three faults each."""
    rng = np.random.default_rng(seed)
    section = np.empty((count, 1, SIDE_PX, SIDE_PX), np.float32)
    mask = np.empty_like(section)
    for index in range(count):
        section[index, 0], mask[index, 0] = draw(rng)
    return Samples(section, mask)


def draw(rng: np.random.Generator) -> tuple[Plane, Plane]:
    """One section and its fault zone."""
    x, z, zone = _X, _Z, np.zeros((SIDE_PX, SIDE_PX), bool)
    for _ in range(int(rng.integers(0, FAULTS_MAX + 1))):
        x, z, near = _before(x, z, rng)
        zone |= near
    return _record(_flat(x, z, rng), rng), zone.astype(float)


def _before(x: Plane, z: Plane, rng: np.random.Generator) -> tuple[Plane, Plane, NDArray[np.bool_]]:
    """Where the rock lay before a fault slipped, and what is near its plane."""
    dip = np.deg2rad(rng.uniform(*DIP_DEG))
    lean = 1.0 if rng.random() < 0.5 else -1.0
    middle = SIDE_PX / 2
    bend = rng.uniform(-0.003, 0.003)  # listric: the dip changes with depth
    foot = rng.uniform(0.1, 0.9) * SIDE_PX
    deep = z - middle
    side_px = (x - foot - lean * deep / np.tan(dip) - bend * deep**2) * np.sin(dip)
    slip = rng.uniform(*SLIP_PX) * (1.0 if rng.random() < 0.7 else -1.0)
    hanging = side_px * lean > 0
    moved_x = x + np.where(hanging, -lean * slip * np.cos(dip), 0.0)
    moved_z = z + np.where(hanging, -slip * np.sin(dip), 0.0)
    return moved_x, moved_z, np.abs(side_px) < ZONE_PX


def _flat(x: Plane, z: Plane, rng: np.random.Generator) -> Plane:
    """What the layers show at a place, unfolded: reflectivity through the wavelet."""
    fold = sum(
        rng.uniform(0, 3.5) * np.sin(2 * np.pi * x / rng.uniform(45, 160) + rng.uniform(0, 6.28))
        for _ in range(2)
    )
    column = z + fold * (0.5 + 0.5 * z / SIDE_PX) + rng.uniform(-0.25, 0.25) * x + DEEP_PX / 2 - 32
    reflectivity = rng.normal(0, 1, DEEP_PX) * (rng.random(DEEP_PX) < 0.45)
    trace = np.convolve(reflectivity, _ricker(rng.uniform(*PERIOD_PX)), "same")
    return np.interp(column, np.arange(DEEP_PX), trace)


def _ricker(period_px: float) -> Plane:
    """The wavelet of Ricker (1953), of the given dominant period."""
    at = (np.pi * np.arange(-12, 13) / period_px) ** 2
    return np.asarray((1 - 2 * at) * np.exp(-at))


def _record(clean: Plane, rng: np.random.Generator) -> Plane:
    """Smear from trace to trace, fade here and there, add noise, bring to spread one."""
    smear = rng.uniform(0.0, 0.25)
    wide = np.pad(clean, ((0, 0), (1, 1)), mode="edge")
    seen = (1 - 2 * smear) * clean + smear * (wide[:, :-2] + wide[:, 2:])
    seen = seen / max(float(seen.std()), 1e-6)
    seen *= 1 + 0.3 * np.sin(_X * rng.uniform(0.02, 0.1) + rng.uniform(0, 6.28))
    noise = rng.normal(0, 1, seen.shape)
    noise[1:] = 0.7 * noise[1:] + 0.7 * noise[:-1]  # a recorder passes no single samples
    seen += rng.uniform(*NOISE) * noise
    return np.asarray(seen / max(float(seen.std()), 1e-6))
