"""The load report: a table for the terminal, and one HTML page with what it looks like."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from gateway.measure.charts import (
    PART_TONES,
    Marker,
    Section,
    Series,
    Svg,
    Table,
    histogram,
    lines,
    page,
    stacked_bars,
)
from gateway.measure.intervals import Interval
from gateway.measure.knee import Knee
from gateway.measure.load import LoadResult
from gateway.measure.rate_result import RateResult
from gateway.measure.svg import number

WHY_LIMITED = {
    "generator": "the generator could not keep up: the figures are partly its own",
    "machine": "the machine was too busy: 1 in 100 wake-ups came more than 1 ms late",
}
HOW = (
    "Open loop: every request's instant is fixed before the run, and its latency is counted from "
    "that instant, so a server that stalls is not spared the requests it kept from being sent. "
    "Intervals hold 95 % of repetitions (bootstrap over one-second blocks, never narrower than "
    "for independent requests). What was not answered counts as infinitely late."
)


def load_table(result: LoadResult, *, knee: Knee | None = None) -> RenderableType:
    """The figures of every rate, for a rich console."""
    title = f"{result.model} at {result.url}"
    table = RichTable(title=title, title_justify="left", box=None, pad_edge=False, leading=1)
    for i, column in enumerate(_columns(result)):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    for rate in result.rates:
        table.add_row(
            *map(_on_two_lines, _row(rate)), style="" if not rate.limited_by else "yellow"
        )
    notes = [Text(f"{_rate(r)}: {WHY_LIMITED[r.limited_by]}") for r in result.rates if r.limited_by]
    notes += [Text(f"{_rate(r)}: {_errors(r)}", style="red") for r in result.rates if r.errors]
    if knee is not None:
        notes.append(Text(knee.said, style="bold"))
    return Group(table, *notes)


def load_page(result: LoadResult, *, knee: Knee | None = None) -> str:
    """The whole report as one HTML file that needs no network."""
    sections = [
        Section("Latency against load", _found(result, knee), _against_load(result)),
        Section("All figures", (), (), (_table(result), *_error_tables(result))),
        *(
            Section(f"At {_rate(rate)}", _doubts(rate), _pictures(rate, result.target_ms))
            for rate in result.rates
        ),
        Section("How it was measured", (HOW, _asked(result)), (), (_noise_table(result),)),
    ]
    return page(f"Load on {result.model}", sections, lead=f"{result.url}, {_span(result)}")


def _columns(result: LoadResult) -> list[str]:
    within = f"within {number(result.target_ms)} ms"
    return ["asked/s", "got/s", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", within, "failed"]


def _row(rate: RateResult) -> list[str]:
    return [
        number(rate.asked_rate),
        number(rate.achieved_rate),
        *(spoken(rate.latency_ms[name]) for name in ("p50", "p90", "p99", "p99.9")),
        spoken(rate.share_within, percent=True),
        number(rate.requests - rate.answered),
    ]


def _on_two_lines(cell: str) -> str:
    """An interval below its value: eight columns of them fit a terminal of 80 characters."""
    value, _, interval = cell.partition(" (")
    return f"{value}\n{interval.removesuffix(')').replace(' to ', '–')}" if interval else cell


def spoken(interval: Interval, *, percent: bool = False) -> str:
    """``8.21 (8.02 to 8.44)``, or the same in percent; ``–`` when nothing was measured."""
    if math.isnan(interval.value):
        return "–"
    shown = _percent if percent else number
    unit = " %" if percent else ""
    low, value, high = shown(interval.low), shown(interval.value), shown(interval.high)
    return f"{value}{unit} ({low} to {high})"


def _percent(share: float) -> str:
    """Two decimals near the ends, where they are what matters."""
    percent = 100 * share
    return f"{percent:.2f}" if percent > 98 or percent < 2 else f"{percent:.1f}"


def _found(result: LoadResult, knee: Knee | None) -> list[str]:
    """What the figures say, in sentences."""
    found = [knee.said] if knee is not None else []
    for rate in result.rates:
        p99, share = rate.latency_ms["p99"], rate.share_within
        found.append(
            f"At {_rate(rate)}, {spoken(share, percent=True)} were answered within "
            f"{number(result.target_ms)} ms; the 99th percentile is {spoken(p99)} ms."
        )
    return found


def _against_load(result: LoadResult) -> list[Svg]:
    if len(result.rates) < 2:
        return []
    rates = sorted(result.rates, key=lambda r: r.asked_rate)
    asked = [r.asked_rate for r in rates]
    curves = []
    for name in ("p50", "p90", "p99"):
        known = [r.latency_ms[name] for r in rates]
        low, value, high = ([getattr(i, end) for i in known] for end in ("low", "value", "high"))
        curves.append(Series(name, asked, value, low, high))
    picture = lines(
        curves,
        title="Latency against load",
        desc="Percentiles of the time from the intended instant to the last byte, by rate.",
        x_label="asked requests/s",
        y_label="ms",
        log_x=True,
        log_y=True,
        targets=[Marker(result.target_ms, f"target {number(result.target_ms)} ms")],
    )
    return [picture]


def _pictures(rate: RateResult, target_ms: float) -> list[Svg]:
    """Distribution, parts, and the course over time of one rate."""
    target = Marker(target_ms, f"target {number(target_ms)} ms")
    pictures = []
    if rate.answered:
        pictures.append(
            histogram(
                rate.histogram_edges_ms,
                rate.histogram,
                title="Distribution",
                desc=f"Answered requests by latency; {_rate(rate)}.",
                x_label="ms",
                log_x=True,
                markers=[target],
            )
        )
    if rate.typical_ms:
        pictures.append(_parts_picture(rate, target))
    if rate.p99_by_second_ms:
        seconds = np.arange(len(rate.p99_by_second_ms))
        pictures.append(
            lines(
                [Series("p99", seconds, rate.p99_by_second_ms)],
                title="The 99th percentile, second by second",
                desc="Each second's own 99th percentile; a triangle: more were not answered.",
                x_label="s",
                y_label="ms",
                targets=[target],
            )
        )
    return pictures


def _parts_picture(rate: RateResult, target: Marker) -> Svg:
    parts = [p for p in PART_TONES if p in rate.typical_ms]
    rows = [
        ("typical (p40 to p60)", [rate.typical_ms[p] for p in parts]),
        ("slowest 1 in 100", [rate.slowest_ms[p] for p in parts]),
    ]
    return stacked_bars(
        rows,
        parts,
        title="Where each millisecond goes",
        desc="Mean parts of the typical and of the slowest requests, as the server tells them.",
        target=target,
    )


def _table(result: LoadResult) -> Table:
    return Table(_columns(result), [_row(r) for r in result.rates], "Value (95 % interval)")


def _noise_table(result: LoadResult) -> Table:
    columns = ["asked/s", "wake-ups p50", "p99", "max", "sends p50", "p99", "max"]
    rows = [
        [
            number(r.asked_rate),
            *(number(v) for v in (r.noise.p50_ms, r.noise.p99_ms, r.noise.max_ms)),
            *(number(v) for v in _late(r)),
        ]
        for r in result.rates
    ]
    return Table(columns, rows, "Noise of the machine, lateness of the generator, ms")


def _late(rate: RateResult) -> tuple[float, float, float]:
    late = rate.late_send_ms
    return late.p50_ms, late.p99_ms, late.max_ms


def _error_tables(result: LoadResult) -> list[Table]:
    kinds = sorted({kind for r in result.rates for kind in r.errors})
    if not kinds:
        return []
    rows = [
        [number(r.asked_rate), *(number(r.errors.get(k, 0)) for k in kinds)] for r in result.rates
    ]
    return [Table(["asked/s", *kinds], rows, "Failures by kind, warm-up included")]


def _errors(rate: RateResult) -> str:
    told = ", ".join(f"{number(n)} × {kind}" for kind, n in sorted(rate.errors.items()))
    return f"failures, warm-up included: {told}"


def _doubts(rate: RateResult) -> Sequence[str]:
    if not rate.limited_by:
        return ()
    return (f"Read with care: {WHY_LIMITED[rate.limited_by]}.",)


def _rate(rate: RateResult) -> str:
    return f"{number(rate.asked_rate)} requests/s"


def _span(result: LoadResult) -> str:
    seconds = result.rates[0].duration_s if result.rates else 0.0
    return f"{number(seconds)} s a rate after {number(result.warmup_s)} s of warm-up"


def _asked(result: LoadResult) -> str:
    where = ""
    if result.origins:
        first = ", ".join(f"{name} {number(n)}" for name, n in list(result.origins.items())[:6])
        where = (
            f" Origins are drawn by weight, {len(result.origins)} of them; most often asked "
            f"from: {first} (over all rates, warm-up included)."
        )
    times = "Poisson arrivals" if result.arrivals == "poisson" else "Evenly spaced arrivals"
    return f"{times}, seed {result.seed}; a body of {number(result.body_bytes)} bytes.{where}"
