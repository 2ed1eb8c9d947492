"""The knee: the highest rate at which the target is still met, found in bounded steps.

The rate is doubled until a step fails, then the gap between the last that passed and the
first that failed is halved (geometrically) until it is narrower than ``resolution``. A step
passes when even the lower end of its interval meets the objective, and fails when even the
upper end doesn't; in between nothing is proven: it is run once more, longer, and if that
doesn't tell either it counts as not met. A slow rate is run longer, up to three times, so
that there are enough requests to prove anything.

A step that did not pass while the generator lagged or the machine was busy says nothing of the
server: on a busy machine it is run once more, and if that is no better, as with a generator that
gave out, the search stops and says so. The knee is then at least the last rate that passed.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
import uvloop

from gateway.api import ConfigError
from gateway.measure.intervals import Interval
from gateway.measure.load import LoadPlan, RateProgress, measure_rate, with_body
from gateway.measure.rate_result import LimitedBy, RateResult

Verdict = Literal["pass", "fail", "cannot tell"]
StoppedBy = Literal["server", "generator", "machine", "rate_max", "steps_max"]

LONGER = 3.0
"""How much longer a step may be run: when it couldn't tell, or has too few requests."""
HALVINGS_MAX = 4
"""How often the start rate is halved when not even it passes."""
PROOF = 8.0
"""Requests needed times (1 - objective): twice what a faultless run needs to pass."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rate tried for ``duration_s``: the share within the target, and who limited it."""

    rate: float
    duration_s: float
    share: Interval
    verdict: Verdict
    limited_by: LimitedBy = ""


@dataclass(frozen=True, slots=True)
class Knee:
    """``rate``: the highest that passed (0: none did). ``fails_at``: the lowest that did not
    (None: none was found). ``stopped_by`` says why the search ended there."""

    rate: float
    fails_at: float | None
    stopped_by: StoppedBy
    objective: float
    steps: tuple[Step, ...]

    @property
    def said(self) -> str:
        """The result in a sentence."""
        known = f"{self.rate:,.0f} requests/s"
        if self.rate == 0.0 and self.stopped_by in ("server", "steps_max"):
            tried = min(step.rate for step in self.steps)
            return f"The target is not met at any rate tried, not even at {tried:,.3g} requests/s."
        if self.rate == 0.0:
            return f"Nothing can be told of the server: the {self.stopped_by} was the limit."
        if self.stopped_by == "server":
            return f"The target is met up to {known} and no longer at {self.fails_at:,.0f}."
        why = {
            "generator": "the generator, not the server, gave out above",
            "machine": "the machine was too busy to tell what is above",
            "rate_max": "that was the highest rate to be tried",
            "steps_max": "the allowed steps were used up",
        }[self.stopped_by]
        return f"The target is met at {known}; {why}."

    def as_json(self) -> dict[str, Any]:
        """Plain values; null where a number is not finite."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return {**plain, "said": self.said}


Measure = Callable[[float, float], tuple[Interval, LimitedBy]]
"""(rate, duration in s) to the share within the target and what limited the step, if not
the server: "generator", "machine" or empty."""


def find_knee(
    measure: Measure,
    *,
    objective: float = 0.99,
    start_rate: float = 100.0,
    rate_max: float = 20_000.0,
    step_s: float = 10.0,
    resolution: float = 1.15,
    steps_max: int = 16,
    told: Callable[[Step], None] | None = None,
) -> Knee:
    """Search from ``start_rate``; at most ``steps_max`` steps of ``step_s`` to nine times that.

    ``objective``: the share that must be within the target. ``told`` hears of every step.
    """
    if not (0 < objective < 1 and 0 < start_rate <= rate_max and resolution > 1 and steps_max > 0):
        raise ConfigError(
            "a knee needs 0 < objective < 1, 0 < start rate <= highest rate, resolution > 1; got "
            f"{objective}, {start_rate}, {rate_max}, {resolution}"
        )
    bracket = _Bracket(start_rate, rate_max, resolution)
    steps: list[Step] = []
    stopped: StoppedBy | None = None
    while stopped is None:
        step = _try(measure, bracket.rate, objective, step_s, steps, steps_max, told)
        if step.limited_by and step.verdict != "pass":
            stopped = step.limited_by
        else:
            stopped = bracket.narrow(met=step.verdict == "pass")
        if stopped is None and len(steps) >= steps_max:
            stopped = "steps_max"
    failed = bracket.failed if math.isfinite(bracket.failed) else None
    return Knee(bracket.passed, failed, stopped, objective, tuple(steps))


def judge(share: Interval, objective: float) -> Verdict:
    """Pass or fail only when the whole interval says so; NaN cannot tell."""
    if share.low >= objective:
        return "pass"
    if share.high < objective:
        return "fail"
    return "cannot tell"


def run_knee(
    plan: LoadPlan,
    *,
    objective: float = 0.99,
    start_rate: float = 100.0,
    rate_max: float = 20_000.0,
    step_s: float = 10.0,
    resolution: float = 1.15,
    steps_max: int = 16,
    told: Callable[[Step], None] | None = None,
    progress: RateProgress | None = None,
) -> tuple[Knee, list[RateResult]]:
    """The knee of what ``plan`` asks, its rates and duration aside, and every step's figures."""
    results: list[RateResult] = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ready = runner.run(with_body(plan))

        def measure(rate: float, duration_s: float) -> tuple[Interval, LimitedBy]:
            asked = replace(ready, duration_s=duration_s)
            result = runner.run(measure_rate(asked, rate, progress=progress))
            results.append(result)
            return result.share_within, result.limited_by

        knee = find_knee(
            measure,
            objective=objective,
            start_rate=start_rate,
            rate_max=rate_max,
            step_s=step_s,
            resolution=resolution,
            steps_max=steps_max,
            told=told,
        )
    return knee, results


