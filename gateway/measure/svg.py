"""SVG by hand: scales, ticks, text and axes, from which the charts are put together.

Every picture stands alone (its style is inside it, colours are CSS variables with a fallback
for light, dark and paper) and refers to nothing outside. All text from callers is escaped in
``text`` and ``figure``, the only places where it enters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import NewType

import numpy as np
from numpy.typing import ArrayLike

from gateway.measure.samples import F64

Svg = NewType("Svg", str)
"""Markup of one whole picture, safe to put into a page as it is."""

TONES_LIGHT = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b7791f", "#b83280", "#4a5568")
TONES_DARK = ("#7cb7ee", "#f0a36b", "#7fd1a0", "#b79cf0", "#ecc86a", "#f0a0cc", "#a9b4c4")
DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 3", "10 4", "4 2")
"""A dash pattern a tone, so that lines stay apart on a grey printout."""

INK = "var(--ink,#1a202c)"
CHAR_PX = 6.3
"""Mean width of a character at 11 px; for placing labels, not for exact setting."""

VARIABLES_LIGHT = "--ink:#1a202c;--faint:#5a6576;--grid:#e2e6ec;--paper:#ffffff;" + "".join(
    f"--tone{i}:{tone};" for i, tone in enumerate(TONES_LIGHT)
)
VARIABLES_DARK = "--ink:#e8ecf2;--faint:#a3adbb;--grid:#333c49;--paper:#161b22;" + "".join(
    f"--tone{i}:{tone};" for i, tone in enumerate(TONES_DARK)
)

STYLE = (
    "text{font:11px system-ui,'Helvetica Neue',Arial,'DejaVu Sans',sans-serif;"
    "fill:var(--ink,#1a202c)}"
    ".faint{fill:var(--faint,#5a6576)}.strong{font-weight:600}"
    ".halo{paint-order:stroke;stroke:var(--paper,#fff);stroke-width:3px;stroke-linejoin:round}"
    ".grid{stroke:var(--grid,#e2e6ec);stroke-width:1}"
    ".axis{stroke:var(--faint,#5a6576);stroke-width:1}"
)


def tone(index: int) -> str:
    """The CSS colour of series ``index``; the palette repeats."""
    at = index % len(TONES_LIGHT)
    return f"var(--tone{at},{TONES_LIGHT[at]})"


def dash(index: int) -> str:
    """The ``stroke-dasharray`` attribute of series ``index``, empty for a full line."""
    pattern = DASHES[index % len(DASHES)]
    return f' stroke-dasharray="{pattern}"' if pattern else ""


def number(value: float) -> str:
    """A number for people: three significant digits, thin spaces between thousands."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "–"
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", "\u202f")
    shown = f"{value:.3g}"
    return shown if "e" not in shown else f"{value:.4f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values from ``low`` to ``high`` onto pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, values: ArrayLike) -> F64:
        """Pixels, float64 of the values' shape; values outside are clipped to the edge."""
        clipped = np.clip(np.asarray(values, dtype=np.float64), self.low, self.high)
        if self.log:
            part = np.log(clipped / self.low) / math.log(self.high / self.low)
        else:
            part = (clipped - self.low) / (self.high - self.low)
        return np.asarray(self.start + part * (self.end - self.start), dtype=np.float64)

    def px(self, value: float) -> float:
        """One pixel position."""
        return float(self.at(value))

    def ticks(self, wanted: int = 6) -> list[float]:
        """Round values within the scale, about ``wanted`` of them."""
        if self.log:
            return _log_ticks(self.low, self.high, wanted)
        step = _round_step((self.high - self.low) / max(1, wanted))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(i * step, 12) for i in range(first, last + 1)]


