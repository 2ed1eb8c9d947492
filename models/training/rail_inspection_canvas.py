"""A grey picture that a part is painted on, by signed distances in the part's own frame.

The picture spans about -1 to 1 both ways and `v` points down. Shapes are painted over one another
in shades of grey; the pose of the part is already in the frame's coordinates, so the drawings know
nothing of it. Beside the picture the canvas keeps where the fault is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
EDGE = 0.03  # softness of outlines, in units of the frame


class Canvas:
    """A grey picture, the place of its fault, and the coordinates of its pixels."""

    def __init__(self, grey: Plane, u: Plane, v: Plane, rng: np.random.Generator) -> None:
        self.grey, self.u, self.v, self.rng = grey, u, v, rng
        self.fault = np.zeros(grey.shape, bool)

    def paint(self, distance: Plane, shade: float, cover: float = 1.0) -> None:
        """Lay `shade` wherever `distance` is negative, with a soft outline."""
        mask = np.clip(0.5 - distance / np.float32(EDGE), 0.0, 1.0) * np.float32(cover)
        self.grey += mask * (np.float32(shade) - self.grey)

    def flag(self, distance: Plane) -> None:
        """Note that the fault is seen wherever `distance` is negative."""
        self.fault |= distance < 0

    def mar(self, distance: Plane, shade: float, cover: float = 1.0) -> None:
        """Paint something that is itself the fault."""
        self.paint(distance, shade, cover)
        self.flag(distance)

    def disc(self, at_u: float, at_v: float, radius: float) -> Plane:
        """A circle and all within it."""
        distance: Plane = np.hypot(self.u - np.float32(at_u), self.v - np.float32(at_v))
        return distance - np.float32(radius)

    def box(
        self, at_u: float, at_v: float, half_u: float, half_v: float, turn: float = 0.0
    ) -> Plane:
        """A rectangle about a centre, turned by `turn` radians."""
        du, dv = self.u - np.float32(at_u), self.v - np.float32(at_v)
        if turn:
            cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
            du, dv = cos * du + sin * dv, cos * dv - sin * du
        return np.maximum(np.abs(du) - np.float32(half_u), np.abs(dv) - np.float32(half_v))

    def ring(self, at_u: float, at_v: float, radius: float, half: float) -> Plane:
        """A circular band, `half` wide to either side of `radius`."""
        return np.abs(self.disc(at_u, at_v, radius)) - np.float32(half)

    def hexagon(self, radius: float, turn: float) -> Plane:
        """A hexagon about the middle, as three crossed slabs."""
        slabs = [
            np.abs(np.float32(np.cos(a)) * self.u + np.float32(np.sin(a)) * self.v)
            for a in turn + np.arange(3) * np.pi / 3
        ]
        return np.maximum(np.maximum(slabs[0], slabs[1]), slabs[2]) - np.float32(radius)

    def vary(self, low: float, high: float) -> float:
        """A size, place or shade that differs from picture to picture."""
        return float(self.rng.uniform(low, high))

    def side(self) -> int:
        """Left or right, up or down: -1 or 1."""
        return int(self.rng.integers(0, 2)) * 2 - 1

    # What befalls many parts.

    def crack(self, at_u: float, at_v: float, length: float, turn: float) -> None:
        """A dark line with a kink."""
        kink = turn + self.side() * self.vary(0.25, 0.5)
        step = length / 2
        du, dv = np.cos(turn) * step / 2, np.sin(turn) * step / 2
        eu, ev = np.cos(kink) * step / 2, np.sin(kink) * step / 2
        first = self.box(float(at_u - du), float(at_v - dv), step / 2 + 0.02, 0.04, turn)
        second = self.box(float(at_u + eu), float(at_v + ev), step / 2 + 0.02, 0.04, kink)
        self.mar(np.minimum(first, second), 0.03)

    def rust(self, within: Plane) -> None:
        """Dark blotches all over a shape."""
        phases = self.rng.uniform(0, 6.28, 4).astype(np.float32)
        waves = np.sin(13 * self.u + 5 * self.v + phases[0]) + np.sin(
            11 * self.v - 7 * self.u + phases[1]
        )
        waves += np.sin(19 * self.u + phases[2]) * np.sin(17 * self.v + phases[3])
        self.paint(np.maximum(within, (np.float32(0.25) - waves) * np.float32(0.05)), 0.1, 0.85)
        self.flag(within)

    def drip(self, at_u: float, at_v: float) -> None:
        """A wet spot and the run below it."""
        spot = self.disc(at_u, at_v, self.vary(0.13, 0.18))
        run = self.box(at_u, at_v + 0.3, 0.065, 0.3)
        self.mar(np.minimum(spot, run), 0.03, 0.95)

    def chafe(self, at_u: float, at_v: float, half_u: float, half_v: float) -> None:
        """Rubbed through: a bright hatched patch."""
        patch = self.box(at_u, at_v, half_u, half_v)
        hatch = np.sin(np.float32(45) * (self.u + np.float32(0.5) * self.v)) * np.float32(0.03)
        self.paint(patch, 0.9)
        self.paint(np.maximum(patch, hatch), 0.35)
        self.flag(patch)
