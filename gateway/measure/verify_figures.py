"""The two pictures only ``verify`` draws: the verdict on its scale, and the map of who is in.

On the map a city's area is its people. Filled: served; hollow: outside, fainter where even
straight fibre would be too long. A dashed ring marks the knife edge. Diamonds are the centers
of the area; the shade around them is how far the time that is not network lets a path reach.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from gateway.api import Center
from gateway.measure import svg
from gateway.measure.city_results import CityResult
from gateway.measure.coastline import bay, continent, islands
from gateway.measure.samples import F64
from gateway.measure.svg import INK, Scale, Svg, text, tone
from gateway.measure.verdict import Verdict, percent, percent_interval

WIDTH = 720.0
KM_PER_DEGREE = 111.195
WEST, EAST, SOUTH, NORTH = 74.5, 133.5, 17.8, 49.0
"""The frame around the mainland's cities, degrees."""
LABEL_PEOPLE = 7_000_000
LABEL_ALWAYS_PEOPLE = 15_000_000
"""From so many people on a city has its label even where it covers a smaller one's dot."""
SHADED_SPOTS_MAX = 6
"""With more spots than this their shades would cover the land and say nothing."""
FAINT = "var(--faint,#5a6576)"
PAPER = "var(--paper,#fff)"
LAND = "color-mix(in srgb, var(--grid,#e2e6ec) 45%, var(--paper,#fff))"
SHORE = "var(--grid,#e2e6ec)"

IN, LATE, OUT, EDGE, CENTER = tone(2), tone(1), FAINT, tone(3), tone(0)
RULING_TONES = {"pass": IN, "fail": LATE, "cannot tell": tone(4)}

Box = tuple[float, float, float, float]


def banner(verdict: Verdict) -> Svg:
    """The ruling in large, and the interval against the objective on a scale of shares."""
    share, colour = verdict.share, RULING_TONES[verdict.ruling]
    known = not math.isnan(share.value)
    low = min(share.low if known else 1.0, verdict.objective)
    scale = Scale(max(0.0, 1.0 - max(0.02, 1.35 * (1.0 - low))), 1.0, 26.0, WIDTH - 26.0)
    parts = [
        f'<rect x="0" y="0" width="{WIDTH:g}" height="150" rx="10" fill="{colour}" '
        'fill-opacity="0.09"/>',
        f'<rect x="0" y="0" width="8" height="150" rx="4" fill="{colour}"/>',
        _large(26, 48, verdict.ruling.upper(), 32, colour),
        _large(WIDTH - 26, 48, percent(share.value), 32, INK, anchor="end"),
        text(WIDTH - 26, 68, _bounds(verdict), anchor="end", kind="faint"),
        text(26, 68, f"objective {100 * verdict.objective:g} %", kind="faint"),
        svg.line(scale.start, 108, scale.end, 108, kind="axis"),
    ]
    for tick in scale.ticks(5):
        at = scale.px(tick)
        parts.append(svg.line(at, 108, at, 112, kind="axis"))
        parts.append(text(at, 126, f"{100 * tick:.4g} %", anchor="middle", kind="faint"))
    goal = scale.px(verdict.objective)
    parts.append(
        f'<path d="M{goal:.1f},86 {goal:.1f},112" stroke="{INK}" stroke-width="1.6" '
        'stroke-dasharray="4 2"/>'
    )
    parts.append(text(min(goal, scale.end - 28), 82, "objective", anchor="middle", kind="halo"))
    if known:
        a, b, at = scale.px(share.low), scale.px(share.high), scale.px(share.value)
        parts.append(
            f'<rect x="{a:.1f}" y="101" width="{max(2.0, b - a):.1f}" height="14" rx="4" '
            f'fill="{colour}" fill-opacity="0.45"/>'
        )
        parts.append(f'<circle cx="{at:.1f}" cy="108" r="6" fill="{colour}" stroke="{PAPER}"/>')
    title = f"{verdict.ruling}: {percent_interval(share)}"
    return svg.figure(parts, width=WIDTH, height=150, title=title, desc=verdict.sentence)


