"""Run a gateway until it is told to stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvloop

from gateway.config import Settings
from gateway.runtime.gateway import Gateway


@dataclass(frozen=True, slots=True)
class Listening:
    """What a gateway says once it is ready."""

    url: str
    admin_url: str
    centers: int
    models: tuple[str, ...]


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
        if announce is not None:
            _announce(announce, url, admin_url)
        names = tuple(name for name, *_ in gateway.repository.index())
        on_ready(Listening(url, admin_url, len(gateway.ports), names))
        await stop.wait()
        await gateway.drain()
    finally:
        await gateway.close()


def _announce(path: Path, url: str, admin_url: str) -> None:
    """Written beside and renamed, so that a reader never sees half of it."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps({"url": url, "admin_url": admin_url, "pid": os.getpid()}))
    part.replace(path)
