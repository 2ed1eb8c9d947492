"""Run a gateway until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import uvloop

from gateway.config import Settings
from gateway.runtime.gateway import Gateway
from gateway.runtime.listening import Listening, announce_to


def serve(
    settings: Settings,
    announce: Path | None = None,
    on_ready: Callable[[Listening], None] = lambda _: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Raises ConfigError before listening.

    ``announce``: a file that receives ``{"url", "admin_url", "pid"}`` once ready.
    """
    uvloop.run(_serve(settings, announce, on_ready))


async def _serve(
    settings: Settings, announce: Path | None, on_ready: Callable[[Listening], None]
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    gateway = Gateway(settings, loop)
    try:
        await gateway.load_models()
        url, admin_url = await gateway.open_doors()
        names = tuple(name for name, *_ in gateway.repository.index())
        listening = Listening(url, admin_url, len(gateway.ports), names)
        if announce is not None:
            announce_to(announce, listening)
        on_ready(listening)
        await stop.wait()
        await gateway.drain()
    finally:
        await gateway.close()
