"""Charts for reports: pure functions from numbers to SVG strings, without a dependency.

``lines`` (with an interval as a band), ``histogram`` (with marker lines), ``stacked_bars`` and
``scatter_map``; ``page`` sets them into one HTML file that needs no network. Values that are
not finite are shown as what they are: an infinite latency is a triangle at the upper edge, a
missing one a gap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike

from gateway.measure import svg
from gateway.measure.maps import Point, scatter_map
from gateway.measure.page import Section, Table, page
from gateway.measure.samples import F64
from gateway.measure.svg import INK, Scale, Svg, dash, number, text, tone

__all__ = [
    "PART_TONES",
    "Marker",
    "Point",
    "Section",
    "Series",
    "Svg",
    "Table",
    "histogram",
    "lines",
    "page",
    "scatter_map",
    "stacked_bars",
]

WIDTH = 720.0
HEIGHT = 330.0
LEFT, TOP, BOTTOM = 58.0, 52.0, 46.0

PART_TONES: Mapping[str, int] = {
    "network": 0,
    "queue": 1,
    "service": 2,
    "gateway": 3,
    "client": 4,
}
"""The tone of each part of a request's time, the same in every chart."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line: ``x``, ``y`` (n values), optionally its interval ``low``, ``high`` (n values)."""

    name: str
    x: ArrayLike
    y: ArrayLike
    low: ArrayLike | None = None
    high: ArrayLike | None = None


@dataclass(frozen=True, slots=True)
class Marker:
    """A value to be seen beside the rest (a target, an objective), with its words."""

    value: float
    label: str


def lines(
    series: Sequence[Series],
    *,
    title: str,
    desc: str,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    targets: Sequence[Marker] = (),
) -> Svg:
    """Lines with points and interval bands; ``targets`` are horizontal lines."""
    names = [s.name for s in series]
    right = WIDTH - 16 - max((len(n) for n in names), default=0) * svg.CHAR_PX
    xs = [v for s in series for v in _floats(s.x).tolist()]
    ys = [v for s in series for a in (s.y, s.low, s.high) if a is not None for v in _floats(a)]
    x = svg.scale_for(xs, LEFT, right, log=log_x, zero=False)
    y = svg.scale_for(
        [*ys, *(t.value for t in targets)], HEIGHT - BOTTOM, TOP, log=log_y, zero=True
    )
    parts = svg.axes(x, y, x_label=x_label, y_label=y_label, title=title)
    parts += [_band(s, i, x, y) for i, s in enumerate(series)]
    for target in targets:
        parts += _horizontal(target, x, y)
    parts += [_curve(s, i, x, y) for i, s in enumerate(series)]
    parts += _end_labels(series, x, y)
    return svg.figure(parts, width=WIDTH, height=HEIGHT, title=title, desc=desc)


def histogram(
    edges: ArrayLike,
    counts: ArrayLike,
    *,
    title: str,
    desc: str,
    x_label: str,
    y_label: str = "requests",
    log_x: bool = False,
    markers: Sequence[Marker] = (),
) -> Svg:
    """Bars between ``edges`` (n + 1) as high as ``counts`` (n); markers are vertical lines.

    Bars right of the first marker are drawn in another tone: what is beyond the target.
    """
    borders, heights = _floats(edges), _floats(counts)
    if borders.size != heights.size + 1:
        raise ValueError(f"{borders.size} edges for {heights.size} counts; one more is needed")
    low = max(float(borders[0]), 1e-3) if log_x else float(borders[0])
    x = Scale(low, float(borders[-1]), LEFT, WIDTH - 24, log=log_x)
    y = svg.scale_for([0.0, *heights.tolist()], HEIGHT - BOTTOM, TOP, log=False)
    limit = markers[0].value if markers else math.inf
    parts = svg.axes(x, y, x_label=x_label, y_label=y_label, title=title)
    left, right, top = x.at(borders[:-1]), x.at(borders[1:]), y.at(heights)
    for i, height in enumerate(heights.tolist()):
        if height > 0:
            said = f"{number(borders[i])} to {number(borders[i + 1])}: {number(height)}"
            late = borders[i] >= limit * (1 - 1e-9)
            width = max(0.8, float(right[i] - left[i]) - 0.6)
            parts.append(
                f'<rect x="{left[i]:.1f}" y="{top[i]:.1f}" width="{width:.1f}" '
                f'height="{max(0.8, float(y.start - top[i])):.1f}" fill="{tone(1 if late else 0)}">'
                f"<title>{escape(said)}</title></rect>"
            )
    parts += [p for m in markers for p in _vertical(m, x, y.start, y.end)]
    return svg.figure(parts, width=WIDTH, height=HEIGHT, title=title, desc=desc)