def china(
    results: Sequence[CityResult],
    centers: Sequence[Center],
    *,
    knife_edge: Sequence[str],
    reach_km: float,
    title: str,
    desc: str,
) -> Svg:
    """The cities of ``results`` in and out, ``centers`` as diamonds, their reach shaded."""
    lon = Scale(WEST, EAST, 8.0, WIDTH - 8.0)
    shrink = math.cos(math.radians((SOUTH + NORTH) / 2))
    tall = (lon.end - lon.start) / ((EAST - WEST) * shrink) * (NORTH - SOUTH)
    lat = Scale(SOUTH, NORTH, 66.0 + tall, 66.0)
    spots = _spots(centers)
    few = len(spots) <= SHADED_SPOTS_MAX
    parts = [text(16, 24, title, kind="strong"), *_legend(shaded=few)]
    parts += _backdrop(lon, lat)
    if few:
        parts += [_reach(at, reach_km, lon, lat) for at in spots.values()]
    taken: list[Box] = []
    for result in sorted(results, key=lambda r: (r.status in ("in", "late"), -r.city.population)):
        parts.append(_city(result, lon, lat, edge=result.city.name in knife_edge))
        city = result.city
        x, y, r = lon.px(city.lon), lat.px(city.lat), _radius(city.population)
        taken.append((x - r, y - r, x + r, y + r))
    for name, (x_deg, y_deg) in spots.items():
        x, y = lon.px(x_deg), lat.px(y_deg)
        parts.append(_diamond(x, y, 7 if few else 4.5, f"centers in {name}"))
        taken.append((x - 6, y - 6, x + 6, y + 6))
    for label in _names(results, spots, knife_edge):
        parts += _placed(label, lon, lat, taken)
    return svg.figure(parts, width=WIDTH, height=lat.start + 8, title=title, desc=desc)


def _bounds(verdict: Verdict) -> str:
    share = verdict.share
    if math.isnan(share.value):
        return "nothing was measured"
    return f"95 % interval {100 * share.low:.2f} to {100 * share.high:.2f} %"


def _large(x: float, y: float, words: str, size: int, colour: str, *, anchor: str = "start") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" '
        f'style="font-size:{size}px;font-weight:700;fill:{colour}">{escape(words)}</text>'
    )


def _legend(*, shaded: bool) -> list[str]:
    marks = [
        (_circle(0, 0, 5, IN, hollow=False), "within the target"),
        (_circle(0, 0, 5, LATE, hollow=False), "inside, but late"),
        (_circle(0, 0, 5, OUT, hollow=True), "outside"),
        (_circle(0, 0, 3, OUT, hollow=True) + _ring(0, 0, 6), "knife edge"),
        (_diamond(0, 0, 6, ""), "center"),
    ]
    if shaded:
        marks.append((f'<circle r="6" fill="{CENTER}" fill-opacity="0.15"/>', "reach"))
    drawn, x = [], 22.0
    for mark, words in marks:
        drawn.append(f'<g transform="translate({x:.1f} 42)">{mark}</g>')
        drawn.append(text(x + 11, 46, words))
        x += 36 + len(words) * svg.CHAR_PX
    return drawn


def _backdrop(lon: Scale, lat: Scale) -> list[str]:
    """Land in a shade, the sea as paper."""

    def shape(points: F64, fill: str) -> str:
        d = svg.path(lon.at(points[:, 0]), lat.at(points[:, 1]), closed=True)
        return f'<path d="{d}" fill="{fill}" stroke="{SHORE}" stroke-linejoin="round"/>'

    return [shape(continent(), LAND), shape(bay(), PAPER), *(shape(i, LAND) for i in islands())]


def _spots(centers: Sequence[Center]) -> dict[str, tuple[float, float]]:
    """Where the centers within the frame stand, by city: lon, lat."""
    places = {center.city: (center.location.lon, center.location.lat) for center in centers}
    return {
        name: (x, y) for name, (x, y) in places.items() if WEST < x < EAST and SOUTH < y < NORTH
    }


def _radius(people: int) -> float:
    return 1.9 + 1.55 * math.sqrt(people / 1e6)


def _reach(at: tuple[float, float], km: float, lon: Scale, lat: Scale) -> str:
    """A circle on the globe, near enough an ellipse on the map."""
    degrees = km / KM_PER_DEGREE
    wide = degrees / math.cos(math.radians(at[1]))
    rx = lon.px(at[0] + wide) - lon.px(at[0])
    ry = lat.px(at[1]) - lat.px(at[1] + degrees)
    return (
        f'<ellipse cx="{lon.px(at[0]):.1f}" cy="{lat.px(at[1]):.1f}" rx="{rx:.1f}" ry="{ry:.1f}" '
        f'fill="{CENTER}" fill-opacity="0.09" stroke="{CENTER}" stroke-opacity="0.35"/>'
    )