def _try(
    measure: Measure,
    rate: float,
    objective: float,
    step_s: float,
    steps: list[Step],
    steps_max: int,
    told: Callable[[Step], None] | None,
) -> Step:
    """One rate; once more and longer when it told nothing. Appends to ``steps``."""
    enough_s = min(step_s * LONGER, max(step_s, PROOF / (1 - objective) / rate))
    for duration_s in (enough_s, enough_s * LONGER):
        share, limited_by = measure(rate, duration_s)
        step = Step(rate, duration_s, share, judge(share, objective), limited_by)
        steps.append(step)
        if told is not None:
            told(step)
        told_nothing = step.verdict == "cannot tell" or (
            step.verdict == "fail" and step.limited_by == "machine"
        )
        if not told_nothing or len(steps) >= steps_max:
            break
    return step


class _Bracket:
    """Between the highest rate that passed and the lowest that did not."""

    def __init__(self, start_rate: float, rate_max: float, resolution: float) -> None:
        self.rate = start_rate
        self.passed = 0.0
        self.failed = math.inf
        self._rate_max = rate_max
        self._rate_min = start_rate / 2**HALVINGS_MAX
        self._resolution = resolution

    def narrow(self, *, met: bool) -> StoppedBy | None:
        """Take in how ``rate`` went and choose the next; why the search ends, if it does."""
        if met:
            self.passed = self.rate
        else:
            self.failed = self.rate
        if self.passed >= self._rate_max:
            return "rate_max"
        if self.passed * self._resolution >= self.failed or self.failed <= self._rate_min:
            return "server"
        self.rate = self._next()
        return None

    def _next(self) -> float:
        """Twice the last that passed, half the first that failed, or the middle of both."""
        if math.isinf(self.failed):
            return min(self.passed * 2, self._rate_max)
        if self.passed == 0.0:
            return self.failed / 2
        return math.sqrt(self.passed * self.failed)
