"""Run a center process until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import uvloop

from gateway.config import Settings
from gateway.runtime.center import CenterProcess
from gateway.runtime.center_plan import CenterListening, CenterPlan
from gateway.runtime.stopping import Stopping


def serve_center(
    settings: Settings, plan: CenterPlan, on_ready: Callable[[CenterListening], None]
) -> int:
    """Serve until SIGTERM or SIGINT, then drain; a second one ends at once. Returns the exit
    code: 0, or 1 when requests were left. Raises ConfigError before listening.
    """
    return uvloop.run(_serve(settings, plan, on_ready))


async def _serve(
    settings: Settings, plan: CenterPlan, on_ready: Callable[[CenterListening], None]
) -> int:
    loop = asyncio.get_running_loop()
    stopping = Stopping(loop)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # it must not end it
    process = CenterProcess(settings, plan, loop)
    try:
        await process.load_models()
        on_ready(await process.open_doors())
        await stopping.asked.wait()
        return stopping.exit_code(await stopping.unless_again(process.drain()))
    finally:
        await stopping.unless_again(process.close())
