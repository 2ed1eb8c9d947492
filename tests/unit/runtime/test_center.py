"""One process of centers, from its parts to its end, in this very process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from gateway_models import repository

from gateway.api import ConfigError, Report
from gateway.centers import Attempt, Whole
from gateway.centers.framed import FramedCenter, FramedConnection
from gateway.config import load_settings
from gateway.runtime.center import CenterProcess
from gateway.runtime.center_plan import CenterListening, CenterPlan

MODEL = "blast-furnace"
BODY = (repository() / MODEL / "example.json").read_bytes()
SETTINGS = load_settings(None, {"fleet.sites": "core", "server.drain_s": 5.0}).settings


@asynccontextmanager
async def process(plan: CenterPlan) -> AsyncIterator[tuple[CenterProcess, CenterListening]]:
    made = CenterProcess(SETTINGS, plan, asyncio.get_running_loop())
    try:
        await made.load_models()
        yield made, await made.open_doors()
    finally:
        await made.close()


class Reached:
    """The process's first center, as a gateway reaches it."""

    def __init__(self, listening: CenterListening) -> None:
        self.resident: list[tuple[Any, ...]] = []
        loop = asyncio.get_running_loop()
        self.connection = FramedConnection(
            listening.addresses[-1],
            loop=loop,
            clock=loop.time,
            random=Random(1),
            on_residency=lambda *change: self.resident.append(change),
        )
        center = listening.reached()[0]
        self.port = FramedCenter(0, center, self.connection, ("Shanghai",))

    async def infer(self) -> Any:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        deadline_s = asyncio.get_running_loop().time() + 20
        attempt = Attempt("r", 0, MODEL, "", BODY, None, deadline_s)
        self.port.start(attempt, heard.put_nowait)
        while True:
            event = await asyncio.wait_for(heard.get(), 20)
            if type(event).__name__ != "Sent":
                return event

    async def probe(self) -> Report | None:
        told: asyncio.Future[Report | None] = asyncio.get_running_loop().create_future()
        self.port.probe(0, told.set_result)
        return await asyncio.wait_for(told, 20)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


async def test_every_question_and_an_answer_over_a_socket(tmp_path: Path) -> None:
    plan = CenterPlan(socket=tmp_path / "s", emulate_wan=True)
    async with process(plan) as (made, listening):
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
        reached = Reached(listening)
        await reached.connection.open()
        await until(lambda: len(reached.resident) == len(made.models))
        whole = await reached.infer()
        assert isinstance(whole, Whole)
        assert whole.drawn_ms is not None
        assert whole.drawn_ms > 1.0
        assert whole.report.service_ms > 0.0
        report = await reached.probe()
        assert report is not None
        assert report.slots == listening.centers[0].slots
        port = reached.port
        assert {line.name for line in await port.index()} >= {MODEL}
        assert (await port.metadata(MODEL, "")).name == MODEL
        assert (await port.config(MODEL, ""))["name"] == MODEL
        assert (await port.statistics(MODEL, ""))[0]["inference_count"] == 1
        await port.unload(MODEL)
        await until(lambda: reached.resident[-1] == (MODEL, 0, False, 0.0))
        assert await port.ready(MODEL, "") is False
        await port.load(MODEL)
        await until(lambda: reached.resident[-1][:3] == (MODEL, 0, True))
        await reached.connection.close()
    assert not (tmp_path / "s").exists()


async def test_without_emulation_nothing_is_drawn(tmp_path: Path) -> None:
    plan = CenterPlan(region="cn-east-4", zone="a", port=0, socket=tmp_path / "s")
    async with process(plan) as (_, listening):
        assert [a.host for a in listening.addresses] == ["127.0.0.1", ""]
        assert listening.http == f"http://127.0.0.1:{listening.addresses[0].port}"
        reached = Reached(listening)
        await reached.connection.open()
        assert (await reached.infer()).drawn_ms is None
        await reached.connection.close()


async def asked(path: Path, request: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(f"GET {request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    told = await reader.read()
    writer.close()
    return told


@pytest.mark.parametrize(
    ("plan", "one"),
    [
        ({}, False),
        ({"region": "cn-east-4"}, False),
        ({"region": "cn-east-4", "zone": "a"}, True),
    ],
)
async def test_http_on_the_socket_is_an_admin_door_and_that_of_the_one_center(
    tmp_path: Path, plan: dict[str, Any], one: bool
) -> None:
    path = tmp_path / "s"
    async with process(CenterPlan(**plan, socket=path)):
        assert b" 200 " in (await asked(path, "/faults"))[:16]
        assert (b" 200 " in (await asked(path, "/v2/models/blast-furnace"))[:16]) is one


async def test_nobody_pulls_levers_at_the_port_of_one_center(tmp_path: Path) -> None:
    plan = CenterPlan(region="cn-east-4", zone="a", port=0, socket=tmp_path / "s")
    async with process(plan) as (_, listening):
        reader, writer = await asyncio.open_connection("127.0.0.1", listening.addresses[0].port)
        writer.write(b"GET /faults HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b" 404 " in (await reader.read())[:16]
        writer.close()


async def test_draining_says_goodbye_and_answers_what_is_under_way(tmp_path: Path) -> None:
    plan = CenterPlan(socket=tmp_path / "s", emulate_wan=True)
    async with process(plan) as (made, listening):
        reached = Reached(listening)
        await reached.connection.open()
        answer = asyncio.ensure_future(reached.infer())
        await until(lambda: made.in_flight == 1)
        assert await made.drain() == 0
        assert isinstance(await answer, Whole)
        failed = await reached.infer()
        assert "said goodbye" in str(failed.error)
        await reached.connection.close()


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    plan = CenterPlan(region="cn-east-4", zone="a", port=0)
    async with process(plan) as (_, listening):
        again = CenterPlan(region="cn-east-4", zone="a", port=listening.addresses[0].port)
        with pytest.raises(ConfigError, match="another process may hold it"):
            async with process(again):
                pass


async def test_a_socket_left_behind_by_the_dead_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with process(CenterPlan(socket=path)):
        assert path.is_socket()
