"""A synthetic inspection track: pictures of car parts, taken at stations along the car.

Each of six stations sees the kinds of parts that are found there, 70 pairs in all, and each part is
whole or has one of four faults: 350 classes. A picture is the station's backdrop, the part in some
pose, and then what weather and camera do to it: grime, something hanging in front, uneven light,
blur and noise. How badly they do is the hardness, 0 clean to 1 hard. Nothing ever hides a fault for
the most part, so the label can be told from the picture.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rail_inspection_canvas import Canvas, Plane
from rail_inspection_parts import KINDS, OK, PARTS
from splits import Splits

SPLITS = Splits(train=range(31_000, 31_020), stop=(32_000, 32_001), card=90_003, check=70_003)
SIDE_PX = 128
HEAT_SIDE = 16
CELL_PX = SIDE_PX // HEAT_SIDE
HEAT_FROM_PX = 8  # a cell of the heat map counts as faulty from so many faulty pixels
HIDDEN_AT_MOST = 0.2  # of a fault, by what hangs in front

_EVERYWHERE = ("bolt", "cover", "connector", "cable", "pipe", "hose")
STATIONS = {
    "bogie": (*_EVERYWHERE, "axle box", "valve", "spring", "pad", "wheel", "damper", "chain"),
    "underfloor": (*_EVERYWHERE, "grille", "valve", "spring", "pad", "damper", "chain"),
    "coupler": (*_EVERYWHERE, "grille", "valve", "spring", "pad", "damper", "chain"),
    "sidewall": (*_EVERYWHERE, "grille", "chain"),
    "roof": (*_EVERYWHERE, "grille", "valve", "spring", "pad", "damper"),
    "brake": (
        *(*_EVERYWHERE, "grille", "axle box", "valve"),
        *("spring", "pad", "wheel", "damper", "chain"),
    ),
}
CLASSES = tuple(
    (station, part, state)
    for station, parts in STATIONS.items()
    for part in parts
    for state in (OK, *PARTS[part][1])
)
LABELS = tuple("/".join(names) for names in CLASSES)
IS_FAULT = np.array([state != OK for _, _, state in CLASSES])
KIND_OF = np.array([KINDS.index((part, state)) for _, part, state in CLASSES])
STATION_OF = np.array([list(STATIONS).index(station) for station, _, _ in CLASSES])
# Grey of the backdrop and spacing of its ribs, by station.
BACKDROPS = ((0.35, 0.0), (0.30, 0.5), (0.42, 0.0), (0.62, 0.35), (0.55, 0.7), (0.38, 0.25))

_AXIS = ((np.arange(SIDE_PX) + 0.5) / (SIDE_PX / 2) - 1).astype(np.float32)
_X, _Y = np.meshgrid(_AXIS, _AXIS)


@dataclass(frozen=True, slots=True)
class Conditions:
    """The largest that pose, weather and camera do to a picture."""

    turn: float  # radians
    scale: float  # share
    shift: float  # of half the picture
    grime: float  # grey taken away
    light: float  # share
    slope: float  # share, from one edge to the middle
    blur_px: float
    noise: float  # grey
    occluders: float

    @classmethod
    def at(cls, hardness: float) -> Conditions:
        """Between the clean conditions at 0 and the hard ones at 1."""
        pairs = zip(astuple(CLEAN), astuple(HARD), strict=True)
        return cls(*(low + hardness * (high - low) for low, high in pairs))


CLEAN = Conditions(0.10, 0.06, 0.06, 0.15, 0.10, 0.10, 2.0, 0.02, 0.0)
HARD = Conditions(0.26, 0.14, 0.14, 0.45, 0.25, 0.25, 5.0, 0.05, 2.0)


class Samples(NamedTuple):
    """Pictures [n, 1, side, side] in 0..1, stations one-hot [n, 6], class indices [n], heat.

    `heat` [n, 1, 16, 16] is 1 in each cell of the picture where the fault is seen, else 0.
    """

    image: NDArray[np.float32]
    station: NDArray[np.float32]
    fault: NDArray[np.int64]
    heat: NDArray[np.float32]


def generate(count: int, seed: int, hardness: float | None = None) -> Samples:
    """`count` pictures, every class equally likely; of any hardness if none is given."""
    rng = np.random.default_rng(seed)
    fault = rng.integers(0, len(CLASSES), count)
    hard = np.sqrt(rng.random(count)) if hardness is None else np.full(count, hardness)
    image = np.empty((count, 1, SIDE_PX, SIDE_PX), np.float32)
    heat = np.empty((count, 1, HEAT_SIDE, HEAT_SIDE), np.float32)
    for index, label in enumerate(fault):
        image[index, 0], heat[index, 0] = picture(int(label), float(hard[index]), rng)
    station = np.eye(len(STATIONS), dtype=np.float32)[STATION_OF[fault]]
    return Samples(image, station, fault, heat)


def picture(label: int, hardness: float, rng: np.random.Generator) -> tuple[Plane, Plane]:
    """One picture of the class `label`, and its heat map."""
    station, part, state = CLASSES[label]
    given = Conditions.at(hardness)
    grey = _backdrop(list(STATIONS).index(station), rng)
    canvas = Canvas(grey, *_pose(given, rng), rng)
    PARTS[part][0](canvas, state)
    soiled = _occlude(_grime(grey, given, rng), canvas.fault, given, rng)
    cells = canvas.fault.reshape(HEAT_SIDE, CELL_PX, HEAT_SIDE, CELL_PX).sum(axis=(1, 3))
    return _camera(soiled, given, rng), (cells >= HEAT_FROM_PX).astype(np.float32)


def _pose(given: Conditions, rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Pixel coordinates in the frame of a part shifted, turned and scaled a little."""
    turn = rng.uniform(-given.turn, given.turn)
    scale = 0.95 + rng.uniform(-given.scale, given.scale)
    shift_x, shift_y = rng.uniform(-given.shift, given.shift, 2)
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


