"""The chaos table, as Markdown, as words for a terminal, and as a section of a report page."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gateway.measure.chaos.episode import Episode, Row
from gateway.measure.chaos.floors import Floor, floors_of
from gateway.measure.chaos.windows import (
    FACTOR,
    WINDOW_S,
    Stretch,
    latencies_ms,
    window_p99_ms,
    window_starts,
)
from gateway.measure.charts import Marker, Section, Series, Table, lines
from gateway.measure.samples import Samples
from gateway.measure.svg import Svg

COLUMNS = (
    "fault",
    "sent",
    "right",
    "honest errors",
    "lost",
    "wrong",
    "detected, ms",
    "recovered, s",
    "p99 before, ms",
    "p99 during, ms",
    "p99 after, ms",
    "slowest, ms",
    "unsteady before",
)
FLOOR_COLUMNS = ("fault", "promise", "measured", "bound", "")
CURVE_STEP = 5

HOW = (
    "Recovered: the first instant, from the beginning of the fault, from which on the p99 is "
    f"within {FACTOR:g} times that of the whole stretch before, over the next {WINDOW_S:g} s and "
    "over all that is left of the fault. Unsteady: the share of one-second windows before the "
    "fault that break this bound by themselves, so how restless the machine was. What was under "
    "way when the fault began counts with it. Lost: no answer at all. Wrong: an answer that is "
    "not the one of this input. Detected: when the admin door first told of it (looked at every "
    "30 ms)."
)


def cells(row: Row) -> tuple[str, ...]:
    """A row of the table, in the order of COLUMNS."""
    it = row.figures
    return (
        row.title,
        str(it.counts.sent),
        str(it.counts.right),
        str(it.counts.honest),
        str(it.counts.lost),
        str(it.counts.wrong),
        shown(1e3 * row.detected_s, 0),
        shown(it.recovered_s, 2),
        shown(it.p99_before_ms, 1),
        shown(it.p99_during_ms, 1),
        shown(it.p99_after_ms, 1),
        shown(it.slowest_ms, 1),
        f"{100 * it.unsteady:.0f} %" if math.isfinite(it.unsteady) else "–",
    )


def floor_cells(row: Row, floor: Floor) -> tuple[str, ...]:
    """A row of the table of promises."""
    digits = 4 if "share" in floor.name or "traffic" in floor.name else 2
    return (
        row.title,
        floor.name,
        shown(floor.value, digits),
        shown(floor.bound, digits),
        floor.ruling,
    )


def markdown(episodes: Sequence[Episode]) -> str:
    """Both tables, and what went wrong besides."""
    rows = [row for episode in episodes for row in episode.rows]
    judged = [(row, floor) for row in rows for floor in floors_of(row)]
    parts = [
        _table(COLUMNS, [cells(row) for row in rows]),
        "",
        HOW,
        "",
        _table(FLOOR_COLUMNS, [floor_cells(row, floor) for row, floor in judged]),
        "",
        cpu_words(episodes),
    ]
    for episode in episodes:
        parts += [f"- {episode.title}: {words}" for words in troubles(episode)]
    return "\n".join(parts) + "\n"


def cpu_words(episodes: Sequence[Episode]) -> str:
    """How busy the machine was, and who kept it so."""
    own = [e.own_cpu for e in episodes if math.isfinite(e.own_cpu)]
    busy = [e.cpu for e in episodes if math.isfinite(e.cpu)]
    if not own or not busy:
        return "The machine's CPU share is not known here."
    return (
        f"CPU of all cores: gateway, centers, proxy and generator took {100 * min(own):.0f} to "
        f"{100 * max(own):.0f} %, the whole machine was {100 * min(busy):.0f} to "
        f"{100 * max(busy):.0f} % busy."
    )


def troubles(episode: Episode) -> list[str]:
    """What clients were told, and what of the plan could not be done."""
    told = [f"{count} × {words}" for words, count in episode.words.items()]
    return [*told, *(f"not done: {words}" for words in episode.failed)]


def section(episodes: Sequence[Episode], curves: Sequence[Svg] = ()) -> Section:
    """For a report page."""
    rows = [row for episode in episodes for row in episode.rows]
    judged = [floor_cells(row, floor) for row in rows for floor in floors_of(row)]
    said = [f"{e.title}: {words}" for e in episodes for words in troubles(e)]
    return Section(
        "Under faults",
        (HOW, cpu_words(episodes), *said),
        curves,
        (Table(COLUMNS, [cells(row) for row in rows]), Table(FLOOR_COLUMNS, judged)),
    )


def curve(episode: Episode, samples: Samples, duration_s: float) -> Svg:
    """p99 over time, with the faults marked."""
    whole = Stretch(0.0, duration_s)
    late_ms = latencies_ms(samples)
    p99_ms = window_p99_ms(samples.intended_s, late_ms, whole)[::CURVE_STEP]
    starts = window_starts(whole)[::CURVE_STEP]
    before = min((row.figures.p99_before_ms for row in episode.rows), default=math.nan)
    targets = () if not math.isfinite(before) else (Marker(FACTOR * before, "1.2 × before"),)
    faults = "; ".join(
        f"{row.fault} from {row.fault.at_s:g} to {row.fault.until_s:g} s" for row in episode.rows
    )
    return lines(
        [Series("p99", np.asarray(starts), p99_ms)],
        title=episode.title,
        desc=f"p99 over {WINDOW_S * 1e3:.0f} ms by the second of the run. {faults}.",
        x_label="s",
        y_label="ms",
        targets=targets,
    )


def shown(value: float, digits: int) -> str:
    """A number for a table: ∞ for what never came, – for what is not known."""
    if math.isfinite(value):
        return f"{value:.{digits}f}"
    return "∞" if value > 0 else "–"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = ["| " + " | ".join(columns) + " |", "|---" + "|---:" * (len(columns) - 1) + "|"]
    return "\n".join([*head, *("| " + " | ".join(row) + " |" for row in rows)])
