"""The conductor: what it does to a stage that only writes down what it was told."""

from __future__ import annotations

import time
from typing import Any

import pytest
from aiohttp import web

from gateway.api import Center, Location
from gateway.measure.chaos.conductor import Conductor
from gateway.measure.chaos.plan import ChaosPlan, Fault
from gateway.measure.chaos.stage import StagePlan

CENTERS = tuple(
    Center(f"near-{z}", "near", f"near-{z}", "Wuxi", "CN", Location(31.0, 120.0)) for z in "ab"
)


class Told:
    """A stage, and each of its processes."""

    def __init__(self, admin_url: str = "", workers: int = 1) -> None:
        self.plan = StagePlan(CENTERS, frozenset(), frozenset(), {}, {}, workers)
        self.done: list[Any] = []
        self.url = self.admin_url = admin_url
        self.center_of = {center.id: Process(center.id, self.done) for center in CENTERS}
        self.gateway = Process("gateway 1", self.done)

    async def way(self, center: str, what: str) -> None:
        self.done.append((center, what))

    async def center_fault(self, center: str, kind: str, value: float) -> None:
        self.done.append((center, kind, value))

    def change_config(self, number: int) -> None:
        self.done.append(("config", number))

    async def start_center(self, child: Process) -> None:
        self.done.append((child.name, "start"))

    async def start_gateway(self, *, beside: bool) -> Process:
        self.done.append("another gateway" if beside else "a gateway")
        return Process("gateway 2", self.done)


class Process:
    def __init__(self, name: str, done: list[Any]) -> None:
        self.name = name
        self.done = done

    def signal(self, number: Any) -> None:
        self.done.append((self.name, number.name))

    async def kill(self) -> None:
        self.done.append((self.name, "reaped"))

    async def stop(self) -> None:
        self.done.append((self.name, "ended"))


async def conduct(
    stage: Told, kind: str, target: str, value: float = 0.0, busiest: str = ""
) -> Conductor:
    fault = Fault(0.0, 0.001, kind, target, value)  # type: ignore[arg-type]
    plan = ChaosPlan("t", (fault,))
    conductor = Conductor(stage, plan, "other", lambda: busiest)  # type: ignore[arg-type]
    await conductor.run(time.monotonic())
    assert conductor.begun_s[fault] <= conductor.lifted_s[fault]
    return conductor


@pytest.mark.parametrize(
    ("kind", "value", "done"),
    [
        ("kill", 0.0, [("near-a", "SIGKILL"), ("near-a", "reaped"), ("near-a", "start")]),
        ("stop", 0.0, [("near-a", "SIGSTOP"), ("near-a", "SIGCONT")]),
        ("garbage", 0.0, [("near-a", "garbage"), ("near-a", "open")]),
        ("slow", 50.0, [("near-a", "slow", 50.0), ("near-a", "slow", 1.0)]),
        ("error", 0.5, [("near-a", "error", 0.5), ("near-a", "error", 0.0)]),
    ],
)
async def test_a_fault_is_put_on_and_taken_off(kind: str, value: float, done: list[Any]) -> None:
    stage = Told()
    await conduct(stage, kind, "near-a", value)
    assert stage.done == done


async def test_a_region_falls_together() -> None:
    stage = Told()
    await conduct(stage, "stop", "near")
    assert stage.done[:2] == [("near-a", "SIGSTOP"), ("near-b", "SIGSTOP")]


async def test_the_busiest_is_whichever_it_is_then() -> None:
    stage = Told()
    conductor = await conduct(stage, "stop", "busiest", busiest="near-b")
    assert stage.done == [("near-b", "SIGSTOP"), ("near-b", "SIGCONT")]
    assert list(conductor.hit.values()) == [("near-b",)]


async def test_a_restart_starts_the_second_before_the_first_ends() -> None:
    stage = Told()
    conductor = await conduct(stage, "restart", "gateway")
    assert stage.done == ["another gateway", ("gateway 1", "ended")]
    assert stage.gateway.name == "gateway 2"
    assert list(conductor.done.values()) == [1]


async def test_workers_are_told_by_a_signal_to_reload() -> None:
    stage = Told(workers=2)
    await conduct(stage, "reload", "gateway", 3)
    told = [[("config", number), ("gateway 1", "SIGHUP")] for number in range(3)]
    assert stage.done == [order for orders in told for order in orders]


async def test_levers_are_pulled_as_often_as_asked_and_a_refusal_is_told() -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        refused = len(asked) > 2
        return web.json_response({"error": "no"} if refused else {}, status=409 if refused else 200)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        reloaded = await conduct(Told(f"http://{host}:{port}"), "reload", "gateway", 2)
        assert asked == ["/reload", "/reload"]
        assert not reloaded.failed
        assert list(reloaded.done.values()) == [2]
        models = await conduct(Told(f"http://{host}:{port}"), "models", "gateway", 2)
        assert asked[2:] == ["/v2/repository/models/other/unload"]
        assert "409" in models.failed[0]
        assert not models.done
    finally:
        await runner.cleanup()
