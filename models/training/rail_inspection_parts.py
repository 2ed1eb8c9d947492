"""How the inspected parts of a railway car look, whole and at fault, drawn by distance.

Each drawing is made of signed distances in the part's own frame, where the picture spans about -1
to 1 both ways and `v` points down. A canvas paints shapes over one another in shades of grey; the
pose of the part is already in the frame's coordinates, so the drawings know nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
EDGE = 0.03  # softness of outlines, in units of the frame


class Canvas:
    """A grey picture and the coordinates of its pixels in the part's frame."""

    def __init__(self, grey: Plane, u: Plane, v: Plane, rng: np.random.Generator) -> None:
        self.grey, self.u, self.v, self.rng = grey, u, v, rng

    def paint(self, distance: Plane, shade: float, cover: float = 1.0) -> None:
        """Lay `shade` wherever `distance` is negative, with a soft outline."""
        mask = np.clip(0.5 - distance / EDGE, 0.0, 1.0) * np.float32(cover)
        self.grey += mask * (np.float32(shade) - self.grey)

    def disc(self, at_u: float, at_v: float, radius: float) -> Plane:
        """A circle and all within it."""
        distance: Plane = np.hypot(self.u - at_u, self.v - at_v) - np.float32(radius)
        return distance

    def box(
        self, at_u: float, at_v: float, half_u: float, half_v: float, turn: float = 0.0
    ) -> Plane:
        """A rectangle about a centre, turned by `turn` radians."""
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        du, dv = self.u - np.float32(at_u), self.v - np.float32(at_v)
        across = np.abs(cos * du + sin * dv) - np.float32(half_u)
        along = np.abs(cos * dv - sin * du) - np.float32(half_v)
        return np.maximum(across, along)

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


def bolt(canvas: Canvas, state: str) -> None:
    """A hexagon bolt with a painted witness mark that runs from the head on to the plate."""
    steel = canvas.vary(0.45, 0.6)
    canvas.paint(canvas.disc(0, 0, 0.62), steel * 0.8)
    if state == "missing":
        canvas.paint(canvas.disc(0, 0, canvas.vary(0.22, 0.3)), 0.06)
        return
    mark = canvas.vary(-0.4, 0.4)
    canvas.paint(_ray(canvas, mark, 0.3, 0.62), 0.95)
    turned = canvas.rng.choice((-1, 1)) * canvas.vary(0.55, 1.1) if state == "loose" else 0.0
    head = float(mark + turned)
    canvas.paint(canvas.hexagon(0.37, head), steel * 1.25)
    canvas.paint(_ray(canvas, head, 0.0, 0.37), 0.95)


def _ray(canvas: Canvas, turn: float, start: float, end: float) -> Plane:
    middle = (start + end) / 2
    at_u, at_v = middle * np.cos(turn), middle * np.sin(turn)
    return canvas.box(float(at_u), float(at_v), (end - start) / 2, 0.07, turn)


def cover(canvas: Canvas, state: str) -> None:
    """A hatch held by a latch on either side."""
    sheet = canvas.vary(0.55, 0.75)
    canvas.paint(canvas.box(0, 0, 0.72, 0.55), 0.08)
    drop = canvas.vary(0.2, 0.35) if state == "open" else 0.0
    canvas.paint(canvas.box(0, drop, 0.67, 0.5, drop * 0.3), sheet)
    canvas.paint(canvas.box(0, drop, 0.5, 0.33, drop * 0.3), sheet * 0.85)
    unlatched = canvas.rng.choice((-1, 1)) if state == "unlatched" else 0
    for side in (-1, 1):
        turn = np.pi / 2 + canvas.vary(-0.4, 0.4) if side == unlatched else 0.0
        canvas.paint(canvas.box(side * 0.62, 0, 0.26, 0.08, turn), 0.22)


