"""Verify: start a gateway, drive it, judge it by its own numbers; the promise put to the test.

    survey the area -> start the gateway -> drive it open loop, a bare timer beside -> judge

The gateway runs in its own process, so does the bare timer; this process is the generator.
Origins are drawn by population: most requests from the service area's cities, the rest
(``others_share``) from all other cities of the mainland, so that the promise gets the
precision and the claim for everybody still rests on measurements. Within each of the two
groups a city's chance is its share of the people.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import aiohttp
import msgspec
import numpy as np

import gateway as package
from gateway.api import Center, ConfigError
from gateway.config.fleet_file import load_fleet
from gateway.measure.accountability import NOTHING_TOLD, Accountability, accountability_of
from gateway.measure.blame import Expected
from gateway.measure.bodies import binary_form
from gateway.measure.chaos.episode import Episode, Trouble
from gateway.measure.chaos.verifying import staged
from gateway.measure.cores import give_way, on, share_out
from gateway.measure.gateway_process import GatewayProcess
from gateway.measure.load import LoadPlan, run_plan, with_body
from gateway.measure.noise import LoopState, witnesses
from gateway.measure.open_loop import drive
from gateway.measure.samples import Samples
from gateway.measure.service_area import (
    READINGS,
    Coverage,
    ServiceArea,
    best_paths,
    service_area,
)
from gateway.measure.timer_probe import Noise, TimerProbe
from gateway.measure.verdict import Case, Verdict, judge, total_of
from gateway.measure.verify_plan import VerifyPlan
from gateway.wan import PROFILES, load_cities

EXIT_CODES = {"pass": 0, "fail": 1, "cannot tell": 2}
ASK_TIMEOUT_S = 5.0
HISTOGRAM_STEP_MS = 0.25
HISTOGRAM_END_TARGETS = 2.0
"""The latency histogram ends at twice the target; the last bar holds all beyond."""

Notes = tuple[str, ...]
Progress = Callable[[str, float], None]
"""Called with what is being done, in words, and how much of it is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class AreaSummary:
    """One reading's area: how many cities, how many people, and how sure that is."""

    reading: str
    cities: int
    people: int
    network_ms_max: float
    custom: bool
    coverage: Coverage
    knife_edge: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """The verdict and everything a report shows beside it."""

    plan: VerifyPlan
    command: str
    started_at: str
    version: str
    machine: str
    verdict: Verdict
    areas: tuple[AreaSummary, ...]
    centers: tuple[Center, ...]
    """Those that serve the model."""
    run_ms: float
    """The model's own run time as the gateway measured it; NaN when not told."""
    timer: Noise
    loop: LoopState
    plugins: Notes
    """Plugins that overran their time, failed, or were in quarantine."""
    errors: dict[str, int]
    histogram_edges_ms: list[float]
    histogram: list[int]
    """Requests of the service area by latency."""
    prediction: Accountability = NOTHING_TOLD
    """Predicted against actual, warm-up included, as the gateway itself keeps it."""
    chaos: Episode | None = None
    """What faults did meanwhile."""

    def as_json(self) -> dict[str, Any]:
        """Plain lists, dicts and numbers; null where a number is not finite."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self, enc_hook=str))
        return plain


@dataclass(frozen=True, slots=True)
class _GatewaySays:
    """What the admin door told; empty for a gateway without one."""

    loop: LoopState
    run_ms: float
    notes: Notes
    prediction: Accountability


async def verify(plan: VerifyPlan, progress: Progress | None = None) -> VerifyResult:
    """Verify ``plan``; takes about its warm-up and duration.

    Raises ConfigError when it can't be started or asked, GatewayDied when the gateway ended
    meanwhile.
    """
    tell = progress or (lambda _words, _done: None)
    tell("survey the service area", 0.0)
    centers = eligible(load_fleet(plan.fleet, plan.sites), plan.model)
    areas = surveyed(plan, centers)
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    tell("start the gateway", 0.0)
    async with _standing(plan, centers) as standing:
        samples, timer, says, chaos = await _measure(plan, areas[0], standing, tell)
        standing.check_alive()
    tell("judge", 0.0)
    case = case_of(plan, samples, areas, centers, timer=timer, loop=says.loop, run_ms=says.run_ms)
    edges, counts = latency_histogram(case)
    return VerifyResult(
        plan,
        plan.command(),
        started_at,
        package.__version__,
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
        judge(case),
        tuple(area_summary(area) for area in areas),
        centers,
        says.run_ms,
        timer,
        says.loop,
        says.notes,
        dict(samples.errors),
        edges,
        counts,
        says.prediction,
        chaos,
    )


def exit_code(result: VerifyResult) -> int:
    """0 pass, 1 fail, 2 cannot tell."""
    return EXIT_CODES[result.verdict.ruling]


def eligible(centers: Sequence[Center], model: str) -> tuple[Center, ...]:
    """The centers that declare ``model``; raises ConfigError when there is none."""
    found = tuple(c for c in centers if any(fnmatchcase(model, p) for p in c.models))
    if not found:
        declared = sorted({pattern for center in centers for pattern in center.models})
        raise ConfigError(
            f"no center declares the model {model!r}; they declare {', '.join(declared)}. "
            "Give another --model, --sites or --fleet"
        )
    return found


def surveyed(plan: VerifyPlan, centers: Sequence[Center]) -> tuple[ServiceArea, ...]:
    """The areas of both readings, the one in force first."""
    readings = sorted(READINGS, key=lambda reading: reading != plan.reading)
    paths = best_paths(load_cities(), centers, plan.path_model, plan.rules(plan.reading))
    return tuple(service_area(paths, plan.rules(reading)) for reading in readings)


def origin_weights(area: ServiceArea, others_share: float) -> dict[str, float]:
    """How often each city is drawn: its people, the two groups scaled to their shares."""
    groups: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for city, inside in zip(area.cities, area.inside, strict=True):
        groups[inside][city.name] = float(city.population)
    if not groups[False] or not others_share:
        return groups[True]
    return {
        **_scaled(groups[True], 1.0 - others_share),
        **_scaled(groups[False], others_share),
    }


def case_of(
    plan: VerifyPlan,
    samples: Samples,
    areas: tuple[ServiceArea, ...],
    centers: Sequence[Center],
    *,
    timer: Noise,
    loop: LoopState,
    run_ms: float,
) -> Case:
    """What is judged, from ``samples`` with their warm-up."""
    measured = samples.after(plan.warmup_s)
    profile = PROFILES[plan.profile]
    expected = Expected(
        {city.name: city.network_ms for city in areas[0].cities},
        run_ms,
        {center.id: center.speed_factor for center in centers},
    )
    timer_p99_ms = timer.p99_ms if timer.count else math.nan
    noise = witnesses(measured, timer_p99_ms=timer_p99_ms, loop=loop)
    return Case(measured, plan.duration_s, areas, profile, expected, noise, plan.objective)


def latency_histogram(case: Case) -> tuple[list[float], list[int]]:
    """Edges (n + 1, ms) and counts (n) of the service area; the unanswered are in the last."""
    area = case.areas[0]
    rows = area.inside_of(case.samples.origins)[case.samples.origin]
    total_ms = np.where(case.samples.answered, total_of(case.samples, area.rules), np.inf)[rows]
    end_ms = HISTOGRAM_END_TARGETS * area.rules.target_ms
    bars = max(8, round(end_ms / HISTOGRAM_STEP_MS))
    edges = np.linspace(0.0, end_ms, bars + 1)
    counts, _ = np.histogram(np.clip(total_ms, 0.0, end_ms), edges)
    return edges.tolist(), counts.tolist()


async def _measure(
    plan: VerifyPlan, area: ServiceArea, standing: _Standing, tell: Progress
) -> tuple[Samples, Noise, _GatewaySays, Episode | None]:
    tell("try one request", 0.0)
    load = await with_body(load_plan(plan, area, standing.url))
    if plan.wire == "binary":
        body, headers = binary_form(load.body or b"")
        load = replace(load, body=body, headers={**load.headers, **headers})
    before = await _state(standing.admin_url)
    run, trouble = run_plan(load, plan.rate), standing.trouble
    if trouble is not None:
        run = trouble.asked(run)

    def heard(done: int, planned: int, elapsed_s: float) -> None:
        words = "warm up" if elapsed_s < plan.warmup_s else "measure"
        tell(words, done / max(1, planned))

    with on(share_out()[0]), TimerProbe() as probe:
        give_way()
        begin = None if trouble is None else trouble.begin
        samples = await drive(run, progress=heard, on_start=begin)
    chaos = None if trouble is None else await trouble.end(samples)
    after = await _state(standing.admin_url)
    return samples, probe.noise, gateway_says(before, after, plan.model), chaos


@dataclass(frozen=True, slots=True)
class _Standing:
    """The gateway under test; ``trouble``: what is to happen to it and its centers."""

    url: str
    admin_url: str
    check_alive: Callable[[], None] = lambda: None
    trouble: Trouble | None = None


@asynccontextmanager
async def _standing(plan: VerifyPlan, centers: Sequence[Center]) -> AsyncIterator[_Standing]:
    if plan.url:
        yield _Standing(plan.url, plan.admin_url)
        return
    async with AsyncExitStack() as stack:
        if plan.chaos is not None:
            stage, trouble = await staged(plan, plan.chaos, centers, stack)
            yield _Standing(stage.url, stage.admin_url, trouble=trouble)
            return
        with on(share_out()[1]):
            process = await stack.enter_async_context(GatewayProcess(plan.gateway_options))
        yield _Standing(process.url, process.admin_url, process.check_alive)


def load_plan(plan: VerifyPlan, area: ServiceArea, url: str) -> LoadPlan:
    """What the generator sends; the example beside a model of one's own is used."""
    return LoadPlan(
        url,
        plan.model,
        models_dir=next((d for d in plan.models if (d / plan.model).is_dir()), None),
        rates=(plan.rate,),
        duration_s=plan.duration_s,
        warmup_s=plan.warmup_s,
        origins=origin_weights(area, plan.others_share),
        seed=plan.seed,
        target_ms=plan.target_ms,
    )