def _city(result: CityResult, lon: Scale, lat: Scale, *, edge: bool) -> str:
    city = result.city
    x, y, r = lon.px(city.lon), lat.px(city.lat), _radius(city.population)
    colour = {"in": IN, "late": LATE, "beyond": IN}.get(result.status, OUT)
    hollow = result.status in ("out", "beyond")
    said = f"{city.name}: {city.network_ms:.1f} ms of network"
    if result.cause:
        said += f" ({result.cause})"
    if result.requests:
        said += f", {percent(result.within.value)} of {result.requests} in time"
    faint = result.cause == "physics"
    drawn = _circle(x, y, r, colour, hollow=hollow, said=said, faint=faint)
    return drawn + (_ring(x, y, r + 2.6) if edge else "")


def _circle(
    x: float, y: float, r: float, colour: str, *, hollow: bool, said: str = "", faint: bool = False
) -> str:
    hover = f"<title>{escape(said)}</title>" if said else ""
    fill = f'fill="{PAPER}" fill-opacity="0.55"' if hollow else f'fill="{colour}"'
    opacity = "0.45" if faint else "0.9"
    stroke = colour if hollow else PAPER
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" {fill} stroke="{stroke}" '
        f'stroke-opacity="{opacity}" stroke-width="1.1">{hover}</circle>'
    )


def _ring(x: float, y: float, r: float) -> str:
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill="none" stroke="{EDGE}" '
        'stroke-width="1.6" stroke-dasharray="3 2"/>'
    )


def _diamond(x: float, y: float, r: float, said: str) -> str:
    hover = f"<title>{escape(said)}</title>" if said else ""
    d = f"M{x:.1f},{y - r:.1f} {x + r:.1f},{y:.1f} {x:.1f},{y + r:.1f} {x - r:.1f},{y:.1f}Z"
    return f'<path d="{d}" fill="{CENTER}" stroke="{PAPER}" stroke-width="1.2">{hover}</path>'


@dataclass(frozen=True, slots=True)
class _Label:
    """Words beside a place; ``always``: shown even where a dot must be covered."""

    words: str
    lon: float
    lat: float
    gap: float
    kind: str = "halo"
    always: bool = False


def _names(
    results: Sequence[CityResult],
    spots: dict[str, tuple[float, float]],
    knife_edge: Sequence[str],
) -> Iterator[_Label]:
    """What is worth a label, the most important first."""
    few = spots if len(spots) <= SHADED_SPOTS_MAX else {}
    for name, (x, y) in few.items():
        yield _Label(name, x, y, 9.0, "strong halo", always=True)
    for result in sorted(results, key=lambda r: -r.city.population):
        city = result.city
        if city.name in few or (city.population < LABEL_PEOPLE and city.name not in knife_edge):
            continue
        always = city.population >= LABEL_ALWAYS_PEOPLE
        yield _Label(city.name, city.lon, city.lat, _radius(city.population) + 3, always=always)


def _placed(label: _Label, lon: Scale, lat: Scale, taken: list[Box]) -> list[str]:
    """The label on the side of its place where it covers least; none where it would cover."""
    x, y, gap = lon.px(label.lon), lat.px(label.lat), label.gap
    wide = len(label.words) * svg.CHAR_PX
    sides = (
        (x + gap, y + 4, "start", x + gap),
        (x - gap, y + 4, "end", x - gap - wide),
        (x, y - gap, "middle", x - wide / 2),
        (x, y + gap + 8, "middle", x - wide / 2),
    )
    boxes = [(left, at_y - 9, left + wide, at_y + 2) for _, at_y, _, left in sides]
    covered = [
        sum(_overlap(box, other) for other in taken) + 100 * (box[0] < 2 or box[2] > WIDTH - 2)
        for box in boxes
    ]
    side = covered.index(min(covered))
    if covered[side] and not label.always:
        return []
    taken.append(boxes[side])
    at_x, at_y, anchor, _ = sides[side]
    return [text(at_x, at_y, label.words, anchor=anchor, kind=label.kind)]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