def stacked_bars(
    rows: Sequence[tuple[str, Sequence[float]]],
    parts: Sequence[str],
    *,
    title: str,
    desc: str,
    x_label: str = "ms",
    target: Marker | None = None,
    tones: Mapping[str, int] = PART_TONES,
) -> Svg:
    """One horizontal bar a row, made of ``parts`` in order, its sum written at its end."""
    step, bar = 26.0, 17.0
    left = 16 + max((len(label) for label, _ in rows), default=0) * svg.CHAR_PX
    height = 78 + step * len(rows) + BOTTOM
    sums = [math.fsum(v for v in values if math.isfinite(v)) for _, values in rows]
    reach = [*sums, *([target.value] if target else [])]
    x = svg.scale_for([0.0, *reach], left, WIDTH - 56, log=False)
    bottom = height - BOTTOM
    drawn = [text(16, 24, title, kind="strong"), *_legend(parts, tones, 16.0, 46.0)]
    for tick in x.ticks(7):
        at = x.px(tick)
        drawn.append(svg.line(at, 66, at, bottom))
        drawn.append(text(at, bottom + 16, number(tick), anchor="middle", kind="faint"))
    drawn.append(text(x.end, bottom + 32, x_label, anchor="end", kind="faint"))
    for i, (label, values) in enumerate(rows):
        top = 70 + step * i
        drawn.append(text(left - 8, top + bar - 4.5, label, anchor="end"))
        drawn += _bar(values, parts, tones, x, top, bar)
    if target:
        drawn += _vertical(target, x, bottom, 66)
    for i, total in enumerate(sums):
        drawn.append(text(x.px(total) + 6, 70 + step * i + bar - 4.5, number(total), kind="halo"))
    return svg.figure(drawn, width=WIDTH, height=height, title=title, desc=desc)


def _floats(values: ArrayLike) -> F64:
    return np.asarray(values, dtype=np.float64)


def _band(series: Series, index: int, x: Scale, y: Scale) -> str:
    if series.low is None or series.high is None:
        return ""
    at, low, high = _floats(series.x), _floats(series.low), _floats(series.high)
    known = ~(np.isnan(low) | np.isnan(high))
    if not known.any():
        return ""
    across = np.concatenate([x.at(at[known]), x.at(at[known])[::-1]])
    around = np.concatenate([y.at(high[known]), y.at(low[known])[::-1]])
    d = svg.path(across, around, closed=True)
    return f'<path d="{d}" fill="{tone(index)}" fill-opacity="0.16"/>'


def _curve(series: Series, index: int, x: Scale, y: Scale) -> str:
    """The line through the finite points, broken where there is none, and the points."""
    at, value = _floats(series.x), _floats(series.y)
    across, down = x.at(at), y.at(np.where(np.isnan(value), y.low, value))
    finite = np.isfinite(value)
    drawn = []
    for run in np.split(np.arange(at.size), np.flatnonzero(~finite)):
        run = run[finite[run]] if run.size else run
        if run.size > 1:
            d = svg.path(across[run], down[run])
            drawn.append(
                f'<path d="{d}" fill="none" stroke="{tone(index)}" stroke-width="1.8"'
                f'{dash(index)} stroke-linejoin="round"/>'
            )
    dots = at.size <= 60
    for i in range(at.size):
        if not (math.isinf(value[i]) or (dots and finite[i])):
            continue
        said = f"{series.name} at {number(at[i])}: {number(value[i])}"
        shape = 3 if math.isinf(value[i]) else 0
        drawn.append(svg.mark(float(across[i]), float(down[i]), 2.8, index, said, shape=shape))
    return "".join(drawn)


def _end_labels(series: Sequence[Series], x: Scale, y: Scale) -> list[str]:
    """The name of each line at its end, moved apart where they would overlap."""
    ends = []
    for s in series:
        value = _floats(s.y)
        known = value[~np.isnan(value)]
        ends.append(y.px(float(known[-1])) if known.size else y.start)
    placed = svg.spread(ends, 13.0, y.end + 4, y.start)
    return [
        f'<g style="--ink:{tone(i)}">{text(x.end + 8, at + 4, s.name, kind="strong")}</g>'
        for i, (s, at) in enumerate(zip(series, placed, strict=True))
    ]


def _horizontal(target: Marker, x: Scale, y: Scale) -> list[str]:
    at = y.px(target.value)
    d = f"M{x.start:.1f},{at:.1f} {x.end:.1f},{at:.1f}"
    return [
        f'<path d="{d}" stroke="{INK}" stroke-width="1.2" stroke-dasharray="5 3"/>',
        text(x.start + 6, at - 5, target.label, kind="halo"),
    ]


def _vertical(marker: Marker, x: Scale, bottom: float, top: float) -> list[str]:
    """A dashed line up to ``top``, its label beside its upper end, on the side with room."""
    at = x.px(marker.value)
    left_side = at + len(marker.label) * svg.CHAR_PX + 8 > WIDTH
    d = f"M{at:.1f},{bottom:.1f} {at:.1f},{top - 10:.1f}"
    return [
        f'<path d="{d}" stroke="{INK}" stroke-width="1.2" stroke-dasharray="5 3"/>',
        text(
            at - 5 if left_side else at + 5,
            top - 3,
            marker.label,
            anchor="end" if left_side else "start",
            kind="halo",
        ),
    ]


def _bar(
    values: Sequence[float],
    parts: Sequence[str],
    tones: Mapping[str, int],
    x: Scale,
    top: float,
    bar: float,
) -> list[str]:
    drawn, start = [], 0.0
    for i, (part, value) in enumerate(zip(parts, values, strict=True)):
        if not math.isfinite(value) or value <= 0:
            continue
        a, b = x.px(start), x.px(start + value)
        drawn.append(
            f'<rect x="{a:.1f}" y="{top:.1f}" width="{max(0.4, b - a):.1f}" height="{bar}" '
            f'fill="{tone(tones.get(part, i))}">'
            f"<title>{escape(f'{part} {number(value)}')}</title></rect>"
        )
        start += value
    return drawn


def _legend(names: Sequence[str], tones: Mapping[str, int], x: float, y: float) -> list[str]:
    drawn = []
    for i, name in enumerate(names):
        drawn.append(
            f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="11" height="11" rx="2" '
            f'fill="{tone(tones.get(name, i))}"/>'
        )
        drawn.append(text(x + 16, y, name))
        x += 32 + len(name) * svg.CHAR_PX
    return drawn
