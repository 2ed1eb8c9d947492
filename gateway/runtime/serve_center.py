"""Run a center process until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import uvloop

from gateway.config import Settings
from gateway.runtime.center import CenterProcess
from gateway.runtime.center_plan import CenterListening, CenterPlan


def serve_center(
    settings: Settings, plan: CenterPlan, on_ready: Callable[[CenterListening], None]
) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Raises ConfigError before listening."""
    uvloop.run(_serve(settings, plan, on_ready))


async def _serve(
    settings: Settings, plan: CenterPlan, on_ready: Callable[[CenterListening], None]
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    process = CenterProcess(settings, plan, loop)
    try:
        await process.load_models()
        on_ready(await process.open_doors())
        await stop.wait()
        await process.drain()
    finally:
        await process.close()
