"""Gates: what was demanded beforehand, and whether it holds by the bound of the interval.

A gate holds when the *worse* end of the 95 % interval meets the limit, so a run too short to
tell does not pass. What was not measured is said to be so and counts as not held.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from bench.policies.cells import AGED_ORACLE, ORACLE, Figures
from bench.policies.conditions import AT, Event
from bench.policies.evidence import Evidence
from bench.policies.paired import Statistic, mean_ms, quantile_at, share_within
from gateway.measure.intervals import NOTHING, Interval

P50, P99 = quantile_at(0.5), quantile_at(0.99)
P2C = "two_choices_least_request"
BARE_PEAK_EWMA = "peak_ewma, no ejection"
RIVALS = (P2C, "peak_ewma", "prequal", "c3", "least_request")
"""The policies that must be beaten in S1 and S2 and never be lost to by more than 5 %."""

__all__ = ["AGED_ORACLE", "RIVALS", "Gate", "Ruling", "judge"]


@dataclass(frozen=True, slots=True)
class Gate:
    """One demand; ``low_is_good``: the limit is an upper one. ``note``: where it was worst."""

    group: str
    claim: str
    limit: float
    measured: Interval
    low_is_good: bool = True
    strict: bool = False
    unit: str = ""
    note: str = ""

    @property
    def ruling(self) -> str:
        """``holds``, ``does not hold`` or ``not measured``."""
        if math.isnan(self.measured.value):
            return "not measured"
        end = self.measured.high if self.low_is_good else self.measured.low
        sign = 1.0 if self.low_is_good else -1.0
        held = sign * end < sign * self.limit if self.strict else sign * end <= sign * self.limit
        return "holds" if held else "does not hold"

    @property
    def wanted(self) -> str:
        """The limit in words."""
        word = ("<" if self.strict else "≤") if self.low_is_good else (">" if self.strict else "≥")
        return f"{word} {self.limit:g}{self.unit}"


Ruling = tuple[int, int, int]
"""How many hold, do not hold, were not measured."""

_RATIOS: tuple[tuple[str, str, str, Statistic, float], ...] = (
    *(
        (label, f"S{number} {AT}.8", "p99", P99, limit)
        for label in ("random", "nearest")
        for number, limit in ((0, 0.4), (1, 0.1), (2, 0.1))
    ),
    ("round_robin", f"S0 {AT}.8", "p99", P99, 0.95),
    ("round_robin", f"S0 {AT}.8", "p50", P50, 0.85),
    ("round_robin", f"S1 {AT}.8", "p99", P99, 0.05),
    ("round_robin", f"S2 {AT}.8", "p99", P99, 0.1),
    ("least_request", f"S0 {AT}.8", "p99", P99, 0.95),
    ("least_request", f"S1 {AT}.8", "p99", P99, 0.4),
    ("least_request", f"S2 {AT}.8", "p99", P99, 0.5),
    (P2C, f"S0 {AT}.8", "p99", P99, 0.8),
    (P2C, f"S1 {AT}.8", "p99", P99, 0.25),
    (P2C, f"S2 {AT}.8", "p99", P99, 0.3),
    ("peak_ewma", f"S0 {AT}.8", "p99", P99, 0.8),
    ("peak_ewma", f"S1 {AT}.8", "p99", P99, 0.65),
    ("peak_ewma", f"S2 {AT}.8", "p99", P99, 0.4),
    ("prequal", f"S0 {AT}.8", "p99", P99, 0.75),
    ("prequal", f"S1 {AT}.8", "p99", P99, 0.75),
    ("prequal", f"S2 {AT}.8", "p99", P99, 0.65),
    (ORACLE, f"S0 {AT}.8", "mean", mean_ms, 1.35),
    (ORACLE, f"S0 {AT}.8", "p99", P99, 1.75),
    (ORACLE, f"S1 {AT}.8", "mean", mean_ms, 1.45),
    (ORACLE, f"S1 {AT}.8", "p99", P99, 1.9),
    (ORACLE, f"S2 {AT}.8", "mean", mean_ms, 1.6),
    (ORACLE, f"S2 {AT}.8", "p99", P99, 2.2),
    ("nearest", f"S0 map {AT}.3", "p50", P50, 1.03),
)


def judge(evidence: Evidence, ours: str, events: dict[str, Event]) -> list[Gate]:
    """Every gate; ``events`` tells for a condition what happens from when until when."""
    return [
        *_floor(evidence, ours),
        *_goal(evidence, ours),
        *_ratios(evidence, ours),
        *_shares(evidence, ours),
        *_stale(evidence, ours),
        *_failures(evidence, ours, events),
    ]


def tally(gates: list[Gate]) -> Ruling:
    """How many hold, do not hold, were not measured."""
    rulings = [gate.ruling for gate in gates]
    return (
        rulings.count("holds"),
        rulings.count("does not hold"),
        rulings.count("not measured"),
    )


def best_rival(evidence: Evidence, condition: str) -> str:
    """The rival of the least pooled p99; empty when none was measured."""
    measured = [
        (evidence.value(condition, label, P99), label)
        for label in RIVALS
        if evidence.arm(condition, label) is not None
    ]
    return min(measured)[1] if measured else ""


def _floor(evidence: Evidence, ours: str) -> Iterator[Gate]:
    for label in RIVALS:
        for condition in (f"S{n} {AT}{load}" for n in (1, 2) for load in (".6", ".8")):
            yield Gate(
                "floor",
                f"p99 / {label}, {condition}",
                1.0,
                evidence.ratio(condition, ours, label, P99),
                strict=True,
            )
        yield _never_worse(evidence, ours, label, "p99", P99, 1.05)
        yield _never_worse(evidence, ours, label, "SLO share", share_within, 0.95)


def _never_worse(
    evidence: Evidence, ours: str, label: str, word: str, statistic: Statistic, limit: float
) -> Gate:
    """The worst of all conditions measured, by the end of its interval."""
    low_is_good = limit > 1.0
    worst, where = NOTHING, ""
    for condition in evidence.conditions:
        found = evidence.ratio(condition, ours, label, statistic)
        if math.isnan(found.value):
            continue
        beyond = found.high > worst.high if low_is_good else found.low < worst.low
        if not where or beyond:
            worst, where = found, condition
    return Gate(
        "floor",
        f"{word} / {label}, worst of all conditions",
        limit,
        worst,
        low_is_good=low_is_good,
        note=where,
    )


def _goal(evidence: Evidence, ours: str) -> Iterator[Gate]:
    for condition, limit in ((f"S1 {AT}.8", 0.6), (f"S2 {AT}.8", 0.4)):
        best = best_rival(evidence, condition)
        measured = evidence.ratio(condition, ours, best, P99) if best else NOTHING
        yield Gate("goal", f"p99 / best rival, {condition}", limit, measured, note=best)


def _ratios(evidence: Evidence, ours: str) -> Iterator[Gate]:
    for label, condition, word, statistic, limit in _RATIOS:
        measured = evidence.ratio(condition, ours, label, statistic)
        yield Gate("calibration", f"{word} / {label}, {condition}", limit, measured)
    for number, limit in ((0, 0.45), (1, 0.85), (2, 0.8)):
        condition = f"S{number} {AT}.8"
        yield Gate(
            "calibration",
            f"gap to the oracle closed from {P2C}, {condition}",
            limit,
            evidence.gap_closed(condition, ours, P2C, ORACLE, P99),
            low_is_good=False,
        )


def _shares(evidence: Evidence, ours: str) -> Iterator[Gate]:
    for number, limit in ((0, 0.995), (1, 0.985), (2, 0.98)):
        condition = f"S{number} {AT}.8"
        yield Gate(
            "calibration",
            f"SLO share / feasible share, {condition}",
            limit,
            evidence.of_feasible(condition, ours),
            low_is_good=False,
        )
    yield Gate(
        "calibration",
        f"probes and reports a request, S0 {AT}.8",
        0.2,
        evidence.mean(f"S0 {AT}.8", ours, lambda run: run.messages_per_request),
    )


def _stale(evidence: Evidence, ours: str) -> Iterator[Gate]:
    for condition, limit, strict in (
        ("S7 16 gateways, 100 ms", -0.005, False),
        ("S7 16 gateways, 100 ms", 0.0, False),
        ("S7 mixed speeds 16 gateways, 100 ms", 0.15, False),
    ):
        yield Gate(
            "stale",
            f"SLO share - {P2C}, {condition}",
            limit,
            evidence.difference(condition, ours, P2C, share_within),
            low_is_good=False,
            strict=strict,
        )
    yield Gate(
        "stale",
        "mean / oracle, S7 1 gateway, 0 ms",
        1.1,
        evidence.ratio("S7 1 gateway, 0 ms", ours, ORACLE, mean_ms),
    )


def _failures(evidence: Evidence, ours: str, events: dict[str, Event]) -> Iterator[Gate]:
    for condition, limit_s in (
        ("S3 refuse", 1.0),
        ("S3 blackhole", 2.0),
        ("S3 fast 503", 1.0),
    ):
        event = events.get(condition)
        recovered = (
            evidence.recovery_s(condition, ours, event.from_s, event.until_s) if event else NOTHING
        )
        yield Gate("failures", f"back to 95 %, {condition}", limit_s, recovered, unit=" s")
    shift = events.get("S4")
    left = evidence.reranked_s("S4", ours, shift.from_s, shift.until_s) if shift else NOTHING
    yield Gate("failures", "traffic has left the longer path, S4", 1.0, left, unit=" s")
    yield Gate(
        "failures",
        "failed while a region refuses, S3 refuse",
        0.005,
        evidence.mean("S3 refuse", ours, lambda run: run.event_failed),
        strict=True,
    )
    yield from _crowd(evidence, ours, events)
    yield Gate(
        "failures",
        "traffic on the slow center after 0.5 s, S8",
        0.02,
        evidence.mean("S8", ours, lambda run: run.bad_share),
        strict=True,
    )
    for label in ("peak_ewma", BARE_PEAK_EWMA):
        yield Gate(
            "failures",
            f"attempts into the sinkhole / {label}, S8 sinkhole",
            0.2,
            evidence.part("S8 sinkhole", ours, label, _bad_share),
            strict=True,
        )


def _crowd(evidence: Evidence, ours: str, events: dict[str, Event]) -> Iterator[Gate]:
    goodput, after = NOTHING, NOTHING
    event = events.get("S5")
    if event is not None:
        first_s, last_s = event.from_s, event.until_s
        during = partial(_within_between, from_s=first_s, until_s=last_s)
        goodput = evidence.part("S5", ours, ORACLE, during)
        after = evidence.recovery_s("S5", ours, last_s, last_s + 2 * (last_s - first_s))
    name = "goodput in the crowd / oracle's, S5"
    yield Gate("failures", name, 0.95, goodput, low_is_good=False)
    yield Gate("failures", "back to 95 % after the crowd, S5", 2.0, after, unit=" s")


def _bad_share(run: Figures) -> float | None:
    return run.bad_share


def _within_between(run: Figures, from_s: float, until_s: float) -> float | None:
    if run.series is None:
        return None
    first, last = round(from_s / run.series.bin_s), round(until_s / run.series.bin_s)
    return float(sum(run.series.within[first:last]))
