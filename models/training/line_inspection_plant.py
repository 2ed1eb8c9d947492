"""Synthetic pictures from a drone along a power line: one insulator string, whole or not.

A string is a rod with six to ten sheds of porcelain, glass or silicone, hanging or strained at any
angle before sky, woods or fields, with beams of the tower and conductors around it. Either it is
whole, or two sheds are broken away, or a flashover has burnt it, or dirt covers it, or something
that the wind has brought hangs on it. Then come light, haze, blur and the noise of the camera.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from splits import Splits

Plane = NDArray[np.float32]
Colour = tuple[float, float, float]

SPLITS = Splits(train=range(51_000, 51_009), stop=(52_000,), card=90_005, check=70_005)
SIDE_PX = 128
STATES = ("whole", "sheds broken", "flashover", "polluted", "foreign object")
GLAZES: tuple[Colour, ...] = (
    (0.42, 0.22, 0.14),  # brown porcelain
    (0.45, 0.72, 0.66),  # glass
    (0.62, 0.64, 0.68),  # grey silicone
    (0.86, 0.87, 0.86),  # white porcelain
)
GROUNDS: tuple[Colour, ...] = ((0.25, 0.38, 0.18), (0.55, 0.5, 0.3), (0.35, 0.33, 0.3))
EDGE = 0.02  # softness of outlines; the picture spans -1 to 1
_AXIS = ((np.arange(SIDE_PX) + 0.5) / (SIDE_PX / 2) - 1).astype(np.float32)
_X, _Y = np.meshgrid(_AXIS, _AXIS)


class Samples(NamedTuple):
    """Colour pictures [n, 3, side, side] in 0..1, state indices [n], boxes [n, 4].

    A box is left, top, right, bottom of the string as shares of the picture, 0..1.
    """

    image: NDArray[np.float32]
    state: NDArray[np.int64]
    box: NDArray[np.float32]


class String(NamedTuple):
    """A string of sheds: middle, direction, half length, radius and number of the sheds."""

    x: float
    y: float
    turn: float
    half: float
    radius: float
    sheds: int

    def frame(self) -> tuple[Plane, Plane]:
        """Coordinates along the string and across it."""
        cos, sin = np.float32(np.cos(self.turn)), np.float32(np.sin(self.turn))
        dx, dy = _X - np.float32(self.x), _Y - np.float32(self.y)
        return cos * dx + sin * dy, cos * dy - sin * dx

    def box(self) -> Plane:
        """The upright box around it, as shares of the picture."""
        reach_x = self.half * abs(np.cos(self.turn)) + self.radius * abs(np.sin(self.turn))
        reach_y = self.half * abs(np.sin(self.turn)) + self.radius * abs(np.cos(self.turn))
        corners = (self.x - reach_x, self.y - reach_y, self.x + reach_x, self.y + reach_y)
        return np.clip(np.array(corners, np.float32) / 2 + 0.5, 0, 1)


def generate(count: int, seed: int) -> Samples:
    """`count` pictures, every state equally likely."""
    rng = np.random.default_rng(seed)
    state = rng.integers(0, len(STATES), count)
    image = np.empty((count, 3, SIDE_PX, SIDE_PX), np.float32)
    box = np.empty((count, 4), np.float32)
    for index, label in enumerate(state):
        image[index], box[index] = picture(int(label), rng)
    return Samples(image, state, box)


def picture(state: int, rng: np.random.Generator) -> tuple[Plane, Plane]:
    """One picture of a string in the state, and the box around the string."""
    string = String(
        *rng.uniform(-0.3, 0.3, 2),
        turn=rng.uniform(-np.pi / 2, np.pi / 2),
        half=rng.uniform(0.45, 0.65),
        radius=rng.uniform(0.15, 0.21),
        sheds=int(rng.integers(6, 11)),
    )
    view = _backdrop(rng)
    _surroundings(view, string, rng)
    _draw(view, string, STATES[state], rng)
    return _camera(view, rng), string.box()


def _paint(view: Plane, distance: Plane, colour: Colour | Plane, cover: float = 1.0) -> None:
    """Lay a colour wherever `distance` is negative, with a soft outline."""
    mask = np.clip(0.5 - distance / np.float32(EDGE), 0.0, 1.0) * np.float32(cover)
    view += mask * (np.asarray(colour, np.float32).reshape(3, 1, 1) - view)


def _bar(x: Plane, y: Plane, half_x: float, half_y: float) -> Plane:
    return np.maximum(np.abs(x) - np.float32(half_x), np.abs(y) - np.float32(half_y))


def _backdrop(rng: np.random.Generator) -> Plane:
    """Sky above a horizon that may lie outside of the picture, land below it."""
    low, high = rng.uniform(0.6, 0.9), rng.uniform(0.35, 0.6)
    fall = (_Y + 1) / 2
    sky = np.stack([high + (low - high) * fall, 0.6 + 0.2 * fall, 0.85 + 0.05 * fall])
    land = np.array(GROUNDS[int(rng.integers(0, len(GROUNDS)))], np.float32).reshape(3, 1, 1)
    cells = int(rng.integers(8, 33))
    rough = rng.normal(0, 1, (cells, cells)).astype(np.float32)
    place = np.arange(SIDE_PX) * cells // SIDE_PX
    ground = land * (1 + np.float32(0.18) * rough[np.ix_(place, place)])
    horizon = np.float32(rng.uniform(-1.3, 1.5)) + np.float32(rng.uniform(-0.2, 0.2)) * _X
    view: Plane = np.where(horizon > _Y, sky, ground).astype(np.float32)
    return view


def _surroundings(view: Plane, string: String, rng: np.random.Generator) -> None:
    """Beams of the tower and conductors, behind the string."""
    for _ in range(int(rng.integers(1, 5))):
        beam = String(*rng.uniform(-1, 1, 2), rng.uniform(0, np.pi), 3.0, 0.0, 0)
        half = rng.uniform(0.02, 0.05)
        shade = rng.uniform(0.3, 0.6)
        _paint(view, _bar(*beam.frame(), 3.0, half), (shade, shade, shade * 1.03))
    u, v = string.frame()
    for end in (-1, 1):  # what it is fastened to: a fitting, then a conductor or an arm
        along = end * u - np.float32(string.half + 0.5)
        _paint(view, _bar(along, v, 0.5, rng.uniform(0.015, 0.03)), (0.2, 0.2, 0.22))


def _draw(view: Plane, string: String, state: str, rng: np.random.Generator) -> None:
    glaze = np.array(GLAZES[int(rng.integers(0, len(GLAZES)))], np.float32)
    glaze = np.clip(glaze * np.float32(rng.uniform(0.85, 1.15)), 0, 1)
    u, v = string.frame()
    _paint(view, _bar(u, v, string.half, string.radius * 0.3), glaze * np.float32(0.5))
    pitch = 2 * string.half / string.sheds
    place = (u + np.float32(string.half)) / np.float32(pitch)
    index = np.clip(place.astype(np.int64), 0, string.sheds - 1)
    radii = np.full(string.sheds, string.radius, np.float32)
    if state == "sheds broken":
        first = int(rng.integers(1, string.sheds - 2))
        radii[first : first + 2] *= 0.35
    radius = radii[index]
    along = (place - index - np.float32(0.5)) * np.float32(pitch)
    round_ = np.hypot(along / np.float32(pitch * 0.36), v / radius) - 1
    _paint(view, round_ * np.float32(pitch * 0.36), glaze)
    gleam = np.maximum(np.abs(along) - np.float32(pitch * 0.1), np.abs(v / radius + 0.4) - 0.35)
    _paint(view, gleam, np.clip(glaze * 1.5 + 0.1, 0, 1), 0.7)
    if state == "flashover":
        _burn(view, string, rng)
    if state == "polluted":
        _soil(view, string, rng)
    if state == "foreign object":
        _litter(view, string, rng)


def _burn(view: Plane, string: String, rng: np.random.Generator) -> None:
    """Black where the arc went over some sheds."""
    u, v = string.frame()
    at = rng.uniform(-0.5, 0.5) * string.half
    spot = np.hypot((u - np.float32(at)) / np.float32(1.3), v) - np.float32(string.radius * 1.05)
    _paint(view, spot, (0.03, 0.03, 0.03), 0.93)


def _soil(view: Plane, string: String, rng: np.random.Generator) -> None:
    """A rough ochre crust from end to end."""
    u, v = string.frame()
    phases = rng.uniform(0, 6.28, 2).astype(np.float32)
    rough = np.sin(31 * u + phases[0]) * np.sin(37 * v + phases[1])
    inside = _bar(u, v, string.half, string.radius * 0.95)
    crust = np.maximum(inside, -rough * np.float32(0.02) - np.float32(0.006))
    _paint(view, crust, (0.66, 0.5, 0.2))


def _litter(view: Plane, string: String, rng: np.random.Generator) -> None:
    """A coloured strip of foil, looped around the string and hanging down."""
    colour = ((0.9, 0.1, 0.1), (0.1, 0.25, 0.9), (0.95, 0.2, 0.75))[int(rng.integers(0, 3))]
    at = rng.uniform(-0.5, 0.5) * string.half
    x = string.x + at * np.cos(string.turn)
    y = string.y + at * np.sin(string.turn)
    wave = np.float32(0.08) * np.sin(np.float32(9) * (_Y - np.float32(y)))
    tail = _bar(_X - np.float32(x) - wave, _Y - np.float32(y + 0.25), 0.055, 0.3)
    lump = np.hypot(_X - np.float32(x), _Y - np.float32(y)) - np.float32(0.13)
    _paint(view, np.minimum(tail, lump), colour)


def _camera(view: Plane, rng: np.random.Generator) -> Plane:
    """Light, haze, blur and noise."""
    haze = np.float32(rng.uniform(0, 0.25))
    lit = (view * (1 - haze) + np.float32(0.75) * haze) * np.float32(rng.uniform(0.75, 1.15))
    for axis in (1, 2):
        width = int(rng.integers(1, 4))
        if width > 1:
            lit = sum(np.roll(lit, step, axis=axis) for step in range(width)) / np.float32(width)
    noise = rng.standard_normal(lit.shape, np.float32) * np.float32(rng.uniform(0.005, 0.04))
    taken: Plane = np.clip(lit + noise, 0.0, 1.0).astype(np.float32)
    return taken
