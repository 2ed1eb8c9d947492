"""The results as Markdown and as JSON: claims first, then the tables behind them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench.peers.arms import Arm
from bench.peers.arms.ours import PLAIN
from bench.peers.bare import LOAD as BARE_LOAD
from bench.peers.bare import ROW as BARE
from bench.peers.claims import DIRECT, ENVOY, MLSERVER, NGINX, Claim, tally
from bench.peers.figures import Figures
from bench.peers.measuring import SPIN_MAX, STEAL_MAX, STRANGERS_MAX, Load
from bench.policies.tables import markdown
from gateway.measure.charts import Table
from gateway.measure.intervals import Interval, finite
from gateway.measure.svg import number

DISTURBED_SHOWN = 20
OVER_HTTP = tuple(f"{PLAIN.name}, {kind}" for kind in ("JSON", "binary"))

HOW = (
    "CPU is the run time of all threads of all of a peer's processes, user and system, over the "
    "requests answered; it is what survives a noisy machine. The peer has one core, the generator "
    "(wrk, a closed loop) and the static upstream (nginx) the others. Every round starts every "
    "peer anew, in an order of its own; ratios are taken within a round and averaged on the "
    "logarithm; intervals are Student's t over rounds and hold 95 % of repetitions. A claim holds "
    "by the worse end of its interval. *Its core*: how much of the core the peer used; well below "
    "100 % it was not saturated, and idle wake-ups are in its figure. *Others*: the core time of "
    "generator and upstream; near 100 % a core they, not the peer, bound the requests a second."
)


@dataclass(frozen=True, slots=True)
class Told:
    """What the reader must know of the run.

    ``versions``: row of the table of peers by name; ``features``: what is in force in our arm;
    ``skipped``: peer -> why it is not there; ``failures``: turns that were broken off.
    """

    command: str
    machine: str
    started_at: str
    wall_s: float
    rounds: int
    seconds: float
    rate_per_s: float
    open_loop_s: float
    versions: Mapping[str, str]
    features: Sequence[str]
    skipped: Mapping[str, str]
    failures: Sequence[str] = ()


def text(figures: Figures, claims: Sequence[Claim], arms: Sequence[Arm], told: Told) -> str:
    """The whole page."""
    return "\n".join(
        [
            "# nearway beside its peers\n",
            f"{lead(claims)} {_run_words(told)}\n",
            f"{HOW}\n",
            "## Claims\n",
            markdown(claims_table(claims)),
            *_loads(figures, arms),
            *_one_core(figures, arms),
            *_open_loop(figures, told),
            "## Peers\n",
            markdown(_peers_table(arms, told)),
            *_disturbed(figures, told),
            "## What was on\n",
            f"The gateway in front of the upstreams: `nearway config show`.\n\n{_code(told)}",
        ]
    )


def lead(claims: Sequence[Claim]) -> str:
    """How the claims stand, in a sentence."""
    held, missed, unknown = tally(claims)
    said = f"Of {len(claims)} claims {held} hold, {missed} do not"
    return f"{said}, {unknown} were not measured or cannot be told." if unknown else f"{said}."


def document(figures: Figures, claims: Sequence[Claim], told: Told) -> str:
    """The same as JSON: every cell, every claim."""
    streams = {
        name: {
            "latency_ms": _quantiles(np.concatenate(stream.latency_ms)),
            "cpu_us": stream.cpu_us,
        }
        for name, stream in figures.streams.items()
    }
    whole: dict[str, Any] = {
        "run": asdict(told),
        "claims": [
            {
                "claim": claim.words,
                "limit": claim.limit,
                "goal": finite(claim.goal),
                "measured": claim.measured.as_json(),
                "ruling": claim.ruling,
            }
            for claim in claims
        ],
        "cells": [asdict(cell) for cell in figures.cells],
        "open_loop": streams,
    }
    return json.dumps(whole, indent=1) + "\n"


def claims_table(claims: Sequence[Claim]) -> Table:
    """Every claim, its limit, and what was measured."""
    rows = [
        (
            claim.words,
            claim.ruling,
            f"≤ {number(claim.limit)}{claim.unit}",
            "" if math.isnan(claim.goal) else f"≤ {number(claim.goal)}: {claim.goal_ruling}",
            interval(claim.measured),
        )
        for claim in claims
    ]
    return Table(("claim", "ruling", "wanted", "goal", "measured [95 %]"), rows)


def interval(found: Interval) -> str:
    """``0.62 [0.58, 0.66]``; a dash when not measured, no brackets when nothing bounds it."""
    if math.isnan(found.value):
        return "–"
    if not math.isfinite(found.high):
        return f"{number(found.value)} [one round]"
    return f"{number(found.value)} [{number(found.low)}, {number(found.high)}]"


def plus_minus(found: Interval) -> str:
    """``16 550 ± 900``; the value alone when nothing bounds it."""
    if math.isnan(found.value):
        return "–"
    if not math.isfinite(found.high):
        return number(found.value)
    return f"{number(found.value)} ± {number(found.half_width)}"


def _run_words(told: Told) -> str:
    return (
        f"`{told.command}`, {told.started_at}, {told.machine}; {told.rounds} rounds, "
        f"{told.seconds:g} s a cell, {told.wall_s / 60:.0f} minutes."
    )


def _loads(figures: Figures, arms: Sequence[Arm]) -> Iterator[str]:
    tables = (
        ("proxy", "In front of the same upstream", (NGINX, ENVOY)),
        ("server", "With the model inside", (BARE, MLSERVER)),
        ("center", "Before a center of our own", OVER_HTTP),
    )
    for table, heading, bases in tables:
        rows = [row for arm in arms if arm.table == table for row in arm.asked()]
        if table == "server" and figures.of(BARE, BARE_LOAD):
            rows.append(BARE)
        loads = sorted(
            {c.load for c in figures.cells if c.row in rows and not c.load.one_core},
            key=lambda load: load.connections,
        )
        loads = [load for load in loads if load != BARE_LOAD]
        if loads:
            yield f"## {heading}\n"
        for load in loads:
            yield markdown(_load_table(figures, rows, load, bases))


def _load_table(figures: Figures, rows: Sequence[str], load: Load, bases: Sequence[str]) -> Table:
    bases = [base for base in bases if figures.of(base, _load_of(base, load))]
    shown = [row for row in rows if figures.of(row, _load_of(row, load))]
    return Table(
        (
            "peer",
            "CPU µs/request",
            *(f"/ {base}" for base in bases),
            *("requests/s", "p50 ms", "p99 ms", "memory MB", "its core", "others"),
        ),
        [_load_row(figures, row, load, bases) for row in shown],
        caption=str(load),
    )


def _load_of(row: str, load: Load) -> Load:
    return BARE_LOAD if row == BARE else load


def _load_row(figures: Figures, row: str, load: Load, bases: Sequence[str]) -> Sequence[str]:
    own = _load_of(row, load)
    has_process = row != DIRECT

    def mean(figure: str) -> Interval:
        return figures.mean(row, own, figure)

    ratios = [
        interval(figures.cpu_ratio(row, base, own, _load_of(base, load)))
        if has_process and row != base and _comparable(row, base)
        else ""
        for base in bases
    ]
    cpu = interval(mean("cpu_us")) if has_process else ""
    rate = plus_minus(mean("requests_per_s"))
    if row == BARE:
        return (row, cpu, *ratios, rate, "", "", "", "", "")
    others = mean("generator_share").value + mean("upstream_share").value
    return (
        *(row, cpu, *ratios, rate),
        plus_minus(_scaled(mean("p50_us"), 1e-3)),
        plus_minus(_scaled(mean("p99_us"), 1e-3)),
        f"{mean('resident_mb').value:.0f}" if has_process else "",
        f"{mean('peer_share').value:.0%}" if has_process else "",
        f"{others:.0%}",
    )


def _comparable(row: str, base: str) -> bool:
    """Before a center of our own only the same kind of request is compared."""
    return base not in OVER_HTTP or row.rpartition(", ")[2] == base.rpartition(", ")[2]


def _scaled(found: Interval, factor: float) -> Interval:
    return Interval(found.low * factor, found.value * factor, found.high * factor)


def _one_core(figures: Figures, arms: Sequence[Arm]) -> Iterator[str]:
    alone = Load(1, one_core=True)
    rows = [arm.name for arm in arms if arm.table == "proxy" and figures.of(arm.name, alone)]
    if not rows:
        return
    yield "## Added latency\n"
    yield markdown(
        Table(
            ("peer", "p50 µs", "added µs", "/ Envoy", "p99 µs"),
            [
                (
                    row,
                    interval(figures.mean(row, alone, "p50_us")),
                    interval(figures.added_us(row, DIRECT)) if row != DIRECT else "",
                    interval(figures.added_ratio(row, ENVOY, DIRECT))
                    if row not in (DIRECT, ENVOY)
                    else "",
                    interval(figures.mean(row, alone, "p99_us")),
                )
                for row in rows
            ],
            caption="One connection; peer, generator and upstream on one core, so that no wake-up "
            "crosses cores. Added: beyond the upstream alone.",
        )
    )


def _open_loop(figures: Figures, told: Told) -> Iterator[str]:
    if not figures.streams:
        return
    yield "## Open loop\n"
    rows = []
    for name, stream in figures.streams.items():
        latency = np.concatenate(stream.latency_ms)
        late = np.concatenate(stream.late_ms)
        rows.append(
            (
                name,
                *(interval(figures.open_quantile(name, q)) for q in (0.5, 0.99)),
                interval(figures.open_ratio(name, ENVOY, 0.99)) if name != ENVOY else "",
                number(float(np.mean(stream.cpu_us))) if name != DIRECT else "",
                f"{np.isinf(latency).sum()} of {latency.size}",
                number(float(np.quantile(late, 0.99))),
            )
        )
    yield markdown(
        Table(
            (
                *("peer", "p50 ms", "p99 ms", "p99 / Envoy's", "CPU µs/request", "failed"),
                "generator late, p99 ms",
            ),
            rows,
            caption=f"{told.rate_per_s:g} requests/s for {told.open_loop_s:g} s each, in turns, "
            "counted from the instant each request was meant to be sent; the generator shares "
            "the upstream's core. Blocks of one second, ratios paired by turns.",
        )
    )


def _peers_table(arms: Sequence[Arm], told: Told) -> Table:
    rows = []
    for arm in arms:
        skipped = told.skipped.get(arm.name)
        note = f"not measured: {skipped}" if skipped else arm.note
        rows.append((f"{arm.name} ({arm.table})", told.versions.get(arm.name, ""), note))
    return Table(("peer", "version", "set up"), rows)


def _disturbed(figures: Figures, told: Told) -> Iterator[str]:
    again = sum(cell.tries > 1 for cell in figures.cells)
    left = [cell for cell in figures.cells if cell.disturbances]
    yield "## Disturbances\n"
    yield (
        f"{again} of {len(figures.cells)} cells were measured again because the machine was "
        f"disturbed; {len(left)} stayed disturbed and count as they are. A cell is disturbed when "
        f"strangers use more than {STRANGERS_MAX:.0%} of its cores or the host takes more than "
        f"{STEAL_MAX:.0%}, or when a fixed piece of work takes {SPIN_MAX:g} times the least it "
        "took in this run.\n"
    )
    if told.failures:
        yield "\n".join(
            ["Turns that were broken off:\n", *(f"* {one}" for one in told.failures), ""]
        )
    if len(left) > DISTURBED_SHOWN:
        yield f"The first {DISTURBED_SHOWN}; all of them stand in `results.json`.\n"
    if left:
        rows = [
            (cell.row, str(cell.load), str(cell.round + 1), ", ".join(cell.disturbances))
            for cell in left[:DISTURBED_SHOWN]
        ]
        yield markdown(Table(("row", "load", "round", "beside it"), rows))


def _code(told: Told) -> str:
    return "\n".join(["```", *told.features, "```", ""])


def _quantiles(latency_ms: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float | None]:
    shown = (0.5, 0.9, 0.99, 0.999)
    found = np.quantile(latency_ms, shown, method="inverted_cdf")
    return {f"p{100 * q:g}": finite(float(value)) for q, value in zip(shown, found, strict=True)}
