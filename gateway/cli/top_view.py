"""What ``nearway top`` shows: a frame of the dashboard as lines, and what keys do to the view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.cli.bars import legend, sparkline, stacked

PARTS = ("network", "queue", "service", "gateway")
SORTS = ("answers", "in_flight", "queue_ms", "speed", "error_rate", "health", "center")
HEALTH = {"ok": "green", "slow": "yellow", "half_open": "yellow", "returning": "yellow",
          "ejected": "bold red", "draining": "bright_black"}  # fmt: skip
SICKEST = ("ejected", "half_open", "slow", "returning", "draining", "ok")
COLUMNS: tuple[tuple[str, str, int | None, int], ...] = (
    ("center", "center", None, 0),
    ("city", "city", None, 70),
    ("health", "health", None, 0),
    ("in_flight", "in flight", 0, 60),
    ("queue_ms", "queue ms", 2, 44),
    ("speed", "speed", 2, 80),
    ("error_rate", "errors", 3, 90),
    ("answers", "answers", 0, 0),
    ("reason", "why", None, 110),
)
"""Key, heading, digits (None: words), and the least width at which it is shown."""
KEYS = "q quit  s sort  r reverse  f all or sick  ↑↓ scroll  p pause"
LATELY_S = 5
ABOVE = 10
"""Lines that are no row of the table."""


@dataclass(frozen=True, slots=True)
class View:
    """How the table is looked at."""

    sort: str = "answers"
    reverse: bool = False
    sick_only: bool = False
    first: int = 0
    paused: bool = False
    ended: bool = False


def pressed(view: View, key: str) -> View:
    """The view after a key; one that means nothing changes nothing."""
    match key:
        case "q" | "\x03" | "\x04":
            return replace(view, ended=True)
        case "s":
            after = SORTS[(SORTS.index(view.sort) + 1) % len(SORTS)]
            return replace(view, sort=after, reverse=False, first=0)
        case "r":
            return replace(view, reverse=not view.reverse, first=0)
        case "f":
            return replace(view, sick_only=not view.sick_only, first=0)
        case "p" | " ":
            return replace(view, paused=not view.paused)
        case "\x1b[A" | "k":
            return replace(view, first=max(0, view.first - 1))
        case "\x1b[B" | "j":
            return replace(view, first=view.first + 1)
    return view


def shown(
    facts: Mapping[str, Any], frame: Mapping[str, Any], view: View, width: int, height: int,
    note: str = "",
) -> RenderableType:  # fmt: skip
    """The whole screen. ``facts`` and ``frame`` as the admin door tells them; ``note`` instead
    of *live*; ``height`` 0: every center.
    """
    rows = centers(facts, frame, view)
    room = max(1, height - ABOVE) if height else len(rows)
    first = min(view.first, max(0, len(rows) - room))
    lines = [
        _head(facts, frame, note or ("paused" if view.paused else "live")),
        _verdict(frame["verdict"]),
        *_lately(frame["seconds"], frame["verdict"]["target_ms"], width),
        _health(frame["centers"]),
    ]
    below = f" {first + 1} to {first + len(rows[first : first + room])} of {len(rows)}"
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    foot = Text(KEYS + below if height else "", style="bright_black", no_wrap=True)
    foot.truncate(width, overflow="ellipsis")
    return Group(*lines, _table(rows[first : first + room], view, width), foot)


def centers(facts: Mapping[str, Any], frame: Mapping[str, Any], view: View) -> list[dict[str, Any]]:
    """A row a center as the view wants them: the largest figure first, the sickest, or A to Z."""
    told = frame["centers"]
    columns = [name for name, values in told.items() if isinstance(values, list)]
    rows = [
        {
            "center": fact["id"],
            "city": fact["city"],
            "reason": told["reasons"].get(str(row), ""),
            **{name: told[name][row] for name in columns},
        }
        for row, fact in enumerate(facts["centers"])
        if all(row < len(told[name]) for name in columns)
    ]
    if view.sick_only:
        rows = [row for row in rows if row["health"] != "ok"]
    upwards = view.sort in ("health", "center")
    rows.sort(
        key=lambda row: _rank(row, view.sort), reverse=view.reverse if upwards else not view.reverse
    )
    return rows


def _rank(row: Mapping[str, Any], sort: str) -> Any:
    if sort == "health":
        return SICKEST.index(row["health"])
    return row[sort]


def _head(facts: Mapping[str, Any], frame: Mapping[str, Any], note: str) -> Text:
    gateway = frame["gateway"]
    told = Text("nearway ", style="bold", no_wrap=True)
    told.append(f"{facts['version']}  ", style="not bold")
    told.append("ready" if gateway.get("ready") else f"not ready: {gateway.get('unready', '')}",
                style="green" if gateway.get("ready") else "red")  # fmt: skip
    force = gateway.get("policy_in_force", {})
    told.append(f"  {force.get('in_force', gateway.get('policy', ''))}", style="not bold")
    told.append(f"  {len(facts['centers'])} centers  {note}", style="not bold")
    return told


def _verdict(verdict: Mapping[str, Any]) -> Text:
    told = Text(no_wrap=True)
    if not verdict["answers"]:
        return told.append("no answers in the last minute")
    good, bad = verdict["low"] >= 0.95, verdict["high"] < 0.95
    style = "bold green" if good else "bold red" if bad else "bold yellow"
    told.append(f"{100 * verdict['share']:.1f} %", style=style)
    told.append(
        f" within {verdict['target_ms']:g} ms ({100 * verdict['low']:.1f} to "
        f"{100 * verdict['high']:.1f}), {verdict['answers']} answers from "
        f"{verdict['origins']} origins in the last minute"
    )
    return told


def _lately(seconds: Sequence[Mapping[str, Any]], target_ms: float, width: int) -> list[Text]:
    """Rate and quantiles, the parts as a bar, and a minute of p99."""
    told = [second for second in seconds if second["answers"]]
    if not told:
        return [Text("–") for _ in range(4)]
    last = told[-LATELY_S:]
    answers = sum(second["answers"] for second in last)
    quantiles = f"p50 {last[-1]['p50_ms']:.1f}  p99 {last[-1]['p99_ms']:.1f} ms"
    rate = Text(f"{answers / len(last):.0f}/s  {quantiles}", no_wrap=True)
    means = {
        part: sum(second["parts"][part] * second["answers"] for second in last) / answers
        for part in PARTS
    }
    sum_ms = sum(means.values())
    words = legend({part: f"{part} {ms:.2f}" for part, ms in means.items()})
    bar = stacked(means, max(8, width - 9), max(sum_ms, target_ms)).append(f" {sum_ms:.1f} ms")
    late = [second.get("p99_ms", 0.0) for second in seconds[-max(10, width - 24) :]]
    top = max(late)
    line = Text(f"p99 {sparkline(late, top)} up to {top:.1f} ms", no_wrap=True)
    return [rate, bar, words, line]


def _health(told: Mapping[str, Any]) -> Text:
    line = Text(no_wrap=True)
    health = told.get("health", [])
    for name in reversed(SICKEST):
        if name in health:
            line.append(f"{health.count(name)} {name}  ", style=HEALTH[name])
    return line


def _table(rows: Sequence[Mapping[str, Any]], view: View, width: int) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", expand=False)
    wanted = [column for column in COLUMNS if width >= column[3]]
    for key, heading, digits, _ in wanted:
        mark = ("▲" if view.reverse else "▼") if key == view.sort else ""
        table.add_column(
            heading + mark,
            justify="left" if digits is None else "right",
            no_wrap=True,
            overflow="ellipsis",
        )
    for row in rows:
        table.add_row(*(_cell(row, key, digits) for key, _, digits, _ in wanted))
    return table


def _cell(row: Mapping[str, Any], key: str, digits: int | None) -> Text:
    value = row[key]
    if digits is not None:
        return Text("–" if value is None else f"{value:.{digits}f}")
    return Text(str(value), style=HEALTH.get(str(value), "") if key == "health" else "")