def hose(canvas: Canvas, state: str) -> None:
    """A hose between two clamps."""
    rubber = canvas.vary(0.12, 0.25)
    thick = canvas.vary(0.13, 0.17)
    if state == "detached":
        canvas.paint(canvas.box(-0.62, 0, 0.35, thick), rubber)
        fall = canvas.vary(0.4, 0.7)
        canvas.paint(canvas.box(0.45, 0.3, 0.5, thick, -fall), rubber)
    else:
        canvas.paint(canvas.box(0, 0, 1.0, thick), rubber)
        canvas.paint(canvas.box(0, -thick * 0.5, 1.0, 0.03), rubber + 0.15)
    if state == "leaking":
        at_u = canvas.vary(-0.3, 0.3)
        canvas.paint(canvas.disc(at_u, 0.35, canvas.vary(0.2, 0.28)), 0.05, 0.9)
        canvas.paint(canvas.box(at_u, 0.6, 0.07, 0.3), 0.05, 0.9)
    for side in (-1, 1):
        canvas.paint(canvas.box(side * 0.6, 0, 0.08, thick + 0.07), 0.8)


def connector(canvas: Canvas, state: str) -> None:
    """A plug in its socket, a cable at its end."""
    shell = canvas.vary(0.6, 0.8)
    gap = canvas.vary(0.24, 0.4) if state == "unplugged" else 0.0
    canvas.paint(canvas.box(0.7 + gap / 2, 0, 0.45, 0.09), 0.15)
    if state == "frayed":
        for turn in canvas.rng.uniform(-0.9, 0.9, 5):
            strand = canvas.box(0.72, 0.25 * float(turn), 0.22, 0.025, float(turn))
            canvas.paint(strand, 0.92)
    canvas.paint(canvas.box(-0.35 - gap / 2, 0, 0.33, 0.36), shell)
    canvas.paint(canvas.box(0.2 + gap / 2, 0, 0.27, 0.28), shell * 0.75)
    if gap:
        canvas.paint(canvas.box(-0.04, 0, gap / 2, 0.26), 0.05)
        canvas.paint(canvas.box(-0.04, 0.1, gap / 2, 0.03), 0.85)


def spring(canvas: Canvas, state: str) -> None:
    """A coil spring between two seats, seen from the side."""
    tall = canvas.vary(0.36, 0.46) if state == "compressed" else canvas.vary(0.66, 0.74)
    canvas.paint(canvas.box(0, 0, 0.4, tall), 0.1)
    height = (canvas.v + np.float32(0.25) * canvas.u) / np.float32(tall)
    coils = np.float32(0.09) * np.cos(np.float32(2 * np.pi * 2.5) * height)
    canvas.paint(np.maximum(-coils, canvas.box(0, 0, 0.4, tall)), canvas.vary(0.6, 0.8))
    if state == "broken":
        canvas.paint(canvas.box(0, canvas.vary(-0.25, 0.25), 0.44, 0.14, 0.25), 0.08)
    for end in (-1, 1):
        canvas.paint(canvas.box(0, end * (tall + 0.06), 0.5, 0.08), 0.5)


def pad(canvas: Canvas, state: str) -> None:
    """A friction pad in its holder, pressed against a bright surface on the right."""
    thick = canvas.vary(0.1, 0.18) if state == "worn" else canvas.vary(0.36, 0.46)
    canvas.paint(canvas.box(0.75, 0, 0.2, 1.1), 0.85)
    canvas.paint(canvas.box(0.55 - 2 * thick - 0.2, 0, 0.2, 0.62), 0.3)
    canvas.paint(canvas.box(0.55 - thick, 0, thick, 0.55), canvas.vary(0.5, 0.65))
    if state == "cracked":
        slope = canvas.vary(-0.5, 0.5)
        at_v = canvas.vary(-0.25, 0.25)
        canvas.paint(canvas.box(0.55 - thick, at_v, thick * 1.05, 0.05, slope), 0.04)


Drawing = Callable[[Canvas, str], None]
PARTS: dict[str, tuple[Drawing, tuple[str, str, str]]] = {
    "bolt": (bolt, ("ok", "loose", "missing")),
    "cover": (cover, ("ok", "unlatched", "open")),
    "hose": (hose, ("ok", "leaking", "detached")),
    "connector": (connector, ("ok", "frayed", "unplugged")),
    "spring": (spring, ("ok", "compressed", "broken")),
    "pad": (pad, ("ok", "worn", "cracked")),
}
