"""Load: how an endpoint's latency grows with the rate, for any Open Inference Protocol server.

For every rate a run of its own: arrivals fixed beforehand, warm-up dropped, percentiles with
intervals, errors by kind, and beside them the noise of the machine and the generator's own
lateness, without which no latency means anything. A server that is not ours tells no parts;
everything else is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from gateway.api import ConfigError
from gateway.measure.arrivals import Shape, arrivals, draw_origins, origin_counts
from gateway.measure.cores import give_way, on, share_out
from gateway.measure.endpoint import Endpoint, Limits
from gateway.measure.first_request import find_body, model_path, try_once
from gateway.measure.open_loop import Plan, Progress, drive
from gateway.measure.rate_result import RateResult, rate_result
from gateway.measure.timer_probe import TimerProbe


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """One question. Raises ConfigError when it can't be asked.

    ``body`` None: the ``example.json`` beside the model in ``models_dir``, or one made from
    the model's metadata. ``origins`` (name to weight) empty: no origin is told.
    ``rates`` in requests per second, each for ``duration_s`` after ``warmup_s``.
    """

    url: str
    model: str
    body: bytes | None = None
    models_dir: Path | None = None
    rates: tuple[float, ...] = (100.0,)
    duration_s: float = 30.0
    warmup_s: float = 2.0
    version: str = ""
    origins: Mapping[str, float] = field(default_factory=dict)
    seed: int = 1
    shape: Shape = "poisson"
    target_ms: float = 10.0
    headers: Mapping[str, str] = field(default_factory=dict)
    origin_header: str = "x-nearway-origin"
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        Endpoint.parse(self.url)
        if not self.rates or min(self.rates) <= 0:
            raise ConfigError(f"rates are one or more and above 0, got {list(self.rates)}")
        if self.duration_s < 1 or self.warmup_s < 0 or self.target_ms <= 0:
            raise ConfigError(
                "a load needs 1 s or more, a warm-up of 0 s or more and a target above 0 ms; got "
                f"{self.duration_s} s, {self.warmup_s} s, {self.target_ms} ms"
            )

    @property
    def endpoint(self) -> Endpoint:
        """Where it is sent."""
        return Endpoint.parse(self.url)

    @property
    def path(self) -> str:
        """The path of an infer request."""
        return f"{model_path(self.model, self.version)}/infer"


@dataclass(frozen=True, slots=True)
class LoadResult:
    """All rates of one question, in the order asked."""

    url: str
    model: str
    body_bytes: int
    arrivals: str
    seed: int
    warmup_s: float
    target_ms: float
    origins: dict[str, int]
    rates: list[RateResult]

    def as_json(self) -> dict[str, Any]:
        """Plain lists, dicts and numbers; null where a number is not finite."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return plain


RateProgress = Callable[[float, int, int, float], None]
"""Called with the rate, requests ended, requests planned, seconds since the start."""


def run_load(plan: LoadPlan, *, progress: RateProgress | None = None) -> LoadResult:
    """Ask at each rate in turn, on an event loop of its own.

    Raises ConfigError when the endpoint doesn't answer, tells no metadata where no body is
    given, or refuses the body.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ready = runner.run(with_body(plan))
        results = [runner.run(measure_rate(ready, r, progress=progress)) for r in ready.rates]
    return load_result(ready, results)


def load_result(plan: LoadPlan, results: list[RateResult]) -> LoadResult:
    """The rates of one question together; ``plan`` is the one that was asked."""
    return LoadResult(
        url=plan.endpoint.url,
        model=plan.model,
        body_bytes=len(plan.body or b""),
        arrivals=plan.shape,
        seed=plan.seed,
        warmup_s=plan.warmup_s,
        target_ms=plan.target_ms,
        origins=_origins_asked(plan),
        rates=results,
    )


async def with_body(plan: LoadPlan) -> LoadPlan:
    """The plan with a body that the endpoint has taken once; ConfigError as ``run_load``."""
    body = plan.body
    if body is None:
        body = await find_body(
            plan.endpoint,
            plan.model,
            version=plan.version,
            models_dir=plan.models_dir,
            headers=plan.headers,
            seed=plan.seed,
        )
    origin = next(iter(plan.origins), "")
    told = {**plan.headers, plan.origin_header: origin} if origin else plan.headers
    await try_once(plan.endpoint, plan.path, body, told)
    return replace(plan, body=body)


async def measure_rate(
    plan: LoadPlan, rate: float, *, progress: RateProgress | None = None
) -> RateResult:
    """One rate for ``plan.duration_s`` after ``plan.warmup_s``, with the noise beside it."""
    tell: Progress | None = None
    if progress is not None:
        heard = progress

        def tell(done: int, planned: int, elapsed_s: float) -> None:
            heard(rate, done, planned, elapsed_s)

    run = run_plan(plan, rate)
    with on(share_out()[0]), TimerProbe() as probe:
        give_way()
        samples = await drive(run, progress=tell)
    return rate_result(
        samples.after(plan.warmup_s),
        rate=rate,
        duration_s=plan.duration_s,
        target_ms=plan.target_ms,
        noise=probe.noise,
        warmup_s=plan.warmup_s,
        seed=plan.seed,
    )


def run_plan(plan: LoadPlan, rate: float) -> Plan:
    """The open loop's plan for one rate: instants and origins drawn."""
    times_s = arrivals(plan.shape, rate, plan.warmup_s + plan.duration_s, plan.seed)
    weights = plan.origins or {"": 1.0}
    return Plan(
        endpoint=plan.endpoint,
        path=plan.path,
        times_s=times_s,
        origin=draw_origins(times_s.size, weights, plan.seed),
        origins=tuple(weights),
        body=plan.body or b"",
        warmup_s=plan.warmup_s,
        headers=plan.headers,
        origin_header=plan.origin_header,
        limits=plan.limits,
    )


def _origins_asked(plan: LoadPlan) -> dict[str, int]:
    """Requests by origin over all rates, warm-up included."""
    asked: dict[str, int] = {}
    for rate in plan.rates if plan.origins else ():
        run = run_plan(plan, rate)
        for name, count in origin_counts(run.origin, run.origins).items():
            asked[name] = asked.get(name, 0) + count
    return asked
