"""The verification for a terminal: the answer first, then why, then what it rests on.

Pure but for printing; the whole story with pictures is in ``verify_page``.
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.api import ConfigError
from gateway.measure.chaos.episode import Episode
from gateway.measure.chaos.floors import floors_of
from gateway.measure.chaos.report import COLUMNS, cells, cpu_words, shown, troubles
from gateway.measure.intervals import Interval
from gateway.measure.service_area import SEEDS
from gateway.measure.verdict import PartResult, millions, percent, percent_interval
from gateway.measure.verify import VerifyResult
from gateway.measure.verify_page import nearest_words, verify_page

RULING_STYLES = {"pass": "bold green", "fail": "bold red", "cannot tell": "bold yellow"}
PART_STYLES = {
    "network": "blue",
    "queue": "red",
    "service": "green",
    "gateway": "magenta",
    "client": "yellow",
}
BAR_CELLS = 48
KNIFE_EDGE_SHOWN = 8


def print_report(result: VerifyResult, console: Console) -> None:
    """The summary on ``console``, the verdict in its frame first."""
    console.print(_verdict(result))
    blocks = [_latency(result), _readings(result), _parts(result), _people(result)]
    if result.areas[0].knife_edge:
        blocks.append(_knife_edge(result))
    if result.chaos is not None:
        blocks.append(_chaos(result.chaos))
    for block in (*blocks, _noise(result), _ending(result)):
        console.print(Padding(block, (1, 0, 0, 2)))


def write_html(result: VerifyResult, file: Path) -> None:
    """The page, one file that needs no network. Raises ConfigError when it can't be written."""
    _write(file, verify_page(result).encode(), "--html")


def write_json(result: VerifyResult, file: Path) -> None:
    """Everything, as JSON. Raises ConfigError when it can't be written."""
    _write(file, msgspec.json.format(msgspec.json.encode(result.as_json())) + b"\n", "--json")


