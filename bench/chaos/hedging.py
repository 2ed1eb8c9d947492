"""With and without hedging, in one run: two gateways over the same centers take turns.

One run in five hundred takes thirty times as long, at random, at any center: nobody could predict
it, so the last thousandth of the requests is made of these. A second copy elsewhere, sent when
the first is late, is answered long before. Arms take turns in short rounds with the same
arrivals; the interval of the ratio is that of the rounds drawn again and again.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.chaos.scene import MODEL, NEAR, ORIGIN, RATE, Scene, scene
from gateway.measure.chaos.answers import Checker
from gateway.measure.chaos.child import Child
from gateway.measure.chaos.episode import Load, asked, open_loop_plan, since
from gateway.measure.chaos.floors import Floor
from gateway.measure.chaos.report import shown
from gateway.measure.chaos.stage import Stage, StagePlan
from gateway.measure.chaos.windows import latencies_ms, quantile_of
from gateway.measure.charts import Section, Table
from gateway.measure.open_loop import drive
from gateway.measure.samples import F64, Samples

ROUNDS = 5
ROUND_S = 8.0
WARMUP_S = 1.0
SIGMA = 0.35
"""Of the service time, as the simulator's scenarios have it."""
STALL_SHARE = 0.002
STALL_FACTOR = 30.0
QUANTILE = 0.999
RATIO_MAX = 0.5
EXTRA_MAX = 0.02
DRAWS = 1000
ARMS = ("without", "with")


@dataclass(frozen=True, slots=True)
class Arm:
    """All rounds of one arm."""

    name: str
    requests: int
    unanswered: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    extra: float
    """Attempts beyond one a request, as a share."""


@dataclass(frozen=True, slots=True)
class HedgingResult:
    """``ratio``: p99.9 with / without, and its 95 % interval."""

    arms: tuple[Arm, ...]
    ratio: float
    low: float
    high: float
    extra: float
    """Attempts a request more than without."""
    floors: tuple[Floor, ...]


async def measure_hedging(say: Callable[[str], None]) -> HedgingResult:
    """Takes about a minute and a half. Raises ConfigError when it cannot be staged."""
    with tempfile.TemporaryDirectory(prefix="nearway-hedging-") as folder:
        made = scene(
            Path(folder), NEAR, sigma=SIGMA, stall_share=STALL_SHARE, stall_factor=STALL_FACTOR
        )
        alone = frozenset(center.id for center in made.centers)
        off = {"attempts": {"hedge_share": 0.0}}
        plan = StagePlan(made.centers, alone, frozenset(), made.sections(), {})
        async with Stage(plan) as stage:
            assert stage.gateway is not None
            gateways = {"with": stage.gateway}
            gateways["without"] = await stage.start_gateway(sections=off)
            return await _take_turns(stage, made, gateways, say)


async def _take_turns(
    stage: Stage, made: Scene, gateways: dict[str, Child], say: Callable[[str], None]
) -> HedgingResult:
    rounds: dict[str, list[F64]] = {name: [] for name in ARMS}
    attempts = dict.fromkeys(ARMS, 0)
    sent = dict.fromkeys(ARMS, 0)
    for number in range(ROUNDS):
        for name in ARMS if number % 2 else reversed(ARMS):
            said = gateways[name].said
            stage.url, stage.admin_url = said["url"], said["admin_url"]
            before = await _ended(stage)
            samples = await _round(stage, made, seed=number)
            attempts[name] += await _ended(stage) - before
            sent[name] += len(samples)
            rounds[name].append(latencies_ms(since(samples, WARMUP_S)))
            say(f"hedging, round {number + 1} {name}: {quantile_of(rounds[name][-1], 0.999):.0f}")
    arms = tuple(
        _arm(name, np.concatenate(rounds[name]), attempts[name] / sent[name] - 1) for name in ARMS
    )
    return judged(arms, rounds["without"], rounds["with"])


async def _round(stage: Stage, made: Scene, seed: int) -> Samples:
    load = Load(MODEL, made.known, RATE, WARMUP_S, ROUND_S, ORIGIN, seed=seed)
    return await drive(
        asked(open_loop_plan(stage.url, load), made.known, Checker(made.known), seed)
    )


