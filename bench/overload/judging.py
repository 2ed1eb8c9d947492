"""Who asks for what in each episode, and what has to come of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.overload.measuring import Episode, Stream, took_ms
from bench.overload.scene import CAPACITY_PER_S
from gateway.measure.samples import F64, Samples

HIGH_SHARE, CALM_SHARE, OVERLOAD = 0.2, 0.5, 3.0
POLITE_SHARE = 0.25
AFTER_S = 20.0
BACK_WITHIN_S = 2.0
GOODPUT_MIN, HIGH_RATIO_MAX, SHED_MS_MAX, NORMAL_RATIO_MAX = 0.9, 1.5, 2.0, 1.2
POLITE_MIN = 0.95
REFUSED = (429, 503)


@dataclass(frozen=True, slots=True)
class Floor:
    """A figure, what it has to be, and whether it is."""

    name: str
    found: float
    bound: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One stream in one phase."""

    stream: str
    phase: str
    asked_per_s: float
    answered_per_s: float
    refused_429: int
    refused_503: int
    otherwise: int
    p50_ms: float
    p99_ms: float
    refusal_p99_ms: float


def class_streams(capacity_per_s: float) -> tuple[Stream, ...]:
    """A steady stream of priority 1, and the default class: calm, flood, calm."""
    high = HIGH_SHARE * capacity_per_s
    calm = (CALM_SHARE - HIGH_SHARE) * capacity_per_s
    flood = (OVERLOAD - HIGH_SHARE) * capacity_per_s
    return (
        Stream("priority 1", (high, high, high), {"x-nearway-priority": "1"}),
        Stream("default", (calm, flood, calm)),
    )


def tenant_streams(capacity_per_s: float) -> tuple[Stream, ...]:
    """A tenant within its share, and one that takes three times all there is."""
    polite = POLITE_SHARE * capacity_per_s
    flood = (OVERLOAD - POLITE_SHARE) * capacity_per_s
    return (
        Stream("polite", (polite, polite, polite), {"x-nearway-tenant": "polite"}),
        Stream("flooding", (polite, flood, polite), {"x-nearway-tenant": "flooding"}),
    )


def class_floors(episode: Episode) -> list[Floor]:
    """The four of an overload."""
    calm_s, over_s, _ = episode.ends_s
    goodput = sum(episode.answers_per_s(name, calm_s, over_s) for name in episode.samples)
    before = _p99(_answered(episode.phase("priority 1", 0)))
    during = _p99(_answered(episode.phase("priority 1", 1)))
    refusals = np.concatenate([_refusals(episode.phase(name, 1)) for name in episode.samples])
    late = [episode.between(n, over_s + BACK_WITHIN_S, np.inf) for n in episode.samples]
    back = _p99(np.concatenate([_answered(rows) for rows in late]))
    calm = _p99(np.concatenate([_answered(episode.phase(n, 0)) for n in episode.samples]))
    unanswered = sum(int((~rows.answered).sum()) for rows in late)
    floors = [
        _at_least("goodput / capacity", goodput / CAPACITY_PER_S, GOODPUT_MIN),
        _at_most("priority 1: p99 / unloaded", during / before, HIGH_RATIO_MAX),
        _at_most(f"all, {BACK_WITHIN_S:g} s after: p99 / before", back / calm, NORMAL_RATIO_MAX),
        _at_most(f"all, {BACK_WITHIN_S:g} s after: not answered", unanswered, 0.0),
    ]
    if episode.bare is not None:  # in virtual time they take none
        beyond_ms = _p99(refusals) - bare_p99_ms(episode)
        floors.append(_at_most("refusals: p99 beyond bare, ms", beyond_ms, SHED_MS_MAX))
    return floors


def bare_p99_ms(episode: Episode) -> float:
    """What the same loops waited for a server that only refuses, during the overload."""
    rows, (calm_s, over_s, _) = episode.bare, episode.ends_s
    if rows is None:
        return np.nan
    during = rows.where((rows.intended_s >= calm_s) & (rows.intended_s < over_s))
    return _p99(_refusals(during))


def tenant_floors(episode: Episode) -> list[Floor]:
    """The polite one does not notice, and nothing is left unused."""
    calm_s, over_s, _ = episode.ends_s
    goodput = sum(episode.answers_per_s(name, calm_s, over_s) for name in episode.samples)
    polite = episode.phase("polite", 1)
    return [
        _at_least("polite: answered / asked", float(polite.answered.mean()), POLITE_MIN),
        _at_least("goodput / capacity", goodput / CAPACITY_PER_S, GOODPUT_MIN),
    ]


def rows_of(episode: Episode) -> list[Row]:
    """Every stream in every phase."""
    rows, begin_s = [], 0.0
    for number, (phase, end_s) in enumerate(
        zip(("before", "overload", "after"), episode.ends_s, strict=True)
    ):
        for name in episode.samples:
            asked = episode.phase(name, number)
            answered = _answered(asked)
            rows.append(
                Row(
                    name,
                    phase,
                    len(asked) / (end_s - begin_s),
                    episode.answers_per_s(name, begin_s, end_s),
                    int((asked.status == 429).sum()),
                    int((asked.status == 503).sum()),
                    int((~asked.answered & ~np.isin(asked.status, REFUSED)).sum()),
                    float(np.median(answered)) if answered.size else np.nan,
                    _p99(answered),
                    _p99(_refusals(asked)),
                )
            )
        begin_s = end_s
    return rows


def _answered(rows: Samples) -> F64:
    return took_ms(rows)[rows.answered]


def _refusals(rows: Samples) -> F64:
    return took_ms(rows)[np.isin(rows.status, REFUSED)]


def _p99(values: F64) -> float:
    return float(np.quantile(values, 0.99)) if values.size else np.nan


def _at_least(name: str, found: float, bound: float) -> Floor:
    return Floor(name, found, f"at least {bound:g}", found >= bound)


def _at_most(name: str, found: float, bound: float) -> Floor:
    return Floor(name, found, f"at most {bound:g}", found <= bound)


def is_too_busy(episode: Episode) -> bool:
    """A server that does nothing needs longer for it than a refusal may: nothing can be judged."""
    return episode.bare is not None and bare_p99_ms(episode) > SHED_MS_MAX


def _bare(episode: Episode) -> str:
    if episode.bare is None:
        return ""
    return f" A bare server's refusal took {bare_p99_ms(episode):.2f} ms at p99 meanwhile."


def tables(title: str, episode: Episode, floors: list[Floor]) -> str:
    """What happened, and which floors hold."""
    used = f"; the gateway used {episode.cpu_share:.0%} of a core" if episode.cpu_share else ""
    lines = [
        f"## {title}",
        "",
        f"Capacity {CAPACITY_PER_S:.0f}/s{used}.{_bare(episode)}",
        "",
        "| who | phase | asked/s | answered/s | 429 | 503 | else | p50 ms | p99 ms | refused p99 |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row.stream} | {row.phase} | {row.asked_per_s:.0f} | {row.answered_per_s:.0f} | "
        f"{row.refused_429} | {row.refused_503} | {row.otherwise} | {row.p50_ms:.1f} | "
        f"{row.p99_ms:.1f} | {row.refusal_p99_ms:.2f} |"
        for row in rows_of(episode)
    ]
    lines += ["", "| floor | found | has to be | |", "|---|---:|---|---|"]
    for floor in floors:
        verdict = "pass" if floor.holds else "FAIL"
        lines.append(f"| {floor.name} | {floor.found:.3f} | {floor.bound} | {verdict} |")
    return "\n".join([*lines, ""])
