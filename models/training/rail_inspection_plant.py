"""A synthetic inspection track: pictures of car parts, taken at stations along the car.

Each of the six stations looks at three parts, and each part is whole or has one of two faults,
which makes the classes. A picture is the station's backdrop, the part in some pose, and then what
weather and camera do to it: grime, uneven light, blur and noise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rail_inspection_parts import PARTS, Canvas, Plane

SIDE_PX = 128
STATIONS = {
    "bogie": ("bolt", "spring", "pad"),
    "underfloor": ("bolt", "cover", "hose"),
    "coupler": ("hose", "connector", "spring"),
    "sidewall": ("bolt", "cover", "connector"),
    "roof": ("cover", "connector", "pad"),
    "brake": ("hose", "spring", "pad"),
}
CLASSES = tuple(
    (station, part, state)
    for station, parts in STATIONS.items()
    for part in parts
    for state in PARTS[part][1]
)
LABELS = tuple("/".join(names) for names in CLASSES)
IS_FAULT = np.array([state != "ok" for _, _, state in CLASSES])
# Grey of the backdrop and spacing of its ribs, by station.
BACKDROPS = ((0.35, 0.0), (0.30, 0.5), (0.42, 0.0), (0.62, 0.35), (0.55, 0.7), (0.38, 0.25))

_AXIS = ((np.arange(SIDE_PX) + 0.5) / (SIDE_PX / 2) - 1).astype(np.float32)
_X, _Y = np.meshgrid(_AXIS, _AXIS)


class Samples(NamedTuple):
    """Pictures [n, 1, side, side] in 0..1, stations one-hot [n, 6], class indices [n]."""

    image: NDArray[np.float32]
    station: NDArray[np.float32]
    fault: NDArray[np.int64]


def generate(count: int, seed: int) -> Samples:
    """`count` pictures, every class equally likely."""
    rng = np.random.default_rng(seed)
    fault = rng.integers(0, len(CLASSES), count)
    image = np.empty((count, 1, SIDE_PX, SIDE_PX), np.float32)
    for index, label in enumerate(fault):
        image[index, 0] = picture(int(label), rng)
    where = [list(STATIONS).index(CLASSES[label][0]) for label in fault]
    station = np.eye(len(STATIONS), dtype=np.float32)[where]
    return Samples(image, station, fault)


def picture(label: int, rng: np.random.Generator) -> Plane:
    """One picture of the class `label`."""
    station, part, state = CLASSES[label]
    grey = _backdrop(list(STATIONS).index(station), rng)
    u, v = _pose(rng)
    PARTS[part][0](Canvas(grey, u, v, rng), state)
    return _camera(_grime(grey, rng), rng)


def _pose(rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Pixel coordinates in the frame of a part shifted, turned and scaled a little."""
    turn, scale = rng.uniform(-0.14, 0.14), rng.uniform(0.9, 1.1)
    shift_x, shift_y = rng.uniform(-0.1, 0.1, 2)
    cos, sin = np.float32(np.cos(turn) / scale), np.float32(np.sin(turn) / scale)
    x, y = _X - np.float32(shift_x), _Y - np.float32(shift_y)
    return cos * x + sin * y, cos * y - sin * x


def _clouds(rng: np.random.Generator, cells: int) -> Plane:
    """Smooth noise about zero: a coarse random grid, stretched over the picture."""
    coarse = rng.normal(0, 1, (cells + 1, cells + 1)).astype(np.float32)
    place = np.linspace(0, cells, SIDE_PX, endpoint=False, dtype=np.float32)
    low = place.astype(np.int64)
    part = (place - low).astype(np.float32)
    rows = coarse[low] * (1 - part)[:, None] + coarse[low + 1] * part[:, None]
    return (rows[:, low] * (1 - part) + rows[:, low + 1] * part).astype(np.float32)


def _backdrop(station: int, rng: np.random.Generator) -> Plane:
    """The sheet metal behind the part, ribbed at some stations."""
    shade, spacing = BACKDROPS[station]
    light = np.float32(shade * rng.uniform(0.85, 1.15))
    grey: Plane = light + np.float32(0.04) * _clouds(rng, 12)
    if spacing:
        rib = np.cos(2 * np.pi * (_X + np.float32(rng.uniform(0, 1))) / np.float32(spacing))
        grey += np.float32(0.06) * (rib > 0.8)
    return grey


def _grime(grey: Plane, rng: np.random.Generator) -> Plane:
    """Dark patches of dirt, from none to a lot."""
    amount = rng.uniform(0.0, 0.45)
    patches = np.clip(_clouds(rng, 6), 0.0, 1.5)
    kept: Plane = 1 - np.float32(amount / 1.5) * patches
    return grey * kept


def _camera(grey: Plane, rng: np.random.Generator) -> Plane:
    """Light from one side, motion blur along the train, and sensor noise."""
    slope_x, slope_y = rng.uniform(-0.2, 0.2, 2)
    lit = grey * np.float32(rng.uniform(0.75, 1.2))
    lit *= 1 + np.float32(slope_x) * _X + np.float32(slope_y) * _Y
    for axis, reach in ((1, rng.integers(0, 4)), (0, rng.integers(0, 3))):
        shifted = [np.roll(lit, step, axis=axis) for step in range(-reach // 2, reach // 2 + 1)]
        lit = np.mean(shifted, axis=0)
    lit += rng.normal(0, rng.uniform(0.01, 0.04), lit.shape).astype(np.float32)
    taken: Plane = np.clip(lit, 0.0, 1.0).astype(np.float32)
    return taken
