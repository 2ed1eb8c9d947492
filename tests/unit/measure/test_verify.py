"""Verification from end to end against a small server, and the steps by themselves."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest
from aiohttp import web

from gateway.api import Center, ConfigError, Location
from gateway.measure.noise import LoopState
from gateway.measure.samples import Samples
from gateway.measure.timer_probe import Noise
from gateway.measure.verify import (
    case_of,
    eligible,
    exit_code,
    gateway_says,
    latency_histogram,
    load_plan,
    origin_weights,
    surveyed,
    verify,
)
from gateway.measure.verify_plan import VerifyPlan

PLAN = VerifyPlan(sites="core", duration_s=1.0, warmup_s=0.0, rate=100.0)
METADATA = {
    "name": "blast-furnace",
    "platform": "x",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
    "outputs": [],
}
TIMING = "gateway;dur=0.1, network;dur=4.0, queue;dur=0, service;dur=0.2"


def center(name: str, models: tuple[str, ...] = ("*",), speed: float = 1.0) -> Center:
    return Center(
        id=name,
        region=name,
        zone=name,
        city="Wuhu",
        country="CN",
        location=Location(31.33, 118.38),
        models=models,
        speed_factor=speed,
    )


CENTERS = (center("wuhu"),)
AREAS = surveyed(PLAN, CENTERS)


@asynccontextmanager
async def served() -> AsyncIterator[tuple[str, list[str]]]:
    """The address of a server that answers at once, and the origins it was asked from."""
    origins: list[str] = []

    async def infer(request: web.Request) -> web.Response:
        origins.append(request.headers["x-nearway-origin"])
        return web.json_response({}, headers={"Server-Timing": TIMING, "x-nearway-center": "c"})

    async def metadata(_: web.Request) -> web.Response:
        return web.json_response(METADATA)

    async def state(_: web.Request) -> web.Response:
        loop = {"late_p50_ms": 0.01, "late_p99_ms": 0.02, "blocked_count": 3}
        models = {"blast-furnace": {"run_ms": 0.2}}
        return web.json_response({"loop": loop, "models": models})

    app = web.Application()
    app.router.add_post("/v2/models/blast-furnace/infer", infer)
    app.router.add_get("/v2/models/blast-furnace", metadata)
    app.router.add_get("/state", state)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}", origins
    finally:
        await runner.cleanup()


async def test_a_gateway_by_its_address_is_driven_and_judged() -> None:
    told: list[str] = []
    async with served() as (url, origins):
        plan = replace(PLAN, url=url, admin_url=url)
        result = await verify(plan, lambda words, _done: told.append(words))
    assert result.verdict.requests == pytest.approx(100, abs=60)
    assert result.verdict.requests <= len(origins)
    assert set(origins) <= {city.city.name for city in result.verdict.cities}
    assert result.run_ms == 0.2
    assert result.loop.blocked_count == 0
    assert result.timer.count > 0
    assert {"survey the service area", "start the gateway", "judge"} <= set(told)
    plain = result.as_json()
    assert plain["verdict"]["sentence"] == result.verdict.sentence
    assert plain["plan"]["url"] == url
    for ruling, code in (("pass", 0), ("fail", 1), ("cannot tell", 2)):
        ruled = replace(result.verdict, ruling=ruling)
        assert exit_code(replace(result, verdict=ruled)) == code


async def test_a_gateway_that_is_not_there_cannot_be_run() -> None:
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:9"):
        await verify(replace(PLAN, url="http://127.0.0.1:9"))


async def test_an_admin_door_that_tells_no_state_is_named() -> None:
    async with served() as (url, _):
        with pytest.raises(ConfigError, match="--admin-url"):
            await verify(replace(PLAN, url=url, admin_url=f"{url}/nowhere"))


def test_only_centers_that_declare_the_model_count() -> None:
    fleet = [center("a", ("bert*",)), center("b", ("blast-*", "x")), center("c")]
    assert [c.id for c in eligible(fleet, "blast-furnace")] == ["b", "c"]


def test_a_model_nobody_declares_names_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"'gpt'; they declare bert, blast"):
        eligible([center("a", ("bert",)), center("b", ("blast",))], "gpt")


def test_the_reading_in_force_comes_first() -> None:
    areas = surveyed(replace(PLAN, reading="one-way"), CENTERS)
    assert [area.rules.reading for area in areas] == ["one-way", "round-trip"]


def test_the_two_groups_get_their_shares_and_people_decide_within_them() -> None:
    weights = origin_weights(AREAS[0], 0.15)
    inside = {city.name: city for city in AREAS[0].members}
    assert sum(weights[name] for name in inside) == pytest.approx(0.85)
    assert sum(weights.values()) == pytest.approx(1.0)
    shanghai, nanjing = (
        next(c for c in AREAS[0].cities if c.name == name) for name in ("Shanghai", "Nanjing")
    )
    assert {"Shanghai", "Nanjing"} <= set(inside)
    assert weights["Shanghai"] / weights["Nanjing"] == pytest.approx(
        shanghai.population / nanjing.population
    )
    assert "Harbin" in weights
    assert "Harbin" not in origin_weights(AREAS[0], 0.0)


def test_the_load_is_the_plans() -> None:
    load = load_plan(PLAN, AREAS[0], "http://127.0.0.1:1")
    assert (load.rates, load.duration_s, load.seed) == ((100.0,), 1.0, 1)
    assert load.path == "/v2/models/blast-furnace/infer"
    assert load.models_dir is None


def test_the_gateways_options_are_the_plans() -> None:
    options = replace(PLAN, gateway_delay_ms=2.0, seed=5, profile="premium").gateway_options
    assert (options.gateway_delay_ms, options.seed, options.profile) == (2.0, 5, "premium")
    assert options.sites == "core"


def test_what_the_gateway_says_of_itself() -> None:
    before = {
        "loop": {"blocked_count": 4},
        "plugins": [{"kind": "scorer", "name": "network", "overruns": 1, "errors": 0}],
    }
    after = {
        "loop": {"blocked_count": 10, "blocked_ms_max": 3.5, "late_p50_ms": 0.1, "late_p99_ms": 1},
        "delay_line": {"over_p50_ms": 0.05, "over_p99_ms": 0.2, "count": 9},
        "models": {"m": {"run_ms": 0.3}},
        "plugins": [
            {"kind": "scorer", "name": "network", "overruns": 4, "errors": 0, "quarantined": True},
            {"kind": "scorer", "name": "queue", "overruns": 0, "errors": 0, "quarantined": False},
        ],
    }
    says = gateway_says(before, after, "m")
    assert says.run_ms == 0.3
    assert says.loop == LoopState(0.1, 1.0, 6, 3.5, 0.05, 0.2)
    assert says.notes == (
        "scorer network: 3 overruns of its time budget and 0 errors in the run, in quarantine "
        "at the end",
    )


def test_a_gateway_that_says_nothing_leaves_it_unknown() -> None:
    says = gateway_says({}, {}, "m")
    assert math.isnan(says.run_ms)
    assert math.isnan(says.loop.late_p99_ms)
    assert says.notes == ()


def samples(total_ms: list[float], *, seconds: float = 2.0, status: int = 200) -> Samples:
    n = len(total_ms)
    zeros = np.zeros(n)
    return Samples(
        np.linspace(0, seconds, n, endpoint=False),
        np.zeros(n, np.int32),
        np.full(n, status, np.int32),
        np.array(total_ms),
        zeros,
        zeros,
        zeros,
        zeros,
        zeros,
        zeros,
        np.zeros(n, np.int32),
        ("Nanjing",),
        ("wuhu",),
    )


def test_the_warm_up_is_dropped_and_a_probe_that_saw_nothing_is_not_zero() -> None:
    plan = replace(PLAN, warmup_s=1.0)
    case = case_of(
        plan,
        samples([5.0] * 10),
        AREAS,
        CENTERS,
        timer=Noise(),
        loop=LoopState(),
        run_ms=0.2,
    )
    assert len(case.samples) == 5
    timer = next(w for w in case.noise if w.name == "timer")
    assert math.isnan(timer.p99_ms)


@pytest.mark.parametrize(("status", "at_ms"), [(200, 5.0), (-1, 20.0)])
def test_the_histogram_counts_all_and_puts_the_unanswered_last(status: int, at_ms: float) -> None:
    case = case_of(
        PLAN,
        samples([5.0] * 10, status=status),
        AREAS,
        CENTERS,
        timer=Noise(1, 0.1, 0.1, 0.1),
        loop=LoopState(),
        run_ms=0.2,
    )
    edges, counts = latency_histogram(case)
    assert len(edges) == len(counts) + 1
    assert sum(counts) == 10
    filled = counts.index(10)
    assert edges[filled] <= at_ms <= edges[filled + 1]