def _grime(grey: Plane, given: Conditions, rng: np.random.Generator) -> Plane:
    """Dark patches of dirt, from none to a lot."""
    amount = rng.uniform(0.0, given.grime)
    patches = np.clip(_clouds(rng, 6), 0.0, 1.5)
    kept: Plane = 1 - np.float32(amount / 1.5) * patches
    return grey * kept


def _occlude(
    grey: Plane, fault: NDArray[np.bool_], given: Conditions, rng: np.random.Generator
) -> Plane:
    """Lines and lumps that hang in front, unless they would hide the fault."""
    flat = Canvas(grey, _X, _Y, rng)
    for _ in range(int(rng.integers(0, round(given.occluders) + 1))):
        at_x, at_y, turn = rng.uniform(-0.9, 0.9), rng.uniform(-0.9, 0.9), rng.uniform(0, np.pi)
        if rng.random() < 0.5:
            shape = flat.box(at_x, at_y, 3.0, rng.uniform(0.03, 0.06), turn)
        else:
            shape = flat.disc(at_x, at_y, rng.uniform(0.08, 0.15))
        hidden = np.count_nonzero(fault & (shape < 0))
        if hidden <= HIDDEN_AT_MOST / max(given.occluders, 1.0) * np.count_nonzero(fault):
            flat.paint(shape, rng.uniform(0.3, 0.8))
    return flat.grey


def _camera(grey: Plane, given: Conditions, rng: np.random.Generator) -> Plane:
    """Light from one side, motion blur along the train, and sensor noise."""
    slope_x, slope_y = rng.uniform(-given.slope, given.slope, 2)
    lit = grey * np.float32(1 + rng.uniform(-given.light, given.light))
    lit *= 1 + np.float32(slope_x) * _X + np.float32(slope_y) * _Y
    along_px = int(rng.integers(1, round(given.blur_px) + 1))
    across_px = int(rng.integers(1, max(round(given.blur_px) // 2, 1) + 1))
    for axis, width in ((1, along_px), (0, across_px)):
        if width > 1:
            steps = range(-(width // 2), width - width // 2)
            lit = sum(np.roll(lit, step, axis=axis) for step in steps) / np.float32(width)
    noise = rng.standard_normal(lit.shape, np.float32)
    lit = lit + np.float32(rng.uniform(0.01, max(given.noise, 0.011))) * noise
    taken: Plane = np.clip(lit, 0.0, 1.0).astype(np.float32)
    return taken