async def _ended(stage: Stage) -> int:
    """Attempts that have ended, over all centers."""
    rows = await stage.fleet()
    return sum(int(str(row[key])) for row in rows for key in ("answers", "errors", "cancelled"))


def _arm(name: str, late_ms: F64, extra: float) -> Arm:
    unanswered = int(np.isinf(late_ms).sum())
    p50, p99, p999 = (quantile_of(late_ms, q) for q in (0.5, 0.99, QUANTILE))
    return Arm(name, late_ms.size, unanswered, p50, p99, p999, extra)


def judged(arms: tuple[Arm, ...], without: list[F64], with_: list[F64]) -> HedgingResult:
    """The ratio of p99.9, its interval over rounds, and whether both promises hold."""
    ratio = arms[1].p999_ms / arms[0].p999_ms
    low, high = ratio_interval(without, with_)
    extra = arms[1].extra - arms[0].extra
    floors = (
        _floor("p99.9 with / without hedging", ratio, RATIO_MAX),
        _floor("attempts more, share", extra, EXTRA_MAX),
    )
    return HedgingResult(arms, ratio, low, high, extra, floors)


def ratio_interval(without: list[F64], with_: list[F64], seed: int = 1) -> tuple[float, float]:
    """95 % of the ratios when rounds are drawn with replacement, in pairs."""
    random = np.random.default_rng(seed)
    below, above = _Tails.of(without), _Tails.of(with_)
    draws = [random.integers(0, len(without), len(without)) for _ in range(DRAWS)]
    ratios = [above.quantile_ms(drawn) / below.quantile_ms(drawn) for drawn in draws]
    low, high = np.percentile(ratios, (2.5, 97.5)).tolist()
    return low, high


@dataclass(frozen=True, slots=True)
class _Tails:
    """The latest of each round: more cannot come into the quantile of any rounds together."""

    rounds: list[F64]
    sizes: list[int]

    @classmethod
    def of(cls, rounds: list[F64]) -> _Tails:
        sizes = [late_ms.size for late_ms in rounds]
        kept = math.ceil((1.0 - QUANTILE) * len(rounds) * max(sizes)) + 1
        return cls([np.sort(late_ms)[-kept:] for late_ms in rounds], sizes)

    def quantile_ms(self, drawn: NDArray[np.int64]) -> float:
        """As ``quantile_of`` of the drawn rounds put together."""
        size = sum(self.sizes[i] for i in drawn)
        from_top = size - math.ceil(QUANTILE * size) + 1
        latest = np.concatenate([self.rounds[i] for i in drawn])
        return float(np.partition(latest, -from_top)[-from_top])


def _floor(name: str, value: float, bound: float) -> Floor:
    if math.isnan(value):
        return Floor(name, value, bound, "cannot tell")
    return Floor(name, value, bound, "holds" if value <= bound else "does not")


COLUMNS = ("hedging", "requests", "unanswered", "p50, ms", "p99, ms", "p99.9, ms", "attempts more")


def _cells(arm: Arm) -> tuple[str, ...]:
    times = (shown(ms, 1) for ms in (arm.p50_ms, arm.p99_ms, arm.p999_ms))
    extra = f"{100 * arm.extra:.2f} %"
    return (arm.name, str(arm.requests), str(arm.unanswered), *times, extra)


def _sentence(found: HedgingResult) -> str:
    rulings = "; ".join(f"{f.name} at most {f.bound:g}: {f.ruling}" for f in found.floors)
    return (
        f"One run in {1 / STALL_SHARE:.0f} takes {STALL_FACTOR:g} times as long. p99.9 with "
        f"hedging is {found.ratio:.2f} of that without ({found.low:.2f} to {found.high:.2f}), for "
        f"{100 * found.extra:.2f} % more attempts. {rulings}."
    )


def hedging_words(found: HedgingResult) -> str:
    """As Markdown."""
    rows = [_cells(arm) for arm in found.arms]
    head = ["| " + " | ".join(COLUMNS) + " |", "|---" + "|---:" * (len(COLUMNS) - 1) + "|"]
    return "\n".join(
        [*head, *("| " + " | ".join(row) + " |" for row in rows), "", _sentence(found)]
    )


def hedging_section(found: HedgingResult) -> Section:
    """For the page."""
    table = Table(COLUMNS, [_cells(arm) for arm in found.arms])
    return Section("With and without hedging", (_sentence(found),), (), (table,))