def _write(file: Path, content: bytes, flag: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    except OSError as error:
        raise ConfigError(
            f"{flag} {file}: cannot be written: {error.strerror}; name a file in a folder of yours"
        ) from error


def _verdict(result: VerifyResult) -> RenderableType:
    verdict = result.verdict
    style = RULING_STYLES[verdict.ruling]
    words = Text(verdict.sentence.partition(": ")[2] + ".")
    words.highlight_words([percent_interval(verdict.share)], "bold")
    title = Text(f" {verdict.ruling.upper()} ", style=f"{style} reverse")
    return Panel(words, title=title, title_align="left", border_style=style, padding=(1, 2))


def _latency(result: VerifyResult) -> RenderableType:
    verdict = result.verdict
    table = _table("latency of the service area", "ms", "95 % interval")
    for quantile in verdict.quantiles:
        late = quantile.ms.value > result.plan.target_ms
        name = "median" if quantile.q == 0.5 else f"p{100 * quantile.q:g}"
        value = Text(_ms(quantile.ms.value), style="red" if late else "bold")
        table.add_row(name, value, _range(quantile.ms))
    return table


def _readings(result: VerifyResult) -> RenderableType:
    readings = _table("reading", "cities", "people", "in time there, %", "everybody, %")
    for reading in result.verdict.readings:
        here = reading.reading == result.plan.reading
        readings.add_row(
            reading.reading.replace("-", " "),
            str(reading.cities),
            percent(reading.people_share),
            _share(reading.share),
            _share(reading.everybody),
            style="" if here else "dim",
        )
    return readings


def _parts(result: VerifyResult) -> RenderableType:
    verdict = result.verdict
    table = _table("where the time goes", "share", "mean", "p50", "p99", "late: over expected")
    for part in verdict.parts:
        over = verdict.blame.over_ms[part.name]
        guilty = verdict.ruling == "fail" and part.name == verdict.blame.part
        table.add_row(
            Text(part.name, style=PART_STYLES[part.name]),
            percent(part.share),
            _ms(part.mean_ms),
            _ms(part.p50_ms),
            _ms(part.p99_ms),
            Text(f"{over:+.2f}" if math.isfinite(over) else "–", style="bold red" * guilty),
        )
    return Group(table, _bar(verdict.parts))


def _bar(parts: tuple[PartResult, ...]) -> Text:
    """The shares of the mean as one line of blocks; every part that took time has one."""
    bar = Text()
    for part in parts:
        if part.share > 0.0:
            bar.append("█" * max(1, round(part.share * BAR_CELLS)), PART_STYLES[part.name])
    return bar


def _people(result: VerifyResult) -> RenderableType:
    verdict, area = result.verdict, result.areas[0]
    coverage, radius = area.coverage, verdict.radii[0]
    table = _table("of the mainland's city people", "")
    table.add_row("straight fibre would allow", percent(coverage.fibre))
    table.add_row("no service time would allow", percent(coverage.zero_service))
    inside = f"[bold]{percent(coverage.inside)}[/] = {millions(area.people)}"
    table.add_row("inside the service area", inside)
    typical = (
        f"{percent(coverage.typical)}; over {SEEDS} seeds {percent(coverage.seeds_low)} to "
        f"{percent(coverage.seeds_high)}"
    )
    table.add_row("inside, every path typical", typical)
    reach = f"{radius.path_km:.0f} km (straight fibre: {radius.fibre_km:.0f} km)"
    table.add_row(f"radius left by our {_ms(radius.own_ms)} ms", reach)
    nearest = Text(nearest_words(verdict.nearest, result.plan.target_ms), style="dim")
    return Group(table, nearest)


def _knife_edge(result: VerifyResult) -> RenderableType:
    area = result.areas[0]
    edge = [r for r in result.verdict.cities if r.city.name in area.knife_edge]
    shown = sorted(edge, key=lambda r: -r.city.population)[:KNIFE_EDGE_SHOWN]
    table = _table("knife edge", "people", "network", "to spare", "in time", "p99", "")
    for r in shown:
        spare_ms = area.network_ms_max - r.city.network_ms
        table.add_row(
            r.city.name,
            f"{r.city.population / 1e6:.1f} M",
            _ms(r.city.network_ms),
            Text(f"{spare_ms:+.2f}", style="green" if spare_ms >= 0 else "red"),
            percent(r.within.value) if r.requests else "–",
            _ms(r.p99_ms),
            f"{r.status}: {r.cause}" if r.cause else r.status,
        )
    return table


def _chaos(episode: Episode) -> RenderableType:
    """The table of faults, and under it what does not hold."""
    table = _table(*COLUMNS)
    for row in episode.rows:
        table.add_row(*cells(row))
    judged = [(row, floor) for row in episode.rows for floor in floors_of(row)]
    broken = [
        f"{row.title}: {f.name} {shown(f.value, 3)}, at most {shown(f.bound, 3)}: {f.ruling}"
        for row, f in judged
        if f.ruling != "holds"
    ]
    held = f"{len(judged) - len(broken)} of {len(judged)} promises hold."
    said = [held, *broken, *troubles(episode), cpu_words((episode,))]
    return Group(table, Text("\n".join(said), style="dim"))


def _noise(result: VerifyResult) -> RenderableType:
    table = _table("noise in the same run", "p99 ms", "limit", "")
    for witness in result.verdict.noise:
        known = math.isfinite(witness.p99_ms)
        said = ("[yellow]too busy[/]" if witness.busy else "quiet") if known else "not measured"
        table.add_row(witness.meaning, _ms(witness.p99_ms), _ms(witness.limit_ms), said)
    loop = result.loop
    table.add_row("the delay line's p99 overshoot", _ms(loop.over_p99_ms), "", "")
    held = Text(
        f"The gateway's loop was held {loop.blocked_count} times, at most "
        f"{_ms(loop.blocked_ms_max)} ms.",
        style="dim",
    )
    return Group(table, held)


def _ending(result: VerifyResult) -> RenderableType:
    verdict = result.verdict
    errors = ", ".join(f"{count} {kind}" for kind, count in result.errors.items())
    plugins = "".join(f"{note}\n" for note in result.plugins)
    predictions = f"{result.prediction.sentence}.\n" if result.prediction.overall.answers else ""
    return Text(
        f"{plugins}{predictions}{verdict.requests} requests, {verdict.area_requests} of them from "
        f"the service area; errors: {errors or 'none'}.\nRepeat: {result.command}",
        style="dim",
    )


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(columns[0], no_wrap=True)
    for name in columns[1:]:
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    return table


def _ms(ms: float) -> str:
    if math.isfinite(ms):
        return f"{ms:.2f}"
    return "∞" if ms > 0 else "–"


def _share(share: Interval) -> str:
    if math.isnan(share.value):
        return "–"
    return f"{100 * share.value:.1f} ({100 * share.low:.1f} to {100 * share.high:.1f})"


def _range(interval: Interval) -> str:
    return f"{_ms(interval.low)} to {_ms(interval.high)}"
