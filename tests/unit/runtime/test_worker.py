"""A worker's side: what ends it, and what its public door says of all workers' metrics."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from gateway.api import NoCenter
from gateway.runtime import worker
from gateway.runtime.worker import Ending
from gateway.runtime.worker_channel import Accept, Retire, Stop, ToChild


class FakeGateway:
    def __init__(self) -> None:
        self.accepted: list[tuple[int, bool]] = []

    async def accept(self, number: int, *, wanted: bool) -> None:
        self.accepted.append((number, wanted))


async def orders(*given: ToChild, then_wait: bool = False) -> AsyncIterator[ToChild]:
    for order in given:
        yield order
    if then_wait:
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ((Accept(1, wanted=True), Retire(), Stop()), Ending.RETIRED),
        ((Accept(1, wanted=True), Stop()), Ending.STOPPED),
        ((Accept(1, wanted=True),), Ending.ALONE),
    ],
)
async def test_the_first_order_to_end_ends_it(given: tuple[ToChild, ...], why: Ending) -> None:
    gateway = FakeGateway()
    assert await worker._obey(cast(Any, gateway), orders(*given)) is why
    assert gateway.accepted == [(1, True)]


async def test_sigterm_ends_it_without_an_order() -> None:
    obeying = asyncio.create_task(
        worker._obey(cast(Any, FakeGateway()), orders(then_wait=True)), name="obey"
    )
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await obeying is Ending.STOPPED
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)


async def test_metrics_of_all_are_asked_of_the_supervisor(tmp_path: Path) -> None:
    path = str(tmp_path / "supervisor")

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(text="x_total 4.0\n")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, path).start()
    assert await worker._MetricsOfAll(path).text() == b"x_total 4.0\n"
    await runner.cleanup()
    with pytest.raises(NoCenter, match="supervisor"):
        await worker._MetricsOfAll(path).text()
