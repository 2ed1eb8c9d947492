"""Claims: what was demanded beforehand, and whether it holds in this run.

A claim holds when the *worse* end of the 95 % interval meets the limit, so a run too short to
tell does not pass. The one claim that two things do not differ is held by the better end: it
fails when the difference is beyond the interval, and cannot be told when the interval is so wide
that it would hide one. What was not measured is said to be so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.peers.arms.ours import (
    DEADLINE,
    EMBEDDED_BINARY,
    EMBEDDED_JSON,
    FRAMED,
    PLAIN,
    PROXY,
)
from bench.peers.bare import LOAD as BARE_LOAD
from bench.peers.bare import ROW as BARE
from bench.peers.figures import Figures
from bench.peers.measuring import Load
from bench.peers.rounds import FOCUS
from gateway.measure.intervals import NOTHING, Interval

AT = Load(FOCUS)
DIRECT, NGINX, ENVOY, LITELLM, MLSERVER = "direct", "nginx", "Envoy", "LiteLLM", "MLServer"
ROUTERS = ("SGLang router", "vLLM router")
P99 = 0.99
HOLDS, FAILS, UNKNOWN, CANNOT_TELL = "holds", "does not hold", "not measured", "cannot tell"
TELLING = 2.0
"""An interval that reaches beyond this many times the limit cannot say that two are equal."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One demand: ``measured`` is at most ``limit``; ``goal``: what was hoped for beyond it.

    ``by_better_end``: it is only refuted by an interval that lies beyond the limit as a whole.
    """

    words: str
    limit: float
    measured: Interval
    goal: float = math.nan
    by_better_end: bool = False
    unit: str = ""

    @property
    def ruling(self) -> str:
        """``holds``, ``does not hold``, ``not measured`` or ``cannot tell``."""
        if math.isnan(self.measured.value):
            return UNKNOWN
        if self._end > self.limit:
            return FAILS
        if self.by_better_end and self.measured.high > TELLING * self.limit:
            return CANNOT_TELL
        return HOLDS

    @property
    def goal_ruling(self) -> str:
        """The same for the goal; empty where there is none."""
        if math.isnan(self.goal):
            return ""
        if self.ruling == UNKNOWN:
            return UNKNOWN
        return HOLDS if self._end <= self.goal else FAILS

    @property
    def _end(self) -> float:
        return self.measured.low if self.by_better_end else self.measured.high


def judge(figures: Figures) -> list[Claim]:
    """Every claim, measured or not."""
    return [
        *_proxy(figures),
        *_embedded(figures),
        *_latency(figures),
        *_framed(figures),
    ]


def tally(claims: Sequence[Claim]) -> tuple[int, int, int]:
    """How many hold, do not hold, were not measured or cannot be told."""
    rulings = [claim.ruling for claim in claims]
    held, missed = rulings.count(HOLDS), rulings.count(FAILS)
    return held, missed, len(rulings) - held - missed


def _proxy(figures: Figures) -> Iterator[Claim]:
    def over(row: str, other: str) -> Interval:
        return figures.cpu_ratio(row, other, AT)

    router = better_router(figures)
    for row in (PROXY, DEADLINE):
        yield Claim(f"{row}: CPU / Envoy's, {FOCUS} connections", 0.6, over(row, ENVOY), 0.5)
        yield Claim(f"{row}: CPU / nginx's, {FOCUS} connections", 2.2, over(row, NGINX), 1.8)
        yield Claim(
            f"{row}: CPU / the better of the SGLang and vLLM routers ({router or 'neither'}), "
            f"{FOCUS} connections",
            0.5,
            over(row, router) if router else NOTHING,
        )
        yield Claim(f"{row}: CPU / LiteLLM's, {FOCUS} connections", 1 / 300, over(row, LITELLM))


def better_router(figures: Figures) -> str:
    """The router that takes less CPU; empty when neither was measured."""
    measured = [
        (figures.mean(row, AT, "cpu_us").value, row) for row in ROUTERS if figures.of(row, AT)
    ]
    return min(measured)[1] if measured else ""


def _embedded(figures: Figures) -> Iterator[Claim]:
    for row in (EMBEDDED_JSON, EMBEDDED_BINARY):
        to_mlserver = figures.cpu_ratio(row, MLSERVER, AT)
        to_bare = figures.cpu_ratio(row, BARE, AT, BARE_LOAD)
        yield Claim(f"{row}: CPU / MLServer's, {FOCUS} connections", 1 / 8, to_mlserver, 1 / 15)
        yield Claim(f"{row}: CPU / a bare onnxruntime loop's, {FOCUS} connections", 8.0, to_bare)
    better = figures.cpu_ratio(EMBEDDED_BINARY, EMBEDDED_JSON, AT)
    yield Claim(f"nearway: CPU of binary tensors / of JSON, {FOCUS} connections", 1.0, better)


def _latency(figures: Figures) -> Iterator[Claim]:
    """Added latency has two limits, of which one is enough: the one that is nearer is told."""
    added, relative = figures.added_us(PROXY, DIRECT), figures.added_ratio(PROXY, ENVOY, DIRECT)
    absolute = Claim("nearway: added latency, one connection, one core", 30.0, added, unit=" µs")
    compared = Claim("nearway: added latency / Envoy's, one connection, one core", 0.8, relative)
    yield compared if compared.ruling == HOLDS and absolute.ruling != HOLDS else absolute
    yield Claim(
        "nearway: p99 / Envoy's at an open loop's rate (not above beyond the interval)",
        1.0,
        figures.open_ratio(PROXY, ENVOY, P99),
        by_better_end=True,
    )


def _framed(figures: Figures) -> Iterator[Claim]:
    for kind in ("JSON", "binary"):
        yield Claim(
            f"gateway and center, {kind}: CPU over frames / over HTTP, {FOCUS} connections",
            0.5,
            figures.cpu_ratio(f"{FRAMED.name}, {kind}", f"{PLAIN.name}, {kind}", AT),
        )