def gateway_says(before: dict[str, Any], after: dict[str, Any], model: str) -> _GatewaySays:
    """The loop, the delay line and the model's run time, from two states of the admin door."""
    loop, was = after.get("loop", {}), before.get("loop", {})
    line = after.get("delay_line", {})
    if not line.get("count"):
        line = {}  # the centers emulate their paths: nothing was delayed here
    run_ms = after.get("models", {}).get(model, {}).get("run_ms")
    state = LoopState(
        late_p50_ms=_number(loop, "late_p50_ms"),
        late_p99_ms=_number(loop, "late_p99_ms"),
        blocked_count=int(loop.get("blocked_count", 0)) - int(was.get("blocked_count", 0)),
        blocked_ms_max=_number(loop, "blocked_ms_max"),
        over_p50_ms=_number(line, "over_p50_ms"),
        over_p99_ms=_number(line, "over_p99_ms"),
    )
    notes = _plugin_notes(before.get("plugins", ()), after.get("plugins", ()))
    return _GatewaySays(
        state,
        math.nan if run_ms is None else float(run_ms),
        notes,
        accountability_of(before, after),
    )


def _plugin_notes(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> Notes:
    """Plugins that overran, failed or were put out meanwhile: their costs were missing."""
    was = {(p.get("kind"), p.get("name")): p for p in before}
    notes = []
    for plugin in after:
        old = was.get((plugin.get("kind"), plugin.get("name")), {})
        overruns, errors = (
            int(plugin.get(key, 0)) - int(old.get(key, 0)) for key in ("overruns", "errors")
        )
        if overruns or errors or plugin.get("quarantined"):
            state = "in quarantine at the end" if plugin.get("quarantined") else "in use at the end"
            notes.append(
                f"{plugin.get('kind')} {plugin.get('name')}: {overruns} overruns of its time "
                f"budget and {errors} errors in the run, {state}"
            )
    return tuple(notes)


async def _state(admin_url: str) -> dict[str, Any]:
    """``GET {admin_url}/state``; empty without an admin door."""
    if not admin_url:
        return {}
    timeout = aiohttp.ClientTimeout(total=ASK_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{admin_url.rstrip('/')}/state") as answer,
        ):
            told: dict[str, Any] = msgspec.json.decode(await answer.read(), type=dict[str, Any])
            return told
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        raise ConfigError(
            f"the admin door at {admin_url} did not tell its state: {error!r}; expected JSON at "
            "/state. Mend --admin-url, or leave it out"
        ) from error


def area_summary(area: ServiceArea) -> AreaSummary:
    """What a report says of an area."""
    rules = area.rules
    return AreaSummary(
        rules.reading,
        len(area.members),
        area.people_inside,
        rules.network_ms_max,
        rules.custom,
        area.coverage,
        tuple(city.name for city in area.knife_edge),
    )


def _scaled(weights: dict[str, float], share: float) -> dict[str, float]:
    whole = sum(weights.values())
    return {name: share * weight / whole for name, weight in weights.items()}


def _number(keys: dict[str, Any], name: str) -> float:
    value = keys.get(name)
    return float(value) if isinstance(value, int | float) else math.nan
