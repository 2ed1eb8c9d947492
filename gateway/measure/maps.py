"""A map of places for reports: points by longitude and latitude, labels that cover nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gateway.measure import svg
from gateway.measure.samples import F64
from gateway.measure.svg import Scale, Svg, text

WIDTH = 720.0

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in px."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place on the map. ``group`` indexes the map's groups; ``note`` is shown on hovering;
    ``radius`` in px; an empty ``label`` is never drawn."""

    lon: float
    lat: float
    label: str = ""
    group: int = 0
    radius: float = 4.0
    note: str = ""


def scatter_map(
    points: Sequence[Point],
    *,
    title: str,
    desc: str,
    groups: Sequence[str] = (),
    outlines: Sequence[ArrayLike] = (),
    width: float = WIDTH,
) -> Svg:
    """Places by longitude and latitude (equirectangular, true to shape at the middle).

    ``outlines``: background polylines, each float[k, 2] of lon, lat. Labels go where they
    cover nothing, first points first; those that fit nowhere are left to the hover text.
    Groups differ in tone and in shape (circle, diamond, square, triangle).
    """
    lon, lat = _map_scales(points, outlines, width)
    height = lat.start + 20
    parts = [text(16, 24, title, kind="strong"), *_group_legend(groups, 16.0, 46.0)]
    for outline in outlines:
        shape = _floats(outline).reshape(-1, 2)
        d = svg.path(lon.at(shape[:, 0]), lat.at(shape[:, 1]))
        parts.append(f'<path d="{d}" fill="none" class="grid" stroke-linejoin="round"/>')
    taken = [_box(lon.px(p.lon), lat.px(p.lat), p.radius) for p in points]
    parts += [
        svg.mark(lon.px(p.lon), lat.px(p.lat), p.radius, p.group, p.note or p.label)
        for p in sorted(points, key=lambda p: -p.radius)
    ]
    for p in points:
        if p.label:
            parts += _label(p, lon.px(p.lon), lat.px(p.lat), taken, lon.end)
    return svg.figure(parts, width=width, height=height, title=title, desc=desc)


def _group_legend(groups: Sequence[str], x: float, y: float) -> list[str]:
    drawn = []
    for i, name in enumerate(groups):
        drawn += [svg.mark(x + 5, y - 4, 4.5, i, ""), text(x + 15, y, name)]
        x += 34 + len(name) * svg.CHAR_PX
    return drawn


def _box(x: float, y: float, r: float) -> Box:
    return (x - r, y - r, x + r, y + r)


def _label(p: Point, x: float, y: float, taken: list[Box], right: float) -> list[str]:
    """The label at the first of four sides where it covers nothing; adds its box to ``taken``."""
    wide = len(p.label) * svg.CHAR_PX
    gap = p.radius + 4
    sides = (
        (x + gap, y + 4, "start", x + gap),
        (x - gap, y + 4, "end", x - gap - wide),
        (x, y - gap, "middle", x - wide / 2),
        (x, y + gap + 8, "middle", x - wide / 2),
    )
    for at_x, at_y, anchor, left in sides:
        box = (left, at_y - 9, left + wide, at_y + 2)
        fits = box[0] >= 2 and box[2] <= right + 12
        if fits and not any(_overlap(box, other) for other in taken):
            taken.append(box)
            return [text(at_x, at_y, p.label, anchor=anchor, kind="halo")]
    return []


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _map_scales(
    points: Sequence[Point], outlines: Sequence[ArrayLike], width: float
) -> tuple[Scale, Scale]:
    """Longitude and latitude scales with one length for a kilometre both ways."""
    shapes = [_floats(o).reshape(-1, 2) for o in outlines]
    spots = np.array([[p.lon, p.lat] for p in points], dtype=np.float64).reshape(-1, 2)
    every = np.concatenate([spots, *shapes])
    if every.size == 0:
        every = np.array([[-180.0, -60.0], [180.0, 75.0]])
    (west, south), (east, north) = every.min(axis=0), every.max(axis=0)
    pad = 0.04 * max(east - west, north - south, 1.0)
    west, east, south, north = west - pad, east + pad, south - pad, north + pad
    shrink = max(0.1, math.cos(math.radians((south + north) / 2)))
    tall = (width - 32) / ((east - west) * shrink) * (north - south)
    lon = Scale(float(west), float(east), 16.0, width - 16.0)
    return lon, Scale(float(south), float(north), 62.0 + tall, 62.0)


def _floats(values: ArrayLike) -> F64:
    return np.asarray(values, dtype=np.float64)
