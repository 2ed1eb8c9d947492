"""The bench's pictures: distributions, share in time against load, regret by colour, time lines.

Numbers in, SVG out; what a picture shows comes from ``Evidence``, and the same numbers go into
the table beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from bench.policies import paired
from bench.policies.cells import Series as Course
from bench.policies.evidence import Evidence
from bench.policies.latency_histogram import BUCKETS, F64, edges_ms
from gateway.measure import svg
from gateway.measure.charts import Series, Svg, lines
from gateway.measure.svg import number, text

POINTS = 60
"""Points of a curve: more than a screen shows is only weight."""


def distribution(
    evidence: Evidence, condition: str, labels: Sequence[str], *, slo_ms: float, tail: bool
) -> Svg:
    """The share answered within x ms, or (``tail``) the share that took longer, both axes log."""
    series = []
    for label in labels:
        one = evidence.arm(condition, label)
        if one is not None:
            x, y = _tail(one.counts.sum(axis=0)) if tail else _cdf(one.counts.sum(axis=0))
            series.append(Series(label, x, y))
    words = "that took longer" if tail else "answered within"
    return lines(
        series,
        title=f"{condition}: share {words}",
        desc=f"The share of all requests {words} x ms; unanswered requests are never answered. "
        f"The objective is {slo_ms:g} ms.",
        x_label="ms",
        y_label=f"share {words}",
        log_x=True,
        log_y=tail,
    )


def _cdf(counts: F64) -> tuple[F64, F64]:
    cumulated, total = np.cumsum(counts[:BUCKETS]), counts.sum()
    share = cumulated / total
    inside = np.flatnonzero((share > 0.002) & (share < 0.9995))
    at = _thinned(inside)
    return edges_ms()[at + 1], share[at]


def _tail(counts: F64) -> tuple[F64, F64]:
    """From the median on, down to 20 requests."""
    total = counts.sum()
    beyond = 1.0 - np.cumsum(counts[:BUCKETS]) / total
    inside = np.flatnonzero((beyond <= 0.6) & (beyond >= 20 / total))
    at = _thinned(inside)
    return edges_ms()[at + 1], beyond[at]


def _thinned(index: NDArray[np.intp]) -> NDArray[np.intp]:
    if index.size <= POINTS:
        return index.astype(np.intp)
    return index[np.linspace(0, index.size - 1, POINTS + 1).astype(np.intp)].astype(np.intp)


def share_against_load(
    evidence: Evidence, conditions: Sequence[str], labels: Sequence[str], *, slo_ms: float
) -> Svg:
    """The share in time at each load, with its interval as a band."""
    series = []
    for label in labels:
        found = [
            (evidence.conditions[c].load, paired.alone(one, paired.share_within))
            for c in conditions
            if (one := evidence.arm(c, label)) is not None
        ]
        if found:
            series.append(
                Series(
                    label,
                    [load for load, _ in found],
                    [100 * share.value for _, share in found],
                    [100 * max(0.0, share.low) for _, share in found],
                    [100 * min(1.0, share.high) for _, share in found],
                )
            )
    return lines(
        series,
        title=f"Share answered within {slo_ms:g} ms against load",
        desc="Percent of all requests; the band holds 95 % of repetitions.",
        x_label="load (work offered / work possible)",
        y_label="% in time",
    )


def timeline(
    evidence: Evidence, condition: str, labels: Sequence[str], marks: Sequence[tuple[float, str]]
) -> Svg:
    """The share in time, second by second, all seeds together."""
    series = []
    for label in labels:
        runs = [run.series for run in evidence.runs(condition, label) if run.series is not None]
        if runs:
            offered, within = (_by_second(runs, name) for name in ("offered", "within"))
            share = np.divide(within, offered, out=np.full(offered.size, np.nan), where=offered > 0)
            series.append(Series(label, np.arange(offered.size) + 0.5, 100 * share))
    said = "; ".join(f"{at:g} s: {words}" for at, words in marks)
    return lines(
        series,
        title=f"{condition}: share in time, by the second of arrival",
        desc=f"All seeds together. {said}",
        x_label=f"s ({said})" if said else "s",
        y_label="% in time",
    )


def _by_second(runs: Sequence[Course], name: str) -> F64:
    """float64[seconds]: a count, all seeds together, as far as the shortest goes."""
    step = max(1, round(1.0 / runs[0].bin_s))
    seconds = min(len(getattr(run, name)) for run in runs) // step
    whole = np.sum([getattr(run, name)[: seconds * step] for run in runs], axis=0)
    return np.asarray(whole.reshape(seconds, step).sum(axis=1), dtype=np.float64)


def heat_map(
    rows: Sequence[str], columns: Sequence[str], values: F64, *, title: str, desc: str
) -> Svg:
    """Ratios as colour: ``values`` float64[rows, columns], 1 is paper, 100 and above full tone.

    NaN is an empty field, infinite the full tone with its sign.
    """
    left = 20 + max((len(row) for row in rows), default=0) * svg.CHAR_PX
    head = 34 + max((len(c) for c in columns), default=0) * svg.CHAR_PX * 0.71
    wide = max(30.0, min(58.0, (940 - left) / max(1, len(columns))))
    tall = 21.0
    parts = [text(16, 22, title, kind="strong")]
    for j, column in enumerate(columns):
        parts.append(text(left + (j + 0.5) * wide, head + 12, column, turn=-45))
    for i, row in enumerate(rows):
        top = head + 20 + i * tall
        parts.append(text(left - 7, top + 14.5, row, anchor="end"))
        for j, column in enumerate(columns):
            parts.append(_field(left + j * wide, top, wide, tall, values[i, j], f"{row}, {column}"))
    height = head + 34 + len(rows) * tall
    width = left + len(columns) * wide + head * 0.6
    return svg.figure(parts, width=width, height=height, title=title, desc=desc)


def _field(x: float, y: float, wide: float, tall: float, value: float, said: str) -> str:
    if math.isnan(value):
        return text(x + wide / 2, y + 14.5, "·", anchor="middle", kind="faint")
    depth = 1.0 if math.isinf(value) else min(1.0, max(0.0, math.log10(max(value, 1.0)) / 2))
    rect = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide - 1.5:.1f}" height="{tall - 1.5:.1f}" rx="2" '
        f'fill="{svg.tone(1)}" fill-opacity="{0.04 + 0.76 * depth:.2f}">'
        f"<title>{escape(said)}: {number(value)}</title></rect>"
    )
    shown = f"{value:.2f}" if value < 9.995 else number(value)
    return rect + text(x + (wide - 1.5) / 2, y + 14.5, shown, anchor="middle")