def scale_for(
    values: Iterable[float], start: float, end: float, *, log: bool, zero: bool = True
) -> Scale:
    """A scale that holds all finite ``values`` with a little room; from 0 unless told not to."""
    known = [v for v in values if math.isfinite(v) and (v > 0 or not log)]
    if not known:
        known = [1.0, 10.0] if log else [0.0, 1.0]
    low, high = min(known), max(known)
    if log:
        low, high = low / 1.15, high * 1.15
        if high / low < 4:
            low, high = low / 1.5, high * 1.5
        return Scale(low, high, start, end, log=True)
    if zero:
        low = min(0.0, low)
    if high <= low:
        high = low + 1.0
    margin = 0.05 * (high - low)
    return Scale(low if low == 0.0 else low - margin, high + margin, start, end)


def text(
    x: float, y: float, words: str, *, anchor: str = "start", kind: str = "", turn: float = 0.0
) -> str:
    """A line of text, escaped. ``anchor`` start, middle or end; ``kind`` CSS classes."""
    turned = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
    classes = f' class="{kind}"' if kind else ""
    at = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text {at}{classes}{turned}>{escape(words)}</text>"


def line(x1: float, y1: float, x2: float, y2: float, *, kind: str = "grid") -> str:
    """A straight line of class ``kind``."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def path(x: F64, y: F64, *, closed: bool = False) -> str:
    """The ``d`` of a polyline through the points."""
    steps = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    return f"M{steps}{'Z' if closed else ''}"


def mark(x: float, y: float, r: float, group: int, said: str, *, shape: int = -1) -> str:
    """A circle, diamond, square or triangle in the group's tone; ``said`` is its hover text."""
    hover = f"<title>{escape(said)}</title>" if said else ""
    style = f'fill="{tone(group)}" fill-opacity="0.88" stroke="var(--paper,#fff)"'
    kind = (group if shape < 0 else shape) % 4
    if kind == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:g}" {style}>{hover}</circle>'
    corners = {
        1: ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
        2: ((-1, -1), (1, -1), (1, 1), (-1, 1)),
        3: ((0, -1.2), (1.2, 1), (-1.2, 1)),
    }[kind]
    at = np.asarray(corners) * r
    return f'<path d="{path(x + at[:, 0], y + at[:, 1], closed=True)}" {style}>{hover}</path>'


def figure(parts: Sequence[str], *, width: float, height: float, title: str, desc: str) -> Svg:
    """The whole picture, with a title and a description for who can't see it."""
    name = escape(title, quote=True)
    return Svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-label="{name}">'
        f"<title>{escape(title)}</title><desc>{escape(desc)}</desc>"
        f"<style>{STYLE}</style>{''.join(parts)}</svg>"
    )


def axes(x: Scale, y: Scale, *, x_label: str, y_label: str, title: str) -> list[str]:
    """Grid, ticks, labels and heading for a plot; the y axis' name stands above it."""
    left, right, bottom, top = x.start, x.end, y.start, y.end
    parts = [
        text(left, top - 26, title, kind="strong"),
        text(left, top - 9, y_label, kind="faint"),
        text(right, bottom + 33, x_label, anchor="end", kind="faint"),
    ]
    for tick in y.ticks(5):
        at = y.px(tick)
        parts += [
            line(left, at, right, at),
            text(left - 7, at + 4, number(tick), anchor="end", kind="faint"),
        ]
    for tick in x.ticks(7):
        at = x.px(tick)
        parts += [
            line(at, bottom, at, bottom + 4, kind="axis"),
            text(at, bottom + 17, number(tick), anchor="middle", kind="faint"),
        ]
    parts.append(line(left, bottom, right, bottom, kind="axis"))
    return parts


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Moves label positions apart by at least ``gap`` within ``low..high``, order kept."""
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    placed = [0.0] * len(positions)
    at = low - gap
    for i in order:
        at = max(positions[i], at + gap)
        placed[i] = at
    limit = high
    for i in reversed(order):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - gap
    return placed


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * m for m in (1, 2, 5, 10) if power * m >= step * 0.999)


def _log_ticks(low: float, high: float, wanted: int) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for mantissas in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = [m * 10.0**p for p in range(first, last + 1) for m in mantissas]
        ticks = [t for t in ticks if low <= t <= high]
        if len(ticks) <= wanted * 1.5:
            return ticks
    return ticks[:: max(1, len(ticks) // wanted)]
